"""Embeddings of diffusion time."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def timestep_embedding(t: Float[Tensor, "b"], width: int, max_period: float = 10_000.0) -> Float[Tensor, "b w"]:
    """Return cosines, then sines, of ``t`` at frequencies from 1 down to 1 / ``max_period`` (Ho et al. 2020)."""
    half = width // 2
    angle = t[:, None] * torch.exp(-math.log(max_period) * torch.arange(half, device=t.device) / half)
    return torch.cat((angle.cos(), angle.sin()), -1)
