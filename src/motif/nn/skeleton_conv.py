"""SkeletonConv: a convolution over time between connected nodes, which stores no zeros and multiplies few.

Most pairs of nodes are not connected: four fifths of the dense weight would be zeros (GANimator multiplies them). Here
the weights of connected pairs are one flat parameter. On the CPU they are put into clusters of nodes that see much the
same; on a GPU, where launches cost more than zeros, into one dense matrix (:mod:`motif.nn.skeleton_layout`).

A convolution, its transpose and both their gradients are the same three products, so each of the two is an autograd
function with the other in its backward pass: a gradient penalty needs no double backward.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from .skeleton_layout import TAPS, Layout, connected, layout


class SkeletonConv(nn.Module):
    """A convolution of five taps over time, between connected nodes (GANimator), reflected at the ends.

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
        laid = layout(self.near, self.channels, self.out, device)
        buffer = assemble(self.weight, laid)
        if torch.is_autocast_enabled(device.type):
            buffer = buffer.to(torch.get_autocast_dtype(device.type))
        return Assembled(laid, buffer, self.bias)

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
        return _Convolve.apply(x.to(self.buffer.dtype), self.buffer, self.bias, self)  # type: ignore[return-value]

    def transpose(self, g: Float[Tensor, "b d t"]) -> Float[Tensor, "b c t"]:
        """Apply the transpose of the linear part."""
        return _Transpose.apply(g.to(self.buffer.dtype), self.buffer, self)  # type: ignore[return-value]

    @cached_property
    def turned(self) -> Tensor:
        """The weights as the transpose reads them, without a gradient."""
        with torch.no_grad():
            return self.layout.turn(self.buffer)


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
    def forward(ctx: Any, x: Tensor, buffer: Tensor, bias: Tensor, layer: Assembled) -> Tensor:
        windows = layer.layout.windows(x)
        ctx.save_for_backward(windows if ctx.needs_input_grad[1] else None)
        ctx.layer, ctx.kind, ctx.frames = layer, bias.dtype, x.shape[-1]
        return layer.layout.convolve(windows, buffer, bias.to(x.dtype))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # type: ignore[override]
        layer, (windows,), (g,), (by_x, by_buffer, by_bias, _) = (
            ctx.layer,
            ctx.saved_tensors,
            grad_outputs,
            ctx.needs_input_grad,
        )
        spread = layer.layout.spread(g)
        x = layer.layout.transpose(spread, layer.turned, ctx.frames) if by_x else None
        weight = layer.layout.correlate(windows, spread) if by_buffer else None
        return x, weight, g.sum((0, 2), dtype=ctx.kind) if by_bias else None, None


class _Transpose(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, buffer: Tensor, layer: Assembled) -> Tensor:
        spread = layer.layout.spread(g)
        ctx.save_for_backward(spread if ctx.needs_input_grad[1] else None)
        ctx.layer = layer
        return layer.layout.transpose(spread, layer.turned, g.shape[-1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # type: ignore[override]
        layer, (spread,) = ctx.layer, ctx.saved_tensors
        windows, (by_g, by_buffer, _) = layer.layout.windows(grad_outputs[0]), ctx.needs_input_grad
        up = layer.layout.convolve(windows, layer.buffer.detach(), None) if by_g else None
        return up, layer.layout.correlate(windows, spread) if by_buffer else None, None
