"""Arrays of numbers a frame, .npy files: MotionMillion's 272 in and out, HumanML3D's 263 by their width.

Channels of the 272 (30 frames a second, metres, Y up, frame 0 faces +Z): 0:2 path of the root, x and z in the frame of
the heading before; 2:8 turn of the heading since the frame before; 8:74 positions of 22 joints beside the root with the
heading taken out, their heights over the ground; 74:140 how these change a frame; 140:272 local rotations, the root's
with the heading taken out. Turns are the first two rows of rotation matrices. Nothing of the vector is lost on the way.

Bones are not in the vector; they are what positions and rotations say together.
"""

import tokenize
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import rotation
from ..config import ReadConfig
from ..errors import MotifError
from ..motion import Motion
from . import humanml
from .smpl import NAMES, PARENTS, about_y, body, ground, motion_of, save_array, stand

FPS = 30.0
WIDTH, LARGEST = 272, 1 << 30
PATH, TURN, PLACES, MOVES, TURNS = slice(0, 2), slice(2, 8), slice(8, 74), slice(74, 140), slice(140, 272)
UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError, tokenize.TokenError)
"""What numpy raises for headers that are none."""


def read(path: str | Path, config: ReadConfig = ReadConfig()) -> Motion:
    """Read a file of 272 or 263 numbers a frame; raise an error for any other array."""
    path = Path(path)
    x = torch.from_numpy(_array(path))
    return _motion(x, path, config) if x.shape[1] == WIDTH else humanml.motion(x, path, config)


def looks_like(path: Path) -> bool:
    """Whether a file's header tells of motion; one that cannot be read counts, so that it is named as broken."""
    try:
        return _fits(np.load(path, mmap_mode="r", allow_pickle=False))
    except UNREADABLE:
        return True


def _motion(x: Float[Tensor, "t n"], path: Path, config: ReadConfig) -> Motion:
    turn = _matrix(x[:, TURN])
    heading = turn.clone()  # from the world to the frame of the heading
    for t in range(1, len(turn)):
        heading[t] = turn[t] @ heading[t - 1]
    back = heading.transpose(1, 2)
    step = torch.zeros(len(x), 3, dtype=x.dtype)
    step[:, [0, 2]] = x[:, PATH]
    step[1:] = (back[:-1] @ step[1:, :, None])[..., 0]
    step[0] = 0
    local = _matrix(x[:, TURNS].unflatten(1, (-1, 6)))
    places = x[:, PLACES].unflatten(1, (-1, 3))
    offsets = _bones(local, places)
    local[:, 0] = back @ local[:, 0]
    root = step.cumsum(0)
    root[:, 1] = places[:, 0, 1]
    return motion_of(offsets, rotation.from_matrix(local), root, FPS, path, config)


def write(motion: Motion, path: str | Path) -> Path:
    """Write 272 numbers a frame of a rig with these 22 joints, turned and moved to begin as these do."""
    path = Path(path)
    world_q, world_p = body(motion, path, FPS)
    world = rotation.to_matrix(world_q)
    psi = -torch.atan2(world[:, 0, 0, 2], world[:, 0, 2, 2])
    first = about_y(psi[:1])[0]
    world, world_p = first @ world, stand(world_p, first)
    heading = about_y(psi - psi[0])
    x = torch.zeros(len(world), WIDTH, dtype=torch.float64)
    steps = torch.zeros(len(world), 3, dtype=torch.float64)
    steps[1:] = (heading[:-1] @ world_p[:, 0].diff(dim=0)[..., None])[..., 0]
    x[:, PATH] = steps[:, [0, 2]]
    turn = torch.cat((heading[:1], heading[1:] @ heading[:-1].transpose(1, 2)))
    x[:, TURN] = _rows(turn)
    beside = world_p - world_p[:, :1] * ground(world_p)
    places = (heading[:, None] @ beside[..., None])[..., 0]
    x[:, PLACES] = places.flatten(1)
    x[1:, MOVES] = places.diff(dim=0).flatten(1)
    below = [world[:, p].transpose(1, 2) @ world[:, j] for j, p in enumerate(PARENTS) if p >= 0]
    local = torch.stack([world[:, 0], *below], 1)
    local[:, 0] = heading @ local[:, 0]
    x[:, TURNS] = _rows(local).flatten(1)
    save_array(path, x)
    return path


def _fits(found: object) -> bool:
    """Whether an array is [frames, 272] or [frames, 263] of floats."""
    shape = getattr(found, "shape", ())
    return len(shape) == 2 and shape[1] in (WIDTH, humanml.WIDTH) and shape[0] > 0 and found.dtype.kind == "f"  # pyright: ignore[reportAttributeAccessIssue]


def _array(path: Path) -> np.ndarray:
    """Return the numbers of a file, [T, 272] or [T, 263]."""
    try:
        size = path.stat().st_size
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE as error:
        raise MotifError(f"{path}: is no array of numbers ({str(error)[:80]}); expected [frames, {WIDTH}]") from None
    if size > LARGEST:
        raise MotifError(f"{path}: is larger than {LARGEST >> 30} GiB; cut the take into shorter files")
    if not _fits(found):
        expected = f"[frames, {WIDTH}] of floats, as MotionMillion has them, or {humanml.WIDTH}, as HumanML3D"
        raise MotifError(f"{path}: its shape is {getattr(found, 'shape', None)}; expected {expected}")
    values = np.array(found, dtype=np.float64)
    if not np.isfinite(values).all():
        raise MotifError(f"{path}: holds numbers that are not finite; get the file again")
    return values


def _matrix(rows: Float[Tensor, "*b 6"]) -> Float[Tensor, "*b 3 3"]:
    """Return rotation matrices of their first two rows, made orthogonal."""
    a = torch.nn.functional.normalize(rows[..., :3], dim=-1)
    b = rows[..., 3:] - (a * rows[..., 3:]).sum(-1, keepdim=True) * a
    b = torch.nn.functional.normalize(b, dim=-1)
    return torch.stack((a, b, torch.linalg.cross(a, b)), -2)


def _rows(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 6"]:
    return matrix[..., :2, :].flatten(-2)


def _bones(local: Float[Tensor, "t j 3 3"], places: Float[Tensor, "t j 3"]) -> Float[Tensor, "j 3"]:
    """Return each joint's place in its parent's axes, the mean over time."""
    world = local.clone()
    found = places.new_zeros(len(NAMES), 3)
    for j, p in enumerate(PARENTS):
        if p >= 0:
            world[:, j] = world[:, p] @ local[:, j]
            found[j] = (world[:, p].transpose(1, 2) @ (places[:, j] - places[:, p])[..., None])[..., 0].mean(0)
    return found
