"""Video in: shots, a pose in each frame, and from these to a motion on a rig with bones that keep their length.

Whatever finds shots or landmarks is an adapter behind a protocol below; the default is PySceneDetect and MediaPipe, in
an environment of their own (:mod:`motif.video.environment`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from jaxtyping import Float
from torch import Tensor

from ..config import VideoConfig

__all__ = ["READS", "Film", "Landmarks", "LeftOut", "PoseEstimator", "Shots", "VideoConfig"]

READS = (".mp4", ".mov", ".avi", ".mkv", ".webm")


class Film(NamedTuple):
    """What a video is, and its cuts."""

    fps: float
    frames: int
    starts: tuple[int, ...]
    """First frame of each shot."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """BlazePose's 33 landmarks (:data:`motif.video.rig.LANDMARKS`) of one person in T frames; NaN where not seen."""

    fps: float
    size: tuple[int, int]
    """Of the picture, width and height in pixels."""
    world: Float[Tensor, "t 33 3"]
    """Metres from the middle of the hips, in the camera's axes: x right, y down, z away."""
    image: Float[Tensor, "t 33 2"]
    """Pixels from the top left corner."""
    visibility: Float[Tensor, "t 33"]
    """0 to 1."""
    flow: Float[Tensor, "t 2"]
    """Pixels that the background moves since the frame before; NaN where it is plain."""


class Shots(Protocol):
    """Finds the cuts of a video."""

    def __call__(self, video: Path) -> Film:
        """Return rate, length and first frames of shots."""
        ...


class PoseEstimator(Protocol):
    """Finds a person and its landmarks in each frame of a shot."""

    def __call__(self, video: Path, film: Film, start: int, stop: int) -> Landmarks:
        """Return landmarks of frames ``start`` up to, not including, ``stop``."""
        ...


class LeftOut(NamedTuple):
    """A part of a video that gives no clip, and why."""

    reason: str
    detail: str
    start: float
    seconds: float
