"""Nearest patches, and averages of the patches found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..windows import diagonal_sums

BLOCK = 1 << 18  # entries of a distance matrix computed at a time, so that they stay in the processor's cache
REACH = 0.25  # of a patch: how far its window reaches beyond it in the last average


@dataclass(frozen=True, eq=False)
class Database:
    """The clips' frames at one level, end to end, ``lengths`` of each, as patches of ``patch`` frames."""

    frames: Float[Tensor, "m k"]
    lengths: tuple[int, ...]
    patch: int

    @property
    def patches(self) -> int:
        """Q, the number of patches."""
        return len(self.frames) - self.patch + 1

    @cached_property
    def barrier(self) -> Float[Tensor, "q"] | None:
        """Infinity for each patch that reaches from one clip into the next; None for a single clip."""
        if len(self.lengths) == 1:
            return None
        barrier = self.frames.new_zeros(self.patches)
        for end in accumulate(self.lengths[:-1]):
            barrier[end - self.patch + 1 : end] = torch.inf
        return barrier

    @cached_property
    def clip_of(self) -> Int[Tensor, "q"]:
        """The clip that each patch begins in."""
        return torch.repeat_interleave(torch.tensor(self.lengths)).to(self.frames.device)[: self.patches]

    def near(self, places: Int[Tensor, "p"], radius: int) -> tuple["Database", Int[Tensor, "m"]]:
        """Return a database of what lies within ``radius`` frames of patches at these places, and its own places."""
        count, patch, ends = len(self.frames), self.patch, torch.tensor(list(accumulate(self.lengths)))
        ends = ends.to(places.device)
        clip = torch.searchsorted(ends, places, right=True)
        first = torch.maximum(places - radius, torch.nn.functional.pad(ends[:-1], (1, 0))[clip])
        last = torch.minimum(places + patch + radius, ends[clip])
        opened = torch.zeros(count + 1, dtype=torch.long, device=places.device)
        opened.index_add_(0, first, torch.ones_like(first)).index_add_(0, last, -torch.ones_like(last))
        kept = (opened.cumsum(0)[:-1] > 0).nonzero()[:, 0]
        breaks = (kept.diff() > 1) | torch.isin(kept[1:], ends)
        edges = torch.nn.functional.pad(breaks.nonzero()[:, 0] + 1, (1, 1))
        edges[-1] = len(kept)
        return Database(self.frames[kept], tuple(edges.diff().tolist()), patch), kept


