"""Read, write and re-read every BVH file under some folders, against the slow oracle of ``tests/reference.py``.

Run as ``python benchmarks/bvh_sweep.py FOLDER...``; prints a Markdown table with one line per folder, or per folder
inside it where it has such. Errors are the largest difference of any joint in any frame, in units of body height.
"""

import argparse
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import reference
from motif.errors import MotifError
from motif.io import ReadConfig, bvh

LIMIT = 1e-4


@dataclass
class Tally:
    """What was found in one folder."""

    files: int = 0
    refused: int = 0
    warned: int = 0
    frames: int = 0
    read_error: float = 0.0
    written_error: float = 0.0
    failures: int = 0
    units: dict[str, int] = field(default_factory=dict)


def check(path: Path, out: Path, tally: Tally) -> list[str]:
    """Everything that is wrong with reading and writing this file."""
    tally.files += 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            motion = bvh.read(path)
        except MotifError as error:
            tally.refused += 1
            return [f"refused: {error}"]
        bvh.write(motion, out)
        again = bvh.read(out, ReadConfig(unit=motion.file_format.unit))
    tally.warned += bool(caught)
    tally.frames += len(motion)
    found = [f"warned: {w.message}" for w in caught]
    s, unit = motion.skeleton, motion.file_format.unit
    words = {1.0: "m", bvh.CMU_UNIT: "CMU", 0.01: "cm", 0.001: "mm"}[unit]
    tally.units[words] = tally.units.get(words, 0) + 1
    source = reference.load(path)
    truth, height = reference.positions(source), s.height / unit
    written = reference.positions(reference.load(out))
    wrong = []
    if [n for n, e in zip(s.names, s.end, strict=True) if not e] != [n for n in source.names if n is not None]:
        wrong.append("names differ from the oracle's")
    if [[c.lower() for c in row] for row in motion.file_format.channels] != source.channels:
        wrong.append("channels differ from the oracle's")
    if motion.frame_time != source.frame_time:
        wrong.append("frame time differs from the oracle's")
    if again.skeleton.names != s.names or again.frame_time != motion.frame_time or len(again) != len(motion):
        wrong.append("names or rate changed in writing")
    if again.file_format.channels != motion.file_format.channels:
        wrong.append("channels changed in writing")
    read_error = np.abs(motion.world()[1].numpy() / unit - truth).max() / height
    written_error = np.abs(written - truth).max() / height
    if not max(read_error, written_error) < LIMIT:
        wrong.append(f"positions are off by {read_error:.1e} read, {written_error:.1e} written")
    tally.read_error = max(tally.read_error, read_error)
    tally.written_error = max(tally.written_error, written_error)
    tally.failures += bool(wrong)
    return found + wrong


def main() -> None:
    """Sweep and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every n-th file only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start, tallies, notes = time.perf_counter(), {}, []
    with tempfile.TemporaryDirectory() as folder:
        for top in options.folders:
            files = sorted(p for p in top.rglob("*") if p.suffix.lower() == ".bvh")
            for path in files[:: options.every]:
                inside = path.relative_to(top).parts
                tally = tallies.setdefault(f"{top.name}/{inside[0]}" if len(inside) > 1 else top.name, Tally())
                notes += [f"{path}: {note}" for note in check(path, Path(folder) / "out.bvh", tally)]
    print("| folder | files | frames | read | failures | warned | unit | read error | written error |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, t in tallies.items():
        units = " ".join(f"{n} {u}" for u, n in t.units.items())
        row = (name, t.files, t.frames, t.files - t.refused, t.failures, t.warned, units)
        print("| " + " | ".join(map(str, row)) + f" | {t.read_error:.1e} | {t.written_error:.1e} |")
    total = list(tallies.values())
    print(
        f"\n{sum(t.files for t in total)} files, {sum(t.refused for t in total)} refused, "
        f"{sum(t.failures for t in total)} failures, {time.perf_counter() - start:.0f} s\n"
    )
    for note in notes:
        print("-", note)


if __name__ == "__main__":
    main()
