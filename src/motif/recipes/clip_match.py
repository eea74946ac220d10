"""clip-match: new takes by generative motion matching (:mod:`motif.matching`), without training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from .. import matching
from ..config import SampleConfig
from ..data.domain import Domain
from ..matching import Exemplar, MatchConfig, Stream, StreamState
from ..motion import Motion
from ..request import Request
from ..seeds import take_rng
from ..train import Stage
from . import base


@dataclass(frozen=True)
class ClipMatch:
    """Hyper-parameters of the matcher; a model of it is the clips themselves."""

    unsupported: ClassVar[Mapping[str, str]] = {}
    defaults: ClassVar[SampleConfig] = SampleConfig(
        variety=MatchConfig.reorder,
        tempo=MatchConfig.tempo,
        amplitude=MatchConfig.amplitude,
        completeness=MatchConfig.completeness,
    )

    patch: int = MatchConfig.patch
    coarsest: float = MatchConfig.coarsest
    rounds: int = MatchConfig.rounds
    rate: float = MatchConfig.rate
    variance: float = MatchConfig.variance
    """These five as in :class:`motif.matching.MatchConfig`."""

    step = staticmethod(base.step_stream)

    def __post_init__(self):
        self.match_config(SampleConfig())

    def match_config(self, config: SampleConfig) -> MatchConfig:
        """Translate a SampleConfig: variety is both the reordering of the first guess and the diversity noise."""
        variety, tempo, amplitude, completeness = config.resolve(self.defaults)
        return MatchConfig(completeness, variety, variety, tempo, amplitude, **vars(self))

    def prepare(self, domain: Domain) -> Exemplar:
        """Encode the clips. All must be of one rig and one rate."""
        return matching.prepare(domain.reference("clip-match"), self.rate)

    def net(self, prepared: Exemplar) -> nn.Module:
        """Return an empty module."""
        return nn.Module()

    def plan(self, prepared: Exemplar) -> list[tuple[str, int]]:
        """Return no stages."""
        return []

    def stages(self, net: nn.Module, prepared: Exemplar, seed: int) -> Iterator[Stage]:
        """Yield nothing."""
        return iter(())

    def sample(self, net: nn.Module, prepared: Exemplar, request: Request) -> list[Motion]:
        """Sample takes, all in one pass."""
        return matching.synthesize(prepared, request, self.match_config(request.config))

    def start(self, net: nn.Module, prepared: Exemplar, seed: int, config: SampleConfig) -> StreamState:
        """Begin an endless take: the clips' pieces in one new order after the other."""
        matched = self.match_config(config)

        def advance(turn: int) -> tuple[Tensor, int]:
            return matching.reordered(prepared, matched, take_rng(seed, turn)), turn + 1

        return matching.start(Stream(prepared, matched, 1.0, config.foot_lock, advance), 0, seed)
