"""A bench as wide as the users: new takes of some fifty clips of a dozen rigs, judged by the worst.

Run as ``python benchmarks/wide.py [--recipes clip-match clip-match,tempo=0.0] [--only WORD...] [--takes 3] [--longest 60]``, after
``tar xJf ../shared/data/NAME.tar.xz -C .data`` for bvh, cmu-mocap, motion-extra, creatures and bandai-namco. A row is a clip:
the takes (twice the clip's length, at most ``longest`` seconds), judged together. *Pops* are jumps of the pose
a minute that the clip never makes; *held* is the longest that a take stands still, beyond the longest that the clip does,
in seconds. The last rows are the worst of each column, and its worst tenth. ``--keep FOLDER`` keeps the first
take of each clip, to be looked at.
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

BVH, CMU, EXTRA = DATA / "bvh", DATA / "cmu-mocap", DATA / "motion-extra"
STYLES, MASS = BVH / "deep-motion-editing/style_transfer/data/xia_test", BVH / "mass/data/motion"
DRAWINGS = BVH / "animated-drawings/examples/bvh"
MESH = DATA / "creatures/mesh2motion/static/animations"
BANDAI = "Bandai-Namco-Research-Motiondataset-{0}/data/dataset-{0}_{1}.bvh"
FILES: list[tuple[Path, motif.ReadConfig]] = [
    *((SHARED / f"{name}.bvh", motif.ReadConfig()) for name in ("Salsa-Dancing-6", "Walk-In-Circle", "xia-proud")),
    (SHARED / "Baseball-Milling-Idle.bvh", motif.ReadConfig()),
    *((DRAWINGS / f"fair1/{n}.bvh", motif.ReadConfig(up="z")) for n in ("dab", "jumping", "wave_hello", "zombie")),
    *((DRAWINGS / f"{name}.bvh", motif.ReadConfig()) for name in ("cmu1/jumping_jacks", "rokoko/jesse_dance")),
    *(
        (STYLES / f"{n}.bvh", motif.ReadConfig())
        for n in ("neutral_01_000", "sexy_01_001", "old_13_000", "angry_13_000")
    ),
    *(
        (MASS / f"{n}.bvh", motif.ReadConfig())
        for n in ("backflip", "balance", "cart", "dance", "kick", "pirouette", "walk")
    ),
    *(
        (CMU / f"bvh/{n}.bvh", motif.ReadConfig())
        for n in ("01_01", "01_13", "05_09", "14_14", "29_02", "49_02", "135_11")
    ),
    *((CMU / f"bvh/{name}.bvh", motif.ReadConfig()) for name in ("03_01", "16_14", "09_01", "127_37")),
    *((CMU / f"bvh-cgspeed/{n}.bvh", motif.ReadConfig()) for n in ("13_10", "60_07", "61_07", "indian_15", "10_04")),
    *((EXTRA / f"reactidle/{n}.bvh", motif.ReadConfig(root_offset="add")) for n in ("003_genuine", "000_genuine")),
    *((EXTRA / f"dog-lifelike/raw-bvh/dog_{n}_001.bvh", motif.ReadConfig()) for n in ("back", "quad_walkrun")),
    (EXTRA / "dog-lifelike/raw-bvh/dog_idle_004.bvh", motif.ReadConfig()),
    *(
        (MESH / f"{n}-animations.glb", motif.ReadConfig())
        for n in ("bird", "dragon", "spider", "kaiju", "fox", "horse")
    ),
    *((DATA / BANDAI.format(1, n), motif.ReadConfig()) for n in ("dash_not-confident_001", "walk_old_001")),
    *((DATA / BANDAI.format(1, n), motif.ReadConfig()) for n in ("dance-short_normal_001", "slash_normal_001")),
    *((DATA / BANDAI.format(2, n), motif.ReadConfig()) for n in ("walk-turn-left_normal_004", "run_active_001")),
]
COLUMNS = ("slip_ratio", "jerk_ratio", "coverage", "precision", "novelty", "two_sample")


def judged(clip: motif.Motion, takes: list[motif.Motion]) -> dict[str, float]:
    """Return the measures of the takes of a clip."""
    found = metrics.report(takes, [clip], published=False)
    return {**{k: found.headline[k] for k in COLUMNS}, "pops": found.physical["seams"], "held": found.physical["held"]}


def rows(given, found: list[dict[str, float]]) -> Iterator[list[str]]:
    """Yield a row of each clip and recipe, and add its measures to what was found."""
    for path, config in FILES:
        if given.only != ["all"] and not any(word in str(path) for word in given.only):
            continue
        if not path.exists():
            yield [path.stem, "absent", *[""] * (len(COLUMNS) + 5)]
            continue
        clip = motif.load(path, config)
        for spec in given.recipes:
            recipe, sampling = parse(spec)
            length, model = min(2 * clip.seconds, given.longest), api.fit(recipe, [clip])
            takes, took = timed(partial(model.sample, given.takes, length, config=sampling))
            values = {**judged(clip, takes), "seconds": took, "spec": given.recipes.index(spec), "length": clip.seconds}
            found.append(values)
            if given.keep:
                folder = Path(given.keep)
                folder.mkdir(parents=True, exist_ok=True)
                motif.save(takes[0], folder / f"{path.stem}.{spec}.bvh")
            cells = [number(k, values[k]) if k in COLUMNS else f"{values[k]:.2f}" for k in (*COLUMNS, "pops", "held")]
            yield [path.stem, spec, f"{clip.seconds:.1f}", f"{clip.fps:.0f}", *cells, f"{took:.1f}"]


def worst(given, found: list[dict[str, float]]) -> Iterator[list[str]]:
    """Yield the worst and the worst tenth of each measure, of clips of 4 s and more."""
    for n, spec in enumerate(given.recipes):
        own = [v for v in found if v["spec"] == n and v["length"] >= 4]
        if not own:
            continue
        for name, share in (("worst", 0.0), ("worst tenth", 0.1), ("median", 0.5)):
            cells = []
            for k in (*COLUMNS, "pops", "held"):
                values = sorted(v[k] for v in own if not math.isnan(v[k]))
                values = values if k in ("coverage", "precision", "novelty") else values[::-1]
                value = values[int(share * len(values))] if values else math.nan
                cells.append(number(k, value) if k in COLUMNS else f"{value:.2f}")
            yield [f"**{name}, 4 s and more**", spec, "", "", *cells, f"{sum(v['seconds'] for v in own):.0f}"]


def main() -> None:
    """Make and judge takes of every clip."""
    given = options(__doc__, recipes=["clip-match"], only=["all"], takes=3, longest=60.0, keep="")
    torch.set_num_threads(1)
    found: list[dict[str, float]] = []

    def both() -> Iterator[list[str]]:
        yield from rows(given, found)
        yield from worst(given, found)

    table(["clip", "recipe", "s", "fps", *COLUMNS, "pops", "held", "made in s"], both())


if __name__ == "__main__":
    main()
