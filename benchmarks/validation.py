"""Do the measures see what they should? Real motion with known faults, and worthless motion beside real second takes.

Run as ``python benchmarks/validation.py [--data .data] [--out docs]``. Takes of one performer doing one thing stand for
perfect new takes of one another: every second one is the exemplar, the others are scored, first as they are, then
degraded step by step in nine ways. Written are ``validation.svg`` (a curve for every measure and its own fault),
``validation.json`` and ``validation.md``. Needs Bandai-Namco 2 and CMU takes (see CONTRIBUTING.md).
"""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from motif import api, metrics, rotation
from motif.metrics import fakes
from motif.motion import Motion
from motif.page import line_chart

GROUPS = {
    "walk": "dataset-2_walk_normal_*.bvh",
    "walk, feminine": "dataset-2_walk_feminine_*.bvh",
    "run": "dataset-2_run_normal_*.bvh",
    "turn": "dataset-2_walk-turn-left_normal_*.bvh",
    "modern dance": "005_*.bvh",
    "basketball": "006_*.bvh",
}
HEAD = """# Do the measures see what they should?

Made by `python benchmarks/validation.py`. Every second take of six activities (Bandai-Namco 2: walk, feminine walk, run,
turn; CMU subjects 5 and 6: modern dance, basketball) is the exemplar, the others stand for perfect new takes. Numbers are
means over the activities. A row is *worse than real* in a measure where it is by more than 0.02 (ratios: in their
logarithm).

![Every measure over its own fault](images/validation.svg)

"""
SHARES = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)
Fault = Callable[[Sequence[Motion], Sequence[Motion], float], list[Motion]]
"""Takes, exemplar clips and how bad from 0 to 1, to worse takes."""


def _shifted(motion: Motion, shift: torch.Tensor) -> Motion:
    positions = motion.positions.clone()
    positions[:, motion.skeleton.ancestors(motion.skeleton.root)[-1]] += shift
    return replace(motion, positions=positions)


def jitter(takes, clips, amount):
    """Noise of up to 3 degrees on every joint in every frame."""
    made = []
    for seed, take in enumerate(takes):
        noise = torch.randn((*take.rotations.shape[:2], 3), generator=torch.Generator().manual_seed(seed))
        made.append(replace(take, rotations=rotation.mul(take.rotations, rotation.exp(noise * amount * 0.052))))
    return made


def slide(takes, clips, amount):
    """The body glides to and fro with up to 0.8 m/s on top of its own motion."""
    made = []
    for take in takes:
        t = torch.arange(len(take)) * take.frame_time
        away = 0.8 * amount / (2 * math.pi / 1.5) * torch.sin(2 * math.pi * t / 1.5)
        made.append(_shifted(take, torch.stack((away, 0 * away, 0 * away), -1)))
    return made


