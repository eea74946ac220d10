"""What a long clip costs: seconds and memory of ``motif vary LONG.bvh --seconds 20 -n 1`` as a whole process, and its parts.

Run as ``python benchmarks/long_clips.py [--frames 2000 8000 32000 100000] [--rounds 3]``. Clips are the CMU takes (cgspeed)
of 57 joints laid end to end, then the same mirrored, over again until they are as many frames. Parts are measured once, in
a process of their own. Writes docs/images/long_clips.svg.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from common import DATA, DOCS, options, table, timed, write

import motif

SECONDS = 20.0
PARTS = ("import", "read", "fit", "sample", "write")


def long_clip(takes: list[motif.Motion], frames: int) -> motif.Motion:
    """Return takes end to end, over again if need be."""
    repeats = -(-frames // sum(map(len, takes)))
    rotations, positions = (
        torch.cat([getattr(m, name) for m in takes] * repeats)[:frames] for name in ("rotations", "positions")
    )
    return replace(takes[0], rotations=rotations, positions=positions, name=f"long-{frames}")


def process(command: list[str], folder: str | None = None) -> dict[str, float]:
    """Return wall and processor seconds and the largest memory, MB, of a command that is run in a folder.

    Python may keep compiled modules, as it does where packages are installed.
    """
    settings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def run() -> resource.struct_rusage:
        child = subprocess.Popen(
            command, cwd=folder, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"failed: {' '.join(command)}")
        return used

    used, wall = timed(run)
    return {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}


def parts(path: str) -> None:
    """Print the seconds of each part, as the command line does them, as JSON."""
    from motif.cli import options as cli

    cli.use_one_thread()
    clip, read = timed(lambda: motif.load(path))
    model, fit = timed(lambda: motif.fit("clip-match", clip))
    takes, sample = timed(lambda: model.sample(1, SECONDS))
    print(json.dumps([read, fit, sample, timed(lambda: takes[0] and motif.save(takes[0], f"{path}.take.bvh"))[1]]))


def chart(frames: list[int], lines: dict[str, list[float]]) -> str:
    """Return an SVG with logarithmic axes: each line over the frames of the clip, the linear one dashed."""
    width, height, left, top, colours = 560, 360, 60, 30, ["#111827", "#2563eb", "#9ca3af"]
    low, high = (round_(min(min(v) for v in lines.values())), 10 * round_(max(max(v) for v in lines.values())))
    decades = [low]
    while decades[-1] < high:
        decades.append(decades[-1] * 10)

    def x(value: float) -> float:
        return left + (width - left - 150) * log(value, frames[0], frames[-1])

    def y(value: float) -> float:
        return top + (height - top - 50) * (1 - log(value, decades[0], decades[-1]))

    drawn = []
    for value in decades:
        drawn.append(f'<path d="M{left} {y(value):.1f}H{width - 150}" stroke="#e5e7eb"/>')
        drawn.append(f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    drawn += [f'<text x="{x(n):.1f}" y="{height - 28}" text-anchor="middle">{n:,}</text>' for n in frames]
    for (name, values), colour in zip(lines.items(), colours):
        points = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in zip(frames, values))
        dash = ' stroke-dasharray="4 4"' if name.startswith("linear") else ""
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        drawn.append(f'<text x="{width - 142}" y="{y(values[-1]) + 4:.1f}" fill="{colour}">{name}</text>')
    title = f"motif vary LONG.bvh --seconds {SECONDS:g} -n 1, whole process"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" '
        f'fill="#374151"><rect width="100%" height="100%" fill="white"/><text x="{left}" y="18">{title}</text>'
        f'{"".join(drawn)}<text x="{left}" y="{height - 8}">frames of the clip</text></svg>'
    )


def log(value: float, low: float, high: float) -> float:
    """Return where a value lies between two others, 0 to 1, on a logarithmic scale."""
    return float(torch.log(torch.tensor(value / low)) / torch.log(torch.tensor(high / low)))


def round_(value: float) -> float:
    """Return the power of ten at or below a value."""
    return float(10 ** torch.log10(torch.tensor(value, dtype=torch.float64)).floor())


def main() -> None:
    """Measure and print, or, given ``--parts``, only the parts of one clip."""
    given = options(__doc__, frames=["2000", "8000", "32000", "100000"], rounds=3, parts="")
    if given.parts:
        parts(given.parts)
        return
    warnings.simplefilter("ignore")
    takes = [motif.load(path) for path in sorted((DATA / "cmu-mocap" / "bvh-cgspeed").glob("*.bvh"))]
    takes = [m for m in takes if len(m.skeleton) == 57]
    takes += [m.mirror() for m in takes]
    frames, rows, walls, memory = sorted(map(int, given.frames)), [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for n in frames:
            path = str(motif.save(long_clip(takes, n), Path(folder) / f"long-{n}.bvh"))
            vary = [sys.executable, "-m", "motif", "vary", path, "--seconds", f"{SECONDS:g}", "-n", "1", "-o", folder]
            found = [process(vary) for _ in range(given.rounds)]
            median = {key: statistics.median(run[key] for run in found) for key in found[0]}
            own = subprocess.run(
                [sys.executable, __file__, "--parts", path], capture_output=True, text=True, check=True
            )
            inside = json.loads(own.stdout.splitlines()[-1])
            start = process([sys.executable, "-c", "import motif.cli, motif.api"])["wall"]
            rows.append([f"{n:,}", *(f"{median[k]:.2f}" for k in ("wall", "cpu")), f"{median['mb']:.0f}"])
            rows[-1] += [f"{t:.2f}" for t in (start, *inside)]
            walls.append(median["wall"])
            memory.append(median["mb"] / 100)
    table(["frames", "wall, s", "processor, s", "MB", *(f"{p}, s" for p in PARTS)], rows)
    linear = [walls[-1] * n / frames[-1] for n in frames]
    write(
        DOCS / "images" / "long_clips.svg",
        chart(frames, {"seconds": walls, "memory, 100 MB": memory, "linear": linear}),
    )


if __name__ == "__main__":
    main()
