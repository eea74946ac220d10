"""Facts: what is measured in a motion on any rig and can be said of it; nothing is guessed from names.

Sides, directions, turns, steps, jumps, postures, limbs. Made into sentences by :mod:`motif.curate.captions`.
"""

import itertools
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from .. import contact
from ..motion import Motion
from . import limb_facts, root_facts
from .limb_facts import ARM, LEG, Limb
from .root_facts import Stretch, Track

STANDS, LOW, LIES = 0.82, 0.6, 0.35
"""Shares of its usual height above which a root stands, below which it may sit or kneel, and below which it may lie."""
LEANS, DOWN = 35.0, 60.0  # degrees that a trunk leans from the vertical to be bent forward, and to lie
SUPPORT = 0.12  # body heights beyond its feet at which a body's middle must be held by something else: it sits


@dataclass(frozen=True)
class Facts:
    """What is measured in one clip. Angles and turns are positive to the left."""

    seconds: float
    """Length."""
    height: float
    """Body height, metres."""
    activity: str
    """``travels``, ``in place`` (feet move, the body stays) or ``stands`` (feet rest, or there are none)."""
    direction: str
    """Where it travels, seen from the body (``forward``, ``backward left``); empty where it does not."""
    distance: float
    """How far it travels along its path, metres."""
    speed: float
    """How fast while it travels, m/s."""
    gait: str
    """``slow walk``, ``walk``, ``run``, ``jump``; empty without steps or travel."""
    stretches: tuple[Stretch, ...]
    """The way in parts of one direction."""
    turn: float
    """Net turn, degrees."""
    turned_left: float
    """Turns to the left added up, degrees, without sway."""
    turned_right: float
    """Turns to the right added up, degrees."""
    path: str
    """``straight``, ``curve left``, ``circle right``, ``back and forth``; empty where it does not travel."""
    jumps: int
    """How often all feet leave the ground in a jump."""
    crouches: int
    """How often it goes down to a crouch, a squat or a seat and comes up again, or stays there."""
    bows: int
    """How often the trunk bends forward."""
    climbed: float
    """How far the ground under it rises in all, metres; 0 on level ground."""
    descended: float
    """How far the ground under it falls in all, metres."""
    steps: int
    """Steps of all feet together."""
    step_rate: float
    """Steps a second."""
    limbs: tuple[Limb, ...]
    """What each limb, the head and the tail do."""
    busy: tuple[str, ...]
    """Names of the limbs that move most, in the order of the alphabet."""
    arms: str
    """Which arms move: ``left``, ``right``, ``both``; empty for neither."""
    legs: str
    """Which legs move, likewise."""
    tempo: str
    """``steady``, ``speeds up``, ``slows down``, ``pauses``; empty where it does not travel far."""
    start: str
    """Posture at the start: ``standing``, ``crouching``, ``sitting``, ``kneeling``, ``lying``; empty without feet."""
    end: str
    """Posture at the end."""

    @property
    def turn_side(self) -> str:
        """``left`` or ``right`` where it turns on the whole, ``both`` where it turns to both sides, else empty."""
        if abs(self.turn) > root_facts.TURNS:
            return "left" if self.turn > 0 else "right"
        if min(self.turned_left, self.turned_right) > root_facts.TURNS:
            return "both"
        return ""

    @property
    def body_heights(self) -> float:
        """How far it travels, body heights."""
        return self.distance / self.height

    def mirrored(self) -> "Facts":
        """Return the facts of the mirrored motion."""
        limbs = (replace(limb, name=swap_sides(limb.name), side=swap_sides(limb.side)) for limb in self.limbs)
        return replace(
            self,
            direction=swap_sides(self.direction),
            stretches=tuple(replace(s, direction=swap_sides(s.direction)) for s in self.stretches),
            turn=-self.turn,
            turned_left=self.turned_right,
            turned_right=self.turned_left,
            path=swap_sides(self.path),
            limbs=tuple(sorted(limbs, key=lambda limb: limb.name)),
            busy=tuple(sorted(map(swap_sides, self.busy))),
            arms=swap_sides(self.arms),
            legs=swap_sides(self.legs),
        )

    def limb(self, name: str) -> Limb | None:
        """Return what a limb does by its name, e.g. ``left arm``; None if the rig has none of that name."""
        return next((limb for limb in self.limbs if limb.name == name), None)


def swap_sides(words: str) -> str:
    """Return words with left and right exchanged."""
    other = {"left": "right", "right": "left"}
    return " ".join(other.get(word, word) for word in words.split(" "))


