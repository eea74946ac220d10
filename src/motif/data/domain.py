"""A domain: what a model is valid for, apart from its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ..errors import MotifError
from ..motion import Motion
from ..skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Domain:
    """Rigs, frame rate and statistics of the motion that a model makes."""

    rigs: tuple[Skeleton, ...]
    frame_time: float
    """Seconds."""
    seconds: float
    """Default length of a take; recipes that match clips take twice the clips' whole patches instead."""
    statistics: Mapping[str, Tensor] = field(default_factory=dict)
    """Normalisation, by name."""
    clips: tuple[Motion, ...] = ()
    """Reference clips; a model of a corpus carries none."""

    def __post_init__(self):
        strange = [clip.name for clip in self.clips if clip.skeleton not in self.rigs]
        if strange:
            raise MotifError(f"Domain.clips: {strange[0]!r} is of a rig that is not among Domain.rigs")

    @staticmethod
    def of(clips: Sequence[Motion]) -> "Domain":
        """Return the domain of some clips, which it keeps; takes are twice as long as all of them by default."""
        if not clips:
            raise MotifError("no clip to learn from; give at least one")
        rigs = dict.fromkeys(clip.skeleton for clip in clips)
        return Domain(tuple(rigs), clips[0].frame_time, 2 * sum(c.seconds for c in clips), clips=tuple(clips))

    def reference(self, recipe: str) -> tuple[Motion, ...]:
        """Return the clips, or raise an error if there are none, for a recipe that cannot do without."""
        if not self.clips:
            raise MotifError(f"{recipe} learns from clips and the domain holds none; make it with Domain.of(clips)")
        return self.clips
