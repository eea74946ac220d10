"""Measures of new motion against the clips it came from: headline, worst moments and a verdict in words."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import parallel, windows
from ..motion import Motion
from . import classifier, papers, physical, realism, verdict
from .body import bodies
from .physical import Curves
from .verdict import Moment, relative_curves, worst_moments

MEANING = {
    "slip_ratio": "standing feet slide, 1 = as in the clip",
    "jerk_ratio": "shake, 1 = as in the clip",
    "coverage": "of the clip's seconds are in every take",
    "precision": "of the takes' seconds are as in the clip",
    "novelty": "of the takes' 2 s stretches are nowhere in the clip",
    "two_sample": "how surely takes are told from the clip, 0.5 = not at all",
    "variety": "of a take's 2 s stretches are good and not in the next take",
}
HEADLINE = tuple(MEANING)  # the numbers shown first. Their names and meaning do not change


@dataclass(frozen=True, eq=False)
class Report:
    """All measures of takes against their exemplar clips."""

    headline: dict[str, float]
    """By the names in ``HEADLINE``. Ratios are 1 where takes are as the exemplar; NaN where a measure means nothing,
    as slip on a rig that never touches the ground or windows of a clip shorter than they are."""
    physical: dict[str, float]
    """See :func:`motif.metrics.physical.measures`."""
    realism: dict[str, float]
    """See :func:`motif.metrics.realism.measures`; two_sample and variety besides."""
    published: dict[str, float]
    """See :func:`motif.metrics.papers.measures`."""
    takes: list[dict[str, float]]
    """The headline of every take alone, without what needs several (variety) or many windows (two_sample)."""
    moments: list[Moment]
    """The worst one of each measure; first what is worst beside the exemplar's own worst."""
    curves: list[Curves]
    """Per take and frame, ``slip`` and ``jerk`` over the exemplar's mean, ``pose`` error over the tolerance; or NaN."""
    peaks: dict[str, float]
    """The exemplar's own largest ``slip`` and ``jerk``, over its mean: moments up to here are in the clip, too."""
    names: list[str]
    """Of the takes."""
    frame_time: float
    """Seconds a frame, of the curves."""

    def plain(self) -> dict[str, Any]:
        """Return everything but the curves as plain values for JSON: the headline at the top, None for NaN."""
        takes = [{"name": name, **numbers} for name, numbers in zip(self.names, self.takes, strict=True)]
        moments = [{**m._asdict(), "take": self.names[m.take]} for m in self.moments]
        groups = {"physical": self.physical, "realism": self.realism, "published": self.published}
        whole = {**self.headline, "verdict": self.verdict(), "moments": moments, "takes": takes, **groups}
        return json.loads(json.dumps(whole), parse_constant=lambda name: None)

    def verdict(self) -> list[str]:
        """Return what an animator needs to know, in words, the worst first."""
        return verdict.sentences({**self.physical, **self.realism}, self.moments, self.names)


def score(takes: Sequence[Motion], against: Sequence[Motion]) -> dict[str, float]:
    """Return the headline numbers of takes against their exemplar clips, all of one rig; see :class:`Report`."""
    return report(takes, against, published=False).headline


def report(
    takes: Sequence[Motion],
    against: Sequence[Motion],
    published: bool = True,
    progress: Callable[[float], None] = lambda done: None,
) -> Report:
    """Measure takes against their exemplar clips, by the papers' own measures, too, if ``published``."""
    with parallel.single_thread():
        new, exemplar = bodies(takes, against)
        progress(0.1)
        frame_time, height = exemplar[0].motion.frame_time, exemplar[0].skeleton.height
        rate = exemplar[0].motion.fps / windows.stride(exemplar[0].motion.fps)
        normal = [physical.curves(b, exemplar) for b in exemplar]
        curves = parallel.parallel_map(lambda b: physical.curves(b, exemplar), new)
        progress(0.25)
        clips, near = [b.poses for b in exemplar], windows.TOLERANCE / 2 * height
        matches = parallel.parallel_map(
            lambda b: realism.match(b.poses, clips, rate, near), new, lambda done: progress(0.25 + 0.3 * done)
        )
        real = realism.measures(matches, rate, height)
        real["variety"] = realism.variety([b.poses for b in new], matches, rate, height)
        progress(0.75)
        real["two_sample"] = classifier.two_sample(new, exemplar, matches)
        progress(0.85)
        body = physical.measures(curves, normal, exemplar[0])
        found = papers.measures(takes, against) if published else {}
        progress(1.0)
    single = []
    for curve, match in zip(curves, matches, strict=True):
        one = realism.measures([match], rate, height)
        ratios = {f"{k}_ratio": physical.mean_ratio([curve], normal, k, height) for k in ("slip", "jerk")}
        single.append({**ratios, **{k: one[k] for k in ("coverage", "precision", "novelty", "copied_seconds")}})
    relative = [relative_curves(b, c, normal, m) for b, c, m in zip(new, curves, matches, strict=True)]
    own = [relative_curves(b, c, normal, None) for b, c in zip(exemplar, normal, strict=True)]
    moments = worst_moments(relative, own, frame_time)
    if body["rise_ratio"] > 1:
        moments.append(verdict.rise_moment(curves, normal, frame_time, height))
    if body["held"]:
        moments.append(verdict.held_moment(curves, normal, frame_time, height))
    return Report(
        headline={key: {**body, **real}[key] for key in HEADLINE},
        physical=body,
        realism=real,
        published=found,
        takes=single,
        moments=moments,
        curves=relative,
        peaks={k: float(v.max()) for k in ("slip", "jerk") if len(v := physical.pooled(own, k))},
        names=[b.motion.name for b in new],
        frame_time=frame_time,
    )
