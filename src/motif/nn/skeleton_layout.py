"""How the weights of a SkeletonConv lie in memory, and the three products of a convolution with them.

A convolution, its transpose and both their gradients are these products in different order. Ends are reflected.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

TAPS = 5
PAD = TAPS // 2
CLUSTERS = (6, 7, 8)
"""Of nodes, on the CPU, whichever number is least work: .39 to .46 of the dense products on the papers' rigs, where a
fifth would be the least."""
PANEL = 760
"""Frames that are multiplied at a time on the CPU: what they need stays in a cache."""


_REFLECTED = ((0, 4), (1, 3), (-1, -5), (-2, -4))
"""Frames of a padded sample, and the frames that they repeat."""


class Layout(Protocol):
    """The weights of a layer in a buffer, and the products with them."""

    @property
    def size(self) -> int:
        """Of the buffer."""
        ...

    @property
    def place(self) -> Int[Tensor, "w"]:
        """Of every flat weight in it."""
        ...

    def turn(self, buffer: Float[Tensor, "size"]) -> Tensor:
        """Return the weights as :meth:`transpose` reads them."""
        ...

    def windows(self, x: Float[Tensor, "b i t"]) -> Tensor:
        """Return an input as the products read it."""
        ...

    def spread(self, g: Float[Tensor, "b o t"]) -> Tensor:
        """Return a gradient of the output as the products read it."""
        ...

    def convolve(self, windows: Tensor, buffer: Tensor, bias: Tensor | None) -> Float[Tensor, "b o t"]:
        """Convolve. The result is no view: it may be changed in place."""
        ...

    def transpose(self, spread: Tensor, turned: Tensor, frames: int) -> Float[Tensor, "b i t"]:
        """Apply the transpose of the linear part."""
        ...

    def correlate(self, windows: Tensor, spread: Tensor) -> Float[Tensor, "size"]:
        """Return the gradient of the buffer."""
        ...


@functools.lru_cache(maxsize=64)
def layout(near: tuple[tuple[bool, ...], ...], channels: int, out: int, device: torch.device) -> Layout:
    """Return the layout for a device of a layer of ``channels`` and ``out`` channels a node."""
    if device.type == "cpu":
        return Blocks.of(torch.tensor(near), channels, out)
    dense = Dense.of(torch.tensor(near), channels, out)
    return Dense(dense.place.to(device), dense.size, dense.channels)


def connected(near: Bool[Tensor, "m n"], channels: int, out: int) -> Bool[Tensor, "o i"]:
    """Return which pairs of channels are connected."""
    return near.repeat_interleave(out, 0).repeat_interleave(channels, 1)


# --- for the CPU
@dataclass(frozen=True, eq=False)
class Clusters:
    """Weights [tap, cluster, o, i] from the channels that a cluster of nodes sees to the cluster's own channels.

    All clusters are as large as the largest, so that they are multiplied in one batch. What a smaller one lacks is
    filled with any channel: its weights are zero, and what comes out for it is not looked at.
    """

    shape: torch.Size
    reads: Int[Tensor, "n_i"]
    """Channels that the clusters see, one cluster after the other."""
    writes: Int[Tensor, "n_o"]
    """Channels that they make."""
    found: Int[Tensor, "o"]
    """Where every channel is made."""

    @staticmethod
    def of(near: Bool[Tensor, "m n"], channels: int, out: int) -> tuple["Clusters", Int[Tensor, "o i 5"]]:
        """Lay out a layer of ``channels`` and ``out`` channels a node, and say where each weight of it lies."""
        groups, seen = min((cluster(near, count) for count in CLUSTERS), key=lambda found: math.prod(_padded(*found)))
        _, own, read = _padded(groups, seen)
        shape = torch.Size((TAPS, len(groups), own * out, read * channels))
        index = torch.arange(shape.numel()).view(shape)
        place = torch.zeros(len(near) * out, near.shape[1] * channels, TAPS, dtype=torch.long)
        found = torch.zeros(len(place), dtype=torch.long)
        for k, (group, nodes) in enumerate(zip(groups, seen, strict=True)):
            rows, cols = _channels_of(group, out), _channels_of(nodes, channels)
            place[rows[:, None], cols] = index[:, k, : len(rows), : len(cols)].permute(1, 2, 0)
            found[rows] = torch.arange(len(rows)) + k * own * out
        reads = [_channels_of(nodes + [0] * (read - len(nodes)), channels) for nodes in seen]
        writes = [_channels_of(group + [0] * (own - len(group)), out) for group in groups]
        return Clusters(shape, torch.cat(reads), torch.cat(writes), found), place

    def apply(self, rows: Float[Tensor, "i n"], weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
        """Fill ``out`` [o, n - 4]: each tap is one batched product with the rows, shifted by the tap."""
        taps, kind = weight.view(self.shape).unbind(), _sum_type(rows)
        start = rows.new_zeros(1, dtype=kind) if bias is None else bias.to(kind).index_select(0, self.writes)
        for at, frames in _panels(out.shape[1]):
            total = start[:, None].expand(len(self.writes), frames).contiguous().view(self.shape[1], -1, frames)
            for tap, x in zip(taps, self._shifted(rows, at, frames), strict=True):
                _add_product(total, tap, x)
            torch.index_select(total.to(out.dtype).flatten(0, 1), 0, self.found, out=out[:, at : at + frames])

    def correlate(self, rows: Float[Tensor, "i n"], g: Float[Tensor, "o m"]) -> Float[Tensor, "size"]:
        """Return the gradient of the weights; ``g`` is as long as what :meth:`apply` made."""
        sums = rows.new_zeros(self.shape, dtype=_sum_type(rows))
        for at, frames in _panels(g.shape[1]):
            y = g[:, at : at + frames].index_select(0, self.writes).view(self.shape[1], -1, frames)
            for tap, x in zip(sums.unbind(), self._shifted(rows, at, frames), strict=True):
                _add_product(tap, y, x.transpose(1, 2))
        return sums.flatten().to(rows.dtype)

    def _shifted(self, rows: Tensor, at: int, frames: int) -> tuple[Tensor, ...]:
        """Return what the clusters see [cluster, i, frames], shifted by every tap."""
        seen = rows[:, at : at + frames + 2 * PAD].index_select(0, self.reads)
        return seen.view(self.shape[1], -1, frames + 2 * PAD).unfold(-1, frames, 1).unbind(2)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Products with clusters of nodes, for the CPU.

    All frames of all samples are one long row of a channel, each sample four frames longer than it is, so that shifting
    the rows shifts every sample: nothing is copied but the channels that clusters see.
    """

    ahead: Clusters
    """Clusters of output nodes."""
    back: Clusters
    """Clusters of input nodes, with the taps in reverse, for the transpose."""
    place: Int[Tensor, "w"]
    place_back: Int[Tensor, "w"]
    channels: int
    out: int

    @staticmethod
    def of(near: Bool[Tensor, "m n"], channels: int, out: int) -> "Blocks":
        """Lay out a layer of ``channels`` and ``out`` channels a node."""
        (ahead, place), (back, turned) = Clusters.of(near, channels, out), Clusters.of(near.t(), out, channels)
        pairs = connected(near, channels, out)
        turned = turned.transpose(0, 1).flip(-1)
        return Blocks(ahead, back, place[pairs].flatten(), turned[pairs].flatten(), pairs.shape[1], len(pairs))

    @property
    def size(self) -> int:
        """Of the buffer."""
        return self.ahead.shape.numel()

    def turn(self, buffer: Float[Tensor, "size"]) -> Float[Tensor, "_back"]:
        """Return the weights in clusters of input nodes."""
        turned = buffer.new_zeros(self.back.shape.numel())
        return turned.scatter_(0, self.place_back, buffer.index_select(0, self.place))

    def windows(self, x: Float[Tensor, "b i t"]) -> Float[Tensor, "i b s"]:
        """Return the input with both ends of every sample reflected."""
        batch, channels, frames = x.shape
        w = x.new_empty(channels, batch, frames + 2 * PAD)
        w[..., PAD:-PAD] = x.transpose(0, 1)
        for at, end in _REFLECTED:  # five times faster than reflection_pad1d
            w[..., at] = w[..., end]
        return w

    def spread(self, g: Float[Tensor, "b o t"]) -> Float[Tensor, "o n"]:
        """Return the gradient as rows, with four zeros before and after every sample."""
        batch, out, frames = g.shape
        long = frames + 2 * PAD
        s = g.new_zeros(out, 2 * PAD + batch * long)
        s[:, 2 * PAD :].view(out, batch, long)[..., :frames] = g.transpose(0, 1)
        return s

    def convolve(self, windows: Tensor, buffer: Tensor, bias: Tensor | None) -> Float[Tensor, "b o t"]:
        """Convolve. The result lies in rows as long as the windows."""
        _, batch, long = windows.shape
        y = windows.new_empty_strided((batch, self.out, long - 2 * PAD), (long, batch * long, 1))
        rows = y.as_strided((self.out, batch * long - 2 * PAD), (batch * long, 1))
        self.ahead.apply(windows.flatten(1), buffer, bias, rows)
        return y

    def transpose(self, spread: Tensor, turned: Tensor, frames: int) -> Float[Tensor, "b i t"]:
        """Apply the transpose and fold the reflected ends back."""
        w = spread.new_empty(self.channels, spread.shape[1] - 2 * PAD)
        self.back.apply(spread, turned, None, w)
        w = w.view(self.channels, -1, frames + 2 * PAD)
        for at, end in _REFLECTED:
            w[..., end] += w[..., at]
        return w[..., PAD:-PAD].transpose(0, 1)

    def correlate(self, windows: Tensor, spread: Tensor) -> Float[Tensor, "size"]:
        """Return the gradient of the buffer."""
        return self.ahead.correlate(windows.flatten(1), spread[:, 2 * PAD : -2 * PAD])


