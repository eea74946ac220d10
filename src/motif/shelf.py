"""The engines by name: the only list of families."""

from .errors import MotifError
from .recipes.clip_match import ClipMatch

ENGINES = {"clip-match": ClipMatch}


def engine(name: str, **dials: float | None) -> ClipMatch:
    """The recipe of this name with its dials set; those that are None keep their defaults."""
    if name not in ENGINES:
        raise MotifError(f"no engine {name!r}; there is {', '.join(map(repr, ENGINES))}")
    return ENGINES[name](**{k: v for k, v in dials.items() if v is not None})  # type: ignore[arg-type]
