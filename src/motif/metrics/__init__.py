"""Measures of new motion against the clips it came from: headline, worst moments and a verdict in words."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from .. import contact, parallel
from ..motion import Motion
from . import classifier, clip, physical, realism
from .body import Body, bodies
from .physical import Curves

HEADLINE = ("slip_ratio", "jerk_ratio", "coverage", "precision", "novelty", "two_sample", "variety")
"""The numbers shown first. Their names and meaning do not change."""
MEANING = {
    "slip_ratio": "standing feet slide, 1 = as in the clip",
    "jerk_ratio": "shake, 1 = as in the clip",
    "coverage": "of the clip's seconds are in every take",
    "precision": "of the takes' seconds are as in the clip",
    "novelty": "of the takes' 2 s stretches are nowhere in the clip",
    "two_sample": "how surely takes are told from the clip, 0.5 = not at all",
    "variety": "of a take's 2 s stretches are good and not in the next take",
}


@dataclass(frozen=True)
class Moment:
    """Where in time something is worst."""

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


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that is known of takes against their exemplar clips."""

    headline: dict[str, float]
    """By the names in ``HEADLINE``. Ratios are 1 where takes are as the exemplar; NaN where a measure means nothing,
    as slip on a rig that never touches the ground or windows of a clip shorter than they are."""
    physical: dict[str, float]
    """See :func:`motif.metrics.physical.measures`."""
    realism: dict[str, float]
    """See :func:`motif.metrics.realism.measures`; two_sample and variety besides."""
    published: dict[str, float]
    """See :func:`motif.metrics.clip.measures`."""
    takes: list[dict[str, float]]
    """The headline of every take alone, without what needs several (variety) or many windows (two_sample)."""
    moments: list[Moment]
    """The worst one of each measure; first what is worst beside the exemplar's own worst."""
    curves: list[Curves]
    """Per take, ``slip`` and ``jerk`` over the exemplar's mean and ``pose`` (error of the second around each frame
    over the tolerance), per frame; NaN where they mean nothing."""
    peaks: dict[str, float]
    """The exemplar's own largest ``slip`` and ``jerk``, over its mean: moments up to here are in the clip, too."""
    names: list[str]
    """Of the takes."""
    frame_time: float
    """Seconds a frame, of the curves."""

    def plain(self) -> dict[str, Any]:
        """Everything but the curves as plain values for JSON: the headline's keys at the top, None for NaN."""
        takes = [{"name": name, **numbers} for name, numbers in zip(self.names, self.takes, strict=True)]
        moments = [{**asdict(m), "take": self.names[m.take]} for m in self.moments]
        groups = {"physical": self.physical, "realism": self.realism, "published": self.published}
        return _without_nan({**self.headline, "verdict": self.verdict(), "moments": moments, "takes": takes, **groups})

    def verdict(self) -> list[str]:
        """What an animator needs to know, in words, the worst first."""
        return _verdict(self)


def score(takes: Sequence[Motion], against: Sequence[Motion]) -> dict[str, float]:
    """The headline numbers of takes against their exemplar clips, all of one rig; see :class:`Report`."""
    return report(takes, against, published=False).headline


