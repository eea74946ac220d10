"""Layers over time: convolutions, an embedding of diffusion time, a projection onto principal axes."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

LEAKY_SLOPE = 0.2  # negative slope of LeakyReLU


class ResidualConvBlock(nn.Module):
    """Residual block: LeakyReLU, dilated convolution of 3 taps, LeakyReLU, 1x1 convolution."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.proj = nn.Conv1d(width, width, 1)
        with torch.no_grad():
            self.proj.weight.mul_(0.3)

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """Return a tensor of the same shape."""
        h = self.conv(nn.functional.leaky_relu(x, LEAKY_SLOPE))
        return x + self.proj(nn.functional.leaky_relu(h, LEAKY_SLOPE))


def conv_stack(channels: int, out: int, width: int, dilations: Sequence[int]) -> nn.Sequential:
    """Return an input convolution of 3 taps, one residual block per dilation, and a 1x1 output convolution."""
    blocks = [ResidualConvBlock(width, d) for d in dilations]
    out_proj = nn.Sequential(nn.LeakyReLU(LEAKY_SLOPE), nn.Conv1d(width, out, 1))
    return nn.Sequential(nn.Conv1d(channels, width, 3, padding=1), *blocks, *out_proj)


def receptive_field(dilations: Sequence[int]) -> int:
    """Return how many input frames one output frame depends on: 3 taps at the input and at each dilation."""
    return 1 + 2 * (1 + sum(dilations))


class TapConv(nn.Linear):
    """A convolution of 3 taps over [B, T, C], as one matrix product; zeros beyond the ends."""

    def __init__(self, width: int, out: int, dilation: int = 1):
        super().__init__(3 * width, out)
        self.dilation = dilation

    def forward(self, input: Float[Tensor, "b t c"]) -> Float[Tensor, "b t d"]:
        """Return a tensor of the same length."""
        d, frames = self.dilation, input.shape[1]
        padded = nn.functional.pad(input, (0, 0, d, d))
        return super().forward(torch.cat((padded[:, :frames], input, padded[:, 2 * d :]), -1))


def zero_init(layer: nn.Module) -> nn.Module:
    """Set all parameters of a layer to zero and return it."""
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer


def timestep_embedding(t: Float[Tensor, "b"], width: int, max_period: float = 10_000.0) -> Float[Tensor, "b w"]:
    """Return cosines, then sines, of ``t`` at frequencies from 1 down to 1 / ``max_period`` (Ho et al. 2020)."""
    half = width // 2
    angle = t[:, None] * torch.exp(-math.log(max_period) * torch.arange(half, device=t.device) / half)
    return torch.cat((angle.cos(), angle.sin()), -1)


class PcaProjection(nn.Module):
    """An affine map from D motion features to K principal components of about unit variance, and back.

    Buffers: ``scale`` [D] channel weights, ``mean`` [D] of weighted features, ``basis`` [D, K], ``std`` [1] of all
    components together.
    """

    scale: Tensor
    mean: Tensor
    basis: Tensor
    std: Tensor

    def __init__(self, scale: Float[Tensor, "d"], mean: Float[Tensor, "d"], basis: Float[Tensor, "d k"], std: float):
        super().__init__()
        for name, value in (("scale", scale), ("mean", mean), ("basis", basis), ("std", torch.tensor([std]))):
            self.register_buffer(name, value.clone())

    def forward(self, features: Float[Tensor, "*b t d"]) -> Float[Tensor, "*b t k"]:
        """Project motion features."""
        return (features * self.scale - self.mean) @ self.basis / self.std

    def inverse(self, components: Float[Tensor, "*b t k"]) -> Float[Tensor, "*b t d"]:
        """Reconstruct motion features."""
        return ((components * self.std) @ self.basis.T + self.mean) / self.scale.clamp_min(1e-9)
