"""The network of clip-flow: a local velocity field over principal components of motion features."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..nn.layers import PcaProjection, TapConv, timestep_embedding, zero_init

TIME_WIDTH = 64  # channels of the time embedding


class FlowBlock(nn.Module):
    """Residual block: layer norm modulated by time, SiLU, dilated convolution, SiLU, projection; starts as identity."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.conv, self.proj = TapConv(width, width, dilation), nn.Linear(width, width)
        self.time = nn.Linear(TIME_WIDTH, 2 * width)
        zero_init(self.proj)
        zero_init(self.time)

    def forward(self, x: Float[Tensor, "b t c"], time: Float[Tensor, "b e"]) -> Float[Tensor, "b t c"]:
        """Return a tensor of the same shape."""
        scale, shift = self.time(time)[:, None].chunk(2, -1)
        h = nn.functional.layer_norm(x, x.shape[-1:])
        h = nn.functional.silu(torch.addcmul(shift, h, 1 + scale))
        return x + self.proj(nn.functional.silu(self.conv(h)))


class FlowNet(nn.Module):
    """A velocity field over K components at a coarse frame rate (flow matching, Lipman et al. 2023)."""

    def __init__(self, pca: PcaProjection, width: int, dilations: Sequence[int]):
        super().__init__()
        self.pca, components = pca, pca.basis.shape[1]
        self.in_proj, self.out_proj = TapConv(components, width), zero_init(nn.Linear(width, components))
        self.blocks = nn.ModuleList([FlowBlock(width, d) for d in dilations])
        self.time = nn.Sequential(nn.Linear(32, TIME_WIDTH), nn.SiLU(), nn.Linear(TIME_WIDTH, TIME_WIDTH), nn.SiLU())

    def forward(self, x: Float[Tensor, "b t k"], t: Float[Tensor, "b"]) -> Float[Tensor, "b t k"]:
        """Return the velocity from noise (``t`` = 0) to motion (1)."""
        time = self.time(timestep_embedding(150 * t, 32, 150.0))
        h = self.in_proj(x)
        for block in self.blocks:
            h = block(h, time)
        return self.out_proj(nn.functional.silu(h))