def report(
    takes: Sequence[Motion],
    against: Sequence[Motion],
    published: bool = True,
    progress: Callable[[float], None] = lambda done: None,
) -> Report:
    """Judge takes by their exemplar clips.

    Args:
        takes: one or more, of the exemplar's rig and rate.
        against: the exemplar clips.
        published: whether the papers' own measures are computed, too.
        progress: hears the share of the work done.

    Raises:
        MotifError: for what cannot be scored, see :func:`motif.metrics.body.bodies`.
    """
    with parallel.single_thread():
        new, truth = bodies(takes, against)
        progress(0.1)
        height = truth[0].skeleton.height
        old_curves = [physical.curves(b, truth) for b in truth]
        new_curves = parallel.parallel_map(lambda b: physical.curves(b, truth), new)
        progress(0.25)
        rate = truth[0].motion.fps / realism.stride(truth[0])
        clips = [realism.poses(b) for b in truth]
        seen = [realism.poses(b) for b in new]
        near = realism.TOLERANCE / 2 * height
        matches = parallel.parallel_map(
            lambda p: realism.match(p, clips, rate, near), seen, lambda done: progress(0.25 + 0.3 * done)
        )
        real = realism.measures(matches, rate, height)
        real["variety"] = realism.variety(seen, matches, rate, height)
        progress(0.75)
        real["two_sample"] = classifier.two_sample(new, truth, matches)
        progress(0.85)
        body = physical.measures(new_curves, old_curves, truth[0])
        papers = clip.measures(takes, against) if published else {}
        progress(1.0)
    single = []
    for curve, match in zip(new_curves, matches, strict=True):
        one = realism.measures([match], rate, height)
        ratios = {f"{name}_ratio": physical.mean_ratio([curve], old_curves, name, height) for name in ("slip", "jerk")}
        single.append({**ratios, **{k: one[k] for k in ("coverage", "precision", "novelty", "copied_seconds")}})
    shown = [_shown(b, c, old_curves, m) for b, c, m in zip(new, new_curves, matches, strict=True)]
    usual = [_shown(b, c, old_curves, None) for b, c in zip(truth, old_curves, strict=True)]
    every = {**body, **real}
    return Report(
        {key: every[key] for key in HEADLINE},
        body,
        real,
        papers,
        single,
        _moments(shown, usual, truth[0].frame_time),
        shown,
        _peaks(old_curves, height),
        [b.name for b in new],
        truth[0].frame_time,
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- over time -------------------------------------------------------------------------------------------------------
def _shown(
    body: Body,
    curves: Curves,
    old: Sequence[Curves],
    match: realism.Match | None,
) -> Curves:
    """The three curves that a report shows, in units of what is normal."""
    height, found = body.skeleton.height, {}
    for name in ("slip", "jerk"):
        if name in curves:
            least = physical.LEAST[name] * height
            found[name] = (curves[name] + least) / (physical.pooled(old, name).mean() + least)
    step, frames = realism.stride(body), len(body.world)
    pose = torch.full((frames,), torch.nan)
    if match is not None and len(match.one):
        half = round(0.5 / body.frame_time / step)
        at = (torch.arange(frames) // step - half).clamp(0, len(match.one) - 1)
        pose = match.one[at] / (realism.TOLERANCE * height)
    return {**found, "pose": pose}


def _peaks(old: Sequence[Curves], height: float) -> dict[str, float]:
    found = {}
    for name in ("slip", "jerk"):
        values, least = physical.pooled(old, name), physical.LEAST[name] * height
        if len(values):
            found[name] = float((values.max() + least) / (values.mean() + least))
    return found


def _moments(curves: Sequence[Curves], usual: Sequence[Curves], frame_time: float) -> list[Moment]:
    """For each measure the frames around its highest mean over about half a second that stay above half of that."""

    def smooth(many: Sequence[Curves], measure: str) -> list[Tensor]:
        sigma = 0.2 / frame_time
        return [contact.smooth(torch.nan_to_num(c[measure])[:, None], sigma)[:, 0] for c in many if measure in c]

    found = []
    for measure in ("slip", "jerk", "pose"):
        new = smooth(curves, measure)
        if not new:
            continue
        own = 1.0 if measure == "pose" else max(float(c.max()) for c in smooth(usual, measure))
        take = max(range(len(new)), key=lambda k: float(new[k].max()))
        values, top = new[take], int(new[take].argmax())
        low = (values < values[top] / 2).nonzero()[:, 0]
        reach = round(1.0 / frame_time)
        start = max([int(k) + 1 for k in low[low < top]] + [0, top - reach])
        stop = min([int(k) for k in low[low > top]] + [len(values), top + reach])
        times = float(values[start:stop].mean())
        found.append(Moment(measure, take, start * frame_time, stop * frame_time, times, own))
    return sorted(found, key=lambda m: -m.times / m.usual)


# --- in words --------------------------------------------------------------------------------------------------------
def _verdict(report: Report) -> list[str]:
    h, p, r = report.headline, report.physical, report.realism
    worst = {m.measure: m for m in report.moments}
    said: list[tuple[float, str]] = []

    def where(measure: str) -> str:
        m = worst[measure]
        take = f" of {report.names[m.take]}" if len(report.names) > 1 else ""
        return f"worst from {m.start:.1f} s to {m.stop:.1f} s{take}"

    if h["slip_ratio"] > 1.25:
        said.append((h["slip_ratio"], f"feet slide {h['slip_ratio']:.1f}x more than in your clip, {where('slip')}"))
    elif "slip" in worst and worst["slip"].times > 1.25 * worst["slip"].usual:
        times = worst["slip"].times / worst["slip"].usual
        said.append((times, f"feet slide {times:.1f}x more than anywhere in your clip, {where('slip')}"))
    if h["jerk_ratio"] > 1.2:
        said.append((2 * h["jerk_ratio"], f"it shakes {h['jerk_ratio']:.1f}x more than your clip, {where('jerk')}"))
    elif "jerk" in worst and worst["jerk"].times > 1.25 * worst["jerk"].usual:
        times = worst["jerk"].times / worst["jerk"].usual
        said.append((times, f"it jerks {times:.1f}x more than anywhere in your clip, {where('jerk')}"))
    if h["jerk_ratio"] < 0.7:
        said.append((1 / h["jerk_ratio"], f"it is softer than your clip: {h['jerk_ratio']:.1f}x its sharpness"))
    if h["precision"] < 0.75:
        said.append((3 - 2 * h["precision"], f"{1 - h['precision']:.0%} of it is unlike your clip, {where('pose')}"))
    if p["seams"] > 2:
        said.append(
            (1 + p["seams"] / 10, f"the pose jumps {p['seams']:.0f} times a minute, which your clip never does")
        )
    if p["sink_ratio"] > 2:
        said.append((p["sink_ratio"] / 2, f"feet sink into the floor {p['sink_ratio']:.1f}x as deep as in your clip"))
    if p["float_ratio"] > 1.5:
        said.append((p["float_ratio"], f"it floats {p['float_ratio']:.1f}x as high above the floor as your clip"))
    if p["bent"] > 0.05:
        said.append((1 + 5 * p["bent"], f"{p['bent']:.0%} of the joints bend further than anywhere in your clip"))
    if h["coverage"] < 0.6:
        said.append((2 - h["coverage"], f"a take shows only {h['coverage']:.0%} of what your clip does"))
    if h["novelty"] < 0.05:
        said.append((1.5, "it is your clip again: next to nothing in it is new"))
    if h["variety"] < 0.01:
        said.append((1.2, "each take shows what the others show, in another order at most"))
    if h["two_sample"] > 0.8:
        said.append((1.1, f"a classifier tells it from your clip {h['two_sample']:.0%} of the time"))
    words = [text for _, text in sorted(said, key=lambda item: -item[0])]
    if not words:
        words = ["it moves as your clip does: feet, sharpness and poses are all within what the clip itself does"]
    if not math.isnan(h["novelty"]) and h["novelty"] >= 0.05:
        words.append(
            f"{h['novelty']:.0%} of its 2 s stretches are new, the longest copy lasts {r['copied_seconds']:.1f} s"
        )
    return words
