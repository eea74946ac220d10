"""A bench as wide as the users: new takes of some fifty clips of a dozen rigs, judged by the worst.

Run as ``python benchmarks/wide.py [--recipes clip-match clip-match,tempo=0.0] [--only WORD...] [--seeds 3] [--longest 60]``, after
``tar xJf ../shared/data/NAME.tar.xz -C .data`` for bvh, cmu-mocap, motion-extra, creatures and bandai-namco. A row is a clip
or a pair: a take of each seed (twice the clips' length, at most ``longest`` seconds), judged together. *Pops* are jumps of the pose
a minute that the clip never makes; *held* is the longest that a take stands still, beyond the longest that the clip does,
in seconds; *rise* is how fast the root rises or falls at most, beside the clip. The last rows are the worst of each column, and its worst tenth. ``--keep FOLDER`` keeps the
takes, to be looked at.
"""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from common import DATA, SHARED, number, options, table, timed
from suite import parse

import motif
from motif import api, metrics

BANDAI = "Bandai-Namco-Research-Motiondataset-{0}/data/dataset-{0}_{1}.bvh"
CONFIGS = {"z": motif.ReadConfig(up="z"), "add": motif.ReadConfig(root_offset="add"), "": motif.ReadConfig()}
FOLDERS: dict[str, tuple[Path, str, str]] = {
    "mixamo": (SHARED, "Salsa-Dancing-6 Walk-In-Circle xia-proud Baseball-Milling-Idle", ""),
    "drawings": (DATA / "bvh/animated-drawings/examples/bvh/fair1", "dab jumping wave_hello zombie", "z"),
    "drawings 2": (DATA / "bvh/animated-drawings/examples/bvh", "cmu1/jumping_jacks rokoko/jesse_dance", ""),
    "styles": (
        DATA / "bvh/deep-motion-editing/style_transfer/data/xia_test",
        "neutral_01_000 sexy_01_001 old_13_000 angry_13_000",
        "",
    ),
    "mass": (DATA / "bvh/mass/data/motion", "backflip balance cart dance kick pirouette walk", ""),
    "cmu": (
        DATA / "cmu-mocap/bvh",
        "01_01 01_13 05_09 14_14 29_02 49_02 135_11 16_14 09_01 127_37",
        "",
    ),
    "cmu, uneven ground": (DATA / "cmu-mocap/bvh", "14_21 14_33 01_06 03_01", ""),
    "box": (SHARED.parents[1] / "cases", "box_jump", ""),
    "cgspeed": (DATA / "cmu-mocap/bvh-cgspeed", "13_10 13_36 60_07 61_07 indian_15 10_04", ""),
    "idles": (DATA / "motion-extra/reactidle", "003_genuine 000_genuine", "add"),
    "dog": (DATA / "motion-extra/dog-lifelike/raw-bvh", "dog_back_001 dog_quad_walkrun_001 dog_idle_004", ""),
    "bandai 1": (DATA, " ".join(f"1_{n}" for n in ("dash_not-confident_001", "walk_old_001")), ""),
    "bandai 1, short": (DATA, " ".join(f"1_{n}" for n in ("dance-short_normal_001", "slash_normal_001")), ""),
    "bandai 2": (DATA, " ".join(f"2_{n}" for n in ("walk-turn-left_normal_004", "run_active_001")), ""),
    "creatures": (DATA / "creatures/mesh2motion/static/animations", "bird dragon spider kaiju fox horse", ""),
}
PAIRS = ("Walk-In-Circle Baseball-Milling-Idle", "Salsa-Dancing-6 Walk-In-Circle")
COLUMNS = ("slip_ratio", "jerk_ratio", "coverage", "precision", "novelty", "two_sample")
BODY = {"pops": "seams", "held": "held", "rise": "rise_ratio"}


