"""MotionMillion's 272 numbers a frame in and out, as .npy files; nothing of the vector is lost on the way.

Channels (30 frames a second, metres, Y up, frame 0 faces +Z): 0:2 path of the root, x and z in the frame of the heading
before; 2:8 turn of the heading since the frame before; 8:74 positions of 22 joints beside the root with the heading
taken out, their heights over the ground; 74:140 how these change a frame; 140:272 local rotations, the root's with the
heading taken out. Turns are the first two rows of rotation matrices.

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
from ..files import replace_file
from ..motion import FileFormat, Motion
from ..rig_guess import guess_rig
from ..skeleton import Skeleton

FPS = 30.0
WIDTH, LARGEST = 272, 1 << 30
PATH, TURN, PLACES, MOVES, TURNS = slice(0, 2), slice(2, 8), slice(8, 74), slice(74, 140), slice(140, 272)
_UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError, tokenize.TokenError)
"""What numpy raises for headers that are none."""
NAMES = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
"""The joints, those of the SMPL body without its hands."""
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)


def read(path: str | Path, config: ReadConfig = ReadConfig()) -> Motion:
    """Read a file of 272 numbers a frame; raise an error for any other array."""
    path = Path(path)
    x = torch.from_numpy(_array(path)).double()
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
    positions = offsets.expand(len(x), -1, 3).clone()
    positions[:, 0] = step.cumsum(0)
    positions[:, 0, 1] = places[:, 0, 1]
    q, p = rotation.from_matrix(local).float(), positions.float()
    rows = [tuple(row) for row in offsets.tolist()]
    skeleton = guess_rig(Skeleton(NAMES, PARENTS, tuple(rows)), q, p, rest_known=True)
    motion = Motion(skeleton, q, p, 1 / FPS, path.stem, FileFormat(unit=0.01))
    return motion if config.fps is None else motion.resample(config.fps)


def write(motion: Motion, path: str | Path) -> Path:
    """Write a motion of a rig with these 22 joints, whatever else it has, turned and moved to begin as these do."""
    s, path = motion.skeleton, Path(path)
    missing = [name for name in NAMES if name not in s.names]
    if missing:
        raise MotifError(f"{path}: a rig with the {len(NAMES)} joints of SMPL is needed, this one lacks {missing[0]!r}")
    motion = motion.resample(FPS)
    world_q, world_p = (w[:, [s.names.index(n) for n in NAMES]].double() for w in motion.world())
    world = rotation.to_matrix(world_q)
    psi = -torch.atan2(world[:, 0, 0, 2], world[:, 0, 2, 2])
    first = _about_y(psi[:1])[0]
    world, world_p = first @ world, (first @ (world_p - world_p[:1, :1] * _ground(world_p))[..., None])[..., 0]
    world_p[..., 1] -= world_p[..., 1].min()
    heading = _about_y(psi - psi[0])
    x = torch.zeros(len(motion), WIDTH, dtype=torch.float64)
    steps = torch.zeros(len(motion), 3, dtype=torch.float64)
    steps[1:] = (heading[:-1] @ world_p[:, 0].diff(dim=0)[..., None])[..., 0]
    x[:, PATH] = steps[:, [0, 2]]
    turn = torch.cat((heading[:1], heading[1:] @ heading[:-1].transpose(1, 2)))
    x[:, TURN] = _rows(turn)
    beside = world_p - world_p[:, :1] * _ground(world_p)
    places = (heading[:, None] @ beside[..., None])[..., 0]
    x[:, PLACES] = places.flatten(1)
    x[1:, MOVES] = places.diff(dim=0).flatten(1)
    below = [world[:, p].transpose(1, 2) @ world[:, j] for j, p in enumerate(PARENTS) if p >= 0]
    local = torch.stack([world[:, 0], *below], 1)
    local[:, 0] = heading @ local[:, 0]
    x[:, TURNS] = _rows(local).flatten(1)

    def save(beside: Path) -> None:
        with beside.open("wb") as file:
            np.save(file, x.float().numpy())

    replace_file(path, save)
    return path


def _ground(like: Tensor) -> Float[Tensor, "3"]:
    return like.new_tensor([1.0, 0.0, 1.0])


def _array(path: Path) -> np.ndarray:
    """Return the numbers of a file, [T, 272]."""
    try:
        if path.stat().st_size > LARGEST:
            raise MotifError(f"{path}: is larger than {LARGEST >> 30} GiB; cut the take into shorter files")
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except _UNREADABLE as error:
        raise MotifError(f"{path}: is no array of numbers ({str(error)[:80]}); expected [frames, {WIDTH}]") from None
    shape = getattr(found, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] != WIDTH or not shape[0] or found.dtype.kind != "f":
        kind = "HumanML3D's 263, which motif does not read" if shape and shape[-1] == WIDTH - 9 else f"{shape}"
        raise MotifError(
            f"{path}: its shape is {kind}; expected [frames, {WIDTH}] of floats, as MotionMillion has them"
        )
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


def _about_y(angle: Float[Tensor, "t"]) -> Float[Tensor, "t 3 3"]:
    return rotation.to_matrix(rotation.about("y", angle))


def _bones(local: Float[Tensor, "t j 3 3"], places: Float[Tensor, "t j 3"]) -> Float[Tensor, "j 3"]:
    """Return each joint's place in its parent's axes, the mean over time."""
    world = local.clone()
    found = places.new_zeros(len(NAMES), 3)
    for j, p in enumerate(PARENTS):
        if p >= 0:
            world[:, j] = world[:, p] @ local[:, j]
            found[j] = (world[:, p].transpose(1, 2) @ (places[:, j] - places[:, p])[..., None])[..., 0].mean(0)
    return found
