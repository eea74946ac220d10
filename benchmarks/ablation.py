"""The papers' presets trained within a budget, beside their reported rows and the honest measures.

Run as ``python benchmarks/ablation.py CLIP [--minutes 10] [--rows ganimator paper ...]``. The minutes are shared out
evenly over the rows; every level of a row gets the same share of its published samples, chosen by timing a few steps.
So these rows show what the published recipes reach in that time, not what they reach in hours: the share is told.
"""

import argparse
import time

import torch

from motif import api, cores, metrics
from motif.page import number
from motif.recipes.ganimator import PRESETS, Ganimator
from motif.train import Progress, Stage, Train, run

KEYS = [*metrics.HEADLINE, "precision@0.025"]


def seconds_a_step(recipe: Ganimator, clip: api.Motion) -> list[float]:
    """Measured on two steps of every stage, after one that is not counted."""
    scales = recipe.prepare([clip])
    net = recipe.net(scales)
    return [_timed(net, Stage(stage.name, 3, stage.updates)) for stage in recipe.stages(net, scales, 0)]


def _timed(net: torch.nn.Module, stage: Stage) -> float:
    marks: list[float] = []

    def told(progress: Progress) -> None:
        marks.append(time.perf_counter())

    run(net, lambda: iter([stage]), [(stage.name, 3)], 0, Train(), progress=told)
    return (marks[-1] - marks[0]) / 2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rows", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    parser.add_argument("--takes", type=int, default=8)
    options = parser.parse_args()
    clip = api.load(options.clip)
    print(
        f"torch {torch.__version__}, one thread, the faster of fp32 and bf16; {options.takes} takes of twice {clip.name}; {options.minutes:g} minutes in all"
    )
    print(
        f"| preset | share of its samples | seconds | full schedule, hours | {' | '.join(KEYS)} | published coverage | global | local |"
    )
    print("|---" * (len(KEYS) + 7) + "|")
    for name in options.rows:
        recipe = PRESETS[name]
        with cores.one_thread():
            step = seconds_a_step(recipe, clip)
            plan = recipe.plan(recipe.prepare([clip]))
        full = sum(s * steps for s, (_, steps) in zip(step, plan, strict=True))
        share = min(options.minutes * 60 / len(options.rows) / full, 1.0)
        samples = tuple(max(round(steps * share), 1) * recipe.batch for _, steps in plan)
        start = time.perf_counter()
        model = api.fit(name, clip, 1, samples=samples)
        took = time.perf_counter() - start
        report = metrics.report(model.sample(options.takes, seed=1), [clip])
        every = {**report.headline, "precision@0.025": report.realism["precision@0.025"]}
        cells = [number(k, every[k]) for k in KEYS] + [
            number("", report.published[k]) for k in ("coverage", "global_diversity", "local_diversity")
        ]
        print(f"| {name} | {share:.2%} | {took:.0f} | {full / 3600:.1f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
