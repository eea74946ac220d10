"""Gradient steps as CUDA graphs: recorded once, then replayed, for nets so small that a GPU waits for Python."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from .distributed import LossValue

Draws = Sequence[tuple[Any, torch.Generator]]
WARM_UP = 3  # steps taken as they come before one is recorded, in which libraries set themselves up


class Recorded:
    """An update of a stage: ``take(k, draws, step)`` takes a gradient step and returns its loss.

    The first steps are taken as they come. Then one is recorded, which does not run it, and replayed from there on,
    every batch copied to where the first lay.
    """

    def __init__(self, take: Callable[[int, Draws, int], LossValue], k: int):
        self.take, self.k, self.calls = take, k, 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, draws: Draws, step: int) -> LossValue:
        """Take a gradient step."""
        self.calls += 1
        if self.calls <= WARM_UP:
            return self._aside(draws, step)
        if self.graph is None:
            self.inputs = [(tree_map_only(Tensor, torch.clone, batch), generator) for batch, generator in draws]
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):  # a thread draws ahead meanwhile
                self.outputs = self.take(self.k, self.inputs, step)
        for (batch, _), (kept, _) in zip(draws, self.inputs, strict=True):
            for new, old in zip(tree_leaves(batch), tree_leaves(kept), strict=True):
                old.copy_(new)
        self.graph.replay()
        return tree_map_only(Tensor, torch.clone, self.outputs)

    def _aside(self, draws: Draws, step: int) -> LossValue:
        """Take a step in a stream of its own: what is set up in the default one cannot be recorded."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            found = self.take(self.k, draws, step)
        torch.cuda.current_stream().wait_stream(stream)
        return found
