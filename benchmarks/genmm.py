"""Processor time of one take and of four against the public GenMM code on the same machine, taking turns as whole processes.

Run as ``python benchmarks/genmm.py CHECKOUT [--python PYTHON] [--clip CLIP.bvh] [--rounds 3]``. CHECKOUT is
https://github.com/wyysf-98/GenMM at commit 7a193d2 (later ones stop with an error); PYTHON is one that has what it needs:
torch, numpy, pyyaml, tqdm, unfoldNd. It runs with its own defaults on the CPU and makes one take of twice the clip a run.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import SHARED, options, table
from long_clips import process


def main() -> None:
    """Measure and print."""
    given = options(
        __doc__, "checkout", python=sys.executable, clip=str(SHARED / "Salsa-Dancing-6.bvh"), rounds=3, seed=1
    )
    commit = subprocess.run(["git", "-C", given.checkout, "rev-parse", "HEAD"], capture_output=True, text=True)
    with tempfile.TemporaryDirectory() as folder:
        own = [sys.executable, "-m", "motif", "vary", given.clip, "--seed", str(given.seed), "-o", folder]
        theirs = [given.python, "run_random_generation.py", "-i", str(Path(given.clip).resolve()), "-d", "cpu"]
        theirs += ["-s", str(given.seed), "-o", folder]
        commands = {"GenMM": (1, theirs), "motif, one take": (1, [*own, "-n", "1"])}
        commands |= {"motif, four takes": (4, [*own, "-n", "4"])}
        commands["only the imports of motif"] = 1, [sys.executable, "-c", "import motif.cli, motif.api"]
        runs = {name: [] for name in commands}
        for _ in range(given.rounds):
            for name, (_, command) in commands.items():
                runs[name].append(process(command, given.checkout if name == "GenMM" else None))
    rows, first = [], 0.0
    for name, (takes, _) in commands.items():
        cpu, wall, mb = (statistics.median(run[key] for run in runs[name]) for key in ("cpu", "wall", "mb"))
        first = first or cpu
        rows.append(
            [name, f"{cpu:.2f}", f"{cpu / takes:.2f}", f"{first / (cpu / takes):.1f}", f"{wall:.2f}", f"{mb:.0f}"]
        )
    print(f"GenMM at {commit.stdout.strip()[:7]}, {given.clip}, medians of {given.rounds}")
    table(["", "processor, s", "a take, s", "GenMM's over it", "wall, s", "MB"], rows)


if __name__ == "__main__":
    main()
