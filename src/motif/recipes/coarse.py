"""What engines share that learn clips at a coarse rate, in the matcher's axes, and leave the rest to matching."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from .. import resample
from ..errors import MotifError
from ..matching import Exemplar, MatchConfig, pca, prepare
from ..motion import Motion
from ..nets.axes import AxesNet


@dataclass(frozen=True)
class Coarse:
    """Dials of how takes are made real, which engines of this kind have in common."""

    unsupported: ClassVar[Mapping[str, str]] = {"clip weights": "its net has learned one mixture; clip-match can"}

    completeness: float = 0.75
    """0 to 1: how hard the takes try to show every part of the clip; see the matcher."""
    tempo: float = 0.0
    """How far takes stray from the clip's tempo; see the matcher."""
    variety: float = 0.25
    """0 to 1: from takes that are true to the clip to takes that are new, by shorter and shorter matched stretches."""
    levels: int = 6
    """Steps of 3/4 from the finest rate down to the net's: 30 Hz to 5.3."""

    def __post_init__(self):
        _ = self.matcher  # which checks its dials
        for name, value in vars(self).items():
            least = 0 if name == "levels" else 1
            if isinstance(value, int) and value < least:
                raise MotifError(f"{name} is {value}; it is at least {least}")

    @property
    def matcher(self) -> MatchConfig:
        """What makes its takes real."""
        return MatchConfig(completeness=self.completeness, patch=patch(self.variety), tempo=self.tempo)

    def prepare(self, clips: Sequence[Motion]) -> Exemplar:
        """The clips' features. All clips must be of one rig and one rate."""
        return prepare(clips)


def patch(variety: float) -> int:
    """Frames of a matched stretch: 7 at variety 1 (nearly what the net makes), 4.43 times as many at 0 (the clip)."""
    if not 0 <= variety <= 1:
        raise MotifError(f"variety is {variety}; give a number from 0 to 1")
    return round(7 * 4.43 ** (1 - variety))


def share(exemplar: Exemplar, levels: int) -> float:
    """The coarse rate as a share of the finest: ``levels`` steps of 3/4; finer for clips that would have few frames."""
    shortest = min(map(len, exemplar.fine))
    return min(max(0.75**levels, min(12 / shortest, 1.0)), 1.0)


def lengths(exemplar: Exemplar, share: float) -> list[int]:
    """Frames of each clip at the coarse rate."""
    return [max(round(len(x) * share), 2) for x in exemplar.fine]


def settle(net: AxesNet, exemplar: Exemplar) -> None:
    """Give a net the axes of these clips."""
    space = pca(exemplar)
    for name in ("scale", "centre", "basis"):
        getattr(net, name).copy_(getattr(space, name))
    net.size.fill_(max(float(torch.cat(space.clips).std()), 1e-9))


def windows(
    net: AxesNet, exemplar: Exemplar, share: float, crop: int, batch: int, speeds: float, random: torch.Generator
) -> Float[Tensor, "b t k"]:
    """Real windows of ``crop`` coarse frames, each up to ``speeds`` faster or slower than the clip."""
    crop = min(crop, min(lengths(exemplar, share)))
    sizes, found = torch.tensor([float(len(x)) for x in exemplar.fine]), []
    for _ in range(batch):
        x = exemplar.fine[int(torch.multinomial(sizes, 1, generator=random))]
        speed = 1 + speeds * (2 * float(torch.rand(1, generator=random)) - 1)
        long = min(max(round(crop / share * speed), 2), len(x))
        start = int(torch.randint(len(x) - long + 1, (1,), generator=random))
        found.append(resample.resize(x[start : start + long], crop))
    return net.axes(torch.stack(found).to(net.size.device))
