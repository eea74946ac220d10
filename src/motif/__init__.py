"""motif: one clip in, endless motion out.

>>> import motif
>>> dance = motif.load("salsa.bvh")
>>> takes = motif.vary(dance, n=4, seconds=20, seed=1)
>>> motif.score(takes, against=[dance])

Names are loaded when they are first used, so that ``import motif`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Model as Model
    from .api import demo_clip as demo_clip
    from .api import fit as fit
    from .api import info as info
    from .api import load as load
    from .api import report as report
    from .api import save as save
    from .api import score as score
    from .api import show as show
    from .api import vary as vary
    from .config import ReadConfig as ReadConfig
    from .edit import Constraint as Constraint
    from .edit import Edit as Edit
    from .edit import Trajectory as Trajectory
    from .errors import MotifError as MotifError
    from .errors import MotifWarning as MotifWarning
    from .motion import Motion as Motion
    from .skeleton import Skeleton as Skeleton

_HOME = {
    **dict.fromkeys(("Model", "demo_clip", "fit", "info", "load", "report", "save", "score", "show", "vary"), "api"),
    **dict.fromkeys(("Edit", "Constraint", "Trajectory"), "edit"),
    **dict.fromkeys(("MotifError", "MotifWarning"), "errors"),
    "Motion": "motion",
    "ReadConfig": "config",
    "Skeleton": "skeleton",
}
__all__ = sorted(_HOME)  # noqa: PLE0605
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'motif' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