def clips() -> Iterator[tuple[str, list[Path], motif.ReadConfig]]:
    """Yield the name of each row, its files and how they are read."""
    for kind, (folder, names, config) in FOLDERS.items():
        for name in names.split():
            if kind.startswith("bandai"):
                path = folder / BANDAI.format(*name.split("_", 1))
            else:
                path = folder / (f"{name}-animations.glb" if kind == "creatures" else f"{name}.bvh")
            yield path.stem, [path], CONFIGS[config]
    for names in PAIRS:
        yield names.replace(" ", " + "), [SHARED / f"{name}.bvh" for name in names.split()], CONFIGS[""]


def judged(exemplar: list[motif.Motion], takes: list[motif.Motion]) -> dict[str, float]:
    """Return the measures of the takes of clips."""
    found = metrics.report(takes, exemplar, published=False)
    body = {name: found.physical[key] for name, key in BODY.items()}
    return {**{k: found.headline[k] for k in COLUMNS}, **body}


def rows(given, found: list[dict[str, float]]) -> Iterator[list[str]]:
    """Yield a row of each clip and recipe, and add its measures to what was found."""
    for title, paths, config in clips():
        if given.only != ["all"] and not any(word in str(path) for word in given.only for path in paths):
            continue
        if not all(path.exists() for path in paths):
            yield [title, "absent", *[""] * (len(COLUMNS) + len(BODY) + 3)]
            continue
        exemplar = [motif.load(path, config) for path in paths]
        exemplar = [m.resample(min(e.fps for e in exemplar)) for m in exemplar]
        seconds, fps = sum(m.seconds for m in exemplar), exemplar[0].fps
        for spec in given.recipes:
            recipe, sampling = parse(spec)
            length, model = min(2 * seconds, given.longest), api.fit(recipe, exemplar)
            made = [timed(partial(model.sample, 1, length, seed=s, config=sampling)) for s in range(given.seeds)]
            takes, took = [takes[0] for takes, _ in made], sum(seconds for _, seconds in made)
            values = {**judged(exemplar, takes), "seconds": took, "spec": given.recipes.index(spec), "length": seconds}
            found.append(values)
            if given.keep:
                folder = Path(given.keep)
                folder.mkdir(parents=True, exist_ok=True)
                for n, take in enumerate(takes):
                    motif.save(take, folder / f"{title}.{spec}.{n}.bvh")
            cells = [number(k, values[k]) if k in COLUMNS else f"{values[k]:.2f}" for k in (*COLUMNS, *BODY)]
            yield [title, spec, f"{seconds:.1f}", f"{fps:.0f}", *cells, f"{took:.1f}"]


def worst(given, found: list[dict[str, float]]) -> Iterator[list[str]]:
    """Yield the worst and the worst tenth of each measure, of clips of 4 s and more."""
    for n, spec in enumerate(given.recipes):
        own = [v for v in found if v["spec"] == n and v["length"] >= 4]
        if not own:
            continue
        for name, share in (("worst", 0.0), ("worst tenth", 0.1), ("median", 0.5)):
            cells = []
            for k in (*COLUMNS, *BODY):
                values = sorted(v[k] for v in own if not math.isnan(v[k]))
                values = values if k in ("coverage", "precision", "novelty") else values[::-1]
                value = values[int(share * len(values))] if values else math.nan
                cells.append(number(k, value) if k in COLUMNS else f"{value:.2f}")
            yield [f"**{name}, 4 s and more**", spec, "", "", *cells, f"{sum(v['seconds'] for v in own):.0f}"]


def main() -> None:
    """Make and judge takes of every clip."""
    given = options(__doc__, recipes=["clip-match"], only=["all"], seeds=3, longest=60.0, keep="")
    torch.set_num_threads(1)
    found: list[dict[str, float]] = []

    def both() -> Iterator[list[str]]:
        yield from rows(given, found)
        yield from worst(given, found)

    table(["clip", "recipe", "s", "fps", *COLUMNS, *BODY, "made in s"], both())


if __name__ == "__main__":
    main()
