"""The networks of clip-gan: convolutions over principal components of motion features at a coarse frame rate."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..nn.layers import PcaProjection, conv_stack


class ClipGanNet(nn.Module):
    """Generator and critic over K components.

    Buffer: ``reconstruction_noise`` [Z, S], what the clips, end to end, are reconstructed from.
    """

    reconstruction_noise: Tensor

    def __init__(self, pca: PcaProjection, noise: int, frames: int, width: int, dilations: Sequence[int]):
        super().__init__()
        self.pca, components = pca, pca.basis.shape[1]
        self.generator = conv_stack(noise, components, width, dilations)
        self.critic = conv_stack(components, 1, width, dilations[:-1])
        self.register_buffer("reconstruction_noise", torch.zeros(noise, frames))

    def generate(self, noise: Float[Tensor, "n z t"]) -> Float[Tensor, "n t d"]:
        """Return motion features made from noise."""
        return self.pca.inverse(self.generator(noise).float().transpose(1, 2))