def nearest(
    x: Float[Tensor, "t k"],
    database: Database,
    alpha: float,
    loop: bool = False,
    diversity: Float[Tensor, "q"] | None = None,
    clip_cost: Float[Tensor, "p c"] | None = None,
) -> Int[Tensor, "p"]:
    """Return for each patch of a take the patch of least normalised distance D_ij / (alpha + min_i D_ij), GenMM eq. 2.

    The last patches of a ``loop`` reach into its beginning. ``diversity`` divides the distances to each patch of the
    database, ``clip_cost`` multiplies those to each clip's patches, for each patch of the take.
    """
    patch, frames = database.patch, database.frames
    if loop:
        x = torch.cat((x, x[: patch - 1]))
    rows, step = len(x) - patch + 1, max(BLOCK // len(x), 8 * patch)
    squares, own = (frames * frames).sum(-1), (x * x).sum(-1, keepdim=True)
    least, found = x.new_full((rows,), torch.inf), torch.zeros(rows, dtype=torch.long, device=x.device)
    for start in range(0, database.patches, step):  # all of the take by some of the database: min_i D_ij needs no more
        stop = min(start + step, database.patches)
        some = slice(start, stop + patch - 1)
        pairs = torch.addmm(squares[some], x, frames[some].T, alpha=-2).add_(own)
        ratio = diagonal_sums(pairs, patch)
        scale = 1 / (alpha * patch + ratio.amin(0).clamp_min(0))
        ratio = ratio.mul_(scale if diversity is None else scale / diversity[start:stop])
        if clip_cost is not None:
            ratio = ratio.clamp_min(0).mul_(clip_cost[:, database.clip_of[start:stop]])
        if database.barrier is not None:
            ratio = ratio.add_(database.barrier[start:stop])
        value, at = ratio.min(-1)
        found = torch.where(value < least, at + start, found)
        least = torch.minimum(value, least)
    return found


def mean_distance(x: Float[Tensor, "n t k"], frames: Float[Tensor, "m k"]) -> float:
    """Return the mean squared distance between frames of takes and of a database, from their moments."""
    a, b = x.flatten(0, 1), frames
    squares = (a * a).sum(-1).mean() + (b * b).sum(-1).mean()
    return max(float(squares - 2 * a.mean(0) @ b.mean(0)), 1e-12)


def overlap_add(
    frames: Float[Tensor, "m k"], indices: Int[Tensor, "*n q"], patch: int, loop: bool
) -> Float[Tensor, "*n t k"]:
    """Return frames of takes, each the mean of the patches that cover it; ``indices`` are those at each place.

    The last patches of a ``loop`` reach into its beginning; else the first and the last patch go on beyond the ends.
    """
    source, within = _covering(indices.shape[-1], patch, 0, loop, 1, frames.device)
    index = indices[..., source] + within
    return _weighted_sum(frames, index, torch.full_like(index, 1 / patch, dtype=frames.dtype))


def blend(
    frames: Float[Tensor, "f e"], lengths: Sequence[int], indices: Int[Tensor, "q"], patch: int, loop: bool, stride: int
) -> Float[Tensor, "t e"]:
    """Return frames of a take at the clips' own rate, ``stride`` to each place, patches under Hann windows.

    A window reaches beyond its patch by ``REACH`` of it, as far as its clip goes (``lengths``, in places): what meets
    is told apart over a longer time, so that the pose does not jump. Ends are as in :func:`overlap_add`.
    """
    q, reach = indices.shape[-1], round(REACH * patch)
    ends = torch.tensor(list(accumulate(lengths)), device=indices.device)
    first = torch.nn.functional.pad(ends[:-1], (1, 0))
    clip = torch.searchsorted(ends, indices.contiguous(), right=True)
    before, after = (indices - first[clip]).clamp(max=reach), (ends[clip] - patch - indices).clamp(max=reach)
    source, within = _covering(q, patch, reach, loop, stride, frames.device)
    rest = torch.arange(len(source), device=frames.device)[:, None] % stride
    shift = torch.arange(-reach, patch + reach, device=frames.device)
    left, width = before[source], patch + before[source] + after[source]
    phase = ((shift + left + (rest + 0.5) / stride) / width).clamp(0, 1)
    weight = torch.sin(math.pi * phase).square() + 1e-9
    index = ((indices[source] + within) * stride + rest).clamp(0, len(frames) - 1)
    return _weighted_sum(frames, index, (weight / weight.sum(-1, keepdim=True)).to(frames.dtype))


def _covering(
    q: int, patch: int, reach: int, loop: bool, stride: int, device: torch.device
) -> tuple[Int[Tensor, "t p"], Int[Tensor, "t p"]]:
    """Return for each frame of a take the places whose patches cover it, and how far into each it lies, in places."""
    level = torch.arange((q if loop else q + patch - 1) * stride, device=device)[:, None] // stride
    shift = torch.arange(-reach, patch + reach, device=device)
    source = level - shift
    if loop:
        return source % q, shift.expand(source.shape)
    return source.clamp(0, q - 1), level - source.clamp(0, q - 1)


def _weighted_sum(
    frames: Float[Tensor, "m k"], index: Int[Tensor, "*n t p"], weight: Float[Tensor, "*n t p"]
) -> Float[Tensor, "*n t k"]:
    """Return weighted sums of frames."""
    bag, p = torch.nn.functional.embedding_bag, index.shape[-1]
    out = bag(index.reshape(-1, p), frames, per_sample_weights=weight.reshape(-1, p), mode="sum")
    return out.reshape(*index.shape[:-1], -1)
