"""What the root and the feet of a clip do: where it goes, how it turns, how it steps, when it is in the air.

Everything is judged in shares of the body height and in angles, hardly ever in seconds, so that a clip played slower
has the same counts and scaled rates; nothing prefers a side, so that the mirrored clip has the mirrored facts.
"""

import itertools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import contact, ground, windows
from ..motion import Motion, heading
from ..skeleton import Skeleton

CHORD = 0.2  # body heights between the points by which a path is judged: a step's sway is no turn
TRAVELS = 0.5  # body heights that a clip gets away from its start at least, to travel
SETTLED = 0.35  # body heights that a stretch in one direction is long at least
STRAIGHT, CIRCLE = 30.0, 300.0  # degrees that a path bends by at least, to be a curve and a circle
TURNS, SWAYS = 30.0, 25.0  # degrees: a net turn, and a swing back and forth that counts
FORWARD, SIDEWAYS = 20.0, 55.0  # degrees off the way the body faces: up to here forward, from here on sideways
DRIFTS, LONG = 12.0, 8  # the same for forward on a straight way of so many chords: real walks stay within 8 degrees
AIR, RISE = 0.045, 0.11  # body heights: how high all feet are in a jump, and how far the root is above its usual height
SWING, REST = 0.35, 0.15  # shares of a foot's usual top speed where a step begins and ends
STEP, LIFT = 0.1, 0.05  # body heights that a foot goes along or up in a step at least
CLIMBS = 0.12  # body heights that the ground rises or falls by to be a climb
SLOW, JOGS, RUNS, FLIGHT = 0.27, 0.5, 0.85, 0.03
"""Speeds, as roots of Froude numbers, below which a walk is slow, above which it is a run if it has that share of
flight, and above which it is one anyway: brisk walks reach .65 without any flight."""
GRAVITY = 9.81


@dataclass(frozen=True, eq=False)
class Track:
    """A clip's joints in the world at about 30 Hz, and what is derived from them once."""

    skeleton: Skeleton
    """The rig."""
    world: Float[Tensor, "t j 3"]
    """Joint positions, metres, over the ground under them where that is uneven."""
    facing: Float[Tensor, "t"]
    """Heading, radians, without the swing of a step."""
    frame_time: float
    """Seconds a frame."""
    under: Float[Tensor, "t"]
    """How high the ground under the body is over the first frame's, metres; 0 where it is level."""
    height: float
    """Body height, metres."""

    @staticmethod
    def of(motion: Motion) -> "Track":
        """Return the track of a motion; a frame that is not finite is an error."""
        windows.check_finite(motion)
        step = windows.stride(motion.fps)
        s, frame_time = motion.skeleton, motion.frame_time * step
        world_q, world = motion.select(torch.arange(0, len(motion), step)).world()
        facing = heading(world_q[:, s.root], s, frame_time)
        even = torch.linspace(0, 1, len(facing)) * (facing[-1] - facing[0])  # a steady turn is not smoothed away
        facing = even + contact.smooth((facing - even)[:, None], 0.2 / frame_time)[:, 0]
        under = torch.zeros_like(world[:, 0, 0])
        if ground.is_uneven(motion):
            under = ground.heights(world[:, list(s.contacts)], world[:, s.root, 1], s, frame_time)
            world = world - torch.nn.functional.pad(under[:, None, None], (1, 1))
        return Track(s, world, facing, frame_time, under - under[0], s.height)

    @property
    def feet(self) -> Float[Tensor, "t c 3"]:
        """Where contact joints are."""
        return self.world[:, list(self.skeleton.contacts)]

    @property
    def root(self) -> Float[Tensor, "t 3"]:
        """Where the root is, without the shake of single frames."""
        return contact.smooth(self.world[:, self.skeleton.root], 0.1 / self.frame_time)

    @property
    def up(self) -> Float[Tensor, "t"]:
        """How high the root is over the ground, as a share of its height in the natural pose (0 without feet)."""
        s = self.skeleton
        if not s.contacts:
            return torch.zeros(len(self.world))
        rest = s.rest_positions[:, 1]
        usual = float(rest[s.root] - rest[list(s.contacts)].min())
        low = contact.floors(self.feet, s).min()
        return (self.world[:, s.root, 1] - low) / max(usual, 0.1 * self.height)


