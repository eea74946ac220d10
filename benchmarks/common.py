"""What the benchmarks share: clips by name, times, tables, pages and one figure."""

import argparse
import datetime
import itertools
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

import motif
from motif.motion import Motion
from motif.view.page import Curve, line_chart, number

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
SHARED = HERE.parent.parent / "shared" / "data" / "clips"
DATA = HERE.parent / ".data"
CREATURES = DATA / "creatures" / "mesh2motion" / "static" / "animations"
BANDAI = DATA / "Bandai-Namco-Research-Motiondataset-2" / "data" / "dataset-2_{}.bvh"
WALKS = ("walk_normal_001", "walk_normal_002", "walk-turn-right_normal_004", "walk-turn-left_normal_004")


def _files(*paths: Path, mirrored: bool = False) -> list[Motion]:
    clips = [motif.load(path) for path in paths]
    return clips + [clip.mirror() for clip in clips] * mirrored


def _animations(path: Path, *names: str) -> list[Motion]:
    return [motif.load(path, motif.ReadConfig(clip=name)) for name in names]


CLIPS: dict[str, Callable[[], list[Motion]]] = {
    "demo": lambda: [motif.demo_clip()],
    "salsa": partial(_files, SHARED / "Salsa-Dancing-6.bvh"),
    "walk": partial(_files, SHARED / "Walk-In-Circle.bvh"),
    "idle": partial(_files, SHARED / "Baseball-Milling-Idle.bvh"),
    "normal": partial(_files, SHARED / "xia-normal.bvh"),
    "proud": partial(_files, SHARED / "xia-proud.bvh"),
    "walk both ways": partial(_files, SHARED / "Walk-In-Circle.bvh", mirrored=True),
    "stop and go": partial(_files, *(Path(str(BANDAI).format(name)) for name in WALKS), mirrored=True),
    "horse": partial(_animations, CREATURES / "horse-animations.glb", "Turn_Left", "Turn_Right", "Eating", "Idle"),
    "fox": partial(_animations, CREATURES / "fox-animations.glb", "Bark", "Howl", "Jump", "Idle", "Idle Alert"),
}
"""What is learned together, by name. The sets of Bandai Namco Research (2) and Mesh2Motion are looked for in .data."""


def clips(names: Iterable[str]) -> Iterator[tuple[str, list[Motion]]]:
    """Yield names and clips, those that are here."""
    for name in names:
        if name not in CLIPS:
            raise SystemExit(f"no clip {name!r}; there is {', '.join(map(repr, CLIPS))}")
        try:
            yield name, CLIPS[name]()
        except motif.MotifError as error:
            print(f"{name}: skipped ({error})")


def one_clip(path: str | None) -> Motion:
    """Return the clip of a file, or the one that ships with motif."""
    return motif.load(path) if path else motif.demo_clip()


def options(doc: str | None, *arguments: str, **defaults: Any) -> argparse.Namespace:
    """Return what the command line says: arguments (``name``, ``name?``, ``name+``) and options of their default's type."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in arguments:
        parser.add_argument(name.rstrip("?+"), nargs=name[-1] if name[-1] in "?+" else None)
    for name, default in defaults.items():
        if isinstance(default, bool):
            parser.add_argument(f"--{name}", action="store_true")
        else:
            many, kind = ("+", str) if isinstance(default, list) else (None, type(default))
            parser.add_argument(f"--{name}", nargs=many, type=kind, default=default, help=f"default: {default}")
    return parser.parse_args()


def timed(task: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call returns, and how many seconds it takes."""
    start = time.perf_counter()
    result = task()
    return result, time.perf_counter() - start


def medians(tasks: Mapping[str, Callable[[], object]], rounds: int, pause: float = 0.0) -> dict[str, float]:
    """Return the median seconds of tasks that take turns, each after a pause in which earlier threads fall asleep."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            time.sleep(pause)
            times[name].append(timed(task)[1])
    return {name: statistics.median(values) for name, values in times.items()}


def about() -> dict[str, Any]:
    """Return where and how a result is made."""
    gpu = torch.cuda.is_available()
    return {
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "device": torch.cuda.get_device_name(0).replace(" ", "-") if gpu else f"cpu-{platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "motif": motif.__version__,
    }


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table, printing each row as it is made."""
    lines, columns = [], list(head)
    for cells in itertools.chain([columns], rows):
        lines.append(f"| {' | '.join(map(str, cells))} |")
        print(lines[-1], flush=True)
        if len(lines) == 1:
            lines.append("|---" * len(columns) + "|")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def numbers(keys: Iterable[str], values: Mapping[str, float]) -> list[str]:
    """Return measures as people read them."""
    return [number(k, values[k]) for k in keys]


def write(path: Path, *parts: object) -> None:
    """Write a page of these parts, one after the other, with a blank line between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(str(part).strip("\n") for part in parts) + "\n")


def figure(title: str, panels: Mapping[str, Mapping[str, Curve]], columns: int = 4) -> str:
    """Return an SVG of line charts side by side: by title, lines by name, the first of each in black."""
    width, height = 330, 190
    parts = []
    for place, (name, lines) in enumerate(panels.items()):
        colours = ["#111827", *["#9ca3af"] * (len(lines) - 1)]
        chart = line_chart(lines, (width - 10, height - 10), x_name="", title=name, colours=colours)
        x, y = place % columns * width, place // columns * height + 40
        parts.append(chart.replace("<svg ", f'<svg x="{x}" y="{y}" width="{width - 10}" height="{height - 10}" ', 1))
    size = f"{columns * width} {-(-len(panels) // columns) * height + 40}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="12" '
        f'fill="#374151"><rect width="100%" height="100%" fill="white"/><text x="44" y="24" font-size="16">{title}</text>'
        f"{''.join(parts)}</svg>\n"
    )
