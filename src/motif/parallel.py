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
    depth = 0  # uses of single_thread that the calling thread is in
    before = 1  # its number before the first of them


_here, _lock = _Here(), threading.Lock()
_users, _default = 0, 1
"""Threads that are in :func:`single_thread`, and torch's number for new threads before the first one was."""


@contextlib.contextmanager
def single_thread() -> Iterator[None]:
    """Run torch on one thread a call: where another program has a core, two threads wait for each other far too long.

    Torch keeps a number for each thread and one for threads to come. The first thread that enters sets the latter to 1,
    the last one puts it back. Uses may nest and overlap, but must end in the thread they began in: no ``yield`` inside.
    """
    global _users, _default
    with _lock:
        if not _here.depth:
            _default = _default if _users else _in_new_thread(torch.get_num_threads)
            _here.before = torch.get_num_threads()
            if _users and _here.before == 1:  # a new thread, which was told so by those inside
                _here.before = _default
            _users += 1
            torch.set_num_threads(1)
        _here.depth += 1
    try:
        yield
    finally:
        with _lock:
            _here.depth -= 1
            if not _here.depth:
                _users -= 1
                torch.set_num_threads(_here.before)
                to_come = 1 if _users else _default
                if to_come != _here.before:
                    _in_new_thread(lambda: torch.set_num_threads(to_come))


def parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], progress: Callable[[float], None] = lambda fraction: None
) -> list[Result]:
    """Return ``function`` of every item, in order; ``progress`` is called with the fraction done.

    There are as many threads as cores, and they are in :func:`single_thread` if the caller is.
    """
    items, results = list(items), []
    with ThreadPoolExecutor(os.cpu_count(), initializer=_join, initargs=(_here.depth,)) as pool:
        for result in (pool.map if len(items) > 1 else map)(function, items):
            results.append(result)
            progress(len(results) / len(items))
    return results


def _join(depth: int) -> None:
    """Put a new thread where its caller is."""
    _here.depth = depth
    if depth:
        torch.set_num_threads(1)


def _in_new_thread(call: Callable[[], Result]) -> Result:
    """Call in a thread of its own: elsewhere the number for threads to come can be neither read nor set alone."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()
