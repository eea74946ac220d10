"""The papers' recipes and motif's own on the same clips: the papers' measures and honest ones, and what they cost.

Run as ``python benchmarks/papers.py CLIP... --recipes paper ganimator clip-match [--seeds 0 1 2] [--minutes M]``; clips
are named as in common.py. What is learned is kept in .runs/papers, so that a run that was stopped goes on there, and a
model that is there is measured without learning. The published measures are of the networks' raw output, as the papers'
evaluation takes them, and beside that of finished takes. A row says what share of its schedule it had.
"""

import json
import math
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from common import clips, numbers, options, table, timed

import motif
from motif import api
from motif.metrics import MEANING
from motif.recipes.base import PaperRecipe
from motif.request import Request

KEPT = Path(__file__).resolve().parent.parent / ".runs" / "papers"
PUBLISHED = ("coverage", "global_diversity", "local_diversity")


def learn(recipe: str, name: str, motions: list[motif.Motion], seed: int, config: api.TrainConfig) -> tuple:
    """Return the model, kept or learned, and the seconds that the last part of its learning took."""
    path = KEPT / f"{recipe}.{name}.{seed}.safetensors"
    about = path.with_suffix(".json")
    if not path.exists():
        model, took = timed(partial(api.fit, recipe, motions, seed, config, path.with_suffix(".run")))
        model.save(path)
        about.write_text(json.dumps({"seconds": took}))
    return api.Model.load(path), json.loads(about.read_text())["seconds"] if about.exists() else math.nan


def milliseconds(model: api.Model, raw: bool) -> float:
    """Return the time of one take of twice the clip's length, the median of five."""

    def take(seed: int) -> None:
        if raw:
            assert isinstance(model.recipe, PaperRecipe)
            model.recipe.channels(model.net, model.prepared, Request(motif.Edit(), 1, seed))
        else:
            model.sample(1, seed=seed)

    return 1000 * statistics.median([timed(partial(take, seed))[1] for seed in range(6)][1:])


def row(model: api.Model, takes: int) -> list[str]:
    """Return the measures of a model."""
    published = model.published(takes)
    nothing = dict.fromkeys(PUBLISHED, math.nan)
    sets = [published.get("raw", nothing), published["takes"]]
    honest = motif.score(model.sample(takes), model.clips)
    times = milliseconds(model, True) if "raw" in published else math.nan, milliseconds(model, False)
    found = [f"{values[k]:.2f}" for values in sets for k in PUBLISHED]
    return [*found, *numbers(MEANING, honest), *(f"{x:.1f}" for x in times)]


def main() -> None:
    """Learn, measure and print."""
    given = options(__doc__, "clips+", recipes=["paper"], seeds=["0"], steps=0, minutes=0.0, takes=20, threads=1)
    torch.set_num_threads(given.threads)
    KEPT.mkdir(parents=True, exist_ok=True)
    config = api.TrainConfig(steps=given.steps or None, minutes=given.minutes or None)

    def rows() -> Iterator[list[str]]:
        for name, motions in clips(given.clips):
            for recipe in given.recipes:
                for seed in map(int, given.seeds):
                    model, took = learn(recipe, name, motions, seed, config)
                    yield [name, recipe, str(seed), f"{model.share:.3g}", *row(model, given.takes), f"{took:.0f}"]

    kinds = [f"{kind} {k.replace('_diversity', '')}" for kind in ("raw", "take") for k in PUBLISHED]
    table(["clip", "recipe", "seed", "share", *kinds, *MEANING, "raw ms", "take ms", "learned in s"], rows())


if __name__ == "__main__":
    main()
