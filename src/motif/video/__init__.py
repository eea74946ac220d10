"""Video in: shots, a pose in each frame, and from these to a motion on a rig with bones that keep their length.

Whatever finds shots or landmarks is an adapter behind a protocol below; the default is PySceneDetect and MediaPipe, in
an environment of their own (:mod:`motif.video.environment`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from jaxtyping import Float
from torch import Tensor

from ..errors import MotifError

READS = (".mp4", ".mov", ".avi", ".mkv", ".webm")


@dataclass(frozen=True)
class VideoConfig:
    """How a video is read; thresholds of 0 turn their check off."""

    fov: float = 50.0
    """Degrees that the camera sees along the longer side of the picture; a phone has about 65, a telephoto 20."""
    height: float | None = None
    """Metres that the person is tall from the ground to the nose; as the pose estimator guesses if not given."""
    shortest: float = 1.0
    """Seconds that a person must be seen without a gap."""
    visible: float = 0.5
    """How sure the pose estimator must be of a body, 0 to 1, the mean over its joints."""
    jitter: float = 0.012
    """Landmarks tremble from frame to frame by at most so many body heights."""

    def __post_init__(self):
        if not 5 <= self.fov <= 150:
            raise MotifError(f"fov is {self.fov:g}; give degrees from 5 to 150")
        if self.height is not None and not 0.2 <= self.height <= 3:
            raise MotifError(f"height is {self.height:g}; give metres from 0.2 to 3")


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
