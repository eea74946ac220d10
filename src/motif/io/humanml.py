"""HumanML3D's 263 numbers a frame in and out, the format of most text-to-motion work.

Channels (20 frames a second, metres, Y up, frame 0 faces +Z): 0 half the turn of the heading to the next frame; 1:3
path of the root to the next frame, x and z in that one's heading; 3 height of the root; 4:67 positions of 21 joints
beside the root with the heading taken out, their heights over the ground; 67:193 rotations, two columns of matrices;
193:259 velocities of 22 joints a frame with the heading taken out; 259:263 whether ankle and toes of the left foot and
of the right stand.

**Only heading, path and positions are read.** The format's rotations were found from the positions, bone by bone
without twist and in frames that differ from chain to chain: they hold nothing that positions do not, and fit no rig.
Here rotations are found anew: pelvis and chest, which have three bones each, turn as these do; every other joint turns
its one bone by the shortest way and has no twist. Bone lengths are means over the clip, so joints are where the file
says as far as its bones are rigid.

Written are all channels as HumanML3D defines them, with the headings that its tools find (hips the wrong way round,
smoothed); a clip of T frames has T - 1 rows. Proportions stay those of the rig: HumanML3D's own clips all have one
body's.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from .. import rotation
from ..config import ReadConfig
from ..errors import MotifError
from ..motion import Motion
from .smpl import NAMES, OFFSETS, PARENTS, about_y, body, ground, motion_of, save_array, stand

FPS, WIDTH = 20.0, 263
STANDS = 0.002  # squared metres a frame: what moves less counts as standing
SMOOTH = 20  # frames: the standard deviation of the kernel that headings are smoothed with
_AHEAD = ("left_foot", "right_foot", "head")
_BONES = [name.rpartition("_") for name in NAMES]
_DIRECTIONS = torch.tensor(
    [
        [0.0, 0.0, 1.0] if name in _AHEAD  # what the format's rotations turn, one of six directions a bone
        else [1.0 - 2 * (side == "right"), 0.0, 0.0] if joint in ("hip", "collar")
        else [0.0, -1.0 if side else 1.0, 0.0]
        for name, (side, _, joint) in zip(NAMES, _BONES)
    ],
    dtype=torch.float64,
)  # fmt: skip


def motion(x: Float[Tensor, "t n"], path: Path, config: ReadConfig) -> Motion:
    """Return the motion of an array of 263 numbers a frame."""
    angle = torch.nn.functional.pad(2 * x[:-1, 0].cumsum(0), (1, 0))
    back = about_y(-angle)
    root = torch.zeros(len(x), 3, dtype=x.dtype)
    root[1:, [0, 2]] = x[:-1, 1:3]
    root = (back @ root[..., None])[..., 0].cumsum(0)
    first = torch.zeros(len(x), 3, dtype=x.dtype)
    first[:, 1] = x[:, 3]
    places = torch.cat((first[:, None], x[:, 4:67].unflatten(1, (-1, 3))), 1)
    offsets, local = _pose((back[:, None] @ places[..., None])[..., 0])
    root[:, 1] = x[:, 3]
    return motion_of(offsets, rotation.from_matrix(local), root, FPS, path, config)


def write(motion: Motion, path: str | Path) -> Path:
    """Write 263 numbers a frame of a rig with these 22 joints, turned and moved to begin as these do."""
    path = Path(path)
    p = body(motion, path, FPS)[1]
    if len(p) < 2:
        raise MotifError(f"{path}: one frame at {FPS:g} a second; give a clip of two frames or more, for velocities")
    p = stand(p, about_y(_heading(p[:1]))[0])
    psi = _heading(p, hips=-1.0, smooth=True)
    psi[0] = 0  # as HumanML3D has it, whatever smoothing made of the first heading
    turn = about_y(psi)
    step = p.diff(dim=0)
    path_step = (turn[1:] @ step[:, 0, :, None])[..., 0]
    places = (turn[:, None] @ (p - p[:, :1] * ground(p))[..., None])[..., 0]
    turned = torch.remainder(psi.diff() + torch.pi, 2 * torch.pi) - torch.pi
    speed = (turn[:-1, None] @ step[..., None])[..., 0]
    feet = [NAMES.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("ankle", "foot")]
    stands = (step[:, feet].square().sum(-1) < STANDS).double()
    columns = turned[:, None] / 2, path_step[:, [0, 2]], p[:-1, 0, 1:2], places[:-1, 1:].flatten(1)
    turns = rotation.to_sixd(_bone_turns(p, psi))[:-1].flatten(1)
    save_array(path, torch.cat((*columns, turns, speed.flatten(1), stands), 1))
    return path


def _heading(p: Float[Tensor, "t j 3"], hips: float = 1.0, smooth: bool = False) -> Float[Tensor, "t"]:
    """Return the angles about Y that turn bodies to face +Z, by their hips (times ``hips``) and shoulders."""

    def across(joint: str) -> Tensor:
        return p[:, NAMES.index(f"right_{joint}")] - p[:, NAMES.index(f"left_{joint}")]

    side = torch.nn.functional.normalize(hips * across("hip") + across("shoulder"), dim=-1)
    ahead = torch.stack((side[:, 2], -side[:, 0]), -1)  # x and z of what is ahead
    if smooth:
        reach = 4 * SMOOTH
        kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=p.dtype) / SMOOTH) ** 2)
        padded = torch.nn.functional.pad(ahead.T[:, None], (reach, reach), mode="replicate")
        ahead = torch.nn.functional.conv1d(padded, kernel[None, None] / kernel.sum())[:, 0].T
    return -torch.atan2(ahead[:, 0], ahead[:, 1])


def _bone_turns(p: Float[Tensor, "t j 3"], psi: Float[Tensor, "t"]) -> Float[Tensor, "t k 4"]:
    """Return the format's rotations of all bones: each by the shortest way, relative to the bone above in its chain."""
    root = rotation.about("y", psi)
    turns = [root]
    for j, parent in enumerate(PARENTS[1:], 1):
        turns.append(_between(_DIRECTIONS[j].expand(len(p), 3), p[:, j] - p[:, parent]))
    found = []
    for j, parent in enumerate(PARENTS[1:], 1):
        above = root if parent == 0 or _BONES[j][2] == "collar" else turns[parent]  # where a chain begins
        found.append(rotation.mul(rotation.inv(above), turns[j]))
    return torch.stack(found, 1)


