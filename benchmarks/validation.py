"""Do the measures see what they should? Real motion with known faults, and worthless motion beside real second takes.

Run as ``python benchmarks/validation.py [--data .data] [--out docs]``. Takes of one performer doing one thing stand for
perfect new takes of one another: every second one is the exemplar, the others are scored, first as they are, then
degraded step by step in nine ways. Written are ``validation.svg`` (a curve for every measure and its own fault),
``validation.json`` and ``validation.md``. Needs takes of Bandai Namco Research's set 2 and of CMU.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from common import DATA, DOCS, figure, numbers, options, table, write

import motif
from motif import metrics, rotation
from motif.metrics import fakes
from motif.motion import Motion

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

![Every measure over its own fault](images/validation.svg)"""
TITLE = "Each measure over how bad its own fault is (0: real second takes, 1: worst); black: mean of the six activities"
AMOUNTS = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)
"""How bad a fault is, 1 at worst."""


def shifted(take: Motion, x: torch.Tensor | float = 0.0, y: float = 0.0) -> Motion:
    """Move the body by metres, x may differ in each frame."""
    positions = take.positions.clone()
    positions[:, take.skeleton.ancestors(take.skeleton.root)[-1], 0] += x
    positions[:, take.skeleton.ancestors(take.skeleton.root)[-1], 1] += y
    return replace(take, positions=positions)


def slide(take: Motion, clip: Motion, amount: float, seed: int) -> Motion:
    """Glide to and fro with up to 0.8 m/s."""
    t = torch.arange(len(take)) * take.frame_time
    return shifted(take, 0.8 * amount / (2 * math.pi / 1.5) * torch.sin(2 * math.pi * t / 1.5))


