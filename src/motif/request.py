"""What takes are sampled with: an Edit, how many, from which seed, and how they are made."""

from collections.abc import Callable
from dataclasses import dataclass

from .config import SampleConfig
from .edit import Edit
from .errors import MotifError


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