def _pose(places: Float[Tensor, "t j 3"]) -> tuple[Float[Tensor, "j 3"], Float[Tensor, "t j 3 3"]]:
    """Return bones and local rotations of joints by their places."""
    rest = torch.tensor(OFFSETS, dtype=places.dtype)
    offsets, local = torch.zeros_like(rest), torch.eye(3, dtype=places.dtype).repeat(*places.shape[:2], 1, 1)
    world = list(local.clone().unbind(1))
    for j, parent in enumerate(PARENTS):
        above = world[parent] if parent >= 0 else world[j]
        children = [c for c, p in enumerate(PARENTS) if p == j]
        bones = (above.transpose(1, 2)[:, None] @ (places[:, children] - places[:, j : j + 1])[..., None])[..., 0]
        if len(children) == 1:
            direction = torch.nn.functional.normalize(rest[children[0]], dim=-1)
            offsets[children[0]] = direction * bones.norm(dim=-1).mean()
            local[:, j] = rotation.to_matrix(_between(direction.expand(len(places), 3), bones[:, 0]))
        elif children:
            first = _fit(rest[children], bones)
            offsets[children] = (first.transpose(1, 2)[:, None] @ bones[..., None])[..., 0].mean(0)
            local[:, j] = _fit(offsets[children], bones)
        world[j] = above @ local[:, j]
    return offsets, local


def _fit(rest: Float[Tensor, "k 3"], bones: Float[Tensor, "t k 3"]) -> Float[Tensor, "t 3 3"]:
    """Return the rotations that bring bones at rest nearest to where they are (Kabsch)."""
    u, _, v = torch.linalg.svd(bones.transpose(1, 2) @ rest)
    flip = torch.ones(len(bones), 3, dtype=rest.dtype)
    flip[:, 2] = torch.linalg.det(u @ v).sign()
    return (u * flip[:, None]) @ v


def _between(a: Float[Tensor, "t 3"], b: Float[Tensor, "t 3"]) -> Float[Tensor, "t 4"]:
    """Return the shortest rotations from one direction to another; about any axis across where they are opposite."""
    a, b = torch.nn.functional.normalize(a, dim=-1), torch.nn.functional.normalize(b, dim=-1)
    q = torch.cat((1 + (a * b).sum(-1, keepdim=True), torch.linalg.cross(a, b)), -1)
    across = torch.linalg.cross(a, torch.eye(3, dtype=a.dtype)[a.abs().argmin(-1)])
    return rotation.unit(q, rotation.unit(torch.nn.functional.pad(across, (1, 0)), q.new_tensor([1.0, 0, 0, 0])))
