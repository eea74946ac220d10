"""Edit: what a user asks of new takes, as one value that every engine reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool
from torch import Tensor

from .errors import MotifError
from .motion import Motion
from .skeleton import Skeleton

LONGEST = 3600.0
"""Seconds of a take at most: it is made in memory, whole."""


@dataclass(frozen=True, eq=False)
class Keep:
    """A piece of motion that new takes hold exactly."""

    motion: Motion
    joints: tuple[str, ...] = ("all",)
    """Joints and body parts that are held; where the root is among them, so is its place and heading in the world."""
    start: int = 0
    """Frame of the take at which the piece begins."""

    @property
    def stop(self) -> int:
        """Frame of the take after the last one held."""
        return self.start + len(self.motion)


@dataclass(frozen=True, eq=False)
class Edit:
    """A request for takes of one rig."""

    seconds: float | None = None
    """Length of a take; twice the exemplar if not given."""
    loop: bool = False
    """Whether the first frame follows the last."""
    kept: tuple[Keep, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    """How much joints or body parts count when stretches of motion are compared; 1 where not given."""

    @staticmethod
    def keep(motion: Motion, joints: Iterable[str] | None = None, frames: slice | None = None, **options) -> "Edit":
        """Takes as long as ``motion`` that hold these joints of it (by default all) during these frames (all)."""
        span = range(len(motion))[frames or slice(None)]
        if not span:
            raise MotifError(
                f"Edit.keep: frames {frames} leave none of the {len(motion)} of {motion.name!r}; widen the slice"
            )
        piece = Keep(
            motion.crop(span.start, span.stop),
            ((joints,) if isinstance(joints, str) else tuple(joints)) if joints is not None else ("all",),
            span.start,
        )
        return Edit(**{"seconds": motion.seconds, "kept": (piece,)} | options)

    def length(self, otherwise: float) -> float:
        """Seconds of a take; ``otherwise`` where none are asked for.

        Raises:
            MotifError: for no length, and for more than ``LONGEST`` seconds.
        """
        seconds = otherwise if self.seconds is None else self.seconds
        if not 0 < seconds <= LONGEST:
            raise MotifError(
                f"Edit.seconds is {seconds:g}; give a number above 0 and up to {LONGEST:g} (beyond that, stream)"
            )
        return seconds

    def check(self, skeleton: Skeleton, frame_time: float, frames: int) -> None:
        """Raise an error that names the field if this request cannot be met for takes of ``frames`` frames."""
        skeleton.select(self.weights)
        held = torch.zeros(frames, len(skeleton), dtype=torch.bool)
        for i, keep in enumerate(self.kept):
            difference = skeleton.same_rig(keep.motion.skeleton)
            if difference:
                raise MotifError(f"Edit.kept[{i}]: the kept motion is of another rig: {difference}")
            if abs(keep.motion.frame_time / frame_time - 1) > 1e-3:
                raise MotifError(
                    f"Edit.kept[{i}]: the kept motion runs at {keep.motion.fps:.3f} fps, the exemplar at "
                    f"{1 / frame_time:.3f}; resample() it first"
                )
            if keep.start < 0 or keep.stop > frames:
                raise MotifError(
                    f"Edit.kept[{i}]: frames {keep.start} to {keep.stop} do not lie in a take of {frames} frames; "
                    f"move it or ask for {keep.stop * frame_time:.2f} seconds"
                )
            joints = list(skeleton.select(keep.joints))
            if not joints:
                raise MotifError(f"Edit.kept[{i}]: no joints named; give at least one")
            if held[keep.start : keep.stop, joints].any():
                raise MotifError(
                    f"Edit.kept[{i}] overlaps an earlier one in the same joints; keep each joint once a frame"
                )
            held[keep.start : keep.stop, joints] = True

    def mask(self, skeleton: Skeleton, frames: int) -> Bool[Tensor, "t j"]:
        """True where a joint is held."""
        held = torch.zeros(frames, len(skeleton), dtype=torch.bool)
        for keep in self.kept:
            held[keep.start : keep.stop, list(skeleton.select(keep.joints))] = True
        return held


def chance(seed: int, take: int) -> torch.Generator:
    """Every take's own source of randomness."""
    return torch.Generator().manual_seed((seed * 0x9E3779B1 + take * 0x85EBCA77) % (1 << 62))
