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
    from .api import Model, check_request, demo_clip, fit, info, report, score, show, vary
    from .config import CrowdConfig, ReadConfig, SampleConfig, ShowConfig, TrainConfig
    from .edit import Constraint, Edit, Trajectory
    from .errors import MotifError, MotifWarning
    from .io import load, save
    from .motion import Motion, Pose
    from .skeleton import Skeleton

__all__ = ["Constraint", "CrowdConfig", "Edit", "Model", "MotifError", "MotifWarning", "Motion", "Pose", "ReadConfig"]
__all__ += [
    "SampleConfig",
    "ShowConfig",
    "Skeleton",
    "TrainConfig",
    "Trajectory",
    "check_request",
    "demo_clip",
    "fit",
    "info",
]
__all__ += ["load", "report", "save", "score", "show", "vary"]
__version__ = "0.1.0"
_HOMES = {
    "api": ("Model", "check_request", "demo_clip", "fit", "info", "report", "score", "show", "vary"),
    "config": ("CrowdConfig", "ReadConfig", "SampleConfig", "ShowConfig", "TrainConfig"),
    "edit": ("Constraint", "Edit", "Trajectory"),
    "errors": ("MotifError", "MotifWarning"),
    "io": ("load", "save"),
    "motion": ("Motion", "Pose"),
    "skeleton": ("Skeleton",),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return import_module(f".{name}", __name__)
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module 'motif' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
