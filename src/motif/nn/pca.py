"""Projection onto principal axes, as a layer."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class PcaProjection(nn.Module):
    """An affine map from D motion features to K principal components of about unit variance, and back.

    Buffers, set from data: ``scale`` [D] channel weights, ``mean`` [D] of weighted features, ``basis`` [D, K],
    ``std`` [1] of all components together.
    """

    scale: Tensor
    mean: Tensor
    basis: Tensor
    std: Tensor

    def __init__(self, features: int, components: int):
        super().__init__()
        shapes = {"scale": (features,), "mean": (features,), "basis": (features, components), "std": (1,)}
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))

    def forward(self, features: Float[Tensor, "*b t d"]) -> Float[Tensor, "*b t k"]:
        """Project motion features."""
        return (features * self.scale - self.mean) @ self.basis / self.std

    def inverse(self, components: Float[Tensor, "*b t k"]) -> Float[Tensor, "*b t d"]:
        """Reconstruct motion features."""
        return ((components * self.std) @ self.basis.T + self.mean) / self.scale.clamp_min(1e-9)
