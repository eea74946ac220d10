"""Curation: any pile of motion files into a clean corpus that says what it left out and why.

Stages (:mod:`motif.curate.stages`) are plain functions from a clip to clips or a :class:`Reject`; the order they run in
is :data:`motif.curate.stages.STAGES`. Two runners call the same function on the same chunks of files:
:mod:`motif.curate.run_local` and :mod:`motif.curate.run_ray`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reject:
    """Why a clip, or a part of one, is left out."""

    reason: str
    """One word, which rejects are counted by."""
    detail: str
    """What was found and what was expected."""
    id: str = ""
    """Of the clip or the file."""
    start: float = 0.0
    """Seconds into the file, where a part was left out."""
    seconds: float = 0.0


@dataclass(frozen=True)
class CurateConfig:
    """How a corpus is made. Thresholds are in body heights and seconds; 0 turns a gate off."""

    fps: float = 30.0
    """Frames a second of the clips; slower ones stay as they are."""
    shortest: float = 1.0
    """Seconds that a clip must last."""
    longest: float = 10.0
    """Seconds; longer takes are cut where the activity changes."""
    shake: float = 0.004
    """Shaking: how far joints tremble from frame to frame."""
    slip: float = 0.125
    """Sliding: how fast a foot near the ground goes that should stand."""
    sink: float = 0.08
    """Penetration: how far feet are below their resting level in one frame of a hundred."""
    floating: float = 0.9
    """Seconds in the air without a fall."""
    static: float = 0.003
    """Standing still: a pose that hardly ever changes faster."""
    collision: float = 0.25
    """Self-collision: the share of frames in which limbs pass through one another or the trunk."""
    bend: float = 176.0
    """Joint range: degrees between a bone and the one above it; 180 is folded back into it."""
    duplicate: float = 0.01
    """Near-duplicates: clips whose joints are, on average, less than this apart."""
    captions: int = 2
    """Sentences a clip of what is measured, and as many for each that came with it; 0 leaves those as they are."""
    videos: bool = False
    """Read videos among the files, too (docs/video.md); the first time that installs about 1 GB."""
    only_free: bool = False
    """Leave out sources whose licence does not let a model trained on them be given away."""
