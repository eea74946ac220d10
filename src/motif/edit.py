"""Edit: what a user asks of new takes, as one value that every engine reads.

Everything that the papers call an application is one of five requests or several of them together: pieces kept
exactly (body parts, in-painting, in-betweening, composition, expansion, key poses), pieces whose course is followed
(re-style), a way to go (trajectory), weights of clips over time (mixing), a loop.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .errors import MotifError
from .motion import Motion
from .skeleton import Skeleton

MAX_SECONDS = 3600.0
"""Seconds of a take at most: it is made in memory, whole."""
EDIT_FEATURES = ("a loop", "kept pieces", "pieces to follow", "weights of joints", "a way", "a mix over time")
"""What can be asked beyond new takes of some length."""
MAX_WEIGHT = 1000.0
"""Weight of a joint at most: more of it leaves no room for the rest in the numbers."""
MIN_SPEED = 0.05
"""Body heights a second: no clip goes slower on a way whose times are not given."""


@dataclass(frozen=True, eq=False)
class Constraint:
    """A piece of motion that new takes hold."""

    motion: Motion
    """A single frame is a key pose: it is met in passing, without a speed of its own."""
    joints: tuple[str, ...] = ("all",)
    """Joints and body parts that are held."""
    start: int = 0
    """Frame of the take at which the piece begins."""
    blend: float = 0.5
    """Seconds before and after it in which what is new leans towards it."""
    world_space: bool = True
    """Where the root is among the joints: whether its place and heading in the world are held, too. Otherwise the
    piece goes on from wherever the take has got to."""
    rate: float | None = None
    """Held exactly, if not given. Otherwise followed up to this rate in Hz; what is quicker is the clip's."""

    @property
    def stop(self) -> int:
        """Frame of the take after the last one held."""
        return self.start + len(self.motion)

    @property
    def exact(self) -> bool:
        """Whether it is held exactly."""
        return self.rate is None


@dataclass(frozen=True)
class Trajectory:
    """A path on the ground that the root follows."""

    points: tuple[tuple[float, float], ...]
    """x and z, metres."""
    times: tuple[float, ...] | None = None
    """Seconds at which the points are reached, the first 0; as fast as the clip goes, if not given."""
    facing: tuple[float, ...] | None = None
    """Heading at the points, radians (0 to +z, positive to +x); as the clip faces when it goes, if not given."""

    def __post_init__(self):
        try:
            at = torch.tensor(self.points, dtype=torch.float64)
        except (TypeError, ValueError):
            at = torch.zeros(0)
        if at.ndim != 2 or at.shape[1] != 2 or len(at) < 2 or not bool(at.isfinite().all()):
            raise MotifError(
                f"Trajectory.points holds {_short(self.points)}; give at least two points of finite x and z"
            )
        for name in ("times", "facing"):
            given = getattr(self, name)
            if given is None:
                continue
            if len(given) != len(self.points) or not all(map(math.isfinite, given)):
                raise MotifError(f"Trajectory.{name} holds {_short(given)}; give one finite number for each point")
        if self.times is not None:
            steps = [b - a for a, b in zip(self.times, self.times[1:])]
            if self.times[0] != 0 or min(steps) <= 0:
                raise MotifError(f"Trajectory.times holds {_short(self.times)}; they begin at 0 and rise")
        if self.length == 0 and self.times is None:
            raise MotifError("Trajectory.points are all in one place; give times, or points that lie apart")

    @property
    def length(self) -> float:
        """Metres from the first point to the last, along the way."""
        return sum(math.dist(a, b) for a, b in zip(self.points, self.points[1:]))

    @staticmethod
    def of(motion: Motion, every: float = 0.1) -> "Trajectory":
        """The way that a motion goes, with its times and facing."""
        step = max(round(every / motion.frame_time), 1)
        frames = [*range(0, len(motion) - 1, step), len(motion) - 1]
        root = motion.world()[1][:, motion.skeleton.root]
        points = tuple((float(root[k, 0]), float(root[k, 2])) for k in frames)
        return Trajectory(
            points, tuple(k * motion.frame_time for k in frames), tuple(motion.heading()[frames].tolist())
        )


