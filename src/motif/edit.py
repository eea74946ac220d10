"""Edit: what is asked of new takes, as one value that every recipe reads.

What the papers call applications are exact constraints (body parts, in-painting, in-betweening, composition, expansion,
key frames), soft constraints (re-style), a trajectory, clip weights over time (mixing), a loop, or several of them.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .errors import MotifError
from .motion import Motion
from .skeleton import Skeleton

MAX_SECONDS = 3600.0  # seconds of a take at most: it is made in memory, whole
MAX_WEIGHT = 1000.0  # weight of a joint at most: more of it leaves no room for the rest in the numbers
MIN_SPEED = 0.05  # body heights a second: takes go no slower along a trajectory without times
EDIT_FEATURES = ("a loop", "exact constraints", "soft constraints", "joint weights", "a trajectory", "clip weights")
"""What an edit can ask beyond new takes of some length."""


@dataclass(frozen=True, eq=False)
class Constraint:
    """A piece of motion that takes contain, exactly or up to a cutoff frequency."""

    motion: Motion
    """A single frame is a key frame: it is met in passing, without a speed of its own."""
    joints: tuple[str, ...] = ("all",)
    """Joints and body parts that are constrained."""
    start: int = 0
    """Frame of the take at which the piece begins."""
    blend: float = 0.5
    """Seconds before and after it over which what is new bends towards it."""
    world_space: bool = True
    """Whether the root's position and heading in the world are constrained, too, if it is among the joints. Otherwise
    the piece goes on from wherever the take has got to."""
    cutoff: float | None = None
    """Hz up to which the piece is followed; what is quicker is the clips'. None: it is met exactly."""

    @property
    def stop(self) -> int:
        """Frame of the take after the last one constrained."""
        return self.start + len(self.motion)


@dataclass(frozen=True)
class Trajectory:
    """A path on the ground that the root follows."""

    points: tuple[tuple[float, float], ...]
    """x and z, metres."""
    times: tuple[float, ...] | None = None
    """Seconds at which the points are reached, the first 0; as fast as the clips go, if not given."""
    facing: tuple[float, ...] | None = None
    """Heading at the points, radians (0 to +z, positive to +x); as the clips face when they go, if not given."""

    def __post_init__(self):
        try:
            points = torch.tensor(self.points, dtype=torch.float64)
        except (TypeError, ValueError):
            points = torch.zeros(0)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2 or not bool(points.isfinite().all()):
            raise MotifError(f"Trajectory.points holds {_short(self.points)}; give at least two points of finite x, z")
        for name, given in (("times", self.times), ("facing", self.facing)):
            if given is not None and (len(given) != len(self.points) or not all(map(math.isfinite, given))):
                raise MotifError(f"Trajectory.{name} holds {_short(given)}; give one finite number for each point")
        if self.times is not None and (self.times[0] != 0 or any(b <= a for a, b in pairwise(self.times))):
            raise MotifError(f"Trajectory.times holds {_short(self.times)}; they begin at 0 and rise")
        if self.length == 0 and self.times is None:
            raise MotifError("Trajectory.points are all in one place; give times, or points that lie apart")

    @property
    def length(self) -> float:
        """Metres from the first point to the last, along the path."""
        return sum(math.dist(a, b) for a, b in pairwise(self.points))

    @staticmethod
    def of(motion: Motion, every: float = 0.1) -> "Trajectory":
        """Return the trajectory of a motion's root, with its times and facing, a point every so many seconds."""
        dt, step = motion.frame_time, max(round(every / motion.frame_time), 1)
        frames = [*range(0, len(motion) - 1, step), len(motion) - 1]
        points = motion.world()[1][frames, motion.skeleton.root][:, [0, 2]].tolist()
        facing = motion.heading()[frames].tolist()
        return Trajectory(tuple((x, z) for x, z in points), tuple(k * dt for k in frames), tuple(facing))


