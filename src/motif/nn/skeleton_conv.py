"""SkeletonConv: a convolution over time between connected nodes, which stores no zeros and multiplies few.

Most pairs of nodes are not connected: four fifths of the dense weight would be zeros (GANimator multiplies them). Here
the weights of connected pairs are one flat parameter. On the CPU they are put into blocks, each of a cluster of nodes
and all that these see; on a GPU, where launches cost more than zeros, into one dense matrix.

A convolution, its transpose and both their gradients are the same three products in different order, so each of the two
is an autograd function with the other in its backward pass: a gradient penalty needs no double backward.
"""

import functools
import itertools
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
PANEL = 1500
"""Frames, about, that are multiplied at a time on the CPU."""


class Layout(Protocol):
    """How the weights of a layer lie in a buffer, and the three products with them. Ends are reflected."""

    @property
    def size(self) -> int:
        """Of the buffer."""
        ...

    @property
    def place(self) -> Int[Tensor, "w"]:
        """Of every flat weight in it."""
        ...

    def windows(self, x: Float[Tensor, "b i t"]) -> Tensor:
        """Return an input as the products read it."""
        ...

    def spread(self, g: Float[Tensor, "b o t"]) -> Tensor:
        """Return a gradient of the output as the products read it."""
        ...

    def convolve(self, windows: Tensor, buffer: Tensor, bias: Tensor | None) -> Float[Tensor, "b o t"]:
        """Convolve."""
        ...

    def transpose(self, spread: Tensor, buffer: Tensor) -> Float[Tensor, "b i t"]:
        """Apply the transpose of the linear part."""
        ...

    def correlate(self, windows: Tensor, spread: Tensor) -> Float[Tensor, "size"]:
        """Return the gradient of the buffer."""
        ...