@dataclass(frozen=True)
class Stretch:
    """A part of the way that goes in one direction, seen from the body."""

    direction: str
    """``forward``, ``backward``, ``left``, ``right`` or two of them, e.g. ``forward left``."""
    metres: float
    """Its length."""


@dataclass(frozen=True)
class Chord:
    """A piece of the path: about :data:`CHORD` body heights, straight."""

    frames: int
    """How long it takes."""
    length: float
    """Metres."""
    course: float
    """Where it goes in the world, radians: 0 towards +Z, positive left."""
    off: float
    """Where it goes seen from the body, radians: 0 forward, positive left."""


def chords(track: Track) -> list[Chord]:
    """Return the path as chords; empty where the root stays within one."""
    path, size = track.root[:, [0, 2]].double(), CHORD * track.height
    found, at = [], 0
    while at < len(path) - 1:
        far = ((path[at + 1 :] - path[at]).norm(dim=-1) >= size).nonzero()
        if not len(far):
            break
        to = at + 1 + int(far[0])
        x, z = (path[to] - path[at]).tolist()
        course = math.atan2(x, z)
        off = wrap(course - float(track.facing[at : to + 1].mean()))
        found.append(Chord(to - at, math.hypot(x, z), course, off))
        at = to
    return found


def distance(track: Track, pieces: list[Chord]) -> float:
    """Return the length of the path in metres: its chords and what is left after the last one."""
    path = track.root[:, [0, 2]]
    at = sum(c.frames for c in pieces)
    return sum(c.length for c in pieces) + float((path[-1] - path[at]).norm())


def wrap(angle: float) -> float:
    """Return an angle in radians within a half turn of zero."""
    return math.remainder(angle, 2 * math.pi)


def sector(off: float, forward: float = FORWARD) -> str:
    """Return a direction seen from the body (radians, positive left) in words; ``forward`` degrees off is so."""
    angle = abs(math.degrees(wrap(off)))
    side = "left" if off > 0 else "right"
    if angle <= forward:
        return "forward"
    if angle >= 180 - forward:
        return "backward"
    if SIDEWAYS <= angle <= 180 - SIDEWAYS:
        return side
    return f"{'forward' if angle < 90 else 'backward'} {side}"


def _mean_angle(pieces: list[Chord]) -> tuple[float, float]:
    """The mean direction seen from the body, radians, and how far the pieces agree, 0 to 1."""
    z = sum(c.length * complex(math.cos(c.off), math.sin(c.off)) for c in pieces) / sum(c.length for c in pieces)
    return math.atan2(z.imag, z.real), abs(z)


def stretches(pieces: list[Chord], height: float) -> tuple[Stretch, ...]:
    """Return the stretches of the way, short ones left out, neighbours of one direction joined."""
    runs = [list(g) for _, g in itertools.groupby(pieces, lambda c: sector(c.off))]
    kept = [run for run in runs if sum(c.length for c in run) >= SETTLED * height]
    found: list[Stretch] = []
    for run in kept:
        direction, metres = sector(_mean_angle(run)[0]), sum(c.length for c in run)
        if found and found[-1].direction == direction:
            metres += found.pop().metres
        found.append(Stretch(direction, metres))
    return tuple(found)


def direction(pieces: list[Chord], parts: tuple[Stretch, ...]) -> str:
    """Return the direction of the whole way: the mean where it has one, else that of its longest stretch."""
    if not pieces:
        return ""
    mean, agree = _mean_angle(pieces)
    if agree > 0.8 or not parts:
        return sector(mean, DRIFTS if len(pieces) >= LONG and shape(pieces) == "straight" else FORWARD)
    total = {d: sum(p.metres for p in parts if p.direction == d) for d in dict.fromkeys(p.direction for p in parts)}
    return max(total, key=total.__getitem__)


