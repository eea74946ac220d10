"""Stalls: places of a take that stay with the same few frames of the clips, so that the pose freezes.

A mean of frames is nearest to the patch that it came from, and that patch again to the mean: once a stretch of a take
stands still, rounds of matching keep and widen it. So it is made to move on before the next round.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
from jaxtyping import Float, Int
from torch import Tensor

LEAST_ADVANCE = 0.5  # of a patch: how many frames of the clips as many places as a patch is long must span


def stalls(indices: Int[Tensor, "q"], patch: int) -> list[tuple[int, int]]:
    """Return first and last place of each stretch in which ``patch`` places span too few frames of the clips."""
    if len(indices) <= patch:
        return []
    spans = indices.unfold(0, patch, 1)
    stalled = torch.nn.functional.pad((spans.amax(1) - spans.amin(1) < LEAST_ADVANCE * patch).long(), (1, 1))
    first, last = ((stalled.diff() == sign).nonzero()[:, 0].tolist() for sign in (1, -1))
    return [(a, b + patch - 2) for a, b in zip(first, last)]


def move_on(
    frames: Float[Tensor, "m k"], lengths: Sequence[int], indices: Int[Tensor, "q"], patch: int
) -> Int[Tensor, "q"]:
    """Return the places' patches with stalls played through: on from their first one, and up to their last one.

    ``frames`` are those of clips of these ``lengths``, end to end. Where a clip ends it begins again; the two
    meet where they are most alike.
    """
    found = stalls(indices, patch)
    if not found:
        return indices
    ends = torch.tensor(list(accumulate(lengths)), device=indices.device)
    starts, out = torch.nn.functional.pad(ends[:-1], (1, 0)), indices.clone()

    def played(anchor: int, places: Int[Tensor, "p"]) -> Int[Tensor, "p"]:
        clip = torch.searchsorted(ends, indices[anchor], right=True)
        first, count = starts[clip], ends[clip] - starts[clip] - patch + 1
        return first + (indices[anchor] - first + places - anchor) % count

    for a, b in found:
        places = torch.arange(a, b + 1, device=indices.device)
        onward, back = played(a, places), played(b, places)
        apart = (frames[onward] - frames[back]).square().sum(-1)
        cut = int(apart.unfold(0, patch, 1).mean(-1).argmin()) + patch // 2
        out[a : b + 1] = torch.cat((onward[:cut], back[cut:]))
    return out
