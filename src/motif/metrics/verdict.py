"""What an animator needs to know of takes: the worst moments, in units of the exemplar's normal, and a verdict."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .. import contact, windows
from . import physical
from .body import Body
from .physical import Curves
from .realism import Match


class Moment(NamedTuple):
    """Where in time a measure is worst."""

    measure: str
    """``slip``, ``jerk``, ``pose``, ``held`` or ``rise``."""
    take: int
    start: float
    """Seconds."""
    stop: float
    times: float
    """How many times the exemplar's mean (``slip``, ``jerk``) or fastest (``rise``) or the tolerance (``pose``) it is
    there; or seconds (``held``)."""
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


def held_moment(curves: Sequence[Curves], exemplar: Sequence[Curves], frame_time: float, height: float) -> Moment:
    """Return the longest stretch in which a pose stands still, in seconds, beside the exemplar's own longest."""
    limit = physical.hold_limit(exemplar, height)
    spans = [physical.longest_hold(c, limit) for c in curves]
    own = max(b - a for a, b in (physical.longest_hold(c, limit) for c in exemplar)) * frame_time
    take = max(range(len(spans)), key=lambda k: spans[k][1] - spans[k][0])
    start, stop = (frame * frame_time for frame in spans[take])
    return Moment("held", take, start, stop, stop - start, max(own, frame_time))


def rise_moment(curves: Sequence[Curves], exemplar: Sequence[Curves], frame_time: float, height: float) -> Moment:
    """Return where a take rises or falls fastest beside the exemplar's fastest way up or down."""
    limits, found = physical.fastest_rise(exemplar, height), []
    for take, curve in enumerate(curves):
        for way, limit in zip((curve["rise"], -curve["rise"]), limits, strict=True):
            times = (float(way.max()) + physical.RISE_OFFSET * height) / limit
            found.append((times, take, int(way.argmax())))
    times, take, top = max(found)
    around, end = round(0.25 / frame_time), len(curves[take]["rise"])
    return Moment("rise", take, max(top - around, 0) * frame_time, min(top + around, end) * frame_time, times, 1.0)


class Rule(NamedTuple):
    """A sentence for a measure beyond its limit."""

    key: str
    """Of the measure; ``slip_peak`` and ``jerk_peak`` compare the worst moment with the exemplar's own worst."""
    limit: float
    severity: Callable[[float], float]
    """Of the value: sentences are sorted by it."""
    text: str
    """With the value ``v``, its complement ``rest``, and when a measure is worst (``slip``, ``jerk``, ``pose``)."""


ABOVE = (
    Rule("slip_ratio", 1.25, lambda v: v, "feet slide {v:.1f}x more than in your clip, {slip}"),
    Rule("slip_peak", 1.25, lambda v: v, "feet slide {v:.1f}x more than anywhere in your clip, {slip}"),
    Rule("jerk_ratio", 1.2, lambda v: 2 * v, "it shakes {v:.1f}x more than your clip, {jerk}"),
    Rule("jerk_peak", 1.25, lambda v: v, "it jerks {v:.1f}x more than anywhere in your clip, {jerk}"),
    Rule("seams", 2, lambda v: 1 + v / 10, "the pose jumps {v:.0f} times a minute, which your clip never does"),
    Rule("rise_ratio", 1.3, lambda v: 2 * v, "it rises or falls {v:.1f}x as fast as your clip ever does, {rise}"),
    Rule("held", 1.0, lambda v: 1 + v, "it stands still {v:.1f} s longer than your clip ever does, {held}"),
    Rule("sink_ratio", 2, lambda v: v / 2, "feet sink into the floor {v:.1f}x as deep as in your clip"),
    Rule("float_ratio", 1.5, lambda v: v, "it floats {v:.1f}x as high above the floor as your clip"),
    Rule("bent", 0.05, lambda v: 1 + 5 * v, "{v:.0%} of the joints bend further than anywhere in your clip"),
    Rule("two_sample", 0.8, lambda v: 1.1, "a classifier tells it from your clip {v:.0%} of the time"),
)
"""Said above the limit; of a peak only where the mean is within its own."""
BELOW = (
    Rule("jerk_ratio", 0.7, lambda v: 1 / v, "it is softer than your clip: {v:.1f}x its sharpness"),
    Rule("precision", 0.75, lambda v: 3 - 2 * v, "{rest:.0%} of it is unlike your clip, {pose}"),
    Rule("coverage", 0.6, lambda v: 2 - v, "a take shows only {v:.0%} of what your clip does"),
    Rule("novelty", 0.05, lambda v: 1.5, "it is your clip again: next to nothing in it is new"),
    Rule("variety", 0.01, lambda v: 1.2, "each take shows what the others show, in another order at most"),
)
"""Said below the limit."""
GOOD = "it moves as your clip does: feet, sharpness and poses are all within what the clip itself does"
NEW = "{novelty:.0%} of its 2 s stretches are new, the longest copy lasts {copied_seconds:.1f} s"


def sentences(measures: Mapping[str, float], moments: Sequence[Moment], names: Sequence[str]) -> list[str]:
    """Return what the rules say of the measures of takes of these names, the worst first; NaN says nothing."""
    values, places = dict(measures), {}
    for m in moments:
        values[f"{m.measure}_peak"] = m.times / m.usual
        take = f" of {names[m.take]}" if len(names) > 1 else ""
        places[m.measure] = f"worst from {m.start:.1f} s to {m.stop:.1f} s{take}"
    broken = [rule for rule in ABOVE if values.get(rule.key, math.nan) > rule.limit]
    means = {rule.key for rule in broken if rule.key.endswith("_ratio")}
    broken = [rule for rule in broken if not rule.key.endswith("_peak") or f"{rule.key[:-5]}_ratio" not in means]
    broken += [rule for rule in BELOW if values[rule.key] < rule.limit]
    broken.sort(key=lambda rule: -rule.severity(values[rule.key]))
    words = [rule.text.format(v=values[rule.key], rest=1 - values[rule.key], **places) for rule in broken] or [GOOD]
    return words + [NEW.format(**values)] * (values["novelty"] >= 0.05)
