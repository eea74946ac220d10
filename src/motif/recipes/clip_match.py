"""clip-match: new takes by generative motion matching, without training. All of it is in :mod:`motif.matching`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from .. import matching
from ..edit import Edit
from ..errors import MotifError
from ..matching import Exemplar, MatchConfig
from ..motion import Motion
from ..request import Request, SampleConfig
from ..seeds import take_rng
from ..train import Stage


@dataclass(frozen=True)
class ClipMatch:
    """Hyper-parameters of the matcher; a model of it is the clips themselves."""

    unsupported: ClassVar[Mapping[str, str]] = {}
    completeness: float = 0.75
    variety: float = 0.2
    tempo: float = 0.18
    patch: int = 15
    coarsest: float = 5.0
    rounds: int = 3
    rate: float = 30.0
    variance: float = 0.995

    def __post_init__(self):
        if not 0 <= self.variety <= 1:
            raise MotifError(f"variety is {self.variety}; give a number from 0 to 1")
        _ = self.matcher

    @property
    def matcher(self) -> MatchConfig:
        """What makes takes."""
        v, rest = self.variety, (self.patch, self.coarsest, self.rounds, self.rate, self.variance)
        return MatchConfig(self.completeness, v, v, self.tempo, *rest)

    def prepare(self, clips: Sequence[Motion]) -> Exemplar:
        """The clips' features."""
        return matching.prepare(clips, self.rate)

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
        return matching.synthesize(exemplar, Request(edit, n, seed, SampleConfig(lock), progress), self.matcher)

    def stream(self, net: nn.Module, exemplar: Exemplar, seed: int = 0, lock: bool = True) -> Any:
        """Blocks of one endless take: the clips' pieces in ever new orders."""

        def advance(turn: int) -> tuple[Tensor, int]:
            return matching.reordered(exemplar, self.matcher, take_rng(seed, turn)), turn + 1

        return matching.start(matching.Stream(exemplar, self.matcher, 1.0, lock, advance), 0, seed)
