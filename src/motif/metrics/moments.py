"""Curves of takes in units of what is normal for the exemplar, and their worst moments."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import contact, windows
from . import physical
from .body import Body
from .physical import Curves
from .realism import Match


@dataclass(frozen=True)
class Moment:
    """Where in time a measure is worst."""

    measure: str
    """``slip``, ``jerk`` or ``pose``."""
    take: int
    start: float
    """Seconds."""
    stop: float
    times: float
    """How many times the exemplar's mean (``slip``, ``jerk``) or the tolerance (``pose``) it is there."""
    usual: float
    """The same of the exemplar's own worst moment; 1 for ``pose``."""


def relative_curves(body: Body, curves: Curves, exemplar: Sequence[Curves], match: Match | None) -> Curves:
    """Return slip and jerk over the exemplar's mean, and pose error over the tolerance, per frame."""
    height, found = body.skeleton.height, {}
    for name in [k for k in ("slip", "jerk") if k in curves]:
        offset = physical.OFFSETS[name] * height
        found[name] = (curves[name] + offset) / (physical.pooled(exemplar, name).mean() + offset)
    step, frames = windows.stride(body.motion.fps), len(body.world)
    pose = body.world.new_full((frames,), torch.nan)
    if match is not None and len(match.errors):
        half = round(0.5 / body.motion.frame_time / step)
        centred = torch.arange(frames, device=pose.device) // step - half
        pose = match.errors[centred.clamp(0, len(match.errors) - 1)] / (windows.TOLERANCE * height)
    return {**found, "pose": pose}


def worst_moments(curves: Sequence[Curves], exemplar: Sequence[Curves], frame_time: float) -> list[Moment]:
    """Return for each measure the frames around its highest mean over about half a second, above half of that mean."""

    def smoothed(many: Sequence[Curves], measure: str) -> list[Tensor]:
        every = [torch.nan_to_num(c[measure])[:, None] for c in many if measure in c]
        return [contact.smooth(x, 0.2 / frame_time)[:, 0] for x in every]

    found, window = [], round(1.0 / frame_time)
    for measure in ("slip", "jerk", "pose"):
        if not (new := smoothed(curves, measure)):
            continue
        usual = 1.0 if measure == "pose" else max(float(c.max()) for c in smoothed(exemplar, measure))
        take = max(range(len(new)), key=lambda k: float(new[k].max()))
        values, top = new[take], int(new[take].argmax())
        low = (values < values[top] / 2).nonzero()[:, 0]
        start = max(0, top - window, *(low[low < top] + 1).tolist())
        stop = min(len(values), top + window, *low[low > top].tolist())
        times = float(values[start:stop].mean())
        found.append(Moment(measure, take, start * frame_time, stop * frame_time, times, usual))
    return sorted(found, key=lambda m: -m.times / m.usual)
