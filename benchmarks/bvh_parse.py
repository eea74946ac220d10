"""Parse time of motif against pybvh on one file, taking turns in one process.

Run as ``python benchmarks/bvh_parse.py [CLIP]``; the clip that ships with motif is taken if none is given.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pybvh
import torch

from motif.io import bvh


def seconds(task: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    demo = resources.files("motif") / "assets" / "cmu_01_01.bvh"
    parser.add_argument("clip", nargs="?", default=str(demo))
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # two threads on a busy machine wait for each other
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(seconds(lambda: bvh.parse(options.clip)))
        theirs.append(seconds(lambda: pybvh.read_bvh_file(options.clip)))
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"parse  motif {a * 1e3:7.1f} ms   pybvh {b * 1e3:7.1f} ms   ratio {a / b:.2f}")
    motion, theirs_motion = bvh.read(options.clip), pybvh.read_bvh_file(options.clip)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.bvh"
        reads = statistics.median(seconds(lambda: bvh.read(options.clip)) for _ in range(5))
        writes = statistics.median(seconds(lambda: bvh.write(motion, out)) for _ in range(7))
        others = statistics.median(seconds(lambda: pybvh.write_bvh_file(theirs_motion, str(out))) for _ in range(7))
    print(f"read   motif {reads * 1e3:7.1f} ms   (quaternions, unit and rig guessed)")
    print(f"write  motif {writes * 1e3:7.1f} ms   pybvh {others * 1e3:7.1f} ms")


if __name__ == "__main__":
    main()
