"""Chunks on the processors of this machine."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from ..errors import MotifError
from .pipeline import Chunk, run_chunk

TRIES = 4  # times that a chunk may bring its worker down, or be beside one that is


def run(
    chunks: Sequence[Chunk],
    work: Path,
    progress: Callable[[float], None] = lambda fraction: None,
    workers: int | None = None,
) -> list[Path]:
    """Curate chunks in processes, as many as there are cores, and return their parts in order.

    A worker that is killed (by the system, for want of memory) is replaced and its chunk done again.
    """
    tries = dict.fromkeys(range(len(chunks)), 0)
    parts: dict[int, Path] = {}
    while tries:
        with ProcessPoolExecutor(workers or os.cpu_count(), get_context("spawn"), _one_thread) as pool:
            try:
                _round(pool, chunks, work, tries, parts, progress)
            except BrokenProcessPool:
                worst = max(tries, key=lambda k: tries[k], default=0)
                if tries and tries[worst] >= TRIES:
                    files = ", ".join(map(str, chunks[worst].files[:3]))
                    raise MotifError(
                        f"a worker was killed {TRIES} times over {files} ...: is there memory enough?"
                    ) from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [parts[k] for k in range(len(chunks))]


def _round(pool: ProcessPoolExecutor, chunks, work: Path, tries: dict[int, int], parts, progress) -> None:
    """Run what is left; whatever was being run when a worker died counts as tried."""
    waiting, running = list(tries), {}
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1) + 1:
            k = waiting.pop(0)
            tries[k] += 1
            running[pool.submit(partial(run_chunk, work=work), chunks[k])] = k
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            parts[running[future]] = future.result()
            del tries[running.pop(future)]
            progress(len(parts) / len(chunks))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
