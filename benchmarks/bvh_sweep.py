"""Read, write and re-read every BVH file under some folders, against the slow oracle of ``tests/reference.py``.

Run as ``python benchmarks/bvh_sweep.py FOLDER... [--every N]`` (every n-th file only); prints a Markdown table with one line per folder, or per folder
inside it where it has such. Errors are the largest difference of any joint in any frame, in units of body height.
"""

import collections
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from common import options, table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import reference
from motif.errors import MotifError
from motif.io import ReadConfig, bvh

LIMIT = 1e-4
UNITS = {1.0: "m", bvh.CMU_UNIT: "CMU", 0.01: "cm", 0.001: "mm"}
SUMS = ("files", "frames", "refused", "failures", "warned")


def check(path: Path, out: Path, tally: collections.Counter) -> Iterator[str]:
    """Yield everything that is wrong with reading and writing this file, and count it."""
    tally["files"] += 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            motion = bvh.read(path)
        except MotifError as error:
            tally["refused"] += 1
            yield f"refused: {error}"
            return
        bvh.write(motion, out)
        s, style = motion.skeleton, motion.file_format
        again = bvh.read(out, ReadConfig(unit=style.unit))
    yield from (f"warned: {w.message}" for w in caught)
    source, written = reference.load(path), reference.positions(reference.load(out))
    truth, height = reference.positions(source), s.height / style.unit
    errors = {
        "read": np.abs(motion.world()[1].numpy() / style.unit - truth).max() / height,
        "written": np.abs(written - truth).max() / height,
    }
    names = [n for n, e in zip(s.names, s.end, strict=True) if not e]
    right = {
        "names differ from the oracle's": names == [n for n in source.names if n is not None],
        "channels differ from the oracle's": [[c.lower() for c in row] for row in style.channels] == source.channels,
        "frame time differs from the oracle's": motion.frame_time == source.frame_time,
        "names changed in writing": again.skeleton.names == s.names,
        "rate changed in writing": again.frame_time == motion.frame_time and len(again) == len(motion),
        "channels changed in writing": again.file_format.channels == style.channels,
        f"positions are off by {errors}": max(errors.values()) < LIMIT,
    }
    wrong = [what for what, fine in right.items() if not fine]
    yield from wrong
    tally.update({"frames": len(motion), "warned": bool(caught), "failures": bool(wrong), UNITS[style.unit]: 1})
    for name, error in errors.items():
        tally[f"{name} error"] = max(tally[f"{name} error"], error)


def main() -> None:
    """Sweep and print."""
    given = options(__doc__, "folders+", every=1)
    torch.set_num_threads(1)
    tallies: dict[str, collections.Counter] = {}
    with tempfile.TemporaryDirectory() as folder:
        for top in map(Path, given.folders):
            files = sorted(p for p in top.rglob("*") if p.suffix.lower() == ".bvh")
            for path in files[:: given.every]:
                inside = path.relative_to(top).parts
                name = f"{top.name}/{inside[0]}" if len(inside) > 1 else top.name
                tally = tallies.setdefault(name, collections.Counter())
                for note in check(path, Path(folder) / "out.bvh", tally):
                    print(f"{path}: {note}")
    rows = []
    for name, tally in tallies.items():
        units = " ".join(f"{tally[unit]} {unit}" for unit in UNITS.values() if tally[unit])
        errors = [f"{tally[f'{side} error']:.1e}" for side in ("read", "written")]
        rows.append([name, *(tally[key] for key in SUMS), units, *errors])
    rows.append(["all", *(sum(tally[key] for tally in tallies.values()) for key in SUMS), "", "", ""])
    table(["folder", *SUMS, "unit", "read error", "written error"], rows)


if __name__ == "__main__":
    main()
