"""Where batches come from: the protocol, streams of samples, and drawing ahead."""

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch.utils.data import default_collate

from ..errors import MotifError

Batch = Any
"""A tensor, or tuples, lists and dicts of batches; the loop moves them to the device."""
Collate = Callable[[list[Any]], Batch]
Place = TypeVar("Place")


@dataclass(frozen=True)
class Shard:
    """One of ``count`` equal parts of a global batch."""

    index: int = 0
    count: int = 1


class Batches(Protocol):
    """A stage's data. With prefetching it is drawn in another thread, ahead of time, but always in order."""

    def draw(self, generator: torch.Generator, shard: Shard) -> Batch:
        """Return a part of the next global batch.

        The generator is in the same state for every part of a batch, and is seeded anew for every batch, by position.
        What is drawn must not depend on the weights that are being learned.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what :meth:`load_state_dict` needs to go on after the last batch, as new values that JSON can hold.

        Empty where batches depend on the generator alone. It must be the same in every process.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the state was saved, also in another number of processes."""


class IterableBatches:
    """Batches of a stream of samples: the n-th global batch is the n-th run of ``batch_size`` samples.

    ``samples`` leads from a position to the samples from there on, ``collate`` from a list of samples to a batch.
    """

    def __init__(self, samples: Callable[[int], Iterable[Any]], batch_size: int, collate: Collate = default_collate):
        self.samples, self.batch_size, self.collate = samples, batch_size, collate
        self.load_state_dict({"position": 0})

    def draw(self, generator: torch.Generator, shard: Shard) -> Batch:
        """Return a shard of the next batch, or another shard of the same one while their indices increase."""
        if self.batch_size % shard.count:
            raise MotifError(f"batches of {self.batch_size} cannot be shared by {shard.count}; choose a multiple")
        if self._stream is None:
            self._stream = iter(self.samples(self._position))
        if shard.index <= self._last:
            self._batch = list(itertools.islice(self._stream, self.batch_size))
            self._position += len(self._batch)
            if len(self._batch) < self.batch_size:
                raise MotifError(f"the stream of samples ended after {self._position}; give more, or take fewer steps")
        self._last = shard.index
        size = self.batch_size // shard.count
        part = self._batch[shard.index * size : (shard.index + 1) * size]
        return self.collate(part)

    def state_dict(self) -> dict[str, Any]:
        """Return how many samples were used."""
        return {"position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after that many samples."""
        self._position: int = state["position"]
        self._stream: Iterator[Any] | None = None
        self._batch: list[Any] = []
        self._last = 1 << 62  # any index begins a batch


@contextlib.contextmanager
def draw_ahead(draw: Callable[[Place], Any], places: Iterator[Place], depth: int) -> Iterator[Iterator[Any]]:
    """Yield an iterator of ``draw(place)`` in order, drawn by one background thread at most ``depth`` ahead.

    With depth 0 each is drawn when it is asked for. Leaving the context waits for the draw that is under way.
    """
    if depth == 0:
        yield map(draw, places)
        return
    pool = ThreadPoolExecutor(1)

    def results() -> Iterator[Any]:
        coming = deque(pool.submit(draw, place) for place in itertools.islice(places, depth))
        while coming:
            coming.extend(pool.submit(draw, place) for place in itertools.islice(places, 1))
            yield coming.popleft().result()

    try:
        yield results()
    finally:
        pool.shutdown(cancel_futures=True)
