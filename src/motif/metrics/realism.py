"""Is it the exemplar's motion, and is it new? Windows of poses compared by mean joint error (:mod:`motif.windows`).

Precision and recall follow improved precision and recall (Kynkaanniemi et al. 2019), but the neighbourhood of a window
is a fixed share of the body height. Its radius comes from neighbours there and in density and coverage (Naeem et al.
2020): in one clip these are the windows one frame earlier and later, so it would measure the frame rate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .. import parallel
from ..windows import TOLERANCE, frame_errors, window_errors

TOLERANCES = (0.025, 0.05, 0.1)  # those at which precision, coverage and novelty are given
BLOCK = 4_000_000  # entries of the frame-to-frame matrix held at a time


@dataclass(frozen=True, eq=False)
class Match:
    """How one take and a set of clips explain one another. Frames and windows are those of the poses."""

    errors: Float[Tensor, "p"]
    """Error in metres of each 1 s window of the take to the nearest one of the clips."""
    nearest: Int[Tensor, "p"]
    """Index of that nearest one, counted over the clips' windows laid end to end."""
    long_errors: Float[Tensor, "p2"]
    """Error of each 2 s window of the take to the nearest one of the clips."""
    clip_errors: Float[Tensor, "q"]
    """Error of each 1 s window of the clips to the nearest one of the take."""
    copied: int
    """Frames of the longest piece of the take that follows one of the clips within half the tolerance."""


def match(take: Float[Tensor, "n k 3"], clips: Sequence[Float[Tensor, "_m k 3"]], rate: float, near: float) -> Match:
    """Compare every window of a take's poses with every window of the clips', in blocks of the take's frames.

    ``rate`` is the frames a second of both; below an error of ``near`` metres a frame counts as copied.
    """
    n, short, long = len(take), round(rate), round(2 * rate)
    errors, long_errors = (take.new_full((max(n - width + 1, 0),), torch.inf) for width in (short, long))
    nearest = torch.zeros(len(errors), dtype=torch.long, device=take.device)
    clip_errors, offset, copied = [], 0, 0
    for clip in clips:
        back = take.new_full((max(len(clip) - short + 1, 0),), torch.inf)
        run = torch.zeros(len(clip), dtype=torch.int32, device=take.device)
        step = max(BLOCK // len(clip), long)
        for start in range(0, n, step):
            block = frame_errors(take[start : start + step + long - 1], clip)
            single = window_errors(block[: step + short - 1], short)
            if single.numel():
                least, at = single.min(1)
                span = slice(start, start + len(least))
                nearest[span] = torch.where(least < errors[span], at + offset, nearest[span])
                errors[span] = torch.minimum(least, errors[span])
                back = torch.minimum(back, single.amin(0))
            double = window_errors(block, long)
            if double.numel():
                span = slice(start, start + len(double))
                long_errors[span] = torch.minimum(double.amin(1), long_errors[span])
            for row in (block[:step] < near).int():
                run = torch.nn.functional.pad(run[:-1], (1, 0)).add_(1).mul_(row)
                copied = max(copied, int(run.max()))
        offset += len(back)
        clip_errors.append(back)
    return Match(errors, nearest, long_errors, torch.cat(clip_errors), copied)


def measures(matches: Sequence[Match], rate: float, height: float) -> dict[str, float]:
    """Return precision, coverage, novelty and memorisation from every take's match; NaN for short clips.

    ``precision`` share of the takes' 1 s windows within the tolerance of the exemplar; ``coverage`` (recall) share of
    the exemplar's 1 s windows that a take comes within the tolerance of, mean over takes; ``novelty`` share of the
    takes' 2 s windows that no piece of the exemplar comes within the tolerance of; all three also at other
    tolerances, as ``precision@0.1``; ``copied_seconds`` the longest piece of a take that follows the exemplar.
    """
    found = {}
    for tolerance in TOLERANCES:
        tail, limit = "" if tolerance == TOLERANCE else f"@{tolerance:g}", tolerance * height
        found[f"precision{tail}"] = _share([m.errors < limit for m in matches])
        recalls = [_share([m.clip_errors < limit]) for m in matches if len(m.errors)]  # shorter takes have no windows
        found[f"coverage{tail}"] = sum(recalls) / len(recalls) if recalls else math.nan
        found[f"novelty{tail}"] = _share([m.long_errors >= limit for m in matches])
    return found | {"copied_seconds": max(m.copied for m in matches) / rate}


def variety(takes: Sequence[Float[Tensor, "_n k 3"]], matches: Sequence[Match], rate: float, height: float) -> float:
    """Return the share of the takes' 2 s windows that are true to the exemplar and not in the next take.

    Both seconds of a window must be within the tolerance of the exemplar, and windows differ when they are further
    apart than the tolerance plus the error of the window itself: two noisy copies of one piece are no further apart
    than their errors together, so noise cannot win. The first take comes after the last. NaN for one or short takes.
    """
    if len(takes) < 2:
        return math.nan
    second, limit = round(rate), TOLERANCE * height

    def differs(k: int) -> Bool[Tensor, "p"]:  # every other frame is enough here
        apart = match(takes[k][::2], [takes[(k + 1) % len(takes)][::2]], rate / 2, 0.0).long_errors
        n = min(len(apart), len(matches[k].errors[second::2]))
        first, last = matches[k].errors[::2][:n], matches[k].errors[second::2][:n]
        return (apart[:n] >= limit + (first + last) / 2) & (first < limit) & (last < limit)

    return _share(parallel.parallel_map(differs, range(len(takes))))


def _share(flags: Sequence[Bool[Tensor, "_n"]]) -> float:
    """Return the share of True over all; NaN if there are none."""
    return float(torch.cat(list(flags)).float().mean())
