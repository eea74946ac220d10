"""Crowds: takes placed side by side so that no two bodies touch at any frame."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from . import parallel
from .errors import MotifError
from .motion import Motion
from .seeds import take_rng

BLOCK = 0.25
"""Seconds that a body's capsule stands for."""
FLESH = 0.08
"""Share of the body height that a body reaches beyond its joints."""
CANDIDATES = 64
"""Places tried at a time."""


def capsules(
    flat: Float[Tensor, "t j 2"], frame_time: float, height: float
) -> tuple[Float[Tensor, "b 2"], Float[Tensor, "b"]]:
    """Upright capsules, one for every ``BLOCK`` seconds, that hold all joints in all frames of it.

    Args:
        flat: where the joints are on the ground (world x and z), metres.
        frame_time: seconds a frame.
        height: of the body, metres.

    Returns:
        Where their axes stand, and how far they reach, ``FLESH`` included.
    """
    blocks = flat.split(max(round(BLOCK / frame_time), 1))
    low, high = (torch.stack([f(f(b, 0), 0) for b in blocks]) for f in (torch.amin, torch.amax))
    centre = (low + high) / 2
    reach = torch.stack([(b - c).norm(dim=-1).max() for b, c in zip(blocks, centre)])
    return centre, reach + FLESH * height


def arrange(
    takes: Sequence[Motion],
    seed: int = 0,
    gap: float = 0.1,
    progress: Callable[[float], None] = lambda done: None,
) -> list[Motion]:
    """The same takes, each turned at random and shifted so that no two capsules come nearer than ``gap`` metres.

    They fill the ground from the origin outwards: each takes the first place of a spiral where it is in no
    other's way at any time.

    Args:
        takes: of one length.
        seed: same seed, same crowd.
        gap: metres left between any two bodies at least.
        progress: hears the share done.
    """
    if len({len(t) for t in takes}) > 1:
        raise MotifError(f"takes of {sorted({len(t) for t in takes})} frames; a crowd needs takes of one length")
    if not (math.isfinite(gap) and gap >= 0):
        raise MotifError(f"gap is {gap}; give metres, at least 0")
    placed: list[Motion] = []
    centres: list[Tensor] = []
    reaches: list[Tensor] = []
    farthest = 0
    flats = parallel.parallel_map(lambda t: t.world()[1][..., (0, 2)], takes)
    for k, (take, flat) in enumerate(zip(takes, flats)):
        turn = 2 * math.pi * torch.rand(1, generator=take_rng(seed, k))
        c, s = torch.cos(turn), torch.sin(turn)
        flat = torch.stack((c * flat[..., 0] + s * flat[..., 1], c * flat[..., 1] - s * flat[..., 0]), -1)
        centre, reach = capsules(flat, take.frame_time, take.skeleton.height)
        middle = (centre.amin(0) + centre.amax(0)) / 2
        shift = torch.zeros(2)
        if placed:
            begin = farthest // 2  # nearer to the middle there is seldom a place left
            shift, at = _free(centre - middle, reach + gap, torch.stack(centres), torch.stack(reaches), begin)
            farthest = max(farthest, at)
        shift = shift - middle
        placed.append(take.transform(float(turn), (float(shift[0]), 0.0, float(shift[1]))))
        centres.append(centre + shift)
        reaches.append(reach)
        progress((k + 1) / len(takes))
    return placed


def _free(
    centre: Float[Tensor, "b 2"],
    reach: Float[Tensor, "b"],
    others: Float[Tensor, "k b 2"],
    far: Float[Tensor, "k b"],
    first: int,
) -> tuple[Float[Tensor, "2"], int]:
    """The first place of the spiral from its ``first`` on that is clear of all others at all times; and its number."""
    step, clear = float(reach.mean()) / 2, (reach + far).square()

    def apart(spots: Float[Tensor, "c 2"], every: int) -> Bool[Tensor, "c"]:
        gaps = (centre[::every] + spots[:, None, None] - others[:, ::every]).square().sum(-1)
        return (gaps >= clear[:, ::every]).flatten(1).all(1)

    while True:
        n = torch.arange(first, first + CANDIDATES)
        radius, angle = step * n.sqrt(), n * math.pi * (3 - math.sqrt(5))
        spots = torch.stack((radius * torch.cos(angle), radius * torch.sin(angle)), 1)
        hopeful = apart(spots, 8).nonzero()[:, 0]  # most are in somebody's way most of the time
        free = hopeful[apart(spots[hopeful], 1)]
        if len(free):
            return spots[free[0]], int(n[free[0]])
        first += CANDIDATES
