"""Is it the exemplar's motion, and is it new? Windows of poses compared by mean joint error, and a two-sample test.

A pose is where the joints are, seen from the root and its heading, over the ground; distances are mean joint errors
in metres, judged as shares of the body height. Windows are compared frame by frame, so the cost of all windows of one
take against all of the exemplar is one frame-to-frame matrix and running sums along its diagonals.

Precision and recall follow improved precision and recall (Kynkaanniemi et al. 2019) with one change: the neighbourhood
of a window is a fixed share of the body height, not the distance to its k-th neighbour, and nor is density and coverage
(Naeem et al. 2020) used, whose radius comes from neighbours, too. In one clip the nearest neighbours of a window are
the windows one frame earlier and later, so those radii measure the frame rate and not the motion; and a share of the
body height can be compared between clips. The two-sample test is C2ST (Lopez-Paz and Oquab 2017), see
:mod:`motif.metrics.classifier`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .. import parallel, resample, rotation
from ..skeleton import Skeleton
from .body import Body

TOLERANCE = 0.05
"""Share of the body height within which two windows count as the same motion."""
TOLERANCES = (0.025, 0.05, 0.1)
"""Those at which precision and coverage are told."""
RATE = 30.0
"""Hz at which windows are compared."""
BLOCK = 4_000_000
"""Entries of the frame-to-frame matrix held at a time."""


def body_joints(s: Skeleton) -> list[int]:
    """The joints whose place is worth comparing: not tips, not fingers (what moves less than 3 % of the height)."""
    return [
        j for j in s.subtree(s.root) if not s.end[j] and (s.chain_length[j] > 0.03 * s.height or j in s.contacts)
    ] or [s.root]


def stride(body: Body) -> int:
    """Every how manieth frame is compared, for about ``RATE`` Hz."""
    return max(int(body.motion.fps / RATE + 1e-3), 1)


def poses(body: Body) -> Float[Tensor, "t k 3"]:
    """What is compared of each frame, in metres, at about ``RATE`` Hz, free of place and heading.

    The joints' positions from the root's place on the ground, and, as a last row, the root's travel from half a
    second before to half a second after, divided by 4: the mean drift it makes over a window of a second.
    """
    p, root, fps = body.world, body.skeleton.root, body.motion.fps
    place = p[:, root : root + 1] * p.new_tensor([1.0, 0.0, 1.0])
    t, half = torch.arange(len(p)), fps / 2
    after, before = (t + round(half)).clamp(max=len(t) - 1), (t - round(half)).clamp(min=0)
    travel = (place[after] - place[before]) * (half / 2 / (after - before).clamp_min(1))[:, None, None]
    level = rotation.about("y", -body.heading)[:, None]
    local = rotation.rotate(level, torch.cat((p[:, body_joints(body.skeleton)] - place, travel), 1))
    local[:, :-1, 1] -= body.floor
    return local[:: stride(body)]


def frame_errors(a: Float[Tensor, "n k 3"], b: Float[Tensor, "m k 3"]) -> Float[Tensor, "n m"]:
    """Mean joint error between every two frames plus the error of their travel, metres."""
    total = a.new_zeros(len(a), len(b))
    for j in range(a.shape[1] - 1):
        total += torch.cdist(a[:, j], b[:, j], compute_mode="donot_use_mm_for_euclid_dist")
    travel = torch.cdist(a[:, -1], b[:, -1], compute_mode="donot_use_mm_for_euclid_dist")
    return total / (a.shape[1] - 1) + travel


def window_errors(errors: Float[Tensor, "n m"], width: int) -> Float[Tensor, "p q"]:
    """Mean error between every two windows of ``width`` frames; empty where a side is shorter than that."""
    n, m = errors.shape[0] - width + 1, errors.shape[1] - width + 1
    if n < 1 or m < 1:
        return errors.new_zeros(max(n, 0), max(m, 0))
    return resample.diagonal_sums(errors, width) / width


@dataclass(frozen=True, eq=False)
class Match:
    """How one take and a set of clips explain one another. Frames and windows are those of :func:`poses`."""

    one: Float[Tensor, "p"]
    """Error in metres of each 1 s window of the take to the nearest one of the clips."""
    where: Int[Tensor, "p"]
    """Which one that is, counted over the clips' windows laid end to end."""
    two: Float[Tensor, "p2"]
    """The same error for 2 s windows."""
    back: Float[Tensor, "q"]
    """Error of each 1 s window of the clips to the nearest one of the take."""
    copied: int
    """Frames of the longest stretch of the take that follows one of the clips within half the tolerance."""


