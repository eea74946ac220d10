"""Clips encoded for matching, and how long takes of them are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .. import clip_traits, contact
from ..edit import MIN_SPEED, Edit
from ..errors import MotifError
from ..features import Features, Start
from ..motion import Motion
from ..post import feet, trajectory
from ..tempo import TempoVariability, tempo_variability

MAX_DEFAULT_SECONDS = 120.0  # of a take, where none are asked for: to show all of a long clip is quadratic work


@dataclass(frozen=True, eq=False)
class Exemplar:
    """Clips of one rig and rate, ready to be matched."""

    clips: tuple[Motion, ...]
    features: Features
    fine: tuple[Float[Tensor, "_s d"], ...]
    """Features of each clip at the finest level: means over a stride."""
    table: Float[Tensor, "f e"]
    """Features, :func:`feet.foot_drift` and :func:`feet.contact_velocity` of all clips at their own rate, end to end:
    takes should slide as much as the clips, and locked feet move as they do."""
    start: Start
    """Where the first clip begins; takes do, too."""
    stride: int
    """Frames of a clip per frame of the finest level."""
    cache: dict[float, Any] = field(default_factory=dict, repr=False)
    """Principal axes for takes without an edit, by the variance that they keep."""

    @property
    def frame_time(self) -> float:
        """Seconds a frame of the clips."""
        return self.clips[0].frame_time

    @property
    def rate(self) -> float:
        """Frames a second of the finest level."""
        return 1 / (self.frame_time * self.stride)

    @cached_property
    def tempo(self) -> TempoVariability:
        """How steady the clips' tempo is; found when first asked for, as it compares all frames with all."""
        return tempo_variability(self.clips)

    def tempo_amount(self, limit: float) -> float:
        """Return :meth:`TempoVariability.amount`; 0 at once where none is wanted."""
        return self.tempo.amount(limit) if limit else 0.0

    @cached_property
    def heading_span(self) -> float | None:
        """By how much the heading of clips that face one way varies, radians; None where one turns."""
        return clip_traits.heading_span(self.clips)

    @cached_property
    def travel(self) -> tuple[float, float]:
        """Speed of the clips where they travel, m/s, and its direction in the heading frame, radians."""
        at = self.features.slices["root_velocity"]
        steady = torch.cat([contact.smooth(x[:, at], trajectory.SWAY * self.rate) for x in self.fine])
        speed = steady.norm(dim=1)
        return float(speed.square().sum() / speed.sum().clamp_min(1e-9)), math.atan2(*steady.mean(0).tolist())

    def patch(self, frames: int) -> int:
        """Return the frames of a patch: as many as wanted, fewer if a clip is shorter."""
        return min(frames, *map(len, self.fine))


def prepare(clips: Sequence[Motion], rate: float = 30.0) -> Exemplar:
    """Encode clips of one rig and one rate, with the finest level near ``rate`` Hz (:attr:`MatchConfig.rate`)."""
    if not clips:
        raise MotifError("no clip to learn from; give at least one")
    features, dt = Features.of(clips), clips[0].frame_time
    for clip in clips:
        if abs(clip.frame_time / dt - 1) > 1e-3:
            given = f"{clip.name!r} runs at {clip.fps:.3f} fps and {clips[0].name!r} at {1 / dt:.3f}"
            raise MotifError(f"{given}; resample() them to one rate first (--fps does)")
    stride = max(math.floor(1 / dt / rate + 0.05), 1)
    full = [features.encode(c)[: len(c) // stride * stride] for c in clips]
    if min(map(len, full)) // stride < 3:
        given = f"a clip of {min(map(len, clips))} frames ({min(c.seconds for c in clips):.2f} s)"
        raise MotifError(f"{given} is too short to make variations of; give at least {3 * stride} frames")
    fine = tuple(x.unflatten(0, (-1, stride)).mean(1) for x in full)
    table = torch.cat([feet.with_feet(features, x, dt) for x in full])
    return Exemplar(tuple(clips), features, fine, table, features.start(clips[0]), stride)


def take_length(exemplar: Exemplar, edit: Edit) -> tuple[int, int]:
    """Return the frames of a take at the clips' rate and at the finest level, and check that it can be made."""
    s, default = exemplar.features.skeleton, min(2 * len(exemplar.table) * exemplar.frame_time, MAX_DEFAULT_SECONDS)
    if edit.trajectory is not None:
        default = edit.trajectory.length / max(exemplar.travel[0], MIN_SPEED * s.height)
    frames = max(round(edit.duration(default) / exemplar.frame_time), 1)
    edit.check(s, exemplar.frame_time, frames, len(exemplar.clips))
    length = -(-frames // exemplar.stride)
    return (length * exemplar.stride if edit.loop else frames), length  # a loop's seam lies between two strides
