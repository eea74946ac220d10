"""Random generators seeded by position, never global."""

import torch


def take_rng(seed: int, take: int, stream: int = 0) -> torch.Generator:
    """Return a take's own generator; values that must not depend on each other are drawn from different streams."""
    value = seed * 0x9E3779B1 + take * 0x85EBCA77 + stream * 0xC2B2AE3D27D4EB4F
    return torch.Generator().manual_seed(value % (1 << 62))


def position_seed(*numbers: int) -> int:
    """Return one seed for several integers (FNV-1a over their low 32 bits)."""
    value = 0xCBF29CE484222325
    for number in numbers:
        value = ((value ^ (number & 0xFFFFFFFF)) * 0x100000001B3) % (1 << 63)
    return value