# --- for GPUs
@dataclass(frozen=True, eq=False)
class Dense:
    """Products with windows of five frames and all channels, for GPUs: few kernels. Channels lie innermost."""

    place: Int[Tensor, "w"]
    size: int
    channels: int

    @staticmethod
    def of(near: Bool[Tensor, "m n"], channels: int, out: int) -> "Dense":
        """Lay out a layer of ``channels`` and ``out`` channels a node; the buffer is a matrix [o, 5 i]."""
        pairs = connected(near, channels, out)
        whole, read = pairs.shape
        place = torch.arange(whole * read * TAPS).view(whole, TAPS, read).transpose(1, 2)
        return Dense(place[pairs].flatten(), whole * read * TAPS, read)

    def turn(self, buffer: Float[Tensor, "size"]) -> Float[Tensor, "size"]:
        """Return the same."""
        return buffer

    def windows(self, x: Float[Tensor, "b i t"]) -> Float[Tensor, "b t j"]:
        """Return the windows around all frames."""
        frames = _window_frames(x.shape[-1], x.device)
        return x.transpose(1, 2).index_select(1, frames).view(len(x), -1, TAPS * self.channels)

    def spread(self, g: Float[Tensor, "b o t"]) -> Float[Tensor, "b t o"]:
        """Return the gradient, channels innermost."""
        return g.transpose(1, 2).contiguous()

    def convolve(self, windows: Tensor, buffer: Tensor, bias: Tensor | None) -> Float[Tensor, "b o t"]:
        """Convolve: one matrix product."""
        rows, weight = windows.flatten(0, 1), buffer.view(-1, TAPS * self.channels).t()
        (batch, frames, _), out = windows.shape, weight.shape[1]
        y = rows.new_empty_strided((batch, out, frames), (frames * out, 1, out))  # no view: it may be changed in place
        flat = y.transpose(1, 2).view(-1, out)
        torch.mm(rows, weight, out=flat) if bias is None else torch.addmm(bias, rows, weight, out=flat)
        return y

    def transpose(self, spread: Tensor, turned: Tensor, frames: int) -> Float[Tensor, "b i t"]:
        """Apply the transpose and add up what windows share."""
        batch, _, out = spread.shape
        rows = spread.flatten(0, 1) @ turned.view(out, -1)
        x = rows.new_zeros(batch, frames, self.channels)
        x.index_add_(1, _window_frames(frames, spread.device), rows.view(batch, -1, self.channels))
        return x.transpose(1, 2)

    def correlate(self, windows: Tensor, spread: Tensor) -> Float[Tensor, "size"]:
        """Return the gradient of the matrix."""
        return (spread.flatten(0, 1).t() @ windows.flatten(0, 1)).flatten()


