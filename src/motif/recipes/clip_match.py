"""clip-match: new takes by generative motion matching (:mod:`motif.matching`), without training."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..data.domain import Domain
from ..matching import SHORTEST, Exemplar, Matcher
from ..motion import Motion
from ..request import Request, SampleConfig
from ..train import Stage


@dataclass(frozen=True)
class ClipMatch:
    """Hyper-parameters of the matcher; a model of it is the clips themselves."""

    unsupported: ClassVar[Mapping[str, str]] = {}
    defaults: ClassVar[SampleConfig] = SampleConfig(variety=0.2, tempo=0.18, completeness=0.75)

    patch: int = 15
    """Frames of a patch, at every level."""
    coarsest: float = 5.0
    """Patches that the exemplar holds at the coarsest level."""
    rounds: int = 3
    """Match-and-average rounds per level."""
    rate: float = 30.0
    """The finest level runs at the largest whole fraction of the clip's rate that is near this or below, Hz."""
    variance: float = 0.995
    """Fraction of the features' variance that the levels keep."""

    def __post_init__(self):
        self.match_config(SampleConfig())

    def match_config(self, config: SampleConfig) -> Matcher:
        """Translate a SampleConfig: variety is both the reordering of the first guess and the diversity noise."""
        variety, tempo, completeness = config.resolve(self.defaults)
        return Matcher(completeness, variety, tempo, **vars(self))

    def prepare(self, domain: Domain) -> Exemplar:
        """Encode the clips. All must be of one rig and one rate."""
        return self.match_config(SampleConfig()).prepare(domain.reference("clip-match"))

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
        r = request
        return self.match_config(r.config).takes(prepared, r.edit, r.n, r.seed, r.config.foot_lock, r.progress)

    def blocks(self, net: nn.Module, prepared: Exemplar, seed: int, config: SampleConfig) -> Iterator[Motion]:
        """Blocks of one endless take: the clips' pieces in ever new orders."""
        m = self.match_config(config)

        def coarse() -> Iterator[Tensor]:
            fine = torch.cat(prepared.fine)
            for turn in itertools.count():
                least, size = round(SHORTEST * prepared.rate), m._patch(prepared)
                yield m._shuffled(fine, len(fine), size, least, seed, turn)

        return m.blocks(prepared, coarse(), 1.0, seed, config.foot_lock)
