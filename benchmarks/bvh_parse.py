"""Parse time of motif against pybvh on one file, taking turns in one process.

Run as ``python benchmarks/bvh_parse.py [CLIP]``; the clip that ships with motif is taken if none is given.
"""

import tempfile
import warnings
from importlib import resources
from pathlib import Path

import pybvh
import torch
from common import medians, options

from motif.io import bvh


def main() -> None:
    """Measure and print."""
    given = options(__doc__, "clip?", rounds=21)
    clip, rounds = given.clip or str(resources.files("motif") / "assets" / "cmu_17_10.bvh"), given.rounds
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # two threads on a busy machine wait for each other
    motion, theirs = bvh.read(clip), pybvh.read_bvh_file(clip)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.bvh"
        parse = medians({"motif": lambda: bvh.parse(clip), "pybvh": lambda: pybvh.read_bvh_file(clip)}, rounds)
        read = medians({"motif": lambda: bvh.read(clip)}, 5)
        write = medians(
            {"motif": lambda: bvh.write(motion, out), "pybvh": lambda: pybvh.write_bvh_file(theirs, str(out))}, 7
        )
    for name, times in {"parse": parse, "read": read, "write": write}.items():
        ratio = f"   ratio {times['motif'] / times['pybvh']:.2f}" if "pybvh" in times else ", unit and rig guessed"
        print(f"{name:<7}" + "   ".join(f"{k} {v * 1e3:7.1f} ms" for k, v in times.items()) + ratio)


if __name__ == "__main__":
    main()
