"""From landmarks to joints: BlazePose's names, and the body of SMPL's 22 joints that they drive."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..io.smpl import NAMES, PARENTS
from ..rig_guess import guess_pairs_and_contacts
from ..skeleton import Skeleton

LANDMARKS = (
    *("nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer"),
    *("left_ear", "right_ear", "mouth_left", "mouth_right"),
    *(
        f"{side}_{part}"
        for part in ("shoulder", "elbow", "wrist", "pinky", "index", "thumb")
        for side in ("left", "right")
    ),
    *(f"{side}_{part}" for part in ("hip", "knee", "ankle", "heel", "foot_index") for side in ("left", "right")),
)
BODY = tuple(k for k, n in enumerate(LANDMARKS) if n.split("_")[-1] in ("shoulder", "elbow", "hip", "knee", "ankle"))
"""The landmarks that a body is judged by."""
SIDES = ("left", "right")
NECK, HEAD = 12, 15
"""In the middle, among the joints of SMPL: where the neck begins, and between the ears."""
_REST = {"collar": (0.35, -0.2, 0.0), "shoulder": (1, 0, 0), "elbow": (1, 0, 0), "wrist": (1, 0, 0), "hip": (1, 0, 0)}
_REST |= {"knee": (0, -1, 0), "ankle": (0, -1, 0)}
SPINE = (0.3, 0.55, 0.8)
"""Heights of the three joints of the spine between hips and shoulders."""


@dataclass(frozen=True, eq=False)
class Joints:
    """Landmarks by name, [T, 3] each, in a world with Y up."""

    at: dict[str, Float[Tensor, "t 3"]]

    def __getitem__(self, name: str) -> Float[Tensor, "t 3"]:
        """Return a landmark."""
        return self.at[name]

    def middle(self, part: str) -> Float[Tensor, "t 3"]:
        """Return the middle between both sides of a part."""
        return (self[f"left_{part}"] + self[f"right_{part}"]) / 2

    def across(self, part: str) -> Float[Tensor, "t 3"]:
        """Return the way from the right one to the left one."""
        return self[f"left_{part}"] - self[f"right_{part}"]


def joints(points: Float[Tensor, "t 33 3"]) -> Joints:
    """Return landmarks by their names."""
    return Joints({name: points[:, k] for k, name in enumerate(LANDMARKS)})


def _length(v: Float[Tensor, "t 3"]) -> float:
    return float(v.norm(dim=-1).median())


def skeleton(body: Joints) -> Skeleton:
    """Return a rig with the bones of a body, medians over time and over both sides, in a T-pose that faces +Z."""
    trunk = _length(body.middle("shoulder") - body.middle("hip"))
    bones = {"knee": ("hip", "knee"), "ankle": ("knee", "ankle"), "elbow": ("shoulder", "elbow")}
    bones |= {"wrist": ("elbow", "wrist")}
    size = {
        part: sum(_length(body[f"{s}_{b}"] - body[f"{s}_{a}"]) for s in SIDES) / 2 for part, (a, b) in bones.items()
    }
    size |= {"hip": _length(body.across("hip")) / 2, "shoulder": 0.75 * _length(body.across("shoulder")) / 2}
    toe = sum(_length(body[f"{s}_foot_index"] - body[f"{s}_ankle"]) for s in SIDES) / 2
    drop = sum(_length(body[f"{s}_heel"] - body[f"{s}_ankle"]) for s in SIDES) / 2
    collar = _length(body.across("shoulder")) / 8
    head = _length(body.middle("ear") - body.middle("shoulder"))
    above = SPINE[2] * trunk  # where collars and the neck hang
    up = {"spine1": SPINE[0], "spine2": SPINE[1] - SPINE[0], "spine3": SPINE[2] - SPINE[1]}
    offsets = []
    for name in NAMES:
        side, _, part = name.partition("_")
        sign = 1.0 if side == "left" else -1.0
        if name in up:
            offsets.append((0.0, up[name] * trunk, 0.0))
        elif part == "collar":
            offsets.append((sign * collar, trunk - above, 0.0))
        elif part in size:
            x, y, z = _REST[part]
            offsets.append((sign * size[part] * x, size[part] * y, size[part] * z))
        elif part:  # the toes, as far below the ankle as the heel is
            low = min(0.8 * drop, 0.6 * toe)
            offsets.append((0.0, -low, (toe**2 - low**2) ** 0.5))
        elif name == NAMES[NECK]:
            offsets.append((0.0, trunk - above + 0.25 * head, 0.0))
        else:
            offsets.append((0.0, 0.75 * head if name == NAMES[HEAD] else 0.0, 0.0))
    return guess_pairs_and_contacts(Skeleton(NAMES, PARENTS, tuple(offsets)))


def frame(
    first: Float[Tensor, "*b 3"], second: Float[Tensor, "*b 3"], axes: tuple[int, int]
) -> Float[Tensor, "*b 3 3"]:
    """Return rotations whose axis ``axes[0]`` is along ``first`` and whose axis ``axes[1]`` is as near ``second``."""
    a = torch.nn.functional.normalize(first, dim=-1)
    b = torch.nn.functional.normalize(second - (second * a).sum(-1, keepdim=True) * a, dim=-1)
    i, j = axes
    k = 3 - i - j
    c = torch.linalg.cross(a, b) * (1.0 if (j - i) % 3 == 1 else -1.0)
    columns = {i: a, j: b, k: c}
    return torch.stack([columns[n] for n in range(3)], -1)
