"""What nets over principal axes share: the way from axes back to motion features."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class AxesNet(nn.Module):
    """A net over K principal axes of D motion features.

    Buffers: ``scale`` [D], ``centre`` [D] and ``basis`` [D, K] as the matcher has them, ``size`` [1] by which axes are
    divided so that they vary by about one.
    """

    scale: Tensor
    centre: Tensor
    basis: Tensor
    size: Tensor

    def __init__(self, features: int, axes: int):
        super().__init__()
        for name, shape in (
            ("scale", (features,)),
            ("centre", (features,)),
            ("basis", (features, axes)),
            ("size", (1,)),
        ):
            self.register_buffer(name, torch.zeros(shape))

    def axes(self, features: Float[Tensor, "*b t d"]) -> Float[Tensor, "*b t k"]:
        """Motion features in the net's coordinates."""
        return (features * self.scale - self.centre) @ self.basis / self.size

    def features(self, axes: Float[Tensor, "*b t k"]) -> Float[Tensor, "*b t d"]:
        """The way back."""
        return ((axes * self.size) @ self.basis.T + self.centre) / self.scale.clamp_min(1e-9)
