"""Random generators seeded by place, never global."""

import torch


def take_rng(seed: int, take: int) -> torch.Generator:
    """Every take's own source of randomness."""
    return torch.Generator().manual_seed((seed * 0x9E3779B1 + take * 0x85EBCA77) % (1 << 62))


def position_seed(*numbers: int) -> int:
    """Return one seed for several integers (FNV-1a over their low 32 bits)."""
    value = 0xCBF29CE484222325
    for number in numbers:
        value = ((value ^ (number & 0xFFFFFFFF)) * 0x100000001B3) % (1 << 63)
    return value