def bend(pieces: list[Chord]) -> tuple[float, int]:
    """Return by how many degrees the path bends (positive left) and how often it goes back on itself."""
    steps = [math.degrees(wrap(b.course - a.course)) for a, b in itertools.pairwise(pieces)]
    return sum(s for s in steps if abs(s) < 100), sum(abs(s) >= 100 for s in steps)


def shape(pieces: list[Chord]) -> str:
    """Return the path in words: straight, curve left, circle right, back and forth; empty for a short one."""
    if len(pieces) < 2:
        return "straight" if pieces else ""
    turned, reversals = bend(pieces)
    if reversals and abs(turned) < CIRCLE:
        return "back and forth"
    if abs(turned) < STRAIGHT:
        return "straight"
    return f"{'circle' if abs(turned) >= CIRCLE else 'curve'} {'left' if turned > 0 else 'right'}"


def zigzag(values: list[float], least: float) -> list[float]:
    """Return the extremes of a signal, first and last value included, that are at least ``least`` apart."""
    extremes, low, high, last = [values[0]], values[0], values[0], values[0]
    heading_up: bool | None = None
    for value in values:
        low, high = min(low, value), max(high, value)
        if heading_up is not False and value <= high - least:
            extremes.append(high)
            heading_up, low, high = False, value, value
        elif heading_up is not True and value >= low + least:
            extremes.append(low)
            heading_up, low, high = True, value, value
        last = value
    tail = (high if heading_up else low) if heading_up is not None else last
    return [*extremes, tail] if heading_up is not None else [values[0], last]


def swings(values: list[float], least: float) -> list[float]:
    """Return the moves between a signal's extremes that are at least ``least``, up positive."""
    extremes = zigzag(values, least)
    return [d for d in (b - a for a, b in itertools.pairwise(extremes)) if abs(d) >= least]


def turns(track: Track) -> tuple[float, float, float]:
    """Return the net turn and the turns to the left and to the right added up, degrees; net is positive to the left."""
    facing = torch.rad2deg(track.facing).tolist()
    moves = swings(facing, SWAYS)
    return facing[-1] - facing[0], sum(m for m in moves if m > 0), -sum(m for m in moves if m < 0)


def in_air(track: Track) -> Bool[Tensor, "t"]:
    """Return where no foot is near the ground."""
    s = track.skeleton
    if not s.contacts:
        return torch.zeros(len(track.world), dtype=torch.bool)
    air = ((track.feet[..., 1] - contact.floors(track.feet, s)) > AIR * track.height).all(-1)
    if track.under.any():  # a foot may rest on a step
        air &= ~ground.resting(track.feet, track.world[:, s.root, 1], s, track.frame_time).any(-1)
    return air


def climbs(track: Track) -> tuple[float, float]:
    """Return how far the ground under the body rises and falls in all, metres; 0 on level ground."""
    moves = swings(track.under.tolist(), CLIMBS * track.height)
    return sum(m for m in moves if m > 0), -sum(m for m in moves if m < 0)


def jumps(track: Track) -> int:
    """Return how often all feet leave the ground with the body clearly above its usual height."""
    air = in_air(track)
    if not air.any() or air.all():
        return 0
    up = track.world[:, track.skeleton.root, 1]
    usual = float(up[~air].quantile(0.6))
    return sum(float(up[a:b].max()) > usual + RISE * track.height for a, b in contact.runs(air) if b - a >= 2)


def held(value: Float[Tensor, "t"], enter: float, leave: float) -> list[tuple[int, int]]:
    """Return the runs in which a signal is above ``leave`` and somewhere above ``enter``."""
    return [(a, b) for a, b in contact.runs(value > leave) if float(value[a:b].max()) > enter]


