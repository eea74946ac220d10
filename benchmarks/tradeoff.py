"""How much newness each engine gives at which precision: sweeps of their dials, one table and one figure.

Run as ``python benchmarks/tradeoff.py [--clips salsa walk demo] [--takes 20]``. Every point is ``--takes`` takes of twice
the clip. Makes docs/tradeoff.md and docs/images/tradeoff.svg.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from suite import CLIPS

from motif import api, metrics, parallel, resample
from motif.api import Model
from motif.metrics import fakes
from motif.motion import Motion
from motif.page import number
from motif.recipes import coarse
from motif.recipes.clip_gan import ClipGan
from motif.seeds import take_rng

DOCS = Path(__file__).resolve().parent.parent / "docs"
KEYS = [*metrics.HEADLINE[:6], "precision@0.025", "novelty@0.025"]
PAPERS = ["coverage", "global_diversity", "local_diversity"]
VARIETY = (0.05, 0.2, 0.3, 0.4, 1.0)
TEMPO = (0.1, 0.15, 0.2, 0.25, 0.3)
HYBRID = (0.0, 0.25, 0.5, 0.7, 1.0)
INKS = ("#2563eb", "#0891b2", "#dc2626", "#f59e0b", "#111827")
HEAD = """# New at what price?

Made by `{command}`: {takes} takes of twice the clip at every point, seed 1; fit is wall seconds on one thread of a shared
machine. Precision: share of the takes' seconds that are within 5 % of the body height of the clip. Novelty: share of their
2 s stretches that no stretch of the clip explains. Up and to the right is better.

![Novelty over precision](images/tradeoff.svg)

- **matcher**: `clip-match` at the clip's tempo (`tempo=0`), its `variety` turned from {variety[0]} to {variety[1]}.
- **matcher, tempo**: the same at `variety=0.2`, `tempo` turned from {tempo[0]} to {tempo[1]}.
- **hybrid**: `clip-gan` (adversarial net at 5 Hz, matching from there up), `tempo=0`, stretches of {patch[0]} to {patch[1]} frames.
- **hybrid, tempo**: the same at `tempo=0.2`.
- **GAN alone**: nothing but the net, at the clip's own fine rate (30 Hz), trained for {steps} steps; no matching, no foot lock.
- **copy**: the clip itself twice over, facing other ways. The papers' coverage and diversities are told beside: turning
  alone moves them, because their channels are not free of heading.
