"""What verbs say and write."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import motif

from ..config import UNITS
from ..errors import MotifError

if TYPE_CHECKING:
    from ..metrics import Report

FIRST = "WORLD_SIZE" not in os.environ or os.environ.get("RANK", "0") == "0"
"""Of the processes that torchrun started whether this is the one that speaks and writes."""


def note(text: str) -> None:
    """Print a line to standard error."""
    print(text, file=sys.stderr)


def print_json(value: Any) -> None:
    """Print a value for programs."""
    print(json.dumps(value, indent=2, allow_nan=False))


def unit_words(unit: float, asked: bool, path: Path) -> str:
    """Return what a file's unit is taken for."""
    if path.suffix.lower() != ".bvh":
        return "metres, as glTF always is" if path.suffix.lower() in (".glb", ".gltf") else "metres"
    names = {1.0: "metres", 0.01: "centimetres", 0.001: "millimetres", UNITS["cmu"]: "CMU units (0.056 m)"}
    words = names.get(unit, f"units of {unit:g} m")
    return f"{words}, as asked" if asked else f"looks like {words}"


def make_folder(folder: Path) -> Path:
    """Return a folder for results, made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotifError(f"{folder} cannot be made a folder ({error.strerror}); choose another with --out") from None
    if not os.access(folder, os.W_OK):
        raise MotifError(f"{folder} cannot be written to; choose another folder with --out")
    return folder


def write_takes(takes: "Sequence[motif.Motion]", folder: Path, inputs: Sequence[Path]) -> list[str]:
    """Write takes into a folder, never over a clip that they were made from, and return the files' names."""
    files = [folder / f"{take.name}.bvh" for take in takes]
    taken = {path.resolve() for path in inputs}
    for file in files:
        if file.resolve() in taken:
            raise MotifError(f"{file} is one of the clips given; choose another folder with --out")
    return [str(motif.save(take, file)) for take, file in zip(takes, files)]


def print_takes(takes: "Sequence[motif.Motion]", files: list[str], as_json: bool) -> None:
    """Print what was made and where it lies."""
    first = takes[0]
    if as_json:
        print_json({"files": files, "frames": len(first), "fps": first.fps, "seconds": first.seconds})
        return
    print(f"{len(takes)} take{'s' * (len(takes) > 1)} of {first.seconds:.1f} s at {first.fps:g} fps:")
    print(*(f"  {file}" for file in files), sep="\n")


def print_scores(report: "Report") -> None:
    """Print the numbers, what they mean, and the verdict."""
    from ..metrics import MEANING
    from ..view.page import number

    for key, value in report.headline.items():
        print(f"  {key:<11}{number(key, value):>6}  {MEANING[key]}")
    for line in report.verdict():
        print(f"- {line}")


@contextlib.contextmanager
def progress_bar(title: str) -> "Iterator[Callable[[Any], None]]":
    """On a terminal, a bar with the time left, which is told the fraction done or, with losses, training's progress."""
    if not (FIRST and sys.stderr.isatty()):
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TimeRemainingColumn

    columns = "{task.description}", BarColumn(), TimeRemainingColumn(), "{task.fields[losses]}"
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1.0, losses="")

        def update(done: Any) -> None:
            losses = "  ".join(f"{k} {v:.2f}" for k, v in getattr(done, "losses", {}).items())
            bar.update(task, completed=getattr(done, "fraction", done), losses=losses)

        yield update