def facts(motion: Motion) -> Facts:
    """Return what is measured in a motion; a MotifError where a frame is not finite."""
    track = Track.of(motion)
    pieces = root_facts.chords(track)
    path = track.root[:, [0, 2]]
    travels = float((path - path[0]).norm(dim=-1).max()) > root_facts.TRAVELS * track.height
    pieces = pieces if travels else []
    feet = root_facts.steps(track, travels)
    parts = root_facts.stretches(pieces, track.height)
    net, left, right = root_facts.turns(track)
    jumps, limbs = root_facts.jumps(track), limb_facts.limbs(track)
    speed = root_facts.speed_of(pieces, track.frame_time)
    (start, end), (up, down) = posture(track), root_facts.climbs(track)
    return Facts(
        seconds=motion.seconds,
        height=track.height,
        activity="travels" if travels else "in place" if feet.count >= 2 or jumps else "stands",
        direction=root_facts.direction(pieces, parts),
        distance=root_facts.distance(track, pieces) if travels else 0.0,
        speed=speed,
        gait=root_facts.gait(track, speed, feet, jumps) if travels else "",
        stretches=parts,
        turn=net,
        turned_left=left,
        turned_right=right,
        path=root_facts.shape(pieces),
        jumps=jumps,
        crouches=len(root_facts.held(1 - track.up, 1 - STANDS + 0.05, 1 - STANDS)) if track.skeleton.contacts else 0,
        bows=len(root_facts.held(lean(track), LEANS, LEANS / 2)),
        climbed=up,
        descended=down,
        steps=feet.count,
        step_rate=feet.rate,
        limbs=limbs,
        busy=limb_facts.busy(limbs),
        arms=limb_facts.sided(limbs, ARM),
        legs=limb_facts.sided(limbs, LEG),
        tempo=root_facts.tempo(pieces),
        start=start,
        end=end,
    )


def _upright(track: Track) -> int | None:
    """The top of the trunk on a rig whose trunk stands upright in its natural pose."""
    s, top = track.skeleton, limb_facts.top_joint(track.skeleton)
    if top is None or not s.contacts:
        return None
    trunk = s.rest_positions[top] - s.rest_positions[s.root]
    return top if float(trunk[1]) > 0.7 * float(trunk.norm()) else None


def lean(track: Track) -> Float[Tensor, "t"]:
    """Return by how many degrees the trunk leans forward; 0 on rigs that do not stand upright, and backward."""
    top = _upright(track)
    if top is None:
        return torch.zeros(len(track.world))
    trunk = track.world[:, top] - track.world[:, track.skeleton.root]
    ahead = trunk[:, 0] * track.facing.sin() + trunk[:, 2] * track.facing.cos()
    return torch.rad2deg(torch.atan2(ahead, trunk[:, 1]).clamp_min(0))


def posture(track: Track) -> tuple[str, str]:
    """Return the posture in the first and the last frame."""
    if not track.skeleton.contacts:
        return "", ""
    up, top = contact.smooth(track.up[:, None], 0.1 / track.frame_time)[:, 0], _upright(track)
    return _posture(track, up, top, 0), _posture(track, up, top, len(up) - 1)


def _posture(track: Track, up: Float[Tensor, "t"], top: int | None, at: int) -> str:
    level, s = float(up[at]), track.skeleton
    if top is not None:
        trunk = track.world[at, top] - track.world[at, s.root]
        slope = float(torch.rad2deg(torch.atan2(trunk[[0, 2]].norm(), trunk[1])))
        if level < LIES and slope > DOWN:
            return "lying"
    if level >= STANDS:
        return "standing"
    if top is None:
        return "lying" if level < LIES else "crouching"
    if level < LOW and _kneels(track, at):
        return "kneeling"
    body = [j for j in s.subtree(s.root) if not s.end[j]]
    middle = track.world[at, body].mean(0)[[0, 2]]
    feet = track.world[at, list(s.contacts)][:, [0, 2]]
    apart = float((feet - middle).norm(dim=-1).min()) / track.height
    return "sitting" if level < 0.75 and apart > SUPPORT else "crouching"


def _kneels(track: Track, at: int) -> bool:
    """Whether a middle joint of a standing limb is on the ground."""
    s = track.skeleton
    low = float(contact.floors(track.feet, s).min())
    knees = [j for k in s.limbs if set(k) & set(s.contacts) for j in k[1:] if s.children[j] and _middle(s, k, j)]
    return any(float(track.world[at, j, 1]) - low < 0.1 * track.height for j in knees)


def _middle(s: "root_facts.Skeleton", limb: tuple[int, ...], joint: int) -> bool:
    total = s.chain_length[limb[0]]
    return 0.3 * total < s.chain_length[joint] < 0.75 * total and not set(limb) & set(s.contacts) & {joint}


def directions(found: Facts) -> tuple[str, ...]:
    """Return the directions of the way in order, each change once."""
    return tuple(d for d, _ in itertools.groupby(s.direction for s in found.stretches))
