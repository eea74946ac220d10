"""A run's folder: checkpoints, written whole or not at all, in torch's distributed format (DCP)."""

import contextlib
import json
import pickle
import shutil
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from ..errors import MotifError
from .distributed import Processes
from .log import LOG

STATE = "run.json"
WHOLE = ".metadata"  # what DCP writes last: a checkpoint that has it is whole
COST_RATIO = 30  # least time between two checkpoints, in times what the last one took


class RunFolder:
    """Checkpoints of one run, of which only the newest is kept.

    A checkpoint is a folder: the position as JSON, and tensors by name in files that any number of processes can read
    (their index is a pickle: go on with your own runs only). Nothing is kept without a folder; ``about`` says what the
    run is for.
    """

    def __init__(self, folder: Path | None, about: dict[str, Any], processes: Processes):
        self.folder, self.about, self.processes = folder, json.loads(json.dumps(about)), processes
        self.saved, self.cost, self.newest = time.monotonic(), 0.0, None
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise MotifError(f"{folder} cannot be made a folder for the run ({error.strerror})") from None

    def latest(self) -> dict[str, Any] | None:
        """Return the position of the newest checkpoint: "stage", "step" and what else was saved with it."""
        if self.folder is None:
            return None
        whole = [path for path in checkpoints(self.folder) if (path / WHOLE).exists()]
        if not whole:
            return None
        self.newest = whole[-1]
        try:
            state = json.loads((self.newest / STATE).read_text())
            about = state.pop("about")
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise self._unreadable(error) from None
        if about != self.about:
            seed = about.get("seed") != self.about["seed"]
            raise MotifError(
                f"{self.folder} holds an unfinished run with {'another seed' if seed else 'other clips or settings'}; "
                f"repeat its command, choose another folder, or delete it to start anew (finished models are not in it)"
            )
        return state

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Read the newest checkpoint into tensors, in place; they may be sharded in another way than those saved."""
        assert self.newest is not None
        try:
            with _dcp() as dcp:
                dcp.load(tensors, storage_reader=dcp.FileSystemReader(self.newest), no_dist=self.processes.count == 1)
        except (RuntimeError, ValueError, KeyError, EOFError, OSError, AssertionError, pickle.PickleError) as error:
            raise self._unreadable(error) from None

    def due(self, save_every: float) -> bool:
        """Return whether it is time for the next checkpoint."""
        return self.folder is not None and time.monotonic() - self.saved > max(save_every, COST_RATIO * self.cost)

    def save(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Write a checkpoint of a position, with what :meth:`latest` returns and :meth:`load` reads."""
        name = f"checkpoint-{state['stage']:03d}-{state['step']:09d}"
        if self.folder is None or self.folder / name == self.newest:
            return
        path = self.folder / name
        start, first = time.monotonic(), self.processes.rank == 0
        try:
            if first:
                shutil.rmtree(path, ignore_errors=True)  # half of one, from a run that was killed
                path.mkdir(exist_ok=True)  # where another process was first
                (path / STATE).write_text(json.dumps({**state, "about": self.about}))
            with _dcp() as dcp:
                dcp.save(tensors, storage_writer=dcp.FileSystemWriter(path), no_dist=self.processes.count == 1)
        except (OSError, RuntimeError) as error:
            raise MotifError(f"{path}: cannot be written ({error}); check permissions and space") from None
        self.newest = path
        for other in checkpoints(self.folder) if first else []:
            if other != path:
                shutil.rmtree(other, ignore_errors=True)
        self.saved = time.monotonic()
        self.cost = self.saved - start

    def stopped(self, fraction: float) -> str:
        """Return what a user is told whose run stops."""
        if self.folder is None:
            return f"stopped at {fraction:.0%}; nothing was kept, because no folder was given"
        return f"stopped at {fraction:.0%}; what was learned is in {self.folder}: the same command goes on from there"

    def _unreadable(self, error: BaseException) -> MotifError:
        return MotifError(f"{self.newest} cannot be read ({error}); delete the folder to start anew")


def checkpoints(folder: Path) -> list[Path]:
    """Return all checkpoints in a folder, whole or not, in the order of training."""
    return sorted(folder.glob(f"checkpoint-{3 * '[0-9]'}-{9 * '[0-9]'}"))  # other programs write checkpoint-500


def delete_run(folder: Path) -> None:
    """Delete what a finished run left there, and the folder if nothing else is in it."""
    for path in checkpoints(folder):
        shutil.rmtree(path, ignore_errors=True)
    (folder / LOG).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


@contextlib.contextmanager
def _dcp() -> Iterator[ModuleType]:
    """``torch.distributed.checkpoint``, which takes half a second to import, raising what its failures were."""
    import torch.distributed.checkpoint as dcp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that this is one process
        try:
            yield dcp
        except dcp.CheckpointException as error:
            raise next(iter(error.failures.values()))[0] from None
