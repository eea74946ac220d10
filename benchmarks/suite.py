"""Every engine on named clips, beside worthless motion and the papers' own figures.

Run as ``python benchmarks/suite.py [--clips demo salsa ...] [--engines clip-match ...] [--takes 20] [--gate]``. Clips
other than the one that ships with motif are read from ``../shared/data`` and skipped where absent. Every row says what
it cost; an engine may take ``--budget`` seconds of wall time a clip, training included, and is marked if it took more.
Results go to ``benchmarks/results/DATE-DEVICE.json`` and, as tables, to ``benchmarks/RESULTS.md``. ``--gate`` compares
with ``benchmarks/baseline.json`` and fails where a number is worse than there by more than its ratio; ``--accept``
writes that file anew.
"""

import argparse
import datetime
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

import motif
from motif import api, metrics, registry
from motif.metrics import clip as papers
from motif.metrics import fakes
from motif.motion import Motion
from motif.page import number

HERE = Path(__file__).parent
SHARED = HERE.parent.parent / "shared" / "data" / "clips"
CLIPS: dict[str, Callable[[], Motion]] = {
    "demo": api.demo_clip,
    "salsa": lambda: api.load(SHARED / "Salsa-Dancing-6.bvh"),
    "walk": lambda: api.load(SHARED / "Walk-In-Circle.bvh"),
    "idle": lambda: api.load(SHARED / "Baseball-Milling-Idle.bvh"),
}
RATIO = {
    "slip_ratio": 1.25,
    "jerk_ratio": 1.15,
    "coverage": 1.05,
    "precision": 1.08,
    "novelty": 1.35,
    "two_sample": 1.2,
}
"""By how much a number may be worse than the baseline: twice what other seeds change."""
ORDER = ("coverage", "global_diversity", "local_diversity", "sifid", "inter_diversity", "intra_difference")
REPORTED = {
    "Table 1, salsa: baseline (GANimator)": (1.00, 1.12, 1.05, 3.47, 1.67, 1.72, None, "5 h 30 m"),
    "Table 1: ablation 1": (1.00, 0.98, 0.92, 3.61, 1.19, 1.90, None, "10 h 21 m"),
    "Table 1: ablation 2": (1.00, 0.86, 0.81, 4.49, 0.73, 2.37, None, "5 h 30 m"),
    "Table 1: ablation 3": (1.00, 0.71, 0.67, 3.41, 0.47, 1.87, None, "10 h 21 m"),
    "Table 1: ablation 4": (0.96, 1.51, 1.41, 4.66, 1.80, 2.48, None, "52 m"),
    "Table 1: ablation 5": (1.00, 1.31, 1.22, 3.36, 1.72, 2.31, None, "1 h 47 m"),
    "Table 1: ablation 6": (1.00, 1.26, 1.18, 3.99, 1.99, 2.26, None, "1 h 47 m"),
    "Table 1: ablation 7": (1.00, 1.34, 1.27, 4.59, 2.17, 2.70, None, "42 m"),
    "Table 1: ablation 8": (1.00, 1.43, 1.34, 4.20, 1.95, 2.23, None, "1 h 47 m"),
    "Table 1: ablation 9, theirs": (1.00, 1.41, 1.32, 3.93, 1.93, 2.30, None, "48 m"),
    "Table 1: ablation 10": (0.96, 1.58, 1.48, 4.98, 2.07, 2.32, None, "29 m"),
    "Table 1: ablation 11": (0.99, 1.43, 1.33, 5.43, 1.76, 2.38, None, "57 m"),
    "Table 2, ten clips: GANimator": (0.95, 1.02, 0.96, 1.15, 1.49, 2.12, 0.50, "5 h 30 m"),
    "Table 2: SinMDM": (0.94, 1.42, 1.00, 1.08, 1.43, 1.93, 0.58, "1 h 24 m"),
    "Table 2: theirs": (0.89, 1.46, 1.35, 1.99, 1.75, 1.57, 0.52, "48 m"),
}
"""As printed in arXiv 2406.01136, times on an RTX 3060: in the order of ``ORDER``, harmonic mean, training time."""


def device() -> str:
    """The machine that torch runs on, in a word."""
    return torch.cuda.get_device_name(0).replace(" ", "-") if torch.cuda.is_available() else f"cpu-{platform.machine()}"


def measured(takes: Sequence[Motion], clip: Motion, seconds: dict[str, float]) -> dict[str, dict[str, float]]:
    """One row: headline, published measures and cost."""
    report = metrics.report(takes, [clip])
    at = {"precision@0.025": report.realism["precision@0.025"], "copied_seconds": report.realism["copied_seconds"]}
    return {"headline": report.headline, "more": at, "published": report.published, "cost": seconds}