@dataclass(frozen=True, eq=False)
class Blocks:
    """Products with clusters of nodes, for the CPU.

    All frames of all samples are one long row of a channel, each sample four frames longer than it is, so that one tap
    of a block is one matrix product with that row, shifted: nothing is copied but the channels that a cluster sees.
    """

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
            shapes.append((TAPS, len(rows[-1]), len(cols[-1])))
            inside = torch.arange(TAPS * len(rows[-1]) * len(cols[-1])).view(shapes[-1])
            place[rows[-1][:, None], cols[-1]] = size + inside.permute(1, 2, 0)
            size += inside.numel()
        flat, (whole, read) = place[pairs].flatten(), pairs.shape
        return Blocks(tuple(rows), tuple(cols), tuple(shapes), flat, size, read, whole)

    def blocks(self, buffer: Float[Tensor, "size"]) -> list[Float[Tensor, "k _o _i"]]:
        """Return a buffer as blocks, without copying."""
        parts = buffer.split([k * o * i for k, o, i in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def windows(self, x: Float[Tensor, "b i t"]) -> Float[Tensor, "i b s"]:
        """Return the input with both ends of every sample reflected."""
        w, x = x.new_empty(x.shape[1], len(x), x.shape[2] + 2 * PAD), x.transpose(0, 1)
        w[..., PAD:-PAD] = x
        w[..., :PAD], w[..., -PAD:] = x[..., 1 : 1 + PAD].flip(-1), x[..., -1 - PAD : -1].flip(-1)
        return w

    def spread(self, g: Float[Tensor, "b o t"]) -> Float[Tensor, "o b s"]:
        """Return the gradient with zeros between samples."""
        s = g.new_empty(g.shape[1], len(g), g.shape[2] + 2 * PAD)
        s[..., : -2 * PAD] = g.transpose(0, 1)
        s[..., -2 * PAD :] = 0
        return s

    def convolve(self, windows: Tensor, buffer: Tensor, bias: Tensor | None) -> Float[Tensor, "b o t"]:
        """Convolve, block by block and tap by tap."""
        _, batch, long = windows.shape
        flat, panels = windows.flatten(1), _panels(batch, long)
        y = _channels_outermost(windows, (batch, self.out, long - 2 * PAD))
        for rows, cols, weight in zip(self.rows, self.cols, self.blocks(buffer), strict=True):
            own, out = flat.index_select(0, cols), _sums(flat, (len(rows), batch * long))
            if bias is not None:
                out += bias.index_select(0, rows)[:, None]
            for panel, k in itertools.product(panels, range(TAPS)):
                _add_product(panel.of(out), weight[k], panel.of(own, k))
            y.transpose(0, 1).index_copy_(0, rows, out.view(-1, batch, long)[..., : -2 * PAD].to(y.dtype))
        return y

    def transpose(self, spread: Tensor, buffer: Tensor) -> Float[Tensor, "b i t"]:
        """Apply the transpose, block by block and tap by tap, and fold the reflected ends back."""
        _, batch, long = spread.shape
        flat, panels = spread.flatten(1), _panels(batch, long)
        w = _sums(flat, (self.channels, batch * long))
        for rows, cols, weight in zip(self.rows, self.cols, self.blocks(buffer), strict=True):
            own, out = flat.index_select(0, rows), _sums(flat, (len(cols), batch * long))
            for panel, k in itertools.product(panels, range(TAPS)):
                _add_product(panel.of(out, k), weight[k].t(), panel.of(own))
            w.index_add_(0, cols, out)
        w = w.view(-1, batch, long)
        x = _channels_outermost(spread, (batch, self.channels, long - 2 * PAD))
        kept = x.transpose(0, 1)
        kept.copy_(w[..., PAD:-PAD])
        kept[..., 1 : 1 + PAD] += w[..., :PAD].flip(-1)
        kept[..., -1 - PAD : -1] += w[..., -PAD:].flip(-1)
        return x

    def correlate(self, windows: Tensor, spread: Tensor) -> Float[Tensor, "size"]:
        """Return the gradient of the blocks."""
        (x, g), panels, found = (windows.flatten(1), spread.flatten(1)), _panels(*windows.shape[1:]), []
        for rows, cols, (_, o, i) in zip(self.rows, self.cols, self.shapes, strict=True):
            own, read = g.index_select(0, rows), x.index_select(0, cols)
            sums = _sums(x, (TAPS, panels[0].count, o, i))
            for panel, k in itertools.product(panels, range(TAPS)):
                at = sums[k, 0] if panel.count == 1 else sums[k, : panel.count]
                _add_product(at, panel.of(own), panel.of(read, k).transpose(-1, -2))
            found.append(sums.sum(1).flatten())
        return torch.cat(found).to(x.dtype)


@dataclass(frozen=True)
class _Panel:
    """Equal runs of samples side by side, one for each thread, small enough to stay in a cache while taps are added."""

    first: int
    """Frame at which they begin."""
    count: int
    frames: int
    """Of each."""

    def of(self, x: Float[Tensor, "c n"], shift: int = 0) -> Float[Tensor, "*p c f"]:
        """Cut it out of long rows, shifted, without what lies between the last sample of a run and the next run."""
        at, frames = self.first + shift, self.frames - 2 * PAD
        if self.count == 1:
            return x[:, at : at + frames]
        return x.as_strided((self.count, len(x), frames), (self.frames, x.stride(0), 1), x.storage_offset() + at)


def _panels(batch: int, long: int) -> list[_Panel]:
    """Cut a batch of samples of ``long`` frames into panels."""
    threads = torch.get_num_threads()
    each = max(min(round(PANEL / long), batch // threads), 1)
    runs, left = divmod(batch, each)
    panels = [_Panel(k * each * long, min(threads, runs - k), each * long) for k in range(0, runs, threads)]
    return panels + ([_Panel(runs * each * long, 1, left * long)] if left else [])


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

    def windows(self, x: Float[Tensor, "b i t"]) -> Float[Tensor, "b t j"]:
        """Return the windows around all frames."""
        frames = _window_frames(x.shape[-1], x.device)
        return x.transpose(1, 2).index_select(1, frames).view(len(x), -1, TAPS * self.channels)

    def spread(self, g: Float[Tensor, "b o t"]) -> Float[Tensor, "b t o"]:
        """Return the gradient with channels innermost."""
        return g.transpose(1, 2).contiguous()

    def convolve(self, windows: Tensor, buffer: Tensor, bias: Tensor | None) -> Float[Tensor, "b o t"]:
        """Convolve: one matrix product."""
        rows, weight = windows.flatten(0, 1), buffer.view(-1, TAPS * self.channels).t()
        (batch, frames, _), out = windows.shape, weight.shape[1]
        y = rows.new_empty_strided((batch, out, frames), (frames * out, 1, out))  # no view: it may be changed in place
        flat = y.transpose(1, 2).view(-1, out)
        torch.mm(rows, weight, out=flat) if bias is None else torch.addmm(bias, rows, weight, out=flat)
        return y

    def transpose(self, spread: Tensor, buffer: Tensor) -> Float[Tensor, "b i t"]:
        """Apply the transpose and add up what windows share."""
        batch, frames, out = spread.shape
        rows = spread.flatten(0, 1) @ buffer.view(out, -1)
        x = rows.new_zeros(batch, frames, self.channels)
        x.index_add_(1, _window_frames(frames, spread.device), rows.view(batch, -1, self.channels))
        return x.transpose(1, 2)

    def correlate(self, windows: Tensor, spread: Tensor) -> Float[Tensor, "size"]:
        """Return the gradient of the matrix."""
        return (spread.flatten(0, 1).t() @ windows.flatten(0, 1)).flatten()


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
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # type: ignore[override]
        return grad_outputs[0].index_select(0, ctx.layout.place).view(-1, TAPS), None


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, buffer: Tensor, bias: Tensor, layout: Layout) -> Tensor:
        windows = layout.windows(x)
        ctx.save_for_backward(windows if ctx.needs_input_grad[1] else None, buffer)
        ctx.layout, ctx.kind = layout, bias.dtype
        return layout.convolve(windows, buffer, bias.to(x.dtype))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # type: ignore[override]
        (windows, buffer), (g,), (by_x, by_buffer, by_bias, _) = ctx.saved_tensors, grad_outputs, ctx.needs_input_grad
        spread = ctx.layout.spread(g)
        x = ctx.layout.transpose(spread, buffer) if by_x else None
        weight = ctx.layout.correlate(windows, spread) if by_buffer else None
        return x, weight, g.sum((0, 2), dtype=ctx.kind) if by_bias else None, None


class _Transpose(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, buffer: Tensor, layout: Layout) -> Tensor:
        spread = layout.spread(g)
        ctx.save_for_backward(spread if ctx.needs_input_grad[1] else None, buffer)
        ctx.layout = layout
        return layout.transpose(spread, buffer)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # type: ignore[override]
        (spread, buffer), windows = ctx.saved_tensors, ctx.layout.windows(grad_outputs[0])
        by_g, by_buffer = ctx.needs_input_grad[:2]
        up = ctx.layout.convolve(windows, buffer, None) if by_g else None
        return up, ctx.layout.correlate(windows, spread) if by_buffer else None, None


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


def _channels_outermost(like: Tensor, shape: tuple[int, int, int]) -> Float[Tensor, "b c t"]:
    """Return an empty tensor of shape [B, C, T] whose channels lie outermost; no view: it may be changed in place."""
    batch, channels, frames = shape
    return like.new_empty_strided((batch, channels, frames), (frames, batch * frames, 1))


def _sums(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return zeros to add products up in, at least in fp32."""
    return like.new_zeros(shape, dtype=torch.promote_types(like.dtype, torch.float32))


def _add_product(out: Float[Tensor, "*p m n"], a: Float[Tensor, "*#p m k"], b: Float[Tensor, "*p k n"]) -> None:
    if out.dtype != a.dtype:
        out += a @ b
    elif out.ndim == 2:
        out.addmm_(a, b)
    else:
        out.baddbmm_(a.expand(len(out), -1, -1), b)
