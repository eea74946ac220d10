"""Faults planted in clean clips: are they caught, and do clean clips pass?

Run as ``python benchmarks/planted.py [--count 200] [--faults jitter slide ...] [--folders FOLDER ...]`` after the archives are
unpacked in .data. Clean clips are drawn equally from folders of BVH files in .data, whatever their quality: no gate has chosen
them. By default they are CMU (true offsets) and Bandai Namco 2, on which the limits of jitter and slide were set. *Caught*: nothing of
the file is kept, or what is kept measures as the clean file does (slip, shake and collisions within 5 %: an axis or a unit that
was put right); of duplicates and
mirrored copies: left out, or in the split of the original.
"""

import random
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch
from common import DATA, options, table

from motif import api, rotation
from motif.curate import CurateConfig, pipeline, run_local
from motif.motion import FileFormat, Motion

FOLDERS = ("cmu-mocap/bvh", "Bandai-Namco-Research-Motiondataset-2/data")
FAULTS = ("clean", "jitter", "slide", "swapped axes", "wrong unit", "duplicates", "mirrored", "truncated")


def jitter(motion: Motion, g: torch.Generator) -> Motion:
    """Noise on every joint: 1.5 degrees, white, as from a bad tracker."""
    q = motion.rotations
    noise = 0.026 * torch.randn(*q.shape[:-1], 3, generator=g)
    return replace(motion, rotations=rotation.mul(q, rotation.exp(noise)))


def slide(motion: Motion, g: torch.Generator) -> Motion:
    """The whole body glides at half a metre a second in some direction."""
    angle = 6.283 * torch.rand(1, generator=g)
    way = torch.cat((angle.cos(), torch.zeros(1), angle.sin())) * 0.5 * motion.frame_time
    p = motion.positions.clone()
    p[:, 0] += torch.arange(len(p))[:, None] * way
    return replace(motion, positions=p)


def swapped(motion: Motion, g: torch.Generator) -> Motion:
    """Z up."""
    turn = rotation.about("x", torch.tensor(torch.pi / 2))
    q, p = motion.rotations.clone(), motion.positions.clone()
    q[:, 0], p[:, 0] = rotation.mul(turn, q[:, 0]), rotation.rotate(turn, p[:, 0])
    return replace(motion, rotations=q, positions=p)


def unit(motion: Motion, g: torch.Generator) -> Motion:
    """Written in some unit that nobody names."""
    choice = (1.0, 0.01, 0.001, 0.056444)[int(torch.randint(4, (1,), generator=g))]
    return replace(motion, file_format=FileFormat(motion.file_format.channels, choice))


def written(fault: str, motion: Motion, folder: Path, k: int, g: torch.Generator) -> None:
    """Write one faulty file."""
    path = folder / fault.replace(" ", "-") / f"{k:03d}_01.bvh"
    if fault in ("jitter", "slide", "swapped axes", "wrong unit"):
        change = {"jitter": jitter, "slide": slide, "swapped axes": swapped, "wrong unit": unit}[fault]
        api.save(change(motion, g), path)
    elif fault == "duplicates":
        noise = 0.001 * torch.randn(*motion.rotations.shape[:-1], 3, generator=g)
        noise[:, motion.skeleton.ancestors(motion.skeleton.root)[1:]] = 0  # nodes above the body stand still
        copy = replace(motion, rotations=rotation.mul(motion.rotations, rotation.exp(noise)))
        api.save(copy.transform(float(torch.rand(1, generator=g)) * 6, (1.0, 0.0, 2.0)), path)
    elif fault == "mirrored":
        api.save(motion.mirror(), path)
    else:
        api.save(motion, path)
    if fault == "truncated":
        raw = path.read_bytes()
        path.write_bytes(raw[: int(len(raw) * (0.02 + 0.1 * float(torch.rand(1, generator=g))))])


def curated(folder: Path, faults: list[str]):
    """Curate the files of some faults together; return kept rows and rejects by file."""
    with tempfile.TemporaryDirectory() as out:
        roots = [folder / fault.replace(" ", "-") for fault in faults]
        made = pipeline.curate(roots, Path(out) / "corpus", CurateConfig(), run_local.run)
        columns = ("id", "split", "frames", "frame_time", "quality")
        rows, rejects = list(made.rows(columns)), list(made.rejects())
    kept: dict[str, list] = {}
    for row in rows:
        kept.setdefault(row["id"].split("@")[0], []).append(row)
    lost: dict[str, list] = {}
    for reject in rejects:
        lost.setdefault(reject["id"].split("@")[0], []).append(reject)
    return kept, lost


def alike(a: list, b: list) -> bool:
    """Whether the same was kept of two files, to the measured numbers."""
    near = len(a) == len(b)
    for x, y in zip(a, b, strict=False):
        qa, qb = dict(x["quality"]), dict(y["quality"])
        near = near and all(abs(qa[k] - qb[k]) <= 0.05 * max(abs(qa[k]), 0.1) for k in ("slip", "shake", "collision"))
    return near


def rows(given):
    """Yield a row of each fault."""
    draw = random.Random(given.seed)
    files = []
    for folder in given.folders:
        pool = sorted((DATA / folder).rglob("*.bvh"))
        files += draw.sample(pool, min(given.count // len(given.folders), len(pool)))
    with tempfile.TemporaryDirectory() as temporary:
        folder, g = Path(temporary), torch.Generator().manual_seed(given.seed)
        for k, path in enumerate(files):
            motion = api.load(path)
            motion = motion.crop(0, round(8 * motion.fps))
            for fault in {"clean", *given.faults}:
                written(fault, motion, folder, k, g)
        clean, lost = curated(folder, ["clean"])
        names = [f"{k:03d}_01.bvh" for k in range(len(files))]
        passed = [n for n in names if f"clean/{n}" in clean]
        reasons = Counter(r["reason"] for all_ in lost.values() for r in all_)
        yield ["clean", str(len(names)), f"passed {len(passed) / len(names):.1%}", _words(reasons)]
        for fault in (f for f in given.faults if f != "clean"):
            here = fault.replace(" ", "-")
            together = fault in ("duplicates", "mirrored")
            kept, lost = curated(folder, ["clean", fault] if together else [fault])
            caught = 0
            for n in passed:
                mine, theirs = kept.get(f"{here}/{n}", []), (kept if together else clean).get(f"clean/{n}", [])
                fine = not mine or (not together and fault in ("swapped axes", "wrong unit") and alike(mine, theirs))
                splits = {r["split"] for r in (*mine, *theirs)}
                caught += fine or (fault == "mirrored" and len(splits) == 1)
            reasons = Counter(r["reason"] for id, all_ in lost.items() if id.startswith(here) for r in all_)
            yield [fault, str(len(passed)), f"caught {caught / max(len(passed), 1):.1%}", _words(reasons)]


def _words(reasons: Counter) -> str:
    return ", ".join(f"{k} {v}" for k, v in reasons.most_common())


def main() -> None:
    """Plant, curate and print."""
    given = options(__doc__, count=200, faults=list(FAULTS), folders=list(FOLDERS), seed=0)
    torch.set_num_threads(1)
    table(["fault", "files", "", "reasons"], rows(given))


if __name__ == "__main__":
    main()