@dataclass(frozen=True)
class Steps:
    """What the feet do."""

    count: int
    """Steps of all feet together."""
    rate: float
    """Steps a second from the first to the last of them; 0 for fewer than 2."""
    flight: float
    """Share of that time in which all feet swing at once."""


def steps(track: Track, travels: bool) -> Steps:
    """Return the steps: stretches in which a foot is fast for this clip and gets somewhere, along or up."""
    s, height = track.skeleton, track.height
    limbs: dict[int, list[int]] = {}
    for index, joint in enumerate(s.contacts):
        limbs.setdefault(s.limb_of(joint), []).append(index)
    limbs.pop(s.root, None)
    if not limbs or len(track.world) < 3:
        return Steps(0, 0.0, 0.0)
    feet = torch.stack([track.feet[:, own].mean(1) for own in limbs.values()], 1)
    if not travels:
        feet = feet - track.root[:, None] * feet.new_tensor([1.0, 0.0, 1.0])
    feet = contact.smooth(feet.flatten(1), 1.0).view_as(feet)
    speed = contact.speed(feet, track.frame_time)
    top = float(speed.quantile(0.95))
    found, swing = [], torch.zeros(speed.shape, dtype=torch.bool)
    for limb in range(feet.shape[1]):
        for a, b in held(speed[:, limb], SWING * top, REST * top):
            if b - a == len(speed):  # it slides all the time
                continue
            place = feet[a:b, limb]
            along, lift = float((place[-1] - place[0])[[0, 2]].norm()), float(place[:, 1].max() - place[:, 1].min())
            if (travels and along > STEP * height) or lift > LIFT * height:
                found.append((a, b))
                swing[a:b, limb] = speed[a:b, limb] > SWING * top
    if len(found) < 2:
        return Steps(len(found), 0.0, 0.0)
    first, last = min(a for a, _ in found), max(b for _, b in found)
    flight = float(swing[first:last].all(-1).float().mean())
    return Steps(len(found), len(found) / ((last - first) * track.frame_time), flight)


def speed_of(pieces: list[Chord], frame_time: float) -> float:
    """Return the speed while it travels, m/s: pauses, chords that take five times the usual, are left out."""
    if not pieces:
        return 0.0
    usual = sorted(c.frames for c in pieces)[(len(pieces) - 1) // 2]
    moving = [c for c in pieces if c.frames <= 5 * usual]
    return sum(c.length for c in moving) / (sum(c.frames for c in moving) * frame_time)


def gait(track: Track, speed: float, feet: Steps, jumps: int) -> str:
    """Return slow walk, walk, run or jump: by flight, and by the speed against a pendulum of the leg's length."""
    s = track.skeleton
    if feet.count < 2 and not jumps:
        return ""
    if feet.count <= 2 * jumps:
        return "jump"
    rest = s.rest_positions[:, 1]
    leg = max(float(rest[s.root] - rest[list(s.contacts)].min()), 0.1 * track.height)
    froude = speed / math.sqrt(GRAVITY * leg)
    if froude > RUNS or (froude > JOGS and feet.flight > FLIGHT):
        return "run"
    return "slow walk" if froude < SLOW else "walk"


def tempo(pieces: list[Chord]) -> str:
    """Return how the speed changes along the way: steady, speeds up, slows down or pauses; empty for a short way."""
    if len(pieces) < 6:
        return ""
    third = len(pieces) // 3
    early, late = (sum(c.frames for c in part) / third for part in (pieces[:third], pieces[-third:]))
    usual = sorted(c.frames for c in pieces)[(len(pieces) - 1) // 2]
    if any(c.frames > 5 * max(usual, 2) for c in pieces[1:-1]):
        return "pauses"
    if early > 1.6 * late:
        return "speeds up"
    return "slows down" if late > 1.6 * early else "steady"
