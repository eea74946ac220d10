"""Is it the exemplar's motion, and is it new? Windows of poses compared by mean joint error.

A pose is where the joints are, seen from the root and its heading, over the ground; distances are mean joint errors
in metres, judged as shares of the body height. Windows are compared frame by frame, so the cost of all windows of one
take against all of the exemplar is one frame-to-frame matrix and a running sum along its diagonals.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .. import rotation
from ..motion import Motion
from ..skeleton import Skeleton

TOLERANCE = 0.05
"""Share of the body height within which two windows count as the same motion."""
RATE = 30.0
"""Hz at which windows are compared."""


def body_joints(s: Skeleton) -> list[int]:
    """The joints whose place is worth comparing: not tips, not fingers (what moves less than 3 % of the height)."""
    return [j for j in s.subtree(s.root) if not s.end[j] and (s.reach[j] > 0.03 * s.height or j in s.contacts)] or [
        s.root
    ]


def poses(motion: Motion, floor: float, joints: list[int]) -> Float[Tensor, "t k 3"]:
    """What is compared of each frame, in metres, at about ``RATE`` Hz, free of place and heading.

    The joints' positions from the root's place on the ground, and, as a last row, the root's travel from half a
    second before to half a second after, divided by 4: the mean drift it makes over a window of a second.
    """
    step = max(int(motion.fps / RATE + 1e-3), 1)
    p = motion.world()[1]
    root = p[:, motion.skeleton.root : motion.skeleton.root + 1] * p.new_tensor([1.0, 0.0, 1.0])
    t, half = torch.arange(len(motion)), motion.fps / 2
    after, before = (t + round(half)).clamp(max=len(t) - 1), (t - round(half)).clamp(min=0)
    travel = (root[after] - root[before]) * (half / 2 / (after - before).clamp_min(1))[:, None, None]
    level = rotation.about("y", -motion.heading())[:, None]
    local = rotation.rotate(level, torch.cat((p[:, joints] - root, travel), 1))
    local[:, :-1, 1] -= floor
    return local[::step]


def frame_errors(a: Float[Tensor, "n k 3"], b: Float[Tensor, "m k 3"]) -> Float[Tensor, "n m"]:
    """Mean joint error between every two frames plus the error of their travel, metres."""
    total = a.new_zeros(len(a), len(b))
    for j in range(a.shape[1] - 1):
        total += torch.cdist(a[:, j], b[:, j], compute_mode="donot_use_mm_for_euclid_dist")
    travel = torch.cdist(a[:, -1], b[:, -1], compute_mode="donot_use_mm_for_euclid_dist")
    return total / (a.shape[1] - 1) + travel


def window_errors(errors: Float[Tensor, "n m"], width: int) -> Float[Tensor, "p q"]:
    """Mean error between every two windows of ``width`` frames: sums along diagonals."""
    n, m = errors.shape[0] - width + 1, errors.shape[1] - width + 1
    if n < 1 or m < 1:
        return errors.new_zeros(max(n, 0), max(m, 0))
    total = errors[:n, :m].clone()
    for s in range(1, width):
        total += errors[s : s + n, s : s + m]
    return total / width


@dataclass(frozen=True)
class Windows:
    """How the windows of takes and exemplar explain one another."""

    covered: float
    """Share of the exemplar's 1 s windows that a take comes within the tolerance of, mean over takes (recall)."""
    precise: float
    """Share of the takes' 1 s windows that the exemplar comes within the tolerance of."""
    novel: float
    """Share of the takes' 2 s windows that no stretch of the exemplar comes within the tolerance of."""


def windows(takes: Sequence[Motion], reference: Sequence[Motion], tolerance: float = TOLERANCE) -> Windows:
    """Coverage, precision and novelty of takes against exemplar clips; NaN where clips are shorter than a window."""
    s = reference[0].skeleton
    joints = body_joints(s)
    limit = tolerance * s.height
    truth = [poses(m, m.floor(), joints) for m in reference]
    level = reference[0].floor()
    covered, precise, novel = [], [], []
    for take in takes:
        rate = take.fps / max(int(take.fps / RATE + 1e-3), 1)
        one, two = round(rate), round(2 * rate)
        errors = [frame_errors(poses(take, level, joints), t) for t in truth]
        single = [window_errors(e, one) for e in errors]
        double = [window_errors(e, two) for e in errors]
        covered.append(torch.cat([e.amin(0) < limit for e in single if e.numel()] or [torch.zeros(0)]).float().mean())
        precise.append(_nearest(single, limit).float())
        novel.append(1 - _nearest(double, limit).float())
    return Windows(float(torch.stack(covered).mean()), float(torch.cat(precise).mean()), float(torch.cat(novel).mean()))


def _nearest(errors: Sequence[Float[Tensor, "p q"]], limit: float) -> Tensor:
    """Whether each window of a take lies within the limit of any window of any clip."""
    found = [e.amin(1) for e in errors if e.numel()]
    return torch.stack(found).amin(0) < limit if found else torch.zeros(0)
