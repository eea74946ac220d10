"""Coarse-to-fine levels of time, shared by the matcher, the single-clip networks and their metrics."""

import math

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


def spline_interpolate(x: Float[Tensor, "t d"], when: Float[Tensor, "n"]) -> Float[Tensor, "n d"]:
    """Values at fractional frames of the natural cubic spline through all frames: twice differentiable, without shake.

    Its coefficients are a short filter of the frames, continued oddly at the ends, which are held.
    """
    if len(x) == 1:
        return x.expand(len(when), -1)
    when, y, pad, reach = when.to(x.device).double().clamp(0, len(x) - 1), x.double(), 0, 20
    while pad <= reach:  # short ones are mirrored several times
        more = min(len(y) - 1, reach + 1 - pad)
        y = torch.cat((2 * y[:1] - y[1 : more + 1].flip(0), y, 2 * y[-1:] - y[-more - 1 : -1].flip(0)))
        pad += more
    kernel = (math.sqrt(3) - 2) ** torch.arange(-reach, reach + 1, device=x.device).abs().double()
    coefficients = y.unfold(0, 2 * reach + 1, 1) @ (kernel / kernel.sum())
    before = when.floor().clamp(max=len(x) - 2)
    f = (when - before)[:, None]
    weights = torch.cat(((1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3), 1) / 6
    index = before.long()[:, None] + torch.arange(4, device=x.device)
    made = torch.nn.functional.embedding_bag(index, coefficients, per_sample_weights=weights, mode="sum")
    return made.to(x.dtype)
