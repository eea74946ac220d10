"""clip-match: new takes by generative motion matching, without training. All of it is in :mod:`motif.matching`."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..edit import Edit
from ..matching import SHORTEST, Exemplar, Matcher
from ..motion import Motion
from ..train import Stage


@dataclass(frozen=True)
class ClipMatch(Matcher):
    """Hyper-parameters of the matcher; a model of it is the clips themselves."""

    def net(self, exemplar: Exemplar) -> nn.Module:
        """Nothing is learned."""
        return nn.Module()

    def plan(self, exemplar: Exemplar) -> list[tuple[str, int]]:
        """No stages."""
        return []

    def stages(self, net: nn.Module, exemplar: Exemplar, seed: int) -> Iterator[Stage]:
        """None."""
        return iter(())

    def sample(
        self,
        net: nn.Module,
        exemplar: Exemplar,
        edit: Edit,
        n: int = 1,
        seed: int = 0,
        lock: bool = True,
        progress: Callable[[float], None] = lambda done: None,
    ) -> list[Motion]:
        """``n`` new takes in one pass; ``progress`` hears the share done."""
        return self.takes(exemplar, edit, n, seed, lock, progress)

    def stream(self, net: nn.Module, exemplar: Exemplar, seed: int = 0, lock: bool = True) -> Iterator[Motion]:
        """Blocks of one endless take: the clips' pieces in ever new orders."""

        def course() -> Iterator[Tensor]:
            fine = torch.cat(exemplar.fine)
            for turn in itertools.count():
                least, size = round(SHORTEST * exemplar.rate), self._patch(exemplar)
                yield self._shuffled(fine, len(fine), size, least, seed, turn)

        return self.blocks(exemplar, course(), 1.0, seed, lock)
