"""Which engine by default: quality over total time, for every engine on clips of several rigs, and for the peers.

Run as ``python benchmarks/choice.py [--takes 20] [--peer-seconds 60]``. Total time is learning and ``--takes`` takes of
twice the clip. Creatures are read from ``.data/creatures`` (see CONTRIBUTING.md). The peers' published settings, which
take hours, are trained for ``--peer-seconds`` on the salsa; what the whole would take is told by measured steps. Makes
docs/choice.md and docs/images/choice.svg.
"""

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import torch
from ablation import limited
from suite import CLIPS

from motif import api, metrics
from motif.page import number
from motif.train import TrainConfig

HOME = Path(__file__).resolve().parent.parent
CREATURES = HOME / ".data" / "creatures" / "mesh2motion" / "static" / "animations"
BESIDE = {
    "horse": ("horse-animations.glb", ("Turn_Left", "Turn_Right", "Eating", "Idle")),
    "fox": ("fox-animations.glb", ("Bark", "Howl", "Jump", "Idle", "Idle Alert")),
}
"""Files of creatures, and which of their clips are learned together."""
NAMES = ["demo", "salsa", "walk", *BESIDE]
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "matcher": ("clip-match", {"tempo": 0.0}),
    "matcher, tempo": ("clip-match", {}),
    "GAN + matching": ("clip-gan", {}),
    "flow + matching": ("clip-flow", {}),
    "GAN, little matching": ("clip-gan", {"variety": 1.0}),
    "flow, little matching": ("clip-flow", {"variety": 1.0}),
}
"""As shipped, and with stretches of 7 frames, where most of a take is the net's."""
PEERS = {"ganimator": {}, "paper": {}, "sinmdm": {"evaluations": 50}, "sinmdm-qna": {"evaluations": 50}}
KEYS = [*metrics.HEADLINE, "precision@0.025", "novelty@0.025"]
PANELS = ("coverage", "precision", "novelty", "two_sample")
INKS = dict(zip([*ROWS, *PEERS], ("#2563eb", "#0891b2", "#dc2626", "#7c3aed", "#f59e0b", "#db2777", *["#6b7280"] * 4)))
HEAD = """# Which engine by default?

Made by `{command}`: {takes} takes of twice the clip, seed 1. *Total* is learning and all takes in wall seconds on a shared
machine of two cores; a net is fitted once for its two rows. Horse and fox are several short clips of animated
creatures (Mesh2Motion), learned together.

![Quality over total time](images/choice.svg)

Dots are means over the clips, bars go from the worst to the best clip; two-sample is better the nearer it is to 0.5. Grey: the
peers' published settings after {peer:.0f} s on the salsa; dashed lines say what their whole training would take here.

What we take from it (2026-11-21): on human clips the matcher with a tempo of its own gives what net and matching give, in a
thirtieth of the time, so it is what `motif vary` runs; on several short clips of a creature net and matching are truer to
them, so a net is what `motif fit` trains. Little matching means more that is new, and less that is true.

"""


class Row(NamedTuple):
    """One engine on one clip."""

    clip: str
    engine: str
    total: float
    whole: float
    """Seconds that the published training would take; NaN for ours, which is whole."""
    values: dict[str, float]


def clips(names: list[str]) -> Iterator[tuple[str, list[api.Motion]]]:
    """Names and clips, those that are there."""
    for name in names:
        try:
            file, several = BESIDE.get(name, ("", ()))
            yield (
                name,
                [api.load(CREATURES / file, api.ReadConfig(clip=one)) for one in several] if file else [CLIPS[name]()],
            )
        except api.MotifError as error:
            print(f"{name}: skipped ({error})")


def judged(takes: list[api.Motion], clip: list[api.Motion]) -> dict[str, float]:
    """Numbers of takes."""
    report = metrics.report(takes, clip)
    return {**report.realism, **report.headline}


def ours(name: str, clip: list[api.Motion], n: int) -> Iterator[Row]:
    """Every row of ours on one clip."""
    models: dict[str, tuple[api.Model, float]] = {}
    for row, (engine, dials) in ROWS.items():
        if engine not in models:
            start = time.perf_counter()
            learned = api.fit(engine, clip, 1)
            models[engine] = learned, time.perf_counter() - start
        model, fitted = models[engine]
        start = time.perf_counter()
        takes = model.turned(**dials).sample(n, seed=1)
        yield Row(name, row, fitted + time.perf_counter() - start, math.nan, judged(takes, clip))


