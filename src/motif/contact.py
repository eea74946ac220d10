"""Ground contact: which contact joints stand in which frames, and where and how fast they move.

Speeds and heights are judged relative to the body height, so a crab and a giant are treated alike (the papers' fixed
0.018 m a frame under-detects contacts on a large rig).
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .skeleton import Skeleton

SPEED, HEIGHT = 0.25, 0.04
"""A contact joint stands below this many body heights a second, at most this many above its own resting level."""
SHORTEST = 0.1  # seconds; a shorter contact or gap is noise
SMOOTH = 0.04  # seconds (sigma) over which corrections are smoothed, so that they add no jerk


def floor(world: Float[Tensor, "t j 3"], skeleton: Skeleton) -> float:
    """Return the height of the ground, metres: where the lowest contact joint (else any joint) comes to rest."""
    return float(world[:, list(skeleton.contacts or range(len(skeleton))), 1].amin(1).quantile(0.05))


def floors(feet: Float[Tensor, "*b t c 3"], skeleton: Skeleton) -> Float[Tensor, "c"]:
    """Return the resting level of each contact joint in metres: an ankle comes to rest higher than a toe.

    The level a joint comes down to in the clip, but no higher above the lowest one than in the natural pose: a joint
    that is held up the whole time (a raised paw, a snake's head) does not stand.
    """
    joints = list(skeleton.contacts)
    if not joints:
        return feet.new_zeros(0)
    heights = feet[..., 1].reshape(-1, len(joints)).to(torch.promote_types(feet.dtype, torch.float32))
    seen = heights.quantile(0.05, dim=0).to(feet)
    rest = skeleton.rest_positions[joints, 1].to(seen)
    return torch.minimum(seen, seen.min() + rest - rest.min() + HEIGHT * skeleton.height)


def speed(p: Float[Tensor, "*b t c 3"], frame_time: float) -> Float[Tensor, "*b t c"]:
    """Return the speed of points in m/s, by central differences (one-sided at the ends)."""
    if p.shape[-3] == 1:
        return torch.zeros_like(p[..., 0])
    step = p.diff(dim=-3)
    both = torch.cat((step[..., :1, :, :], (step[..., 1:, :, :] + step[..., :-1, :, :]) / 2, step[..., -1:, :, :]), -3)
    return both.norm(dim=-1) / frame_time


def labels(
    feet: Float[Tensor, "*b t c 3"], skeleton: Skeleton, frame_time: float, level: Float[Tensor, "c"] | None = None
) -> Bool[Tensor, "*b t c"]:
    """Return where contact joints, at ``feet`` in the world, stand: slow and low, for at least ``SHORTEST`` seconds.

    ``level`` are the resting levels (:func:`floors`) of a clip that they are judged by; their own if not given.
    """
    if not skeleton.contacts:
        return feet.new_zeros(feet.shape[:-1], dtype=torch.bool)
    level = floors(feet, skeleton) if level is None else level
    low = feet[..., 1] - level < HEIGHT * skeleton.height
    slow = speed(feet, frame_time) < SPEED * skeleton.height
    return without_short(low & slow, max(round(SHORTEST / frame_time), 1))


def feet(
    skeleton: Skeleton, rotations: Float[Tensor, "*b j 4"], positions: Float[Tensor, "*b j 3"]
) -> Float[Tensor, "*b c 3"]:
    """Return world positions of the contact joints alone, metres, without hands and fingers."""
    small, joints = skeleton.contact_rig
    return small.fk(rotations[..., list(joints), :], positions[..., list(joints), :])[1][..., list(small.contacts), :]


def drift(p: Float[Tensor, "*b t c 3"], on: Bool[Tensor, "*b t c"], frame_time: float) -> Float[Tensor, "*b t 3"]:
    """Return the velocity of what stands, m/s, smoothed: the mean over contacts, zero in the air."""
    if p.shape[-3] < 2:
        return torch.zeros_like(p[..., 0, :])
    step = p.diff(dim=-3) / frame_time
    stand = (on[..., 1:, :] & on[..., :-1, :]).to(p.dtype)[..., None]
    mean = (step * stand).sum(-2) / stand.sum(-2).clamp_min(1)
    return smooth(torch.cat((mean[..., :1, :], mean), -2), SMOOTH / frame_time)


def smooth(x: Float[Tensor, "*b t n"], sigma: float) -> Float[Tensor, "*b t n"]:
    """Return a Gaussian average along time, ``sigma`` in frames, cut off at three of them; ends are held."""
    radius = max(math.ceil(3 * sigma), 1)
    shift = torch.arange(-radius, radius + 1, device=x.device)
    kernel = torch.exp(-0.5 * (shift / max(sigma, 1e-3)) ** 2).to(x.dtype)
    flat = x.transpose(-1, -2).reshape(-1, 1, x.shape[-2])
    padded = torch.nn.functional.pad(flat, (radius, radius), mode="replicate")
    out = torch.nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None])
    return out.reshape(*x.shape[:-2], x.shape[-1], x.shape[-2]).transpose(-1, -2)


def runs(on: Bool[Tensor, "t"]) -> list[tuple[int, int]]:
    """Return first frame and frame after the last of each stretch that is on."""
    edges = torch.nn.functional.pad(on.int(), (1, 1)).diff()
    return list(zip((edges == 1).nonzero()[:, 0].tolist(), (edges == -1).nonzero()[:, 0].tolist(), strict=True))


def without_short(on: Bool[Tensor, "*b t c"], frames: int) -> Bool[Tensor, "*b t c"]:
    """Return labels without gaps, then runs, of fewer than ``frames`` frames (morphological closing, then opening)."""
    if frames < 2:
        return on
    x = on.float().transpose(-1, -2).reshape(-1, 1, on.shape[-2])

    def widest(x: Tensor, before: int, after: int) -> Tensor:
        padded = torch.nn.functional.pad(x, (before, after), mode="replicate")
        return torch.nn.functional.max_pool1d(padded, before + after + 1, 1)

    a, b = (frames - 1) // 2, frames - 1 - (frames - 1) // 2
    closed = 1 - widest(1 - widest(x, a, b), b, a)
    opened = widest(1 - widest(1 - closed, a, b), b, a)
    return (opened > 0.5).reshape(*on.shape[:-2], on.shape[-1], on.shape[-2]).transpose(-1, -2)
