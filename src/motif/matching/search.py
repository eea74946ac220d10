"""Nearest patches, and averages of the patches found."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..windows import diagonal_sums

BLOCK = 1 << 18  # entries of a distance matrix computed at a time, so that they stay in the processor's cache
STORED = 1 << 26
"""Entries of a distance matrix stored between the two passes over it; larger ones are computed twice."""


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
    rows, squares = len(x) - patch + 1, (frames * frames).sum(-1)
    step = max(BLOCK // len(frames), patch)

    def distances() -> Iterator[Tensor]:
        """Yield squared distances summed over each two patches, for some rows at a time."""
        for start in range(0, rows, step):
            part = x[start : min(start + step, rows) + patch - 1]
            pairs = torch.addmm(squares, part, frames.T, alpha=-2).add_((part * part).sum(-1, keepdim=True))
            yield diagonal_sums(pairs, patch)

    stored = list(distances()) if rows * len(frames) <= STORED else None
    least = x.new_full((database.patches,), torch.inf)
    for block in stored or distances():
        least = torch.minimum(least, block.amin(0))
    scale, found = 1 / (alpha * patch + least.clamp_min(0)), []
    scale = scale if diversity is None else scale / diversity
    for start, block in zip(range(0, rows, step), stored or distances()):
        ratio = block.mul_(scale)
        if clip_cost is not None:
            ratio = ratio.clamp_min(0).mul_(clip_cost[start : start + step][:, database.clip_of])
        found.append((ratio if database.barrier is None else ratio.add_(database.barrier)).argmin(-1))
    return torch.cat(found)


def mean_distance(x: Float[Tensor, "n t k"], frames: Float[Tensor, "m k"]) -> float:
    """Return the mean squared distance between frames of takes and of a database, from their moments."""
    a, b = x.flatten(0, 1), frames
    squares = (a * a).sum(-1).mean() + (b * b).sum(-1).mean()
    return max(float(squares - 2 * a.mean(0) @ b.mean(0)), 1e-12)


def overlap_add(
    frames: Float[Tensor, "m k"],
    indices: Int[Tensor, "*n q"],
    patch: int,
    loop: bool,
    stride: int = 1,
    hann: bool = False,
) -> Float[Tensor, "*n t k"]:
    """Return frames of takes, each the mean (under a Hann window, if ``hann``) of the patches that cover it.

    ``indices`` are the patches at each place of a take; there are ``stride`` frames to each. The last patches of a
    ``loop`` reach into its beginning.
    """
    q, device = indices.shape[-1], frames.device
    frame = torch.arange((q if loop else q + patch - 1) * stride, device=device)
    level, rest, shift = frame // stride, frame % stride, torch.arange(patch, device=device)
    source = level[:, None] - shift  # beyond the ends the first and the last patch go on
    source = source % q if loop else source.clamp(0, q - 1)
    within = shift if loop else level[:, None] - source
    index = (indices[..., source] + within) * stride + rest[:, None]
    phase = (shift * stride + rest[:, None] + 0.5) / (patch * stride)
    weight = torch.sin(math.pi * phase).square() if hann else torch.ones_like(phase)
    weight = (weight / weight.sum(1, keepdim=True)).to(frames.dtype).expand(index.shape).reshape(-1, patch)
    bag = torch.nn.functional.embedding_bag
    return bag(index.reshape(-1, patch), frames, per_sample_weights=weight, mode="sum").reshape(*index.shape[:-1], -1)
