"""Pictures an animator can judge by: contact sheets (PNG) and side-by-side animations (GIF, MP4) of any rig.

The camera stands at three quarters of the body's mean heading, so a turn is seen as a turn, and moves with the body.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from ..config import ShowConfig
from ..motion import Motion
from .animation import animate
from .draw import check_suffix
from .sheet import contact_sheet

__all__ = ["ShowConfig", "animate", "contact_sheet", "show"]


def show(
    motions: Sequence[Motion] | Motion,
    path: str | Path,
    config: ShowConfig = ShowConfig(),
    progress: Callable[[float], None] = lambda fraction: None,
) -> Path:
    """Draw motions as the file's ending says: :func:`contact_sheet` for .png, :func:`animate` for .gif and .mp4."""
    if check_suffix(path, (".png", ".gif", ".mp4")).suffix.lower() == ".png":
        return contact_sheet(motions, path, config)
    return animate(motions, path, config, progress)
