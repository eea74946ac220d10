"""Windows of poses, and how far apart they are: what a motion is compared with another one by.

A pose is where the joints are, seen from the root and its heading, over the ground; distances are mean joint errors in
metres, judged as shares of the body height. Comparing all windows of one motion with all of another costs one
frame-to-frame matrix and running sums along its diagonals.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from . import rotation
from .errors import MotifError
from .motion import Motion
from .skeleton import Skeleton

TOLERANCE = 0.05  # share of the body height within which two windows count as the same motion
RATE = 30.0  # Hz at which windows are compared


def check_finite(motion: Motion) -> None:
    """Raise a MotifError that names the first frame with a number that is not finite."""
    finite = motion.rotations.isfinite().all((1, 2)) & motion.positions.isfinite().all((1, 2))
    if not bool(finite.all()):
        raise MotifError(f"{motion.name!r} cannot be used: frame {int((~finite).int().argmax())} is not finite")


def body_joints(s: Skeleton) -> list[int]:
    """Return the joints worth comparing: not tips, not fingers (whatever moves less than 3 % of the height)."""
    return [
        j for j in s.subtree(s.root) if not s.end[j] and (s.chain_length[j] > 0.03 * s.height or j in s.contacts)
    ] or [s.root]


def stride(fps: float) -> int:
    """Return the step between compared frames, for about ``RATE`` Hz."""
    return max(int(fps / RATE + 1e-3), 1)


def poses(
    motion: Motion, world: Float[Tensor, "t j 3"], heading: Float[Tensor, "t"], floor: float
) -> Float[Tensor, "n k 3"]:
    """Return what is compared of each frame, in metres, at about ``RATE`` Hz, free of place and heading (radians).

    The joints' positions from the root's place on the ground, and, as a last row, the root's travel from half a
    second before to half a second after, divided by 4: the mean drift it makes over a window of a second.
    """
    s, fps = motion.skeleton, motion.fps
    place = world[:, s.root : s.root + 1] * world.new_tensor([1.0, 0.0, 1.0])
    t, half = torch.arange(len(world), device=world.device), fps / 2
    after, before = (t + round(half)).clamp(max=len(t) - 1), (t - round(half)).clamp(min=0)
    travel = (place[after] - place[before]) * (half / 2 / (after - before).clamp_min(1))[:, None, None]
    turn = rotation.about("y", -heading)[:, None]
    local = rotation.rotate(turn, torch.cat((world[:, body_joints(s)] - place, travel), 1))
    local[:, :-1, 1] -= floor
    return local[:: stride(fps)]


def frame_errors(a: Float[Tensor, "n k 3"], b: Float[Tensor, "m k 3"]) -> Float[Tensor, "n m"]:
    """Return the mean joint error between every two frames plus the error of their travel, metres."""
    total = a.new_zeros(len(a), len(b))
    for j in range(a.shape[1] - 1):
        total += torch.cdist(a[:, j], b[:, j], compute_mode="donot_use_mm_for_euclid_dist")
    travel = torch.cdist(a[:, -1], b[:, -1], compute_mode="donot_use_mm_for_euclid_dist")
    return total / (a.shape[1] - 1) + travel


def window_errors(errors: Float[Tensor, "n m"], width: int) -> Float[Tensor, "p q"]:
    """Return the mean error between every two windows of ``width`` frames; empty where a side is shorter."""
    n, m = (max(size - width + 1, 0) for size in errors.shape)
    return diagonal_sums(errors, width) / width if n and m else errors.new_zeros(n, m)


def diagonal_sums(d: Float[Tensor, "n m"], size: int) -> Float[Tensor, "p q"]:
    """Return ``out[i, j] = sum of d[i + s, j + s] for s < size``, by doubling: about log2(size) additions an entry."""
    rows, columns = d.shape[0] - size + 1, d.shape[1] - size + 1
    total, power, width, offset = None, d, 1, 0
    while width <= size:
        if size & width:
            part = power[offset : offset + rows, offset : offset + columns]
            total = part.clone() if total is None else total.add_(part)
            offset += width
        if 2 * width <= size:
            power = power[:-width, :-width] + power[width:, width:]
        width *= 2
    assert total is not None
    return total