def drops(take: Motion, clip: Motion, amount: float, seed: int) -> Motion:
    """Cut out a fifth of a second up to 40 times a minute."""
    cut = max(round(0.2 * take.fps), 1)
    order = torch.randperm(max((len(take) - cut) // (2 * cut), 1), generator=torch.Generator().manual_seed(seed))
    gone = torch.isin(torch.arange(len(take)) // cut, 2 * order[: round(amount * 40 / 60 * take.seconds)] + 1)
    return take.select((~gone).nonzero()[:, 0])


def swap(take: Motion, clip: Motion, amount: float, seed: int) -> Motion:
    """For a fraction of the time the upper body does what it does half the take later."""
    s, frames = take.skeleton, torch.arange(len(take))
    other = take.select((frames + len(take) // 2) % len(take))
    on = ((frames * take.frame_time / 2.5) % 1 < amount)[:, None, None]
    upper = sorted(set(range(len(s))) - {j for c in s.contacts for j in s.ancestors(c)})
    rotations = take.rotations.clone()
    rotations[:, upper] = torch.where(on, other.rotations[:, upper], rotations[:, upper])
    return replace(take, rotations=rotations)


def exaggerate(take: Motion, clip: Motion, amount: float, seed: int) -> Motion:
    """Turn joints up to twice as far from their mean."""
    q, trunk = take.rotations, take.skeleton.ancestors(take.skeleton.root)
    mean = rotation.from_sixd(rotation.to_sixd(q).mean(0, keepdim=True)).expand_as(q)
    away = rotation.log(rotation.mul(rotation.inv(mean), q))
    bigger = rotation.mul(mean, rotation.exp(away * (1 + amount)))
    bigger[:, trunk] = q[:, trunk]
    return replace(take, rotations=bigger)


def paste(take: Motion, clip: Motion, amount: float, seed: int) -> Motion:
    """Begin with an exemplar clip."""
    count = min(round(amount * len(take)), len(clip))
    ranges = ((clip, 0, count), (take, count, len(take)))
    return fakes.joined([motion.crop(start, stop) for motion, start, stop in ranges if stop - start > 1])


FAULTS: dict[str, Callable[[Motion, Motion, float, int], Motion]] = {
    "jitter": lambda take, clip, amount, seed: fakes.jitter(take, len(take), seed, math.degrees(0.052) * amount),
    "slide": slide,
    "drops": drops,
    "warp": lambda take, clip, amount, seed: take.interpolate(torch.arange(0, len(take) - 1, 1 + amount)),
    "swap": swap,
    "sink": lambda take, clip, amount, seed: shifted(take, y=-0.08 * amount),
    "lift": lambda take, clip, amount, seed: shifted(take, y=0.15 * amount),
    "exaggerate": exaggerate,
    "paste": paste,
}
"""By name: what makes a take worse, of the take, an exemplar clip, how bad from 0 to 1, and a seed."""


def worsened(fault: str, amount: float, takes: Sequence[Motion], clips: Sequence[Motion]) -> Sequence[Motion]:
    """Return takes with a fault; ``same``: a share of pieces of the clips, shuffled, is the first one."""
    if fault == "same":  # real second takes hardly differ: what differs is made of the clips themselves
        made = [fakes.shuffle(clips[k % len(clips)], 300, k, 1.5) for k in range(8)]
        return [made[0] if k < round(amount * len(made)) else take for k, take in enumerate(made)]
    return [FAULTS[fault](take, clips[k % len(clips)], amount, k) for k, take in enumerate(takes)]


OWN = {
    "jitter": "jerk_ratio -precision@0.025 -coverage@0.025 two_sample",
    "slide": "slip_ratio -still_ratio",
    "drops": "seams",
    "warp": "peak_ratio -precision -coverage",
    "swap": "novelty",
    "sink": "sink_ratio",
    "lift": "float_ratio",
    "exaggerate": "bent -precision@0.1 -coverage@0.1",
    "paste": "copied_seconds",
    "same": "-variety",
}
"""The measures that are made for each fault; those with a minus fall with it."""
PUBLISHED = ("coverage", "global_diversity", "local_diversity", "inter_diversity", "intra_difference", "sifid")
FAULT_OF = {measure.lstrip("-"): fault for fault, names in OWN.items() for measure in names.split()}
FAULT_OF |= {f"published {k}": "warp" if k == "coverage" else "jitter" for k in PUBLISHED}


def load(data: Path) -> dict[str, list[Motion]]:
    """Return at most 16 takes of each group at 30 fps, those of the group's commonest rig."""
    found = {}
    for name, pattern in GROUPS.items():
        clips = [motif.load(p) for p in sorted(data.rglob(pattern))[:16]]
        clips = [c for c in clips if c.seconds >= 2 and not c.skeleton.rig_difference(clips[0].skeleton)]
        if len(clips) < 4:
            raise SystemExit(f"{data}: {len(clips)} takes match {pattern}; unpack the data sets there first")
        found[name] = [c.resample(30.0) if abs(c.fps - 30) > 0.1 else c for c in clips]
    return found


def scores(takes: Sequence[Motion], clips: Sequence[Motion]) -> dict[str, float]:
    """Return all measures; the published ones by names that begin with "published "."""
    report = metrics.report(takes, clips)
    return {**report.physical, **report.realism, **{f"published {k}": v for k, v in report.published.items()}}


def mean(values: Iterable[float]) -> float:
    """Return the mean over the groups in which a measure means something."""
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else math.nan


def means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each measure."""
    return {k: mean(row[k] for row in rows) for k in rows[0]}


def worse(name: str, value: float, real: float) -> float:
    """Return how much worse than real second takes a value is; at most 0 if it is at least as good."""
    if name.startswith("published "):
        name = name.removeprefix("published ")
        up = name not in ("sifid", "intra_difference")
        return real - value if up else value - real
    if name.endswith("_ratio"):
        return abs(math.log(max(value, 1e-6))) - abs(math.log(max(real, 1e-6)))
    return value - real if name in ("two_sample", "seams", "bent", "copied_seconds") else real - value


def main() -> None:
    """Measure and write."""
    given = options(__doc__, data=DATA, out=DOCS)
    sides = {name: (clips[0::2], clips[1::2]) for name, clips in load(given.data).items()}
    real = {name: scores(*side) for name, side in sides.items()}
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    for fault in (*FAULTS, "same"):
        results[fault] = {name: [] for name in sides}
        for name, (takes, clips) in sides.items():
            for amount in AMOUNTS:
                unharmed = not amount and fault != "same"
                step = real[name] if unharmed else scores(worsened(fault, amount, takes, clips), clips)
                results[fault][name].append(step)
        print(fault, "done", flush=True)
    curves, panels, monotone = {}, {}, {}
    for measure, fault in FAULT_OF.items():
        by_group = {name: [step[measure] for step in steps] for name, steps in results[fault].items()}
        middle = [mean(step) for step in zip(*by_group.values())]
        curves[measure] = {"mean": middle, **by_group}
        panels[f"{measure} / {fault}"] = {" " * n: (AMOUNTS, v) for n, v in enumerate(curves[measure].values())}
        if not measure.startswith("published "):
            sign = -1 if f"-{measure}" in OWN[fault].split() else 1
            steps = [sign * (b - a) for a, b in zip(middle, middle[1:])]
            monotone[measure] = min(steps) >= -1e-9 and sum(steps) > 0
    rows = {"real second takes": means(list(real.values()))}
    for name in fakes.FAKES:
        rows[name] = means([scores(fakes.takes(name, clips, len(takes)), clips) for takes, clips in sides.values()])
    write(given.out / "images" / "validation.svg", figure(TITLE, panels))
    data = {"monotone": monotone, "fooled": fooled(rows), "rows": rows, "curves": curves}
    write(given.out / "validation.json", json.dumps(data, indent=1).replace("NaN", "null"))
    write(given.out / "validation.md", HEAD, *tables(rows, monotone))


def fooled(rows: dict[str, dict[str, float]]) -> dict[str, list[str]]:
    """Return for every measure the fakes that it does not put below real second takes."""
    truth = rows["real second takes"]
    return {
        measure: [n for n, row in rows.items() if row is not truth and worse(measure, row[measure], value) <= 0]
        for measure, value in truth.items()
    }


def tables(rows: dict[str, dict[str, float]], monotone: dict[str, bool]) -> tuple[str, str]:
    """Return the headline of real second takes and of the fakes, and which measures a fake wins."""
    truth, lost = rows["real second takes"], fooled(rows)

    def losses(row: dict[str, float]) -> str:
        return ", ".join(k for k in metrics.HEADLINE if worse(k, row[k], truth[k]) > 0.02)

    headlines = [[name, *numbers(metrics.HEADLINE, row), losses(row)] for name, row in rows.items()]
    held = {True: "yes", False: "NO", None: ""}
    verdicts = [[k, fault, held[monotone.get(k)], ", ".join(lost[k])] for k, fault in FAULT_OF.items()]
    columns = ["measure", "own fault", "monotone", "fakes it does not put below real second takes"]
    return table(["", *metrics.HEADLINE, "worse than real in"], headlines), table(columns, verdicts)


if __name__ == "__main__":
    main()