def drops(takes, clips, amount):
    """Up to 40 times a minute a fifth of a second is cut out."""
    made = []
    for seed, take in enumerate(takes):
        frames, cut = len(take), max(round(0.2 * take.fps), 1)
        count = round(amount * 40 / 60 * take.seconds)
        order = torch.randperm(max((frames - cut) // (2 * cut), 1), generator=torch.Generator().manual_seed(seed))
        gone = torch.zeros(frames, dtype=torch.bool)
        for place in order[:count].tolist():
            gone[(2 * place + 1) * cut : (2 * place + 2) * cut] = True
        made.append(take.select((~gone).nonzero()[:, 0]))
    return made


def warp(takes, clips, amount):
    """Up to twice as fast."""
    made = []
    for take in takes:
        made.append(take.interpolate(torch.arange(0, len(take) - 1, 1 + amount)))
    return made


def swap(takes, clips, amount):
    """For a share of the time the upper body does what it does half the take later."""
    made = []
    for take in takes:
        other = take.select((torch.arange(len(take)) + len(take) // 2) % len(take))
        phase = (torch.arange(len(take)) * take.frame_time / 2.5) % 1
        on = (phase < amount)[:, None, None]
        rotations = take.rotations.clone()
        legs = {j for c in take.skeleton.contacts for j in take.skeleton.ancestors(c)}
        upper = [j for j in range(len(take.skeleton)) if j not in legs]
        rotations[:, upper] = torch.where(on, other.rotations[:, upper], rotations[:, upper])
        made.append(replace(take, rotations=rotations))
    return made


def sink(takes, clips, amount):
    """The body up to 8 cm lower."""
    return [_shifted(t, torch.tensor([0.0, -0.08 * amount, 0.0])) for t in takes]


def height_offset(takes, clips, amount):
    """The body up to 15 cm higher."""
    return [_shifted(t, torch.tensor([0.0, 0.15 * amount, 0.0])) for t in takes]


def exaggerate(takes, clips, amount):
    """Joints turn up to twice as far from their mean."""
    made = []
    for take in takes:
        q = take.rotations
        mean = rotation.from_sixd(rotation.to_sixd(q).mean(0, keepdim=True)).expand_as(q)
        away = rotation.log(rotation.mul(rotation.inv(mean), q))
        bigger = rotation.mul(mean, rotation.exp(away * (1 + amount)))
        bigger[:, take.skeleton.ancestors(take.skeleton.root)] = q[:, take.skeleton.ancestors(take.skeleton.root)]
        made.append(replace(take, rotations=bigger))
    return made


def paste(takes, clips, amount):
    """The first part of the take is one of the exemplar clips."""
    made = []
    for k, take in enumerate(takes):
        clip = clips[k % len(clips)]
        count = min(round(amount * len(take)), len(clip))
        pieces = [clip.crop(0, count)] if count > 1 else []
        if count < len(take) - 1:
            pieces.append(take.crop(count, len(take)))
        made.append(fakes.joined(pieces))
    return made


def same(takes, clips, amount):
    """A share of the takes is the first one."""
    cut = round(amount * len(takes))
    return [takes[0] if k < cut else take for k, take in enumerate(takes)]


FAULTS: dict[str, Fault] = {
    f.__name__: f for f in (jitter, slide, drops, warp, swap, sink, height_offset, exaggerate, paste)
}
OWN = {
    "slip_ratio": ("slide", 1),
    "still_ratio": ("slide", -1),
    "jerk_ratio": ("jitter", 1),
    "peak_ratio": ("warp", 1),
    "seams": ("drops", 1),
    "sink_ratio": ("sink", 1),
    "float_ratio": ("lift", 1),
    "bent": ("exaggerate", 1),
    "precision": ("warp", -1),
    "precision@0.025": ("jitter", -1),
    "precision@0.1": ("exaggerate", -1),
    "coverage": ("warp", -1),
    "coverage@0.025": ("jitter", -1),
    "coverage@0.1": ("exaggerate", -1),
    "novelty": ("swap", 1),
    "copied_seconds": ("paste", 1),
    "two_sample": ("jitter", 1),
    "variety": ("same", -1),
}
"""The fault that each measure is made for, and whether it rises or falls with it."""
PUBLISHED = {
    "coverage": "warp",
    "global_diversity": "jitter",
    "local_diversity": "jitter",
    "inter_diversity": "jitter",
    "intra_difference": "jitter",
    "sifid": "jitter",
}


def load(data: Path) -> dict[str, list[Motion]]:
    """At most 16 takes of each group at 30 fps, those of the group's commonest rig."""
    found = {}
    for name, pattern in GROUPS.items():
        clips = [api.load(p) for p in sorted(data.rglob(pattern))[:16]]
        clips = [c for c in clips if c.seconds >= 2 and not c.skeleton.rig_difference(clips[0].skeleton)]
        if len(clips) < 4:
            raise SystemExit(f"{data}: {len(clips)} takes match {pattern}; unpack the data sets there first")
        found[name] = [c.resample(30.0) if abs(c.fps - 30) > 0.1 else c for c in clips]
    return found


def numbers(takes: Sequence[Motion], clips: Sequence[Motion]) -> dict[str, float]:
    """All measures; the published ones by names that begin with "published "."""
    report = metrics.report(takes, clips)
    return {**report.physical, **report.realism, **{f"published {k}": v for k, v in report.published.items()}}


def mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean over the groups in which a measure means something."""
    kept = {k: [r[k] for r in rows if not math.isnan(r[k])] for k in rows[0]}
    return {k: sum(v) / len(v) if v else math.nan for k, v in kept.items()}


def worse(name: str, value: float, real: float) -> float:
    """How much worse than real second takes a value is; at most 0 if it is at least as good."""
    if name.startswith("published "):
        name = name.removeprefix("published ")
        up = name not in ("sifid", "intra_difference")
        return real - value if up else value - real
    if name.endswith("_ratio"):
        return abs(math.log(max(value, 1e-6))) - abs(math.log(max(real, 1e-6)))
    return value - real if name in ("two_sample", "seams", "bent", "copied_seconds") else real - value


def figure(curves: dict[str, dict[str, list[float]]]) -> str:
    """One panel for each measure: its mean over the groups in black, each group's in colour."""
    wide, high, columns = 330, 190, 4
    panels = []
    for place, (measure, groups) in enumerate(curves.items()):
        name = measure.removeprefix("published ")
        fault = PUBLISHED[name] if measure.startswith("published ") else OWN[measure][0]
        lines = {"" if k == "mean" else " " * n: (SHARES, v) for n, (k, v) in enumerate(groups.items())}
        inks, title = ["#111827", *["#9ca3af"] * (len(groups) - 1)], f"{measure} / {fault}"
        chart = line_chart(lines, (wide - 10, high - 10), x_name="", title=title, inks=inks)
        x, y = place % columns * wide, place // columns * high + 40
        panels.append(chart.replace("<svg ", f'<svg x="{x}" y="{y}" width="{wide - 10}" height="{high - 10}" ', 1))
    rows = -(-len(curves) // columns)
    size = f"{columns * wide} {rows * high + 40}"
    title = (
        "Each measure over how bad its own fault is (0: real second takes, 1: worst); black: mean of the six activities"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="12" '
        f'fill="#374151"><rect width="100%" height="100%" fill="white"/><text x="44" y="24" font-size="16">{title}</text>'
        f"{''.join(panels)}</svg>\n"
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".data"))
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    groups = load(options.data)
    sides = {name: (clips[0::2], clips[1::2]) for name, clips in groups.items()}
    real = {name: numbers(*side) for name, side in sides.items()}
    results: dict[str, list[dict[str, dict[str, float]]]] = {}
    for fault, make in {**FAULTS, "same": same}.items():
        results[fault] = []
        for share in SHARES:
            at = {}
            for name, (takes, clips) in sides.items():
                if fault == "same":  # real second takes hardly differ: what differs is made of the clips themselves
                    takes = [fakes.shuffle(clips[k % len(clips)], 300, k, 1.5) for k in range(8)]
                at[name] = numbers(make(takes, clips, share), clips) if share or fault == "same" else real[name]
            results[fault].append(at)
        print(fault, "done", flush=True)
    curves, verdicts = {}, {}
    for measure, (fault, sign) in OWN.items():
        by_group = {g: [step[g][measure] for step in results[fault]] for g in sides}
        middle = [mean([{"x": step[g][measure]} for g in sides])["x"] for step in results[fault]]
        curves[measure] = {"mean": middle, **by_group}
        steps = [sign * (b - a) for a, b in zip(middle, middle[1:])]
        verdicts[measure] = min(steps) >= -1e-9 and sum(steps) > 0
    for measure, fault in PUBLISHED.items():
        key = f"published {measure}"
        middle = [mean([{"x": step[g][key]} for g in sides])["x"] for step in results[fault]]
        curves[key] = {"mean": middle, **{g: [step[g][key] for step in results[fault]] for g in sides}}
    rows = {"real second takes": mean(list(real.values()))}
    for name in fakes.FAKES:
        made = [numbers(fakes.takes(name, clips, len(takes)), clips) for takes, clips in sides.values()]
        rows[name] = mean(made)
    options.out.mkdir(exist_ok=True, parents=True)
    (options.out / "images").mkdir(exist_ok=True)
    (options.out / "images" / "validation.svg").write_text(figure(curves))
    data = {"monotone": verdicts, "fooled": fooled(rows), "rows": rows, "curves": curves}
    (options.out / "validation.json").write_text(json.dumps(data, indent=1).replace("NaN", "null") + "\n")
    (options.out / "validation.md").write_text(HEAD + table(rows, verdicts))
    print(table(rows, verdicts))


def fooled(rows: dict[str, dict[str, float]]) -> dict[str, list[str]]:
    """For every measure the fakes that it does not put below real second takes."""
    truth = rows["real second takes"]
    return {
        measure: [n for n, row in rows.items() if row is not truth and worse(measure, row[measure], value) <= 0]
        for measure, value in truth.items()
    }


def table(rows: dict[str, dict[str, float]], monotone: dict[str, bool]) -> str:
    """Markdown: the headline of real second takes and of the fakes, and which measures a fake wins."""
    from motif.page import number

    truth = rows["real second takes"]
    lines = [
        "| | " + " | ".join(metrics.HEADLINE) + " | worse than real in |",
        "|---" * (len(metrics.HEADLINE) + 2) + "|",
    ]
    for name, row in rows.items():
        cells = [number(k, row[k]) for k in metrics.HEADLINE]
        lost = [k for k in metrics.HEADLINE if worse(k, row[k], truth[k]) > 0.02]
        lines.append(f"| {name} | {' | '.join(cells)} | {', '.join(lost)} |")
    lines += [
        "",
        "| measure | own fault | monotone | fakes it does not put below real second takes |",
        "|---|---|---|---|",
    ]
    lost = fooled(rows)
    for measure in [*OWN, *(f"published {m}" for m in PUBLISHED)]:
        fault = OWN[measure][0] if measure in OWN else PUBLISHED[measure.removeprefix("published ")]
        held = ("yes" if monotone[measure] else "NO") if measure in monotone else ""
        lines.append(f"| {measure} | {fault} | {held} | {', '.join(lost[measure])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
