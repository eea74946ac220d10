"""Random generators seeded by place, never global."""

import torch


def take_rng(seed: int, take: int) -> torch.Generator:
    """Every take's own source of randomness."""
    return torch.Generator().manual_seed((seed * 0x9E3779B1 + take * 0x85EBCA77) % (1 << 62))
