"""The body joints of SMPL, which several formats share: names, parents, and a plain body to hang them on.

SMPL's own files are not free, so nothing of them is here. The offsets are those of a person of 1.7 m in a T-pose, from
common body proportions, to the centimetre and the same on both sides.
"""

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

NAMES = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
"""The joints, those of the SMPL body without its hands."""
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
_LEFT = {
    "pelvis": (0.0, 0.0, 0.0),
    "hip": (0.07, -0.09, -0.01),
    "spine1": (0.0, 0.12, -0.02),
    "knee": (0.03, -0.39, 0.0),
    "spine2": (0.0, 0.13, 0.02),
    "ankle": (-0.01, -0.42, -0.03),
    "spine3": (0.0, 0.06, 0.01),
    "foot": (0.03, -0.06, 0.12),
    "neck": (0.0, 0.21, -0.04),
    "collar": (0.08, 0.12, -0.02),
    "head": (0.0, 0.09, 0.05),
    "shoulder": (0.1, 0.03, -0.01),
    "elbow": (0.27, -0.01, -0.02),
    "wrist": (0.25, 0.0, 0.0),
}
"""Offsets in metres, left is X, up Y, ahead Z."""


def _offset(name: str) -> tuple[float, float, float]:
    x, y, z = _LEFT[name.rpartition("_")[2]]
    return (-x if name.startswith("right") else x), y, z


OFFSETS = tuple(map(_offset, NAMES))


def body(motion: Motion, path: Path, fps: float) -> tuple[Float[Tensor, "t j 4"], Float[Tensor, "t j 3"]]:
    """Return world rotations and places of the joints at a rate; raise an error where the rig lacks one."""
    names = motion.skeleton.names
    missing = [name for name in NAMES if name not in names]
    if missing:
        raise MotifError(f"{path}: a rig with the {len(NAMES)} joints of SMPL is needed, this one lacks {missing[0]!r}")
    q, p = (w[:, [names.index(n) for n in NAMES]].double() for w in motion.resample(fps).world())
    return q, p


def stand(places: Float[Tensor, "t j 3"], turn: Float[Tensor, "3 3"]) -> Float[Tensor, "t j 3"]:
    """Return places turned as given, the first pelvis over the origin and the lowest joint of all on the ground."""
    places = (turn @ (places - places[:1, :1] * ground(places))[..., None])[..., 0]
    places[..., 1] -= places[..., 1].min()
    return places


def ground(like: Tensor) -> Float[Tensor, "3"]:
    """Return what keeps x and z of a place and drops its height."""
    return like.new_tensor([1.0, 0.0, 1.0])


def about_y(angle: Float[Tensor, "t"]) -> Float[Tensor, "t 3 3"]:
    """Return matrices that turn about the upward axis."""
    return rotation.to_matrix(rotation.about("y", angle))


def moving(rig: Skeleton, q: Tensor, p: Float[Tensor, "t j 3"], frame_time: float, path: Path) -> Motion:
    """Return a motion of a rig whose zero pose is natural, with what a clip tells about it."""
    q, p = q.float(), p.float()
    return Motion(guess_rig(rig, q, p, rest_known=True), q, p, frame_time, path.stem, FileFormat(unit=0.01))


def motion_of(
    offsets: Float[Tensor, "j 3"], local: Tensor, root: Float[Tensor, "t 3"], fps: float, path: Path, config: ReadConfig
) -> Motion:
    """Return a motion of these joints by bones, local quaternions [T, J, 4] and the places of the pelvis."""
    positions = offsets.expand(len(local), -1, 3).clone()
    positions[:, 0] = root
    rig = Skeleton(NAMES, PARENTS, tuple(tuple(row) for row in offsets.tolist()))
    motion = moving(rig, local, positions, 1 / fps, path)
    return motion if config.fps is None else motion.resample(config.fps)


def save_array(path: Path, x: Tensor) -> None:
    """Write an array of single precision, whole or not at all."""

    def save(beside: Path) -> None:
        with beside.open("wb") as file:
            np.save(file, x.to(torch.float32).numpy())

    replace_file(path, save)
