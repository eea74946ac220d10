"""Clips encoded for matching, and how long takes of them are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .. import contact
from ..edit import MIN_SPEED, Edit
from ..errors import MotifError
from ..features import Features, Start
from ..motion import Motion
from ..post import feet
from ..post.trajectory import SWAY
from ..tempo import TempoVariability, tempo_variability


@dataclass(frozen=True, eq=False)
class Exemplar:
    """Clips of one rig and rate, ready to be matched."""

    clips: tuple[Motion, ...]
    features: Features
    full: tuple[Float[Tensor, "_t d"], ...]
    """Features of each clip at its own rate, cut to whole strides."""
    foot_drifts: tuple[Float[Tensor, "_t 2"], ...]
    """:func:`motif.post.feet.foot_drift` of each clip: takes should slide as much, not more."""
    contact_velocities: tuple[Float[Tensor, "_t e"], ...]
    """:func:`motif.post.feet.contact_velocity` of each clip: locked feet keep it."""
    tempo: TempoVariability
    start: Start
    """Where the first clip begins; takes do, too."""
    stride: int
    """Frames of a clip per frame of the finest level."""
    cache: dict[float, Any] = field(default_factory=dict, repr=False)
    """Principal axes of takes without an edit, by the variance that they keep."""

    @property
    def frame_time(self) -> float:
        """Seconds a frame of the clips."""
        return self.clips[0].frame_time

    @property
    def rate(self) -> float:
        """Frames a second of the finest level."""
        return 1 / (self.frame_time * self.stride)

    @cached_property
    def fine(self) -> list[Float[Tensor, "_s d"]]:
        """Features of each clip at the finest level: means over a stride."""
        return [x.unflatten(0, (-1, self.stride)).mean(1) for x in self.full]

    @cached_property
    def table(self) -> Float[Tensor, "f e"]:
        """Features, foot drifts and contact velocities of all clips, end to end."""
        return torch.cat([torch.cat(part) for part in (self.full, self.foot_drifts, self.contact_velocities)], -1)

    @cached_property
    def travel(self) -> tuple[float, float]:
        """Speed of the clips where they travel, m/s, and its direction in the heading frame, radians."""
        at = self.features.slices["root_velocity"]
        steady = torch.cat([contact.smooth(x[:, at], SWAY * self.rate) for x in self.fine])
        x, z = steady.mean(0).tolist()
        speed = steady.norm(dim=1)
        return float(speed.square().sum() / speed.sum().clamp_min(1e-9)), math.atan2(x, z)

    def patch(self, frames: int) -> int:
        """Return the frames of a patch: as many as wanted, fewer if a clip is shorter."""
        return min(frames, min(len(x) for x in self.fine))


def prepare(clips: Sequence[Motion], rate: float = 30.0) -> Exemplar:
    """Encode clips of one rig and one rate.

    Args:
        clips: the clips.
        rate: the finest level runs at the largest whole fraction of the clips' rate that is near this or below, Hz.

    Raises:
        MotifError: for no clip, different rigs or rates, and clips that are too short.
    """
    if not clips:
        raise MotifError("no clip to learn from; give at least one")
    features = Features.of(clips)
    dt = clips[0].frame_time
    for clip in clips:
        if abs(clip.frame_time / dt - 1) > 1e-3:
            raise MotifError(
                f"{clip.name!r} runs at {clip.fps:.3f} fps and {clips[0].name!r} at {1 / dt:.3f}; "
                f"resample() them to one rate first (--fps does)"
            )
    stride = max(math.floor(1 / dt / rate + 0.05), 1)
    full = tuple(features.encode(c)[: len(c) // stride * stride] for c in clips)
    if min(len(x) for x in full) // stride < 3:
        raise MotifError(
            f"a clip of {min(map(len, clips))} frames ({min(c.seconds for c in clips):.2f} s) is too short to make "
            f"variations of; give at least {3 * stride} frames"
        )
    drifts = tuple(feet.foot_drift(features, x, dt) for x in full)
    velocities = tuple(feet.contact_velocity(features, x, dt) for x in full)
    tempo, start = tempo_variability(clips), features.start(clips[0])
    return Exemplar(tuple(clips), features, full, drifts, velocities, tempo, start, stride)


def take_length(exemplar: Exemplar, edit: Edit) -> tuple[int, int]:
    """Return the frames of a take at the clips' rate and at the finest level.

    Raises:
        MotifError: naming the field of ``edit`` that cannot be met.
    """
    s, default = exemplar.features.skeleton, 2 * sum(map(len, exemplar.full)) * exemplar.frame_time
    if edit.trajectory is not None:
        default = edit.trajectory.length / max(exemplar.travel[0], MIN_SPEED * s.height)
    frames = max(round(edit.duration(default) / exemplar.frame_time), 1)
    edit.check(s, exemplar.frame_time, frames, len(exemplar.clips))
    length = -(-frames // exemplar.stride)
    return (length * exemplar.stride if edit.loop else frames), length  # a loop's seam lies between two strides
