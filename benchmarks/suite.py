"""Every recipe on named clips, beside worthless motion and the papers' own figures.

Run as ``python benchmarks/suite.py [--clips demo salsa ...] [--recipes clip-match ...] [--takes 20] [--gate]``. A recipe
may have parameters of its own or of its sampling behind its name: ``clip-gan,steps=300,variety=1`` (one training serves
all rows that differ in sampling only). Clips other than the one that ships with motif are skipped where absent. Every
row says what it cost; a row may take ``--budget`` seconds a clip, training included, and is marked if it took more.
Results go to ``benchmarks/results/DATE-DEVICE.json`` and, as tables, to ``benchmarks/RESULTS.md``. ``--gate`` compares
with ``benchmarks/baseline.json`` and fails where a number is worse than there by more than its ratio; ``--accept``
writes that file anew; ``--quick`` writes no results.
"""

import ast
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from common import DOCS, HERE, about, clips, number, numbers, options, table, timed, write

import motif
from motif import metrics, registry
from motif.metrics import fakes, papers
from motif.motion import Motion

LOWER_IS_BETTER = {"slip_ratio": 1.25, "jerk_ratio": 1.15, "two_sample": 1.2}
HIGHER_IS_BETTER = {"coverage": 1.05, "precision": 1.08, "novelty": 1.35}
RATIO = {**LOWER_IS_BETTER, **HIGHER_IS_BETTER}
"""By how much a number may be worse than the baseline: twice what other seeds change."""
KEYS = [*metrics.HEADLINE, "precision@0.025", "novelty@0.025", "copied_seconds"]
PUBLISHED = ("coverage", "global_diversity", "local_diversity", "sifid", "inter_diversity", "intra_difference")
REPORTED = json.loads((HERE / "reported.json").read_text())
"""As printed in arXiv 2406.01136, times on an RTX 3060: in the order of ``PUBLISHED``, harmonic mean, training time."""
HEAD = """# Results

Made by `{command}` on {date}: {device}, {cores} cores, torch {torch}, Python {python}, motif {motif}. {takes} takes of twice the clip's length, seed {seed}. Times are wall seconds, on a shared machine.

All measures but novelty and copied_seconds put an exact copy no lower than real second takes of the same performer; one with a dagger does so with another of the five worthless rows, too ([validation](../docs/validation.md))."""
PAPERS = """## The papers' measures

Ours as their code has them (coverage and the two diversities exactly; SiFID and inter and intra diversity without their text-to-motion encoder, which is no longer published, so these cannot be compared). Reported rows are as printed, *not measured here*. Harmonic mean: ours with the 90th percentile over the rows of the same clip as normalisers, theirs with constants that were never published."""


def parse(spec: str) -> tuple[registry.Recipe, motif.SampleConfig]:
    """Return the recipe and how it is sampled, of ``name,parameter=value,...``."""
    name, *pairs = spec.split(",")
    values = {k: ast.literal_eval(v) for k, v in (pair.split("=") for pair in pairs)}
    own = {f.name for f in fields(registry.recipe(name))} & set(values)  # type: ignore[arg-type]
    recipe = registry.with_params(name, {k: values.pop(k) for k in own})
    return recipe, motif.SampleConfig(**values)


def run(exemplar: list[Motion], specs: Sequence[str], n: int, seed: int) -> dict[str, dict[str, Any]]:
    """Return every row on one clip: measures by name, published ones apart, and seconds."""
    rows, models = {}, {}

    def add(name: str, takes: Sequence[Motion], cost: dict[str, float]) -> None:
        report = metrics.report(takes, exemplar)
        every = {**report.realism, **report.headline}
        rows[name] = {"measures": {k: every[k] for k in KEYS}, "published": report.published, "cost": cost}
        print(f"{exemplar[0].name}, {name}:", *numbers(KEYS, every), flush=True)

    for spec in specs:
        recipe, config = parse(spec)
        if recipe not in models:
            models[recipe] = timed(lambda recipe=recipe: motif.fit(recipe, exemplar, seed))
        model, fit_s = models[recipe]
        takes, took = timed(lambda model=model, config=config: model.sample(n, seed=seed, config=config))
        add(spec, takes, {"fit_s": fit_s, "take_s": took / n})
    for name in fakes.FAKES:
        add(name, fakes.takes(name, exemplar, n, 2 * sum(map(len, exemplar))), {})
    shared = papers.normalisers([row["published"] for row in rows.values()])
    for row in rows.values():
        row["published"]["harmonic_mean"] = papers.harmonic_mean(row["published"], shared)
    return rows