# --- which nodes go together
def cluster(near: Bool[Tensor, "m n"], count: int) -> tuple[list[list[int]], list[list[int]]]:
    """Split nodes into clusters of one size that see few nodes, and say what they see.

    Clusters are grown from every node in turn; the best ones are mended by swaps.
    """
    groups = _clusters(tuple(sum(1 << node for node in row.nonzero()[:, 0].tolist()) for row in near), count)
    return groups, [near[group].any(0).nonzero()[:, 0].tolist() for group in groups]


def _padded(groups: list[list[int]], seen: list[list[int]]) -> tuple[int, int, int]:
    """Return how many clusters there are, and how many nodes the largest has and sees."""
    return len(groups), max(map(len, groups)), max(map(len, seen))


@functools.lru_cache(maxsize=64)
def _clusters(sees: tuple[int, ...], count: int) -> list[list[int]]:
    def seen(group: list[int]) -> int:
        return functools.reduce(int.__or__, (sees[node] for node in group)).bit_count()

    def cost(groups: list[list[int]]) -> tuple[int, int, int]:
        counts = [seen(group) for group in groups]
        return len(groups) * max(counts), sum(x * x for x in counts), max(counts)

    best = min((_grow(sees, first, -(-len(sees) // count)) for first in range(len(sees))), key=cost)
    while (swapped := min(_swaps(best), key=cost, default=best)) is not best and cost(swapped) < cost(best):
        best = swapped
    return best


def _grow(sees: tuple[int, ...], first: int, size: int) -> list[list[int]]:
    """Fill clusters one by one with what adds least to what they see."""
    left, groups = set(range(len(sees))), []
    while left:
        group = [first if first in left else min(left, key=lambda i: (sees[i].bit_count(), i))]
        left -= set(group)
        while left and len(group) < size:
            seen = functools.reduce(int.__or__, (sees[i] for i in group))
            group.append(min(left, key=lambda i: ((sees[i] & ~seen).bit_count(), i)))
            left.remove(group[-1])
        groups.append(group)
    return groups


def _swaps(groups: list[list[int]]) -> Iterator[list[list[int]]]:
    """Yield the clusters with two nodes exchanged, for every two."""
    for a, b in itertools.combinations(range(len(groups)), 2):
        for i, j in itertools.product(range(len(groups[a])), range(len(groups[b]))):
            swapped = [list(group) for group in groups]
            swapped[a][i], swapped[b][j] = groups[b][j], groups[a][i]
            yield swapped


# --- helpers
@functools.lru_cache(maxsize=256)
def _window_frames(frames: int, device: torch.device) -> Int[Tensor, "n"]:
    """Return the five frames around every frame, reflected at the ends, in one row."""
    at = (torch.arange(frames)[:, None] + torch.arange(-PAD, PAD + 1)).abs()
    return (frames - 1 - (frames - 1 - at).abs()).flatten().to(device)


def _channels_of(nodes: list[int], each: int) -> Int[Tensor, "n"]:
    return (torch.tensor(nodes)[:, None] * each + torch.arange(each)).flatten()


def _panels(count: int) -> list[tuple[int, int]]:
    """Cut frames into panels: where each begins and how many frames it has."""
    return [(at, min(PANEL, count - at)) for at in range(0, count, PANEL)]


def _sum_type(x: Tensor) -> torch.dtype:
    """Return the type in which products are added up: at least fp32."""
    return torch.promote_types(x.dtype, torch.float32)


def _add_product(out: Float[Tensor, "p m n"], a: Float[Tensor, "p m k"], b: Float[Tensor, "p k n"]) -> None:
    if out.dtype == a.dtype:
        out.baddbmm_(a, b)
    else:
        out += a @ b
