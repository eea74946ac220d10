"""Coarse-to-fine levels of time, shared by the matcher, the single-clip networks and their metrics."""

import torch
from jaxtyping import Float
from torch import Tensor


def level_lengths(frames: int, ratio: float = 1 / 5, factor: float = 4 / 3) -> list[int]:
    """Frames per level as GANimator counts them (Li et al. 2022): from ``ratio`` of the clip up by ``factor``.

    648 frames give 129, 172, 229, 305, 406, 541, 648.
    """
    levels = [max(int(ratio * frames), 1)]
    while levels[-1] < frames:
        levels.append(max(int(levels[-1] * factor), levels[-1] + 1))
    return [*levels[:-1], frames]


def level_rates(finest: float, coarsest: float, factor: float = 4 / 3) -> list[float]:
    """Frame rates per level in Hz, coarse to fine, ending at ``finest``.

    Levels by rate rather than by length: clips and takes of different lengths share them, and a window of n frames
    lasts equally long in all of them.
    """
    levels = [finest]
    while levels[-1] / factor >= coarsest:
        levels.append(levels[-1] / factor)
    return levels[::-1]


def resize(x: Float[Tensor, "*b t d"], frames: int, antialias: bool = True) -> Float[Tensor, "*b s d"]:
    """Linear resampling along time to ``frames`` frames; per-second velocities stay right, per-frame ones would not.

    A coarse frame is the average of what it stands for. The papers sample points (``antialias`` False), which aliases:
    what moves faster than the level can show comes back as another motion.
    """
    if frames == x.shape[-2]:
        return x
    flat = x.reshape(-1, *x.shape[-2:]).transpose(1, 2)[:, :, None]
    out = torch.nn.functional.interpolate(flat, size=(1, frames), mode="bilinear", antialias=antialias)
    return out[:, :, 0].transpose(1, 2).reshape(*x.shape[:-2], frames, x.shape[-1])


def sinc_interpolate(x: Float[Tensor, "t d"], when: Float[Tensor, "n"], taps: int = 8) -> Float[Tensor, "n d"]:
    """Values at fractional frames by a windowed sinc over ``taps`` frames to each side (Lanczos); ends are held."""
    when = when.to(x.device).double().clamp(0, len(x) - 1)
    before = when.floor()
    shift = torch.arange(1 - taps, taps + 1, device=x.device)
    apart = shift - (when - before)[:, None]
    weight = torch.sinc(apart) * torch.sinc(apart / taps)
    weight = (weight / weight.sum(1, keepdim=True)).to(x.dtype)
    index = (before.long()[:, None] + shift).clamp(0, len(x) - 1)
    return torch.nn.functional.embedding_bag(index, x, per_sample_weights=weight, mode="sum")
