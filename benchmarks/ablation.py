"""The papers' presets trained within a budget, beside their reported rows and the honest measures.

Run as ``python benchmarks/ablation.py CLIP [--minutes 14] [--rows ganimator paper sinmdm ...]``. The minutes are shared out
evenly over the rows; every level of a row gets the same share of its published samples, chosen by timing a few steps.
So these rows show what the published recipes reach in that time, not what they reach in hours: the share is told.
With all rows it writes docs/ablation.md.
"""

import argparse
import time
from pathlib import Path
from typing import Any, Literal

import torch
from suite import REPORTED

from motif import api, metrics, parallel, registry
from motif.motion import Motion
from motif.page import number
from motif.recipes.clip_diffusion import SinMdm
from motif.recipes.ganimator import PRESETS, Ganimator
from motif.train import Progress, Stage, TrainConfig, run

Precision = Literal["fp32", "bf16"]
KEYS = [*metrics.HEADLINE, "precision@0.025"]
PAPERS = ("coverage", "global_diversity", "local_diversity")
ROWS = [*PRESETS, "sinmdm", "sinmdm-qna"]
TABLE = {"ganimator": "Table 1, salsa: baseline (GANimator)", "paper": "Table 1: ablation 9, theirs"} | {
    name: f"Table 1: {name.replace('-', ' ')}" for name in PRESETS if name.startswith("ablation")
}
HEAD = """# The papers' recipes in a few minutes

Made by `{command}`: torch {torch}, one thread, the faster of fp32 and bf16; {takes} takes of twice the salsa. Every row got
{each:.1f} minutes, and of its published samples the share that is told; "whole" is what all of them would take here, by the
measured seconds a step. *Reported* is the paper's own coverage, global and local diversity after hours on an RTX 3060
(arXiv 2406.01136, Table 1; SinMDM: Table 2, ten clips). SinMDM's takes were sampled in {evaluations} evaluations, not 1,000.

"""


def seconds_a_step(recipe: registry.Recipe, clip: Motion) -> tuple[list[float], Precision]:
    """Measured on one step of every stage, after one that is not counted, in the precision that the first is faster in."""
    exemplar = recipe.prepare([clip])
    net = recipe.net(exemplar)
    taken: list[float] = []
    faster: Precision = "fp32"
    for stage in recipe.stages(net, exemplar, 0):
        short = Stage(stage.name, 2, stage.updates)
        if not taken:
            times: dict[Precision, float] = {"fp32": _timed(net, short, "fp32"), "bf16": _timed(net, short, "bf16")}
            faster = min(times, key=lambda k: times[k])
        taken.append(_timed(net, short, faster))
    return taken, faster


def _timed(net: torch.nn.Module, stage: Stage, precision: Precision) -> float:
    marks: list[float] = []

    def told(progress: Progress) -> None:
        marks.append(time.perf_counter())

    run(net, lambda: iter([stage]), [(stage.name, 2)], 0, TrainConfig(precision), progress=told)
    return marks[-1] - marks[0]


def limited(name: str, clip: Motion, seconds: float) -> tuple[float, float, Precision, dict[str, Any]]:
    """Which share of its samples a recipe can see in this time, seconds for all, in which precision, and its dials."""
    recipe = registry.RECIPES[name]
    with parallel.single_thread():
        step, faster = seconds_a_step(recipe, clip)
        plan = recipe.plan(recipe.prepare([clip]))
    full = sum(s * steps for s, (_, steps) in zip(step, plan, strict=True))
    share = min(seconds / full, 1.0)
    steps = [max(round(count * share), 1) for _, count in plan]
    if isinstance(recipe, Ganimator):
        return share, full, faster, {"samples": tuple(s * recipe.batch for s in steps)}
    return share, full, faster, {"steps": steps[0]}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--minutes", type=float, default=14.0)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--takes", type=int, default=8)
    parser.add_argument("--evaluations", type=int, default=50, help="of SinMDM's networks for each take")
    options = parser.parse_args()
    clip, each = api.load(options.clip), options.minutes / len(options.rows)
    head = ["preset", "share", "seconds", "whole, hours", *KEYS, *(f"published {k}" for k in PAPERS), "reported", "in"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    print("\n".join(lines), flush=True)
    for name in options.rows:
        share, full, faster, dials = limited(name, clip, each * 60)
        start = time.perf_counter()
        model = api.fit(name, clip, 1, train=TrainConfig(faster), **dials)
        took = time.perf_counter() - start
        if isinstance(model.recipe, SinMdm):
            model = model.turned(num_inference_steps=options.num_inference_steps)
        report = metrics.report(model.sample(options.takes, seed=1), [clip])
        every = {**report.realism, **report.headline}
        cells = [number(k, every[k]) for k in KEYS] + [number("", report.published[k]) for k in PAPERS]
        told = REPORTED[TABLE.get(name, "Table 2: SinMDM")]
        cells += [" / ".join(f"{v:.2f}" for v in told[:3]), str(told[-1])]
        lines.append(f"| {name} | {share:.2%} | {took:.0f} | {full / 3600:.1f} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    if options.rows == ROWS:
        command = f"python benchmarks/ablation.py salsa.bvh --minutes {options.minutes:g}"
        about = {
            "torch": torch.__version__,
            "takes": options.takes,
            "each": each,
            "evaluations": options.num_inference_steps,
        }
        page = Path(__file__).resolve().parent.parent / "docs" / "ablation.md"
        page.write_text(HEAD.format(command=command, **about) + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
