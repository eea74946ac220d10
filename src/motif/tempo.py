"""A tempo that strays: what a real second take has, and cuts have not. Where the clip itself is steady, takes are, too.

At another tempo a second of motion is nearly what it was, and two seconds are not: drift adds up. So takes become new
at less cost in precision than by cuts (docs/tradeoff.md). But a walk that keeps time must go on keeping time: tempo is
given as much freedom as the clip shows where it repeats itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from . import resample
from .features import Features
from .metrics import realism
from .metrics.body import LEAST, bodies
from .motion import Motion

SECONDS = 2.0
"""Time in which the tempo changes."""
ENDS = 0.5
"""Seconds at both ends of a take that lead from and to the clip's tempo."""
RATE = 10.0
"""Hz at which a clip is compared with itself."""
STEP, STEPS = 0.06, 5
"""Tempi compared: this much apart in logarithm, so many to each side."""


@dataclass(frozen=True, eq=False)
class TempoVariability:
    """How steady the tempo of some clips is."""

    strays: Float[Tensor, "n"]
    """For each second of the clips the square of the logarithm of the tempo at which it comes again, or infinity."""

    def amount(self, dial: float) -> float:
        """Standard deviation of the logarithm of a take's speed: at most ``dial``, less the steadier the clips are.

        Less than a step of the tempi compared cannot be told from none.
        """
        spread = float(self.strays.clamp(max=dial**2).mean()) if len(self.strays) else 0.0
        return math.sqrt(max(spread - STEP**2, 0.0))


def tempo_variability(clips: Sequence[Motion]) -> TempoVariability:
    """Compare every second of the clips with the rest of them at several tempi."""
    if min(map(len, clips)) < LEAST:
        return TempoVariability(torch.zeros(0))
    seen = bodies(clips, clips)[1]
    height = seen[0].skeleton.height
    step = max(round(clips[0].fps / realism.stride(seen[0]) / RATE), 1)
    poses = [realism.poses(b)[::step] for b in seen]
    rate = clips[0].fps / realism.stride(seen[0]) / step
    window = round(rate)
    found = []
    for k, x in enumerate(poses):
        least = torch.full((2 * STEPS + 1, max(len(x) - window + 1, 0)), torch.inf)
        for n, row in enumerate(least):
            speed = math.exp(STEP * (n - STEPS))
            for other, y in enumerate(poses):
                errors = realism.window_errors(realism.frame_errors(x, _faster(y, speed)), window)
                if not errors.numel():
                    continue
                if other == k:
                    here = torch.arange(len(errors))[:, None] - torch.arange(errors.shape[1]) * speed
                    errors = errors.masked_fill(here.abs() < window, torch.inf)
                row.copy_(torch.minimum(row, errors.amin(1)))
        error, at = least.min(0)
        again = error < realism.TOLERANCE * height
        found.append(torch.where(again, (STEP * (at - STEPS)).square(), torch.inf))
    return TempoVariability(torch.cat(found))


def _faster(poses: Float[Tensor, "t k 3"], speed: float) -> Float[Tensor, "s k 3"]:
    """Poses of :func:`realism.poses` at another speed; their last row is travel."""
    y = resample.resize(poses.flatten(1), max(round(len(poses) / speed), 1)).unflatten(1, (-1, 3)).clone()
    y[:, -1] *= speed
    return y


def time_warp(frames: int, frame_time: float, amount: float, random: torch.Generator) -> Float[Tensor, "t"]:
    """When each frame of a take is shown, in frames: a tempo that strays and comes back, the clip's own at both ends.

    Args:
        frames: of the take, and of what it is made from.
        frame_time: seconds.
        amount: standard deviation of the logarithm of the speed.
        random: where it comes from.
    """
    wander = torch.randn(math.ceil(frames * frame_time / SECONDS) + 2, generator=random).clamp(-2, 2).double()
    at = torch.arange(frames).double() * (frame_time / SECONDS)
    before, ease = at.long(), (1 - torch.cos(math.pi * at.frac())) / 2
    wander = torch.lerp(wander[before], wander[before + 1], ease)
    ends = ((torch.arange(frames) + 0.5) * (frame_time / ENDS)).clamp(max=1.0).double()
    window = torch.minimum(ends, ends.flip(0)).square()
    speed = 1 + window * (torch.exp(amount * wander) - 1)
    speed = speed - window * ((speed.sum() - frames) / window.sum())
    return speed.cumsum(0) - speed


def apply_time_warp(features: Features, x: Float[Tensor, "t e"], when: Float[Tensor, "s"]) -> Float[Tensor, "s e"]:
    """Features, with velocities of any kind after them, at other times (fractional frames).

    Velocities are interpolated as the way they sum up to, so that feet that stood still do.
    """
    at, moves = features.slices, list(range(features.width, x.shape[1]))
    for name in ("root_velocity", "root_turn"):
        moves += range(at[name].start, at[name].stop)
    out = resample.sinc_interpolate(x, when)
    way = resample.sinc_interpolate(x[:, moves].double().cumsum(0), when)
    out[:, moves] = torch.cat((x[:1, moves], way.diff(dim=0).to(x.dtype)))
    return out
