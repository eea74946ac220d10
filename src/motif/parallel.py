"""How work is spread over the processor's cores: many small things side by side, each on one thread."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextlib.contextmanager
def single_thread() -> Iterator[None]:
    """Torch on one thread a call. Many small steps each end in a barrier, and where another program has a core, two
    threads waited for each other for seconds what one does in milliseconds; takes share the cores instead.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], progress: Callable[[float], None] = lambda done: None
) -> list[Result]:
    """``function`` of every item, in order, as many at a time as there are cores.

    Args:
        function: called in threads; torch and NumPy let others run while they work.
        items: what it is called with.
        progress: hears the share of the items done.
    """
    items, results = list(items), []
    if len(items) == 1:
        results.append(function(items[0]))
        progress(1.0)
        return results
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(function, items):
            results.append(result)
            progress(len(results) / len(items))
    return results