def gate(results: dict[str, Any], baseline: dict[str, Any], specs: Sequence[str]) -> Iterator[str]:
    """Yield what is worse than the baseline, in words."""
    for clip, rows in results.items():
        for spec in specs:
            old = baseline.get(clip, {}).get(spec)
            if old is None:
                yield f"{clip}, {spec}: no baseline; run with --accept"
                continue
            for key, ratio in RATIO.items():
                new, was = rows[spec]["measures"][key], old[key]
                if was is None or math.isnan(new):
                    continue
                if (new > was * ratio) if key in LOWER_IS_BETTER else (new < was / ratio):
                    yield f"{clip}, {spec}: {key} was {was:.3f} and is {new:.3f}"


def pages(results: dict[str, Any], budget: float) -> Iterator[str]:
    """Yield the tables: one a clip, and one of the published measures."""
    validation = DOCS / "validation.json"
    fooled = json.loads(validation.read_text())["fooled"] if validation.exists() else {}
    doubtful = {measure for measure, names in fooled.items() if set(names) - {"copy"}}
    keys, published = [*PUBLISHED, "harmonic_mean"], []
    for clip, rows in results.items():
        lines = []
        for row, values in rows.items():
            cost = values["cost"]
            late = " (over budget)" if sum(cost.values()) > budget else ""
            times = [f"{seconds:.2f}" for seconds in cost.values()] or ["", ""]
            lines.append([row + late, *numbers(KEYS, values["measures"]), *times])
            plain = [number("", values["published"][k]) for k in keys]
            published.append([f"{clip}: {row}", *plain, f"{cost['fit_s']:.0f} s" if cost else ""])
        head = [k + " †" * (k in doubtful) for k in KEYS]
        yield f"## {clip}\n\n{table(['', *head, 'fit s', 'a take s'], lines)}"
    for row, (*values, took) in REPORTED.items():
        published.append([f"*reported, {row}*", *("" if v is None else f"{v:.2f}" for v in values), took])
    head = [k + " †" * (f"published {k}" in doubtful) for k in keys]
    yield f"{PAPERS}\n\n{table(['', *head, 'training'], published)}"


def main() -> None:
    """Measure, write and compare."""
    given = options(
        __doc__,
        clips=["demo", "salsa", "walk", "idle"],
        recipes=["clip-match", "clip-gan", "clip-flow"],
        **{"takes": 20, "seed": 1, "budget": 120.0, "gate": False, "accept": False, "quick": False},
    )
    for spec in given.recipes:
        parse(spec)  # refused before anything is trained
    results = {name: run(clip, given.recipes, given.takes, given.seed) for name, clip in clips(given.clips)}
    made = {**about(), **{k: getattr(given, k) for k in ("takes", "seed", "budget")}}
    tables = list(pages(results, given.budget))
    if not given.quick:
        plain = json.dumps({"about": made, "results": results}, indent=1).replace("NaN", "null")
        write(HERE / "results" / f"{made['date']}-{made['device']}.json", plain)
        write(HERE / "RESULTS.md", HEAD.format(**made), *tables)
    baseline = HERE / "baseline.json"
    known = json.loads(baseline.read_text()) if baseline.exists() else {}
    if given.accept:
        for clip, rows in results.items():
            for spec in given.recipes:
                values = {k: rows[spec]["measures"][k] for k in RATIO}
                accepted = {k: None if math.isnan(v) else round(v, 4) for k, v in values.items()}
                known.setdefault(clip, {})[spec] = accepted
        write(baseline, json.dumps(known, indent=1))
    if given.gate:
        worse = list(gate(results, known, given.recipes))
        print("\n".join(worse) or "gate: nothing is worse than the baseline")
        sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