@dataclass(frozen=True, eq=False)
class Edit:
    """What is asked of takes of one rig. ``dataclasses.replace`` adds fields to what a method below returns."""

    seconds: float | None = None
    """Length of a take; if not given as long as the trajectory takes, or else twice the clips, at most two minutes."""
    loop: bool = False
    """Whether the first frame follows the last."""
    constraints: tuple[Constraint, ...] = ()
    """Pieces of motion that takes hold."""
    joint_weights: Mapping[str, float] = field(default_factory=dict)
    """How much joints or body parts count when patches of motion are compared; 1 where not given."""
    trajectory: Trajectory | None = None
    """Where the root goes."""
    clip_weights: tuple[tuple[float, tuple[float, ...]], ...] = ()
    """Seconds, and how much each clip counts then; linear in between. All alike, if not given."""

    def __post_init__(self):
        for name, kind in (("constraints", Constraint), ("clip_weights", tuple)):
            given = getattr(self, name)
            if not isinstance(given, tuple) or not all(isinstance(one, kind) for one in given):
                raise MotifError(f"Edit.{name} holds {_short(given)}; give a tuple of {kind.__name__}s")
        if self.trajectory is not None and not isinstance(self.trajectory, Trajectory):
            given = _short(self.trajectory)
            raise MotifError(f"Edit.trajectory is {given}; give a Trajectory, as in Trajectory(((0, 0), (3, 0)))")

    # --- common requests
    @staticmethod
    def keep(motion: Motion, joints: Iterable[str] | None = None, frames: slice | None = None) -> "Edit":
        """Keep joints (by default all) of ``motion`` during some frames (all), in takes as long as it."""
        if not isinstance(frames, slice | None) or (frames is not None and frames.step not in (None, 1)):
            raise MotifError(f"Edit.keep: frames is {frames!r}; give a slice of all frames, as in slice(30, 90)")
        span = range(len(motion))[frames or slice(None)]
        if not span:
            raise MotifError(f"Edit.keep: frames {frames} leave none of the {len(motion)} of {motion.name!r}; widen it")
        names = ("all",) if joints is None else (joints,) if isinstance(joints, str) else tuple(joints)
        return Edit(motion.seconds, constraints=(Constraint(motion.crop(span.start, span.stop), names, span.start),))

    @staticmethod
    def inpaint(motion: Motion, begin: float, end: float) -> "Edit":
        """Keep all of ``motion`` but the seconds from ``begin`` to ``end``, which are new."""
        inside = 0 <= begin < end <= motion.seconds + motion.frame_time  # not for NaN
        first, last = (min(round(t / motion.frame_time), len(motion)) for t in ((begin, end) if inside else (0, 0)))
        if first >= last or last - first == len(motion):
            given = f"Edit.inpaint: {begin:g} to {end:g} s of {motion.name!r}, which lasts {motion.seconds:.2f} s"
            raise MotifError(f"{given}; give a span in it that leaves some of it")
        pieces = tuple(Constraint(motion.crop(a, b), start=a) for a, b in ((0, first), (last, len(motion))) if b > a)
        return Edit(motion.seconds, constraints=pieces)

    @staticmethod
    def inbetween(first: Motion, second: Motion, seconds: float, world_space: bool = True) -> "Edit":
        """Join ``first`` and ``second`` by new seconds; ``second`` stays where it is if in world space."""
        gap = round(seconds / first.frame_time) if 0 < seconds <= MAX_SECONDS else 0
        if gap < 1:
            raise MotifError(f"Edit.inbetween: {seconds:g} s between the two; give at least a frame")
        pieces = Constraint(first), Constraint(second, start=len(first) + gap, world_space=world_space)
        return Edit(pieces[1].stop * first.frame_time, constraints=pieces)

    @staticmethod
    def expand(motion: Motion, before: float = 0.0, after: float = 0.0) -> "Edit":
        """Keep all of ``motion``, with new seconds before and after it."""
        fit = all(0 <= t <= MAX_SECONDS for t in (before, after))
        start, stop = (round(t / motion.frame_time) if fit else 0 for t in (before, after))
        if start + stop < 1:
            given = f"Edit.expand: {before:g} s before and {after:g} s after"
            raise MotifError(f"{given}; give some, none below 0 or above {MAX_SECONDS:g}")
        return Edit((start + len(motion) + stop) * motion.frame_time, constraints=(Constraint(motion, start=start),))

    @staticmethod
    def keyframes(
        keys: Mapping[float, Motion] | Iterable, seconds: float | None = None, world_space: bool = False
    ) -> "Edit":
        """Meet the first frame of motions at their times; ``keys`` are pairs of seconds and motion, or a mapping."""
        given = list(dict(keys).items())
        if not given or not all(0 <= t <= MAX_SECONDS and isinstance(m, Motion) for t, m in given):
            raise MotifError(f"Edit.keyframes: at {_short([t for t, _ in given])} s; give motions, at 0 s or later")
        pieces = [Constraint(m.crop(0, 1), ("all",), round(t * m.fps), 0.8, world_space) for t, m in given]
        return Edit(seconds, constraints=tuple(pieces))

    @staticmethod
    def restyle(content: Motion, cutoff: float = 3.0) -> "Edit":
        """Do what ``content`` does up to ``cutoff`` Hz as the clips do it."""
        return Edit(content.seconds, constraints=(Constraint(content, cutoff=cutoff),))

    # --- what recipes read
    @property
    def features(self) -> tuple[str, ...]:
        """Those of ``EDIT_FEATURES`` that are asked for."""
        soft = [c.cutoff is not None for c in self.constraints]
        given = (self.loop, not all(soft), any(soft), self.joint_weights, self.trajectory, self.clip_weights)
        return tuple(name for name, asked in zip(EDIT_FEATURES, given, strict=True) if asked)

    @property
    def exact_constraints(self) -> tuple[Constraint, ...]:
        """Exact constraints, single frames last: where a take passes is settled before what it meets there."""
        return tuple(sorted((c for c in self.constraints if c.cutoff is None), key=lambda c: len(c.motion) == 1))

    def mask(self, skeleton: Skeleton, frames: int) -> Bool[Tensor, "t j"]:
        """Return where joints are constrained exactly."""
        mask = torch.zeros(frames, len(skeleton), dtype=torch.bool)
        for c in self.exact_constraints:
            mask[c.start : c.stop, list(skeleton.select(c.joints))] = True
        return mask

    def clip_weights_at(self, seconds: Float[Tensor, "t"]) -> Float[Tensor, "t c"]:
        """Return how much each clip counts at some times, as a fraction of the one that counts most."""
        at = torch.tensor([t for t, _ in self.clip_weights], device=seconds.device)
        weights = torch.tensor([w for _, w in self.clip_weights], dtype=torch.float32, device=seconds.device)
        after = torch.searchsorted(at, seconds.to(at)).clamp(max=len(at) - 1)
        before = (after - 1).clamp_min(0)
        fraction = ((seconds - at[before]) / (at[after] - at[before]).clamp_min(1e-9)).clamp(0, 1)
        mixed = torch.lerp(weights[before], weights[after], fraction[:, None].to(weights))
        return mixed / mixed.amax(1, keepdim=True)

    def duration(self, default: float) -> float:
        """Return the seconds of a take, ``default`` if none are given; refuse 0 and more than ``MAX_SECONDS``."""
        times = self.trajectory.times if self.trajectory and self.trajectory.times else (default,)
        seconds = times[-1] if self.seconds is None else self.seconds
        if not 0 < seconds <= MAX_SECONDS:
            raise MotifError(f"Edit.seconds is {seconds:g}; give more than 0 and up to {MAX_SECONDS:g} (or stream)")
        return seconds

    def check(self, skeleton: Skeleton, frame_time: float, frames: int, clips: int = 1) -> None:
        """Raise a MotifError that names the field if takes of ``frames`` frames cannot meet this edit."""
        _select("Edit.joint_weights", skeleton, self.joint_weights)
        if not all(0 <= w <= MAX_WEIGHT for w in self.joint_weights.values()):
            given = _short(dict(self.joint_weights))
            raise MotifError(f"Edit.joint_weights holds {given}; weights are at least 0 and at most {MAX_WEIGHT:g}")
        taken = torch.zeros(frames, len(skeleton), dtype=torch.bool)
        for i, c in enumerate(self.constraints):
            name, span = f"Edit.constraints[{i}]", slice(c.start, c.stop)
            joints = _check_constraint(c, name, skeleton, frame_time, frames)
            if taken[span, joints].any():
                raise MotifError(f"{name} overlaps an earlier one in the same joints; constrain each once a frame")
            taken[span, joints] = True
            if c.cutoff is not None or skeleton.root not in joints:
                continue
            if self.trajectory is not None:
                both = f"Edit.trajectory and {name} both say where the root goes"
                raise MotifError(f"{both}; leave {skeleton.names[skeleton.root]} out of the joints, or give but one")
            if self.loop and c.world_space and len(c.motion) == frames:
                raise MotifError(f"Edit.loop and {name} which fills the take: its path is not bent to close")
        whole, tolerance = frames * frame_time, frame_time / 2
        if self.trajectory is not None and self.loop:
            raise MotifError("Edit.trajectory and Edit.loop: close a trajectory by its points; leave loop out")
        end = self.trajectory.times[-1] if self.trajectory and self.trajectory.times else 0.0
        if end > whole + tolerance:
            takes = f"Edit.trajectory takes {end:g} s and the take lasts {whole:.2f}"
            raise MotifError(f"{takes}; give it {end:g} seconds or leave seconds out")
        for i, (at, weights) in enumerate(self.clip_weights):
            name = f"Edit.clip_weights[{i}]"
            if len(weights) != clips or min(weights) < 0 or not 0 < sum(weights) < math.inf:
                given = f"{_short(weights)} for {clips} clips"
                raise MotifError(f"{name} has the weights {given}; give one for each, at least 0 and not all 0")
            if not 0 <= at <= whole + tolerance or (i and at <= self.clip_weights[i - 1][0]):
                raise MotifError(f"{name} is at {at:g} s; times rise from 0 or later to {whole:.2f} at most")


