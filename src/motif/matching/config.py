"""Hyper-parameters of matching."""

from dataclasses import dataclass

from ..errors import MotifError


@dataclass(frozen=True)
class MatchConfig:
    """Hyper-parameters of matching."""

    completeness: float = 0.75
    """0 to 1: how hard takes try to show every part of the clips (0: only what fits best)."""
    reorder: float = 0.2
    """0 to 1: from the clips' own order in long pieces to many short ones in the first guess."""
    diversity: float = 0.2
    """0 to 1: how differently takes weigh the clips' patches where an edit would make them alike."""
    tempo: float = 0.0
    """0 to 1: how far takes vary the clips' tempo, where the clips do (:mod:`motif.tempo`)."""
    amplitude: float = 0.1
    """0 to 1: the logarithm of how much larger or smaller the movements of a take are at most
    (:mod:`motif.matching.amplitude`)."""
    patch: int = 15
    """Frames of a patch, at every level; fewer on a shorter clip."""
    coarsest: float = 5.0
    """Patches that the clips hold at the coarsest level."""
    rounds: int = 3
    """Match-and-average rounds a level."""
    rate: float = 30.0
    """The finest level runs at the largest whole fraction of the clips' rate that is near this or below, Hz."""
    variance: float = 0.995
    """Fraction of the features' variance that the principal axes keep."""

    def __post_init__(self):
        for name in ("completeness", "reorder", "diversity", "tempo", "amplitude"):
            if not 0 <= getattr(self, name) <= 1:
                raise MotifError(f"{name} is {getattr(self, name)}; give a number from 0 to 1")
        if self.patch < 3 or self.rounds < 1:
            raise MotifError(f"patch {self.patch}, rounds {self.rounds}; expected at least 3 and 1")

    def alpha(self, rate_ratio: float, guided: bool = False) -> float:
        """Return GenMM's alpha as a multiple of the mean distance; a small one makes takes show every patch.

        It grows with the level's rate: coverage is settled while patches last long. With one alpha for all levels the
        same coverage costs precision (docs/LOG.md, 2026-11-21).
        """
        completeness = 0.0 if guided else self.completeness
        return 0.003 / max(completeness, 1e-3) ** 4 * (1 + (rate_ratio / 0.1) ** 2)
