"""What takes are sampled with: an Edit, how many, from which seed, and how they are made."""

from collections.abc import Callable
from dataclasses import dataclass

from .edit import Edit
from .errors import MotifError


@dataclass(frozen=True)
class SampleConfig:
    """How takes are made from what was asked. None stands for the recipe's own default."""

    foot_lock: bool = True
    """Hold standing feet still."""
    variety: float | None = None
    """0 to 1: from takes that are true to the clip to takes that are new."""
    tempo: float | None = None
    """0 to 1: how far takes run slower here and faster there; none where the clip keeps time."""
    completeness: float | None = None
    """0 to 1: how hard each take tries to show every part of the clip."""

    def __post_init__(self):
        for name, value in self.given.items():
            if not 0 <= value <= 1:
                raise MotifError(f"{name} is {value}; give a number from 0 to 1")

    @property
    def given(self) -> dict[str, float]:
        """The numbers that are not None."""
        return {k: v for k, v in vars(self).items() if k != "foot_lock" and v is not None}

    def resolve(self, defaults: "SampleConfig") -> tuple[float, float, float]:
        """Return variety, tempo and completeness, those of ``defaults`` where nothing is given."""
        values = defaults.given | self.given
        return values["variety"], values["tempo"], values["completeness"]


@dataclass(frozen=True, eq=False)
class Request:
    """Everything that ``Recipe.sample`` needs to know about the takes."""

    edit: Edit = Edit()
    n: int = 1
    seed: int = 0
    config: SampleConfig = SampleConfig()
    progress: Callable[[float], None] = lambda fraction: None

    def __post_init__(self):
        if not isinstance(self.edit, Edit):
            raise MotifError(f"edit is {type(self.edit).__name__} {str(self.edit)[:40]!r}; give a motif.Edit")
        if self.n < 1:
            raise MotifError(f"{self.n} takes asked for; ask for at least 1")
