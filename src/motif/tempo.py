"""A varying tempo: what a real second take has and cuts have not. Where the clip itself is steady, takes are, too.

At another tempo a second of motion is nearly what it was, and two seconds are not: takes become new at less cost in
precision than by cuts. Their tempo varies as far as the clip's does where it repeats itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from . import resample, windows
from .features import Features
from .motion import Motion, heading

KNOT_SECONDS = 2.0  # time between two draws of the speed
EASE_SECONDS = 0.5  # seconds at both ends of a take in which the speed comes from and goes back to the clip's own
RATE = 10.0  # Hz at which a clip is compared with itself
LOG_STEP, STEPS = 0.06, 5  # tempi compared: this much apart in logarithm, so many to each side
MIN_FRAMES = 4  # clips shorter than this are taken to be steady


@dataclass(frozen=True, eq=False)
class TempoVariability:
    """How steady the tempo of some clips is."""

    squared_log_tempo: Float[Tensor, "n"]
    """For each second of the clips: of the tempo at which it comes again; infinite where it does not."""

    def amount(self, limit: float) -> float:
        """Return the standard deviation of a take's log speed: at most ``limit``, 0 below a step of compared tempi."""
        values = self.squared_log_tempo
        variance = float(values.clamp(max=limit**2).mean()) if len(values) else 0.0
        return math.sqrt(max(variance - LOG_STEP**2, 0.0))


def tempo_variability(clips: Sequence[Motion]) -> TempoVariability:
    """Compare every second of the clips with the rest of them at several tempi."""
    if min(map(len, clips)) < MIN_FRAMES:
        return TempoVariability(torch.zeros(0))
    skeleton, floor, sequences = clips[0].skeleton, clips[0].floor(), []
    rate = clips[0].fps / windows.stride(clips[0].fps)
    step = max(round(rate / RATE), 1)
    for clip in clips:
        windows.check_finite(clip)
        clip = replace(clip, skeleton=skeleton)
        world_q, world = clip.world()
        facing = heading(world_q[:, skeleton.root], skeleton, clip.frame_time)
        sequences.append(windows.poses(clip, world, facing, floor)[::step])
    found = [_squared_log_tempo(k, sequences, round(rate / step), skeleton.height) for k in range(len(sequences))]
    return TempoVariability(torch.cat(found))


def _squared_log_tempo(
    index: int, sequences: Sequence[Float[Tensor, "_t k 3"]], window: int, height: float
) -> Float[Tensor, "n"]:
    """Return for each window of one sequence the squared log tempo of the nearest window of all, itself excepted."""
    poses = sequences[index]
    least = poses.new_full((2 * STEPS + 1, max(len(poses) - window + 1, 0)), torch.inf)
    for n, row in enumerate(least):
        speed = math.exp(LOG_STEP * (n - STEPS))
        for other, sequence in enumerate(sequences):
            errors = windows.window_errors(windows.frame_errors(poses, _at_speed(sequence, speed)), window)
            if not errors.numel():
                continue
            if other == index:
                rows, columns = (torch.arange(count, device=errors.device) for count in errors.shape)
                errors.masked_fill_((rows[:, None] - columns * speed).abs() < window, torch.inf)
            torch.minimum(row, errors.amin(1), out=row)
    error, at = least.min(0)
    return torch.where(error < windows.TOLERANCE * height, (LOG_STEP * (at - STEPS)).square(), torch.inf)


def _at_speed(poses: Float[Tensor, "t k 3"], speed: float) -> Float[Tensor, "s k 3"]:
    """Return :func:`motif.windows.poses` at another speed; their last row is travel."""
    y = resample.resize(poses.flatten(1), max(round(len(poses) / speed), 1)).unflatten(1, (-1, 3)).clone()
    y[:, -1] *= speed
    return y


def time_warp(frames: int, frame_time: float, amount: float, generator: torch.Generator) -> Float[Tensor, "t"]:
    """Draw the time of each frame of a take, in frames of its source: a varying speed, the clip's own at both ends.

    ``amount`` is the standard deviation of the logarithm of the speed.
    """
    knots = torch.randn(math.ceil(frames * frame_time / KNOT_SECONDS) + 2, generator=generator).clamp(-2, 2).double()
    at = torch.arange(frames).double() * (frame_time / KNOT_SECONDS)
    before, ease = at.long(), (1 - torch.cos(math.pi * at.frac())) / 2
    log_speed = amount * torch.lerp(knots[before], knots[before + 1], ease)
    ends = ((torch.arange(frames) + 0.5) * (frame_time / EASE_SECONDS)).clamp(max=1.0).double()
    envelope = torch.minimum(ends, ends.flip(0)).square()
    speed = 1 + envelope * (torch.exp(log_speed) - 1)
    speed = speed - envelope * ((speed.sum() - frames) / envelope.sum())
    return speed.cumsum(0) - speed


def apply_time_warp(features: Features, x: Float[Tensor, "t e"], times: Float[Tensor, "s"]) -> Float[Tensor, "s e"]:
    """Return features, with velocities of any kind after them, at other times (fractional frames).

    Velocities are integrated, interpolated and differentiated again, so that feet that stood still do.
    """
    columns = range(x.shape[1])
    velocities = [*columns[features.width :], *(c for part in features.velocities for c in columns[part])]
    out = resample.sinc_interpolate(x, times)
    integral = resample.sinc_interpolate(x[:, velocities].double().cumsum(0), times)
    out[:, velocities] = torch.cat((x[:1, velocities], integral.diff(dim=0).to(x.dtype)))
    return out
