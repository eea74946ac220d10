"""How much newness each engine gives at which precision: sweeps of their dials, one table and one figure.

Run as ``python benchmarks/tradeoff.py [--clips salsa walk demo] [--takes 20]``. Every point is ``--takes`` takes of twice
the clip. Makes docs/tradeoff.md and docs/images/tradeoff.svg.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from suite import CLIPS

from motif import api, cores, metrics, pyramid
from motif.api import Model
from motif.edit import chance
from motif.motion import Motion
from motif.page import line_chart, number
from motif.recipes.clip_gan import ClipGan

DOCS = Path(__file__).resolve().parent.parent / "docs"
KEYS = [*metrics.HEADLINE[:6], "precision@0.025"]
VARIETY = (0.05, 0.2, 0.3, 0.4, 1.0)
TEMPO = (0.1, 0.15, 0.2, 0.25, 0.3)
PATCH = (31, 21, 15, 11, 7)
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
"""


def alone(model: Model, n: int, seed: int) -> list[Motion]:
    """What the net itself makes."""
    recipe, net, exemplar = model.recipe, model.net, model.exemplar
    assert isinstance(recipe, ClipGan)
    frames = 2 * sum(map(len, exemplar.full))
    count = max(round(frames / exemplar.stride * recipe._share(exemplar)), 2)
    takes = []
    with cores.one_thread(), torch.no_grad():
        for k in range(n):
            x = net.features(torch.randn(1, recipe.noise, count, generator=chance(seed, k)))[0]
            x = pyramid.resize(x, frames, antialias=False)
            takes.append(exemplar.features.motion(x, exemplar.frame_time, exemplar.start, f"alone-{k}"))
    return takes


def sweeps(clip: Motion, n: int, steps: int) -> Iterator[tuple[str, str, float, Callable[[], list[Motion]]]]:
    """Curve, point on it, seconds of training, and how to make its takes."""

    def with_dials(model: Model, **dials: Any) -> Callable[[], list[Motion]]:
        return lambda: replace(model, recipe=replace(model.recipe, **dials)).sample(n, seed=1)  # type: ignore[type-var]

    matcher = api.fit("clip-match", clip)
    for value in VARIETY:
        yield "matcher", f"variety {value:g}", 0.0, with_dials(matcher, variety=value, tempo=0.0)
    for value in TEMPO:
        yield "matcher, tempo", f"tempo {value:g}", 0.0, with_dials(matcher, variety=0.2, tempo=value)
    start = time.perf_counter()
    gan = api.fit("clip-gan", clip, 1)
    took = time.perf_counter() - start
    for value in PATCH:
        yield "hybrid", f"patch {value}", took, with_dials(gan, patch=value, tempo=0.0)
    for value in PATCH:
        yield "hybrid, tempo", f"patch {value}", took, with_dials(gan, patch=value, tempo=0.2)
    start = time.perf_counter()
    fine = api.fit("clip-gan", clip, 1, levels=0, crop=60, dilations=(1, 2, 4, 8, 4, 2), steps=steps)
    took = time.perf_counter() - start
    yield "GAN alone", f"{steps} steps", took, lambda: alone(fine, n, 1)


def figure(curves: dict[str, dict[str, tuple[list[float], list[float]]]]) -> str:
    """One panel a clip."""
    wide, high = 420, 320
    panels = []
    for n, (clip, lines) in enumerate(curves.items()):
        drawn = {name: (xs, ys) for name, (xs, ys) in lines.items()}
        chart = line_chart(drawn, (wide - 10, high - 10), x_name="", top=1.0, title=clip, inks=INKS)
        panels.append(
            chart.replace("<svg ", f'<svg x="{n * wide}" y="30" width="{wide - 10}" height="{high - 10}" ', 1)
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide * len(curves)} {high + 30}" '
        f'font-family="sans-serif" font-size="12" fill="#374151"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="44" y="20" font-size="15">Novelty (up) over precision (right)</text>{"".join(panels)}</svg>\n'
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
        head = ["", f"## {name}", "", f"| | | {' | '.join(KEYS)} | fit s |", "|---" * (len(KEYS) + 3) + "|"]
        lines += head
        for curve, point, cost, make in sweeps(clip, options.takes, options.steps):
            found = metrics.report(make(), [clip])
            every = {**found.headline, "precision@0.025": found.realism["precision@0.025"]}
            xs, ys = curves.setdefault(name, {}).setdefault(curve, ([], []))
            xs.append(every["precision"])
            ys.append(every["novelty"])
            lines.append(f"| {curve} | {point} | {' | '.join(number(k, every[k]) for k in KEYS)} | {cost:.0f} |")
            print(name, lines[-1], flush=True)
    command = f"python benchmarks/tradeoff.py --takes {options.takes} --steps {options.steps}"
    about = {"command": command, "takes": options.takes, "steps": options.steps}
    ends = {"variety": (VARIETY[0], VARIETY[-1]), "tempo": (TEMPO[0], TEMPO[-1]), "patch": (PATCH[0], PATCH[-1])}
    (DOCS / "tradeoff.md").write_text(HEAD.format(**about, **ends) + "\n".join(lines) + "\n")
    (DOCS / "images" / "tradeoff.svg").write_text(figure(curves))


if __name__ == "__main__":
    main()
