"""Chunks on a Ray cluster. The only file that imports Ray (``motif[ray]``)."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import MotifError
from .pipeline import Chunk, run_chunk


def run(
    chunks: Sequence[Chunk],
    work: Path,
    progress: Callable[[float], None] = lambda fraction: None,
    address: str | None = None,
    workers: int | None = None,
) -> list[Path]:
    """Curate chunks as Ray tasks and return their parts in order; ``work`` is a folder that all machines see.

    ``address`` is of a running cluster; one on this machine is started if there is none. Ray does a task again whose
    worker is lost, and starts no more than the cluster has processors for.
    """
    try:
        ray: Any = import_module("ray")  # not there when types are checked
    except ImportError:
        raise MotifError("--on ray needs Ray, which is not installed; pip install 'motif[ray]'") from None
    began = not ray.is_initialized()
    if began:
        ray.init(
            address=address, num_cpus=workers if address is None else None, include_dashboard=False, log_to_driver=False
        )
    try:
        work = work.resolve()
        task = ray.remote(num_cpus=1, max_retries=8)(_chunk)
        futures = {task.remote(chunk, work): k for k, chunk in enumerate(chunks)}
        parts: dict[int, Path] = {}
        waiting = list(futures)
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=1)
            for future in done:
                parts[futures[future]] = ray.get(future)
                progress(len(parts) / len(chunks))
    finally:
        if began:
            ray.shutdown()
    return [parts[k] for k in range(len(chunks))]


def _chunk(chunk: Chunk, work: Path) -> Path:
    import torch

    torch.set_num_threads(1)
    return partial(run_chunk, work=work)(chunk)