"""


def alone(model: Model, n: int, seed: int) -> list[Motion]:
    """What the net itself makes."""
    recipe, net, exemplar = model.recipe, model.net, model.exemplar
    assert isinstance(recipe, ClipGan)
    frames = 2 * sum(map(len, exemplar.full))
    count = max(round(frames / exemplar.stride * coarse.share(exemplar, recipe.levels)), 2)
    takes = []
    with parallel.single_thread(), torch.no_grad():
        for k in range(n):
            x = net.made(torch.randn(1, recipe.noise, count, generator=take_rng(seed, k)))[0]
            x = resample.resize(x, frames, antialias=False)
            takes.append(exemplar.features.motion(x, exemplar.frame_time, exemplar.start, f"alone-{k}"))
    return takes


def sweeps(clip: Motion, n: int, steps: int) -> Iterator[tuple[str, str, float, Callable[[], list[Motion]]]]:
    """Curve, point on it, seconds of training, and how to make its takes."""

    def with_dials(model: Model, **dials: Any) -> Callable[[], list[Motion]]:
        return lambda: model.turned(**dials).sample(n, seed=1)

    matcher = api.fit("clip-match", clip)
    for value in VARIETY:
        yield "matcher", f"variety {value:g}", 0.0, with_dials(matcher, variety=value, tempo=0.0)
    for value in TEMPO:
        yield "matcher, tempo", f"tempo {value:g}", 0.0, with_dials(matcher, variety=0.2, tempo=value)
    start = time.perf_counter()
    gan = api.fit("clip-gan", clip, 1)
    took = time.perf_counter() - start
    for curve, tempo in (("hybrid", 0.0), ("hybrid, tempo", 0.2)):
        for value in HYBRID:
            point = f"patch {coarse.patch(value)}"
            yield curve, point, took, with_dials(gan, variety=value, tempo=tempo)
    start = time.perf_counter()
    fine = api.fit("clip-gan", clip, 1, levels=0, crop=60, dilations=(1, 2, 4, 8, 4, 2), steps=steps)
    took = time.perf_counter() - start
    yield "GAN alone", f"{steps} steps", took, lambda: alone(fine, n, 1)
    yield "copy", "as it is", 0.0, lambda: fakes.takes("copy", [clip], n, 2 * len(clip))
    for turn in (45, 90, 180):
        turned = clip.transform(math.radians(turn))
        yield "copy", f"turned by {turn} degrees", 0.0, partial(fakes.takes, "copy", [turned], n, 2 * len(clip))


def figure(curves: dict[str, dict[str, tuple[list[float], list[float]]]]) -> str:
    """One panel a clip, precision to the right from 0.4 on, novelty up; what is less precise lies on the left edge."""
    wide, low, parts = 300, 0.4, []
    for n, (clip, lines) in enumerate(curves.items()):
        left = 50 + n * (wide + 40)
        parts.append(f'<text x="{left}" y="44" font-weight="600">{clip}</text>')
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
            y, x = 50 + wide * (1 - tick), left + wide * tick
            parts.append(f'<path d="M{left} {y}h{wide}M{x} 50v{wide}" stroke="#d1d5db" stroke-width=".6"/>')
            parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
            parts.append(f'<text x="{x}" y="{wide + 66}" text-anchor="middle">{low + tick * (1 - low):.2g}</text>')
        for ink, (xs, ys) in zip(INKS, lines.values(), strict=False):
            at = [
                (left + wide * max(x - low, 0.0) / (1 - low), 50 + wide * (1 - y)) for x, y in zip(xs, ys, strict=True)
            ]
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
            parts.append(f'<path d="M{path}" fill="none" stroke="{ink}" stroke-width="1.5"/>')
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{ink}"/>' for x, y in at]
    for k, (name, ink) in enumerate(zip(next(iter(curves.values())), INKS, strict=False)):
        parts.append(f'<circle cx="{400 + 125 * k}" cy="16" r="4" fill="{ink}"/>')
        parts.append(f'<text x="{408 + 125 * k}" y="20">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {50 + len(curves) * (wide + 40)} {wide + 80}" '
        f'font-family="sans-serif" font-size="12" fill="#374151"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="50" y="20" font-size="15">Novelty (up) over precision (right)</text>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", choices=list(CLIPS), default=["salsa", "walk", "demo"])
    parser.add_argument("--takes", type=int, default=20)
    parser.add_argument("--steps", type=int, default=2000, help="of the GAN alone")
    options = parser.parse_args()
    lines, curves = [], {}
    for name in options.clips:
        clip = CLIPS[name]()
        keys = [*KEYS, *(f"published {k}" for k in PAPERS)]
        head = ["", f"## {name}", "", f"| | | {' | '.join(keys)} | fit s |", "|---" * (len(keys) + 3) + "|"]
        lines += head
        for curve, point, cost, make in sweeps(clip, options.takes, options.steps):
            found = metrics.report(make(), [clip])
            every = {**found.realism, **found.headline}
            if curve != "copy":
                xs, ys = curves.setdefault(name, {}).setdefault(curve, ([], []))
                xs.append(every["precision"])
                ys.append(every["novelty"])
            cells = [number(k, every[k]) for k in KEYS] + [number("", found.published[k]) for k in PAPERS]
            lines.append(f"| {curve} | {point} | {' | '.join(cells)} | {cost:.0f} |")
            print(name, lines[-1], flush=True)
    command = f"python benchmarks/tradeoff.py --takes {options.takes} --steps {options.steps}"
    about = {"command": command, "takes": options.takes, "steps": options.steps}
    ends = {"variety": (VARIETY[0], VARIETY[-1]), "tempo": (TEMPO[0], TEMPO[-1]), "patch": (31, 7)}
    (DOCS / "tradeoff.md").write_text(HEAD.format(**about, **ends) + "\n".join(lines) + "\n")
    (DOCS / "images" / "tradeoff.svg").write_text(figure(curves))


if __name__ == "__main__":
    main()
