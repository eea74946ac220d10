"""SkeletonConv: a convolution over time between connected nodes, which stores no zeros and multiplies few.

Most pairs of nodes are not connected: four fifths of the dense weight would be zeros (GANimator multiplies them). Here
the weights of connected pairs are one flat parameter. On the CPU they are put into blocks, each of a cluster of nodes
and all that these see; on a GPU, where launches cost more than zeros, into one dense matrix.

A convolution, its transpose and both their gradients are the same three products in different order, so each of the two
is an autograd function with the other in its backward pass: a gradient penalty needs no double backward.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

TAPS = 5
PAD = TAPS // 2
CLUSTERS = 6
"""Blocks of a weight on the CPU: .35 of the dense products on the papers' rigs, where a fifth would be the least."""


class Layout(Protocol):
    """How the weights of a layer lie in a buffer, and the three products with them. Ends are reflected."""

    size: int
    """Of the buffer."""
    place: Int[Tensor, "w"]
    """Of every flat weight in it."""

    def windows(self, x: Float[Tensor, "b i t"]) -> Tensor:
        """Return what the products read of an input."""
        ...

    def convolve(self, windows: Tensor, buffer: Tensor, bias: Tensor | None) -> Float[Tensor, "b o t"]:
        """Convolve."""
        ...

    def transpose(self, g: Float[Tensor, "b o t"], buffer: Tensor) -> Float[Tensor, "b i t"]:
        """Apply the transpose of the linear part."""
        ...

    def correlate(self, windows: Tensor, g: Float[Tensor, "b o t"]) -> Float[Tensor, "size"]:
        """Return the gradient of the buffer."""
        ...