def run(clip: Motion, engines: Sequence[str], n: int, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """All rows of one clip; takes are twice as long as the clip."""
    rows = {}
    for name in engines:
        start = time.perf_counter()
        model = api.fit(name, [clip])
        fitted = time.perf_counter()
        takes = model.sample(n, seed=seed)
        made = time.perf_counter()
        rows[name] = measured(takes, clip, {"fit_s": fitted - start, "take_s": (made - fitted) / n})
    for name in fakes.FAKES:
        rows[name] = measured(fakes.takes(name, [clip], n, 2 * len(clip)), clip, {})
    shared = papers.normalisers([row["published"] for row in rows.values()])
    for row in rows.values():
        row["published"]["harmonic_mean"] = papers.harmonic_mean(row["published"], shared)
    return rows


def gate(results: dict, baseline: dict, engines: Sequence[str]) -> list[str]:
    """What is worse than the baseline, in words."""
    found = []
    for clip, rows in results.items():
        for engine in engines:
            old = baseline.get(clip, {}).get(engine)
            if old is None:
                found.append(f"{clip}, {engine}: no baseline; run with --accept")
                continue
            for key, ratio in RATIO.items():
                new, was = rows[engine]["headline"][key], old[key]
                if was is None or math.isnan(new):
                    continue
                rising = key in ("slip_ratio", "jerk_ratio", "two_sample")
                if (new > was * ratio) if rising else (new < was / ratio):
                    found.append(f"{clip}, {engine}: {key} was {was:.3f} and is {new:.3f}")
    return found


def markdown(data: dict, fooled: dict[str, list[str]]) -> str:
    """The tables."""
    about = data["about"]
    lines = [
        "# Results",
        "",
        f"Made by `{about['command']}` on {about['date']}: {about['device']}, {about['cores']} cores, torch "
        f"{about['torch']}, Python {about['python']}, motif {about['motif']}. {about['takes']} takes of twice the clip's "
        "length, seed " + f"{about['seed']}. Times are wall seconds, on a shared machine.",
        "",
        "All measures but novelty and copied_seconds put an exact copy no lower than real second takes of the same performer; "
        "one with a dagger does so with another of the five worthless rows, too ([validation](../docs/validation.md)).",
    ]
    keys = [*metrics.HEADLINE, "precision@0.025", "copied_seconds"]
    for name, rows in data["results"].items():
        marks = [k + (" †" if fooled.get(k) else "") for k in keys]
        lines += ["", f"## {name}", "", f"| | {' | '.join(marks)} | fit s | a take s |", "|---" * (len(keys) + 3) + "|"]
        for row, values in rows.items():
            every = {**values["headline"], **values["more"]}
            cost = [f"{values['cost'][k]:.2f}" if values["cost"] else "" for k in ("fit_s", "take_s")]
            late = " (over budget)" if values["cost"] and sum(values["cost"].values()) > about["budget"] else ""
            lines.append(f"| {row}{late} | {' | '.join(number(k, every[k]) for k in keys)} | {' | '.join(cost)} |")
    published = [*ORDER, "harmonic_mean"]
    marks = [k + (" †" if fooled.get(f"published {k}") else "") for k in published]
    lines += [
        "",
        "## The papers' measures",
        "",
        "Ours as their code has them (coverage and the two diversities exactly; SiFID and inter and intra diversity "
        "without their text-to-motion encoder, which is no longer published, so these cannot be compared). Reported rows "
        "are as printed, *not measured here*. Harmonic mean: ours with the 90th percentile over the rows of the same "
        "clip as normalisers, theirs with constants that were never published.",
        "",
        f"| | {' | '.join(marks)} | training |",
        "|---" * (len(published) + 2) + "|",
    ]
    for name, rows in data["results"].items():
        for row, values in rows.items():
            cells = [number("", values["published"][k]) for k in published]
            cost = f"{values['cost']['fit_s']:.0f} s" if values["cost"] else ""
            lines.append(f"| {name}: {row} | {' | '.join(cells)} | {cost} |")
    for row, (*values, taken) in REPORTED.items():
        cells = ["" if v is None else f"{v:.2f}" for v in values]
        lines.append(f"| *reported, {row}* | {' | '.join(cells)} | {taken} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", choices=list(CLIPS), default=list(CLIPS))
    parser.add_argument(
        "--engines", nargs="+", choices=list(registry.RECIPES), default=["clip-match", "clip-gan", "clip-flow"]
    )
    parser.add_argument("--takes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds an engine may take for a clip")
    parser.add_argument("--gate", action="store_true", help="fail where a number is worse than the baseline")
    parser.add_argument("--accept", action="store_true", help="make these numbers the baseline")
    parser.add_argument("--quick", action="store_true", help="write no results: for a look or a gate")
    options = parser.parse_args()
    results = {}
    for name in options.clips:
        if name != "demo" and not SHARED.exists():
            print(f"{name}: skipped, {SHARED} is absent")
            continue
        results[name] = run(CLIPS[name](), options.engines, options.takes, options.seed)
        for row, values in results[name].items():
            shown = "  ".join(f"{k} {number(k, v)}" for k, v in values["headline"].items())
            print(f"{name:<6}{row:<18}{shown}", flush=True)
    about = {
        "command": " ".join(["python", "benchmarks/suite.py", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "device": device(),
        "cores": len(os.sched_getaffinity(0)),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "motif": motif.__version__,
        **{k: getattr(options, k) for k in ("takes", "seed", "budget")},
    }
    data = {"about": about, "results": results}
    if not options.quick:
        (HERE / "results").mkdir(exist_ok=True)
        plain = json.dumps(data, indent=1).replace("NaN", "null")
        (HERE / "results" / f"{about['date']}-{about['device']}.json").write_text(plain + "\n")
        validation = HERE.parent / "docs" / "validation.json"
        fooled = json.loads(validation.read_text())["fooled"] if validation.exists() else {}
        fooled = {measure: [f for f in names if f != "copy"] for measure, names in fooled.items()}
        (HERE / "RESULTS.md").write_text(markdown(data, fooled))
    baseline = HERE / "baseline.json"
    known = json.loads(baseline.read_text()) if baseline.exists() else {}
    if options.accept:
        for clip, rows in results.items():
            for engine in options.engines:
                numbers = {k: rows[engine]["headline"][k] for k in RATIO}
                known.setdefault(clip, {})[engine] = {
                    k: None if math.isnan(v) else round(v, 4) for k, v in numbers.items()
                }
        baseline.write_text(json.dumps(known, indent=1) + "\n")
    if options.gate:
        worse = gate(results, known, options.engines)
        print("\n".join(worse) or "gate: nothing is worse than the baseline")
        sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