def _check_constraint(c: Constraint, name: str, skeleton: Skeleton, frame_time: float, frames: int) -> list[int]:
    """Return the joints of a constraint, if it can be met."""
    if difference := skeleton.rig_difference(c.motion.skeleton):
        raise MotifError(f"{name}: its motion is of another rig: {difference}")
    if abs(c.motion.frame_time / frame_time - 1) > 1e-3:
        rates = f"{c.motion.fps:.3f} fps, the clips at {1 / frame_time:.3f}"
        raise MotifError(f"{name}: its motion runs at {rates}; resample() it first")
    if c.start < 0:
        raise MotifError(f"{name} begins {-c.start * frame_time:.2f} s before the take; begin it at 0 or later")
    if c.stop > frames:
        end, whole = f"{c.stop * frame_time:.6g}", f"a take of {frames} frames ({frames * frame_time:.2f} s)"
        span = f"frames {c.start:.6g} to {c.stop:.6g} ({c.start * frame_time:.6g} to {end} s)"
        raise MotifError(f"{name}: {span} do not lie in {whole}; move it or ask for {end} seconds")
    if not (math.isfinite(c.blend) and c.blend >= 0):
        raise MotifError(f"{name}: blend is {c.blend}; give seconds, at least 0")
    if c.cutoff is not None and not (math.isfinite(c.cutoff) and c.cutoff > 0):
        raise MotifError(f"{name}: cutoff is {c.cutoff}; give a positive number of Hz, or none to meet it exactly")
    if isinstance(c.joints, str):
        raise MotifError(f"{name}: joints is the text {c.joints!r}; give a tuple of names, as in ({c.joints!r},)")
    if not c.joints:
        raise MotifError(f"{name}: no joints named; give at least one")
    return _select(f"{name}.joints", skeleton, c.joints)


def _select(field: str, skeleton: Skeleton, names: Iterable[str]) -> list[int]:
    """Return joints by name, or raise an error that says which field holds the name."""
    try:
        return list(skeleton.select(names))
    except MotifError as error:
        raise MotifError(f"{field}: {error}") from None


def _short(values: object) -> str:
    """Return values as text of at most 80 characters."""
    text = str(values)
    return text if len(text) < 80 else f"{text[:76]}..."
