"""Work spread over the processor's cores: many small tasks side by side, each on one thread."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Here(threading.local):
    """What :func:`single_thread` remembers of the calling thread."""

    depth = 0
    before = 1


class _Shared:
    """What it remembers of the process: threads inside, and torch's number for new threads before the first entered."""

    lock = threading.Lock()
    users = 0
    default = 1


_here = _Here()


@contextlib.contextmanager
def single_thread() -> Iterator[None]:
    """Run torch on one thread a call: where another program has a core, two threads wait for each other far too long.

    Torch keeps a number for each thread and one for threads to come. The first thread inside sets the latter to 1, the
    last one puts it back; each thread gets its own number back when it leaves. May be nested; leave it in the thread
    that entered (no ``yield`` inside).
    """
    with _Shared.lock:
        if not _here.depth:
            if not _Shared.users:
                _Shared.default = _in_new_thread(torch.get_num_threads)
            _here.before = torch.get_num_threads()
            if _Shared.users and _here.before == 1:  # a new thread: it was told of one by those already inside
                _here.before = _Shared.default
            _Shared.users += 1
            torch.set_num_threads(1)
        _here.depth += 1
    try:
        yield
    finally:
        with _Shared.lock:
            _here.depth -= 1
            if not _here.depth:
                _Shared.users -= 1
                torch.set_num_threads(_here.before)
                to_come = 1 if _Shared.users else _Shared.default
                if to_come != _here.before:
                    _in_new_thread(lambda: torch.set_num_threads(to_come))


def parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], progress: Callable[[float], None] = lambda fraction: None
) -> list[Result]:
    """Return ``function`` of every item, in order, computed by as many threads as there are cores.

    Args:
        function: called in threads, which are in :func:`single_thread` if the caller is.
        items: its arguments.
        progress: called with the fraction of the items done.
    """
    items, results = list(items), []
    if len(items) == 1:
        results.append(function(items[0]))
        progress(1.0)
        return results
    with ThreadPoolExecutor(os.cpu_count(), initializer=_join, initargs=(_here.depth,)) as pool:
        for result in pool.map(function, items):
            results.append(result)
            progress(len(results) / len(items))
    return results


def _join(depth: int) -> None:
    """Put a new thread where its caller is."""
    _here.depth = depth
    if depth:
        torch.set_num_threads(1)


def _in_new_thread(call: Callable[[], Result]) -> Result:
    """Return what a thread of its own gets: the number for threads to come can be neither read nor set alone elsewhere."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()
