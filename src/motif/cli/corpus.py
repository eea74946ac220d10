"""Verbs that make corpora."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ..curate import CurateConfig
from ..errors import MotifError
from .options import Flag, Json
from .output import note, print_json, progress_bar

Paths = Annotated[list[Path], Parameter(help="Folders of motion files, and last the folder of the corpus.")]
Gates = Annotated[CurateConfig, Parameter(name="*", group="What is kept")]


@Parameter(name="*")
@dataclass(frozen=True)
class Running:
    """Where the work is done."""

    on: Literal["local", "ray"] = "local"
    """local: processes of this machine; ray: a Ray cluster (pip install 'motif[ray]')."""
    address: str | None = None
    """Ray only: of a running cluster; one of this machine's processors is started if not given."""
    workers: int | None = None
    """How many chunks of files are worked on at a time; one a processor if not given."""
    dry_run: Flag = False
    """Say what would be kept and what left out, and why, and write no corpus; what was found out is used again."""

    def __post_init__(self):
        if self.workers is not None and self.workers < 1:
            raise MotifError(f"--workers {self.workers}; give at least 1")
        if self.address is not None and self.on != "ray":
            raise MotifError("--address is of a Ray cluster; add --on ray")


def curate(
    paths: Paths, /, *, config: Gates = CurateConfig(), running: Running = Running(), as_json: Json = False
) -> None:
    """Make a clean corpus of any pile of motion files: motif curate RAW... CORPUS. Ctrl-C stops it; the same command
    goes on from there."""
    from ..curate import join, pipeline, run_local, run_ray

    if len(paths) < 2:
        raise MotifError("give folders of motion files and, last, a folder for the corpus: motif curate RAW... CORPUS")
    *raw, folder = paths
    todo, work = pipeline.prepare(raw, folder, config)
    files = sum(len(chunk.files) for chunk in todo)
    note(f"{files} files in {len(todo)} chunks")
    run = partial(run_local.run, workers=running.workers)
    if running.on == "ray":
        run = partial(run_ray.run, address=running.address, workers=running.workers)
    with progress_bar("curating") as progress:
        parts = run(todo, work, lambda fraction: progress(0.95 * fraction))
        if running.dry_run:
            plan = join.plan(parts, raw, config)
        else:
            plan = join.finish(parts, raw, folder, config).card
    cost = pipeline.cost(parts)
    if as_json:
        print_json({**plan, "cost": cost})
        return
    _print(plan, cost)
    if not running.dry_run:
        print(folder)


def _print(card: Mapping[str, Any], cost: Mapping[str, float]) -> None:
    hours = cost["motion_seconds"] / 3600
    print(f"{card['clips']} clips, {card['hours']:.2f} h, of {cost['files']} files, {hours:.2f} h")
    _print_card(card)
    spent = cost["cpu_seconds"]
    a_file, a_second = spent / max(cost["files"], 1), spent / max(cost["motion_seconds"], 1e-9)
    print(f"{a_file:.2f} s of processor a file, {a_second:.3f} a second of motion")


def _print_card(card: Mapping[str, Any]) -> None:
    for name, source in card["sources"].items():
        print(f"  {name:<22}{source['clips']:>7} {source['seconds'] / 3600:>7.2f} h  {source['licence']}")
    print("splits: " + ", ".join(f"{k} {v}" for k, v in card["splits"].items()))
    print("left out: " + (", ".join(f"{k} {v}" for k, v in card["rejects"].items()) or "nothing"))


def describe(folder: Path, as_json: bool) -> None:
    """Print what a corpus holds; raise an error where its files are not as they were written."""
    from ..data.corpus import Corpus

    corpus = Corpus.open(folder)
    if wrong := corpus.check():
        raise MotifError(f"{'; '.join(wrong)}: copy the corpus again or make it again")
    if as_json:
        print_json(dict(corpus.card))
        return
    card = corpus.card
    print(f"{folder}: {len(corpus)} clips of {card['rigs']} rigs, {card['captions']} captions; all files are sound")
    _print_card(card)
