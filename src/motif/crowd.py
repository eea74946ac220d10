"""Crowds: takes placed side by side so that no two bodies touch at any frame."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from . import parallel
from .config import CrowdConfig
from .errors import MotifError
from .motion import Motion
from .request import Request
from .seeds import take_rng

BLOCK_SECONDS = 0.25  # that one capsule stands for
FLESH = 0.08  # fraction of the body height that a body reaches beyond its joints
CANDIDATES = 64  # places tried at a time
HEADING, SPEED = 1, 2  # streams of :func:`motif.seeds.take_rng` that a member's heading and speed are drawn from


def crowd(
    sample: Callable[[Request], list[Motion]], request: Request, frame_time: float, seconds: float, config: CrowdConfig
) -> list[Motion]:
    """Sample takes of a request, each at a speed of its own, and arrange them.

    ``frame_time`` is the takes', ``seconds`` their length where the request says none.
    """
    n, seed = request.n, request.seed
    sampling = replace(request, progress=lambda fraction: request.progress(0.8 * fraction))
    if request.edit.features:
        takes = sample(sampling)
    else:
        frames = max(round(request.edit.duration(seconds) / frame_time), 1)
        source = source_frames(frames, 1 + config.spread)
        takes = sample(replace(sampling, edit=replace(request.edit, seconds=source * frame_time)))
        speeds = [member_speed(config.spread, seed, k) for k in range(n)]
        takes = parallel.parallel_map(lambda pair: pair[0].retime(pair[1]).crop(0, frames), zip(takes, speeds))
    return arrange(takes, seed, config.gap, lambda fraction: request.progress(0.8 + 0.2 * fraction))


def member_speed(spread: float, seed: int, member: int) -> float:
    """Draw a member's speed, as a multiple of the clip's."""
    return 1 + spread * (2 * float(torch.rand(1, generator=take_rng(seed, member, SPEED))) - 1)


def source_frames(frames: int, speed: float) -> int:
    """Return how many frames leave at least ``frames`` at this speed and any lower one (:meth:`Motion.retime`)."""
    source = math.floor(frames * speed)
    while round(source / speed) < frames:
        source += 1
    return source


def capsules(
    flat: Float[Tensor, "t j 2"], frame_time: float, height: float
) -> tuple[Float[Tensor, "b 2"], Float[Tensor, "b"]]:
    """Return centres and radii of upright capsules that hold all joints (world x and z) for ``BLOCK_SECONDS`` each.

    ``FLESH`` of the body's height is added to the radii. All in metres.
    """
    blocks = flat.split(max(round(BLOCK_SECONDS / frame_time), 1))
    low, high = (torch.stack([f(f(b, 0), 0) for b in blocks]) for f in (torch.amin, torch.amax))
    centre = (low + high) / 2
    radius = torch.stack([(b - c).norm(dim=-1).max() for b, c in zip(blocks, centre)])
    return centre, radius + FLESH * height


def arrange(
    takes: Sequence[Motion],
    seed: int = 0,
    gap: float = 0.1,
    progress: Callable[[float], None] = lambda fraction: None,
) -> list[Motion]:
    """Turn takes of one length at random and shift them so that no two capsules come nearer than ``gap`` metres.

    They fill the ground from the origin outwards: each goes to the first place of a spiral where it is clear of all
    others at all times.
    """
    if len({len(t) for t in takes}) > 1:
        raise MotifError(f"takes of {sorted({len(t) for t in takes})} frames; a crowd needs takes of one length")
    gap = CrowdConfig(gap=gap).gap
    placed: list[Motion] = []
    centres: list[Tensor] = []
    radii: list[Tensor] = []
    farthest = 0
    flats = parallel.parallel_map(lambda t: t.world()[1][..., (0, 2)], takes)
    for k, (take, flat) in enumerate(zip(takes, flats)):
        turn = 2 * math.pi * torch.rand(1, generator=take_rng(seed, k, HEADING))
        c, s = torch.cos(turn), torch.sin(turn)
        flat = torch.stack((c * flat[..., 0] + s * flat[..., 1], c * flat[..., 1] - s * flat[..., 0]), -1)
        centre, radius = capsules(flat, take.frame_time, take.skeleton.height)
        middle = (centre.amin(0) + centre.amax(0)) / 2
        shift = torch.zeros(2)
        if placed:
            first = farthest // 2  # nearer to the middle there is seldom a place left
            shift, at = _free(centre - middle, radius + gap, torch.stack(centres), torch.stack(radii), first)
            farthest = max(farthest, at)
        shift = shift - middle
        placed.append(take.transform(float(turn), (float(shift[0]), 0.0, float(shift[1]))))
        centres.append(centre + shift)
        radii.append(radius)
        progress((k + 1) / len(takes))
    return placed


def _free(
    centre: Float[Tensor, "b 2"],
    radius: Float[Tensor, "b"],
    others: Float[Tensor, "k b 2"],
    radii: Float[Tensor, "k b"],
    first: int,
) -> tuple[Float[Tensor, "2"], int]:
    """Return the first place of the spiral, from its ``first`` on, that is clear of all others; and its number."""
    step, clear = float(radius.mean()) / 2, (radius + radii).square()

    def is_clear(spots: Float[Tensor, "c 2"], every: int) -> Bool[Tensor, "c"]:
        gaps = (centre[::every] + spots[:, None, None] - others[:, ::every]).square().sum(-1)
        return (gaps >= clear[:, ::every]).flatten(1).all(1)

    while True:
        n = torch.arange(first, first + CANDIDATES)
        distance, angle = step * n.sqrt(), n * math.pi * (3 - math.sqrt(5))
        spots = torch.stack((distance * torch.cos(angle), distance * torch.sin(angle)), 1)
        likely = is_clear(spots, 8).nonzero()[:, 0]  # most places are taken most of the time
        free = likely[is_clear(spots[likely], 1)]
        if len(free):
            return spots[free[0]], int(n[free[0]])
        first += CANDIDATES