@dataclass(frozen=True, eq=False)
class Blocks:
    """Convolutions of clusters of nodes, for the CPU."""

    rows: tuple[Int[Tensor, "_o"], ...]
    """Channels that each block writes."""
    cols: tuple[Int[Tensor, "_i"], ...]
    """Channels that it reads."""
    shapes: tuple[tuple[int, int, int], ...]
    place: Int[Tensor, "w"]
    size: int
    channels: int
    out: int

    @staticmethod
    def of(near: Bool[Tensor, "m n"], channels: int, out: int, clusters: int = CLUSTERS) -> "Blocks":
        """Lay out a layer of ``channels`` and ``out`` channels a node."""
        pairs, rows, cols, shapes, size = connected(near, channels, out), [], [], [], 0
        place = torch.zeros(*pairs.shape, TAPS, dtype=torch.long)
        for nodes, seen in cluster(near, clusters):
            rows.append(_channels_of(nodes, out))
            cols.append(_channels_of(seen, channels))
            shapes.append((len(rows[-1]), len(cols[-1]), TAPS))
            inside = torch.arange(len(rows[-1]) * len(cols[-1]) * TAPS).view(shapes[-1])
            place[rows[-1][:, None], cols[-1]] = size + inside
            size += inside.numel()
        flat, (whole, read) = place[pairs].flatten(), pairs.shape
        return Blocks(tuple(rows), tuple(cols), tuple(shapes), flat, size, read, whole)

    def blocks(self, buffer: Float[Tensor, "size"]) -> list[Float[Tensor, "_o _i k"]]:
        """Return a buffer as blocks, without copying."""
        parts = buffer.split([o * i * k for o, i, k in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def windows(self, x: Float[Tensor, "b i t"]) -> Float[Tensor, "b i s"]:
        """Return the input with both ends reflected."""
        return nn.functional.pad(x, (PAD, PAD), "reflect")

    def convolve(self, windows: Tensor, buffer: Tensor, bias: Tensor | None) -> Float[Tensor, "b o t"]:
        """Convolve, block by block."""
        y = windows.new_empty(len(windows), self.out, windows.shape[-1] - 2 * PAD)
        for rows, cols, weight in zip(self.rows, self.cols, self.blocks(buffer), strict=True):
            own = None if bias is None else bias.index_select(0, rows)
            y.index_copy_(1, rows, torch.conv1d(windows.index_select(1, cols), weight, own))
        return y

    def transpose(self, g: Float[Tensor, "b o t"], buffer: Tensor) -> Float[Tensor, "b i t"]:
        """Apply the transpose, block by block, and fold the reflected ends back."""
        s = g.new_zeros(len(g), self.channels, g.shape[-1] + 2 * PAD)
        for rows, cols, weight in zip(self.rows, self.cols, self.blocks(buffer), strict=True):
            part = (len(g), len(cols), s.shape[-1])
            s.index_add_(1, cols, nn.grad.conv1d_input(part, weight, g.index_select(1, rows)))
        x = s[..., PAD:-PAD].clone()
        x[..., 1 : 1 + PAD].add_(s[..., :PAD].flip(-1))
        x[..., -1 - PAD : -1].add_(s[..., -PAD:].flip(-1))
        return x

    def correlate(self, windows: Tensor, g: Float[Tensor, "b o t"]) -> Float[Tensor, "size"]:
        """Return the gradient of the blocks."""
        out = g.new_empty(self.size)
        for rows, cols, block in zip(self.rows, self.cols, self.blocks(out), strict=True):
            block.copy_(nn.grad.conv1d_weight(windows.index_select(1, cols), block.shape, g.index_select(1, rows)))
        return out


@dataclass(frozen=True, eq=False)
class Dense:
    """Matrix products with windows of five frames and all channels, for GPUs: few kernels. Channels lie innermost."""

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

    def windows(self, x: Float[Tensor, "b i t"]) -> Float[Tensor, "b t j"]:
        """Return the windows around all frames."""
        frames = _window_frames(x.shape[-1], x.device)
        return x.transpose(1, 2).index_select(1, frames).view(len(x), -1, TAPS * self.channels)

    def convolve(self, windows: Tensor, buffer: Tensor, bias: Tensor | None) -> Float[Tensor, "b o t"]:
        """Convolve: one matrix product."""
        rows, weight = windows.flatten(0, 1), buffer.view(-1, TAPS * self.channels).t()
        (batch, frames, _), out = windows.shape, weight.shape[1]
        y = rows.new_empty_strided((batch, out, frames), (frames * out, 1, out))  # no view: it may be changed in place
        flat = y.transpose(1, 2).view(-1, out)
        torch.mm(rows, weight, out=flat) if bias is None else torch.addmm(bias, rows, weight, out=flat)
        return y

    def transpose(self, g: Float[Tensor, "b o t"], buffer: Tensor) -> Float[Tensor, "b i t"]:
        """Apply the transpose and add up what windows share."""
        frames = g.shape[-1]
        rows = g.transpose(1, 2).reshape(-1, g.shape[1]) @ buffer.view(g.shape[1], -1)
        x = rows.new_zeros(len(g), frames, self.channels)
        x.index_add_(1, _window_frames(frames, g.device), rows.view(len(g), -1, self.channels))
        return x.transpose(1, 2)

    def correlate(self, windows: Tensor, g: Float[Tensor, "b o t"]) -> Float[Tensor, "size"]:
        """Return the gradient of the matrix."""
        return (g.transpose(1, 2).reshape(-1, g.shape[1]).t() @ windows.flatten(0, 1)).flatten()


class SkeletonConv(nn.Module):
    """A convolution of five taps over time, between connected nodes (GANimator, section 4), reflected at the ends.

    ``near`` says which output nodes see which input nodes. ``weight`` [W, 5] holds the taps of every connected pair of
    channels, in the order of the dense weight [out * m, channels * n, 5]; ``bias`` [out * m].
    """

    def __init__(self, near: Bool[Tensor, "m n"], channels: int, out: int):
        super().__init__()
        self.near = tuple(map(tuple, near.tolist()))
        self.channels, self.out = channels, out
        fan = (near.sum(1) * channels * TAPS).repeat_interleave(out)
        bound = 1 / fan.sqrt()
        pairs = connected(near, channels, out)
        dense = torch.empty(*pairs.shape, TAPS).uniform_(-1, 1) * bound[:, None, None]
        self.weight = nn.Parameter(dense[pairs])
        self.bias = nn.Parameter(torch.empty(len(fan)).uniform_(-1, 1) * bound)

    def assembled(self) -> "Assembled":
        """Return the weights laid out for several calls, in the type that autocast asks for."""
        device = self.weight.device
        layout = _layout(self.near, self.channels, self.out, device)
        buffer = assemble(self.weight, layout)
        if torch.is_autocast_enabled(device.type):
            buffer = buffer.to(torch.get_autocast_dtype(device.type))
        return Assembled(layout, buffer, self.bias)

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b d t"]:
        """Return a tensor of the same length."""
        return self.assembled()(x)

    def dense(self) -> Float[Tensor, "d c 5"]:
        """Return the weight with all its zeros."""
        pairs = connected(torch.tensor(self.near), self.channels, self.out).to(self.weight.device)
        return self.weight.new_zeros(*pairs.shape, TAPS).masked_scatter(pairs[..., None], self.weight)


@dataclass(frozen=True, eq=False)
class Assembled:
    """A SkeletonConv with its weights laid out."""

    layout: Layout
    buffer: Float[Tensor, "size"]
    bias: Float[Tensor, "d"]

    def __call__(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b d t"]:
        """Convolve."""
        return _Convolve.apply(x.to(self.buffer.dtype), self.buffer, self.bias, self.layout)  # type: ignore[return-value]

    def transpose(self, g: Float[Tensor, "b d t"]) -> Float[Tensor, "b c t"]:
        """Apply the transpose of the linear part."""
        return _Transpose.apply(g.to(self.buffer.dtype), self.buffer, self.layout)  # type: ignore[return-value]


def assemble(weight: Float[Tensor, "w k"], layout: Layout) -> Float[Tensor, "size"]:
    """Put flat weights into a layout's buffer."""
    return _Assemble.apply(weight, layout)  # type: ignore[return-value]


class _Assemble(torch.autograd.Function):
    """Put flat weights into a buffer of zeros."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        return weight.new_zeros(layout.size).scatter_(0, layout.place, weight.flatten())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].index_select(0, ctx.layout.place).view(-1, TAPS), None


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, buffer: Tensor, bias: Tensor, layout: Layout) -> Tensor:
        windows = layout.windows(x)
        ctx.save_for_backward(windows if ctx.needs_input_grad[1] else None, buffer)
        ctx.layout, ctx.kind = layout, bias.dtype
        return layout.convolve(windows, buffer, bias.to(x.dtype))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (windows, buffer), (g,), (by_x, by_buffer, by_bias, _) = ctx.saved_tensors, grads, ctx.needs_input_grad
        x = ctx.layout.transpose(g, buffer) if by_x else None
        weight = ctx.layout.correlate(windows, g) if by_buffer else None
        return x, weight, g.sum((0, 2), dtype=ctx.kind) if by_bias else None, None


class _Transpose(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, buffer: Tensor, layout: Layout) -> Tensor:
        ctx.save_for_backward(g, buffer)
        ctx.layout = layout
        return layout.transpose(g, buffer)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (g, buffer), windows = ctx.saved_tensors, ctx.layout.windows(grads[0])
        by_g, by_buffer = ctx.needs_input_grad[:2]
        up = ctx.layout.convolve(windows, buffer, None) if by_g else None
        return up, ctx.layout.correlate(windows, g) if by_buffer else None, None


def connected(near: Bool[Tensor, "m n"], channels: int, out: int) -> Bool[Tensor, "o i"]:
    """Return which pairs of channels are connected."""
    return near.repeat_interleave(out, 0).repeat_interleave(channels, 1)


def cluster(near: Bool[Tensor, "m n"], count: int) -> list[tuple[list[int], list[int]]]:
    """Split nodes into clusters that see much the same, greedily: each cluster's nodes, and the nodes that they see."""
    found = [({i}, set(row.nonzero()[:, 0].tolist())) for i, row in enumerate(near)]

    def cost(a: int, b: int) -> int:
        (own, seen), (more, also) = found[a], found[b]
        return len(own | more) * len(seen | also) - len(own) * len(seen) - len(more) * len(also)

    while len(found) > count:
        _, a, b = min((cost(a, b), a, b) for b in range(len(found)) for a in range(b))
        second, first = found.pop(b), found.pop(a)
        found.append((first[0] | second[0], first[1] | second[1]))
    return [(sorted(own), sorted(seen)) for own, seen in found]


@functools.lru_cache(maxsize=64)
def _layout(near: Sequence[Sequence[bool]], channels: int, out: int, device: torch.device) -> Layout:
    if device.type == "cpu":
        return Blocks.of(torch.tensor(near), channels, out)
    dense = Dense.of(torch.tensor(near), channels, out)
    return Dense(dense.place.to(device), dense.size, dense.channels)


@functools.lru_cache(maxsize=256)
def _window_frames(frames: int, device: torch.device) -> Int[Tensor, "n"]:
    """Return the five frames around every frame, reflected at the ends, in one row."""
    at = (torch.arange(frames)[:, None] + torch.arange(-PAD, PAD + 1)).abs()
    return (frames - 1 - (frames - 1 - at).abs()).flatten().to(device)


def _channels_of(nodes: list[int], each: int) -> Int[Tensor, "n"]:
    return (torch.tensor(nodes)[:, None] * each + torch.arange(each)).flatten()