@dataclass(frozen=True, eq=False)
class Edit:
    """A request for takes of one rig."""

    seconds: float | None = None
    """Length of a take; if not given as long as the way takes, or else twice the exemplar."""
    loop: bool = False
    """Whether the first frame follows the last."""
    constraints: tuple[Constraint, ...] = ()
    joint_weights: Mapping[str, float] = field(default_factory=dict)
    """How much joints or body parts count when stretches of motion are compared; 1 where not given."""
    trajectory: Trajectory | None = None
    """Where the root goes."""
    clip_weights: tuple[tuple[float, tuple[float, ...]], ...] = ()
    """Seconds, and how much each clip counts then; in between they change evenly. All alike, if not given."""

    def __post_init__(self):
        for name, kind in (("constraints", Constraint), ("clip_weights", tuple)):
            given = getattr(self, name)
            if not isinstance(given, tuple) or not all(isinstance(one, kind) for one in given):
                raise MotifError(f"Edit.{name} holds {_short(given)}; give a tuple of {kind.__name__}s")
        if self.trajectory is not None and not isinstance(self.trajectory, Trajectory):
            raise MotifError(
                f"Edit.trajectory is {_short(self.trajectory)}; give a Trajectory, as in Trajectory(((0, 0), (3, 0)))"
            )

    # --- common requests
    @staticmethod
    def keep(
        motion: Motion, joints: Iterable[str] | None = None, frames: slice | None = None, **options: Any
    ) -> "Edit":
        """Takes as long as ``motion`` that hold these joints of it (by default all) during these frames (all)."""
        if not isinstance(frames, slice | None) or (frames is not None and frames.step not in (None, 1)):
            raise MotifError(f"Edit.keep: frames is {frames!r}; give a slice of all frames, as in slice(30, 90)")
        span = range(len(motion))[frames or slice(None)]
        if not span:
            raise MotifError(
                f"Edit.keep: frames {frames} leave none of the {len(motion)} of {motion.name!r}; widen the slice"
            )
        piece = Constraint(
            motion.crop(span.start, span.stop),
            ((joints,) if isinstance(joints, str) else tuple(joints)) if joints is not None else ("all",),
            span.start,
        )
        return replace(Edit(seconds=motion.seconds, constraints=(piece,)), **options)

    @staticmethod
    def inpaint(motion: Motion, begin: float, end: float, **options: Any) -> "Edit":
        """In-painting: all of ``motion`` is kept but the seconds from ``begin`` to ``end``."""
        inside = 0 <= begin < end <= motion.seconds + motion.frame_time  # not for NaN
        first, last = (min(round(t / motion.frame_time), len(motion)) for t in ((begin, end) if inside else (0, 0)))
        if first >= last or last - first == len(motion):
            raise MotifError(
                f"Edit.inpaint: {begin:g} to {end:g} s of {motion.name!r}, which lasts {motion.seconds:.2f} s; give a "
                f"stretch that lies in it and leaves some of it"
            )
        pieces = [Constraint(motion.crop(a, b), start=a) for a, b in ((0, first), (last, len(motion))) if b > a]
        return replace(Edit(seconds=motion.seconds, constraints=tuple(pieces)), **options)

    @staticmethod
    def inbetween(first: Motion, second: Motion, seconds: float, world_space: bool = True, **options: Any) -> "Edit":
        """In-betweening: ``first``, so many new seconds, then ``second``, if ``anchored`` where the world has it."""
        gap = round(seconds / first.frame_time) if 0 < seconds <= MAX_SECONDS else 0
        if gap < 1:
            raise MotifError(f"Edit.inbetween: {seconds:g} s between the two; give at least a frame")
        kept = (Constraint(first), Constraint(second, start=len(first) + gap, world_space=world_space))
        return replace(Edit(seconds=kept[1].stop * first.frame_time, constraints=kept), **options)

    @staticmethod
    def expand(motion: Motion, before: float = 0.0, after: float = 0.0, **options: Any) -> "Edit":
        """All of ``motion``, with new seconds before and after it."""
        fit = all(0 <= t <= MAX_SECONDS for t in (before, after))
        start, stop = (round(t / motion.frame_time) if fit else 0 for t in (before, after))
        if start + stop < 1:
            raise MotifError(
                f"Edit.expand: {before:g} s before and {after:g} s after; give some, none below 0 or above {MAX_SECONDS:g}"
            )
        kept = (Constraint(motion, start=start),)
        return replace(Edit(seconds=(start + len(motion) + stop) * motion.frame_time, constraints=kept), **options)

    @staticmethod
    def keyframes(
        keys: Mapping[float, Motion] | Iterable[tuple[float, Motion]], world_space: bool = False, **options: Any
    ) -> "Edit":
        """Key frames: seconds, and motions of one frame that are met then."""
        given = list(dict(keys).items())
        if not given or not all(0 <= t <= MAX_SECONDS for t, _ in given):
            raise MotifError(f"Edit.keyframes: at {_short([t for t, _ in given])} s; give poses, each at 0 s or later")
        kept = tuple(
            Constraint(pose.crop(0, 1), start=round(t * pose.fps), blend=0.8, world_space=world_space)
            for t, pose in given
        )
        return replace(Edit(constraints=kept), **options)

    @staticmethod
    def restyle(content: Motion, rate: float = 3.0, **options: Any) -> "Edit":
        """What ``content`` does up to ``rate`` Hz, done as the clips do it."""
        return replace(Edit(seconds=content.seconds, constraints=(Constraint(content, rate=rate),)), **options)

    # --- what engines ask of it
    @property
    def features(self) -> tuple[str, ...]:
        """What is asked beyond new takes of some length."""
        soft = [not k.exact for k in self.constraints]
        given = (self.loop, not all(soft), any(soft), self.joint_weights, self.trajectory, self.clip_weights)
        return tuple(name for name, asked in zip(EDIT_FEATURES, given, strict=True) if asked)

    @property
    def exact_constraints(self) -> tuple[Constraint, ...]:
        """Pieces held exactly, those with a single frame last: where a take passes is settled before what it meets."""
        return tuple(sorted((k for k in self.constraints if k.exact), key=lambda k: len(k.motion) == 1))

    def duration(self, default: float) -> float:
        """Seconds of a take; ``otherwise`` where none are asked for.

        Raises:
            MotifError: for no length, and for more than ``LONGEST`` seconds.
        """
        seconds = self.seconds
        if seconds is None and self.trajectory is not None and self.trajectory.times is not None:
            seconds = self.trajectory.times[-1]
        seconds = default if seconds is None else seconds
        if not 0 < seconds <= MAX_SECONDS:
            raise MotifError(
                f"Edit.seconds is {seconds:g}; give a number above 0 and up to {MAX_SECONDS:g} (beyond that, stream)"
            )
        return seconds

    def check(self, skeleton: Skeleton, frame_time: float, frames: int, clips: int = 1) -> None:
        """Raise an error that names the field if this request cannot be met for takes of ``frames`` frames."""
        _named("Edit.joint_weights", skeleton, self.joint_weights)
        if not all(0 <= w <= MAX_WEIGHT for w in self.joint_weights.values()):
            raise MotifError(
                f"Edit.joint_weights holds {_short(dict(self.joint_weights))}; weights are at least 0 and at most {MAX_WEIGHT:g}"
            )
        taken = torch.zeros(frames, len(skeleton), dtype=torch.bool)
        for i, keep in enumerate(self.constraints):
            joints = _checked(keep, f"Edit.constraints[{i}]", skeleton, frame_time, frames)
            if taken[keep.start : keep.stop, joints].any():
                raise MotifError(
                    f"Edit.constraints[{i}] overlaps an earlier one in the same joints; keep each joint once a frame"
                )
            taken[keep.start : keep.stop, joints] = True
            if self.trajectory is not None and keep.exact and skeleton.root in joints:
                raise MotifError(
                    f"Edit.trajectory and Edit.constraints[{i}] both say where the root goes; leave "
                    f"{skeleton.names[skeleton.root]} out of the kept joints, or give no way"
                )
            if self.loop and keep.exact and keep.world_space and skeleton.root in joints and len(keep.motion) == frames:
                raise MotifError(
                    f"Edit.loop and Edit.constraints[{i}] which fills the take: a kept path is not bent to close"
                )
        if self.trajectory is not None and self.loop:
            raise MotifError(
                "Edit.trajectory and Edit.loop: a way that comes back is closed by its points; leave loop out"
            )
        if (
            self.trajectory is not None
            and self.trajectory.times is not None
            and self.trajectory.times[-1] > (frames + 0.5) * frame_time
        ):
            raise MotifError(
                f"Edit.trajectory takes {self.trajectory.times[-1]:g} s and the take lasts {frames * frame_time:.2f}; give it "
                f"{self.trajectory.times[-1]:g} seconds or leave seconds out"
            )
        for i, (at, weights) in enumerate(self.clip_weights):
            if len(weights) != clips or min(weights) < 0 or not 0 < sum(weights) < math.inf:
                raise MotifError(
                    f"Edit.clip_weights[{i}] has the weights {_short(weights)} for {clips} clips; give one for each, at least 0 "
                    f"and not all 0"
                )
            if not 0 <= at <= (frames + 0.5) * frame_time or (i and at <= self.clip_weights[i - 1][0]):
                raise MotifError(
                    f"Edit.clip_weights[{i}] is at {at:g} s; times rise from 0 or later to {frames * frame_time:.2f} at most"
                )

    def clip_weights_at(self, seconds: Float[Tensor, "t"]) -> Float[Tensor, "t c"]:
        """How much each clip counts at these times, of what counts most."""
        at = torch.tensor([t for t, _ in self.clip_weights])
        weights = torch.tensor([w for _, w in self.clip_weights], dtype=torch.float32)
        after = torch.searchsorted(at, seconds.to(at)).clamp(max=len(at) - 1)
        before = (after - 1).clamp_min(0)
        share = ((seconds - at[before]) / (at[after] - at[before]).clamp_min(1e-9)).clamp(0, 1)
        mixed = torch.lerp(weights[before], weights[after], share[:, None].to(weights))
        return mixed / mixed.amax(1, keepdim=True)

    def mask(self, skeleton: Skeleton, frames: int) -> Bool[Tensor, "t j"]:
        """True where a joint is held exactly."""
        held = torch.zeros(frames, len(skeleton), dtype=torch.bool)
        for keep in self.exact_constraints:
            held[keep.start : keep.stop, list(skeleton.select(keep.joints))] = True
        return held