def match(take: Float[Tensor, "n k 3"], clips: Sequence[Float[Tensor, "_m k 3"]], rate: float, near: float) -> Match:
    """Compare every window of a take with every window of the clips, in blocks of the take's frames.

    Args:
        take: poses of the take.
        clips: poses of the clips.
        rate: frames a second of both.
        near: error in metres below which a frame counts as copied.
    """
    one, two = round(rate), round(2 * rate)
    n = len(take)
    found = [torch.full((max(n - w + 1, 0),), torch.inf) for w in (one, two)]
    where = torch.zeros(len(found[0]), dtype=torch.long)
    backs, offset, copied = [], 0, 0
    for clip in clips:
        back = torch.full((max(len(clip) - one + 1, 0),), torch.inf)
        run = torch.zeros(len(clip), dtype=torch.int32)
        step = max(BLOCK // len(clip), two)
        for start in range(0, n, step):
            errors = frame_errors(take[start : start + step + two - 1], clip)
            single = window_errors(errors[: step + one - 1], one)
            if single.numel():
                least, at = single.min(1)
                span = slice(start, start + len(least))
                closer = least < found[0][span]
                where[span] = torch.where(closer, at + offset, where[span])
                found[0][span] = torch.minimum(least, found[0][span])
                back = torch.minimum(back, single.amin(0))
            double = window_errors(errors, two)
            if double.numel():
                span = slice(start, start + len(double))
                found[1][span] = torch.minimum(double.amin(1), found[1][span])
            for row in (errors[:step] < near).int():
                run = torch.nn.functional.pad(run[:-1], (1, 0)).add_(1).mul_(row)
                copied = max(copied, int(run.max()))
        offset += len(back)
        backs.append(back)
    return Match(found[0], where, found[1], torch.cat(backs), copied)


def measures(matches: Sequence[Match], rate: float, height: float) -> dict[str, float]:
    """Precision, coverage, novelty and memorisation from every take's match with the exemplar; NaN for short clips.

    ``precision`` share of the takes' 1 s windows within the tolerance of the exemplar; ``coverage`` (recall) share of
    the exemplar's 1 s windows that a take comes within the tolerance of, mean over takes; ``novelty`` share of the
    takes' 2 s windows that no stretch of the exemplar comes within the tolerance of; all three also at other
    tolerances, as ``precision@0.1``; ``copied_seconds`` the longest stretch of a take that follows the exemplar.
    """
    found = {}
    for tolerance in TOLERANCES:
        tail = "" if tolerance == TOLERANCE else f"@{tolerance:g}"
        found[f"precision{tail}"] = _share([m.one < tolerance * height for m in matches])
        told = [_share([m.back < tolerance * height]) for m in matches if len(m.one)]  # others are too short to say
        found[f"coverage{tail}"] = sum(told) / len(told) if told else math.nan
        found[f"novelty{tail}"] = _share([m.two >= tolerance * height for m in matches])
    found["copied_seconds"] = max(m.copied for m in matches) / rate
    return found


def variety(takes: Sequence[Float[Tensor, "_n k 3"]], matches: Sequence[Match], rate: float, height: float) -> float:
    """Share of the takes' 2 s windows that are true to the exemplar and that the next take does not show.

    Windows whose two seconds are not both within the tolerance of the exemplar do not count, and windows differ when
    they are further apart than the tolerance plus the error of the window itself: two noisy copies of one stretch are
    no further apart than their errors together (triangle inequality), so noise cannot win. This is variety at equal
    precision. The first take comes after the last. NaN for fewer than two takes, or short ones.
    """
    if len(takes) < 2:
        return math.nan
    one, limit = round(rate), TOLERANCE * height

    def differs(k: int) -> Bool[Tensor, "p"]:  # every second frame is enough here
        apart = match(takes[k][::2], [takes[(k + 1) % len(takes)][::2]], rate / 2, 0.0).two
        first, second = matches[k].one[::2], matches[k].one[one::2]
        n = min(len(apart), len(second))
        first, second = first[:n], second[:n]
        return (apart[:n] >= limit + (first + second) / 2) & (first < limit) & (second < limit)

    return _share(parallel.parallel_map(differs, range(len(takes))))


def _share(flags: Sequence[Bool[Tensor, "_n"]]) -> float:
    """Share of True over all; NaN if there are none."""
    return float(torch.cat(list(flags)).float().mean())