def peers(name: str, clip: list[api.Motion], n: int, seconds: float) -> Iterator[Row]:
    """The published settings for a while."""
    for engine, dials in PEERS.items():
        _, whole, precision, shorter = limited(engine, clip[0], seconds)
        start = time.perf_counter()
        takes = api.fit(engine, clip, 1, train=TrainConfig(precision), **shorter).turned(**dials).sample(n, seed=1)
        yield Row(name, engine, time.perf_counter() - start, whole, judged(takes, clip))


def figure(rows: list[Row]) -> str:
    """Four panels, one a measure, over seconds (logarithmic)."""
    wide, tall, parts = 250, 220, []

    def across(left: float, seconds: float) -> float:
        return left + wide * (math.log10(max(seconds, 0.3)) + 0.5) / 6.2

    for k, key in enumerate(PANELS):
        left, low = 50 + k * (wide + 45), 0.5 if key == "two_sample" else 0.0
        up = lambda v, low=low: 60 + tall * (1 - (min(max(v, low), 1.0) - low) / (1 - low))  # noqa: E731
        parts.append(f'<text x="{left}" y="50" font-weight="600">{key}</text>')
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
            value = low + tick * (1 - low)
            parts.append(f'<path d="M{left} {up(value)}h{wide}" stroke="#d1d5db" stroke-width=".6"/>')
            parts.append(f'<text x="{left - 5}" y="{up(value) + 4}" text-anchor="end">{value:.2g}</text>')
        for seconds, word in ((1, "1 s"), (10, "10 s"), (60, "1 min"), (3600, "1 h"), (86400, "1 day")):
            x = across(left, seconds)
            parts.append(f'<path d="M{x} 60v{tall}" stroke="#d1d5db" stroke-width=".6"/>')
            parts.append(f'<text x="{x}" y="{tall + 76}" text-anchor="middle">{word}</text>')
        for n, (engine, ink) in enumerate(INKS.items()):
            mine = [r for r in rows if r.engine == engine and not math.isnan(r.values[key])]
            if not mine:
                continue
            x = across(left, mean(r.total for r in mine)) + 3 * (n - len(INKS) / 2)  # apart where times are alike
            values = [r.values[key] for r in mine]
            bar = f"M{x:.1f} {up(min(values)):.1f}V{up(max(values)):.1f}"
            parts.append(f'<path d="{bar}" stroke="{ink}" stroke-width="1.5" opacity=".5"/>')
            parts.append(f'<circle cx="{x:.1f}" cy="{up(mean(values)):.1f}" r="4" fill="{ink}"/>')
            if engine in PEERS:
                line = f"M{across(left, mine[0].whole):.1f} 60v{tall}"
                parts.append(f'<path d="{line}" stroke="{ink}" stroke-dasharray="3 3"/>')
    for k, engine in enumerate([*ROWS, "peers"]):
        ink = INKS.get(engine, "#6b7280")
        parts.append(f'<circle cx="{54 + 155 * k}" cy="18" r="4" fill="{ink}"/>')
        parts.append(f'<text x="{62 + 155 * k}" y="22">{engine}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(PANELS) * (wide + 45) + 20} {tall + 90}" '
        f'font-family="sans-serif" font-size="12" fill="#374151"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>\n"
    )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--takes", type=int, default=20)
    parser.add_argument("--peer-seconds", type=float, default=60.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    head = ["clip", "engine", *KEYS, "total s", "whole, h"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, clip in clips(options.clips):
        beside = peers(name, clip, 4, options.peer_seconds) if name == "salsa" and options.peer_seconds else iter(())
        for row in (*ours(name, clip, options.takes), *beside):
            rows.append(row)
            whole = "" if math.isnan(row.whole) else f"{row.whole / 3600:.1f}"
            cells = [number(k, row.values[k]) for k in KEYS]
            lines.append(f"| {name} | {row.engine} | {' | '.join(cells)} | {row.total:.1f} | {whole} |")
            print(lines[-1], flush=True)
    command = f"python benchmarks/choice.py --takes {options.takes} --peer-seconds {options.peer_seconds:g}"
    docs = HOME / "docs"
    text = HEAD.format(command=command, takes=options.takes, peer=options.peer_seconds)
    (docs / "choice.md").write_text(text + "\n".join(lines) + "\n")
    (docs / "images" / "choice.svg").write_text(figure(rows))


if __name__ == "__main__":
    main()