def _checked(keep: Constraint, name: str, skeleton: Skeleton, frame_time: float, frames: int) -> list[int]:
    """The joints of a kept piece, if it can be kept."""
    difference = skeleton.rig_difference(keep.motion.skeleton)
    if difference:
        raise MotifError(f"{name}: the kept motion is of another rig: {difference}")
    if abs(keep.motion.frame_time / frame_time - 1) > 1e-3:
        raise MotifError(
            f"{name}: the kept motion runs at {keep.motion.fps:.3f} fps, the exemplar at "
            f"{1 / frame_time:.3f}; resample() it first"
        )
    if keep.start < 0:
        raise MotifError(f"{name} begins {-keep.start * frame_time:.2f} s before the take; begin it at 0 or later")
    if keep.stop > frames:
        begin, end, whole = keep.start * frame_time, keep.stop * frame_time, frames * frame_time
        raise MotifError(
            f"{name}: frames {keep.start:.6g} to {keep.stop:.6g} ({begin:.6g} to {end:.6g} s) do not lie in a take of "
            f"{frames} frames ({whole:.2f} s); move it or ask for {end:.6g} seconds"
        )
    if not (math.isfinite(keep.blend) and keep.blend >= 0):
        raise MotifError(f"{name}: blend is {keep.blend}; give seconds, at least 0")
    if keep.rate is not None and not (math.isfinite(keep.rate) and keep.rate > 0):
        raise MotifError(f"{name}: rate is {keep.rate}; give a positive number of Hz, or none to hold it exactly")
    if isinstance(keep.joints, str):
        raise MotifError(f"{name}: joints is the text {keep.joints!r}; give a tuple of names, as in ({keep.joints!r},)")
    joints = _named(f"{name}.joints", skeleton, keep.joints)
    if not joints:
        raise MotifError(f"{name}: no joints named; give at least one")
    return joints


def _named(field: str, skeleton: Skeleton, names: Iterable[str]) -> list[int]:
    """Joints by name, or an error that says where the name stands."""
    try:
        return list(skeleton.select(names))
    except MotifError as error:
        raise MotifError(f"{field}: {error}") from None


def _short(values: object) -> str:
    """Values as text, not too many of them."""
    text = str(values)
    return text if len(text) < 80 else f"{text[:76]}..."
