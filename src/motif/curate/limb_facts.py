"""What the limbs of a clip do relative to the body: how far they go, how often, how high they are held."""

import itertools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .. import contact, rotation
from ..skeleton import Skeleton
from .root_facts import Track, held, swings

ARM, LEG, TOP, TAIL = "arm leg head tail".split()  # noqa: SIM905 (no joint name stands in the package)
REACH = 0.7  # share of a limb's length after which its next joint is its hand or foot: fingers are left out
OVER_SHOULDER, OVER_TOP = 0.0, 0.0  # body heights over the shoulder and over the top of the body for a raised hand
HANGS = 0.12  # body heights under the shoulder below which a raised hand has been lowered
BUSY = 0.5  # share of the busiest limb's way from which another one is busy too
MOVES = 0.25  # body heights that a limb goes in a clip at least, to have moved
ONE_SIDED = 1.7  # how much farther one of a pair goes, to be the one that moves
SMALL, AGAIN = 0.02, 0.35  # body heights, and share of the largest: a swing back and forth that counts
AWAY = 1.6  # how much larger than a usual swing one is that raises or lowers the limb
SLOWEST, FASTEST = 0.35, 6.0  # Hz between which repeats are looked for
REPEATS = 0.6


@dataclass(frozen=True)
class Limb:
    """What one limb, the head or the tail does relative to the body."""

    name: str
    """What it is called: ``left arm``, ``back right leg``, ``head``."""
    side: str
    """``left``, ``right``, or empty in the middle."""
    way: float
    """How far its end goes relative to where the limb begins, body heights."""
    rate: float
    """The same a second."""
    reach: float
    """The largest extent of the places where its end is, body heights."""
    raised: str
    """How high its end gets: ``above the shoulder``, ``above the head``, or empty for lower and for legs."""
    raises: int
    """How often it is raised."""
    repeats: int
    """How often it swings back and forth; 0 where it does so less than twice."""
    period: float
    """Seconds from one repeat to the next; 0 without any."""


@dataclass(frozen=True)
class Chain:
    """A limb as it is measured."""

    name: str
    side: str
    kind: str
    base: int
    """The joint it is seen from: the shoulder, the thigh, where the neck begins."""
    tip: int
    """Its hand, its foot, its end."""


def limb_chains(s: Skeleton) -> list[Chain]:
    """Return the limbs of a rig, head and tail by geometry alone; what has no left and right has no limbs."""
    found = []
    for kind, firsts in (
        (LEG, [k[0] for k in s.limbs if set(k) & set(s.contacts)]),
        (ARM, [k[0] for k in s.limbs if not set(k) & set(s.contacts)]),
    ):
        rows = _rows(s, firsts)
        for row, first in ((row, j) for row, pair in enumerate(rows) for j in pair):
            side = "left" if first in s.left else "right" if s.mirror[first] in s.left else ""
            where = _row_name(row, len(rows)) if len(rows) > 1 else ""
            tip = _tip(s, first)
            chain = [j for j in s.ancestors(tip) if first in s.ancestors(j)]
            base = chain[min(2, len(chain) - 1)] if kind == ARM else first
            found.append(Chain(" ".join(filter(None, (where, side, kind))), side, kind, base, tip))
    return found + _middle(s)


def _rows(s: Skeleton, firsts: list[int]) -> list[list[int]]:
    """Limbs by pairs, from the front to the back."""
    ahead = _forward(s)
    pairs = [sorted({j, s.mirror[j]} & set(firsts)) for j in firsts if s.mirror[j] not in firsts or s.mirror[j] >= j]
    return sorted(pairs, key=lambda pair: -round(sum(float(ahead[j]) for j in pair) / len(pair), 6))


def _row_name(row: int, rows: int) -> str:
    return ("front", "back")[row] if rows == 2 else ("first", "second", "third", "fourth", "fifth", "last")[min(row, 5)]


def _forward(s: Skeleton) -> Float[Tensor, "j"]:
    """How far ahead of the root each joint is in the natural pose, body heights."""
    pose = rotation.rotate(rotation.about("y", torch.tensor(-s.rest_heading)), s.rest_positions)
    return (pose[:, 2] - pose[s.root, 2]) / s.height


def _tip(s: Skeleton, first: int) -> int:
    """The first joint down the longest chain with most of the limb above it."""
    stands = [j for j in s.subtree(first) if j in s.contacts]
    if stands:
        return stands[0]
    total, at, down = s.chain_length[first], first, 0.0
    while s.children[at] and (down < REACH * total or at == first):
        at = max(s.children[at], key=lambda c: s.chain_length[c] + s.bone_length[c])
        down += s.bone_length[at]
    return at


def top_joint(s: Skeleton) -> int | None:
    """Return the end of the trunk that is farthest up and ahead in the natural pose; None on rigs without limbs."""
    if not s.limbs:
        return None
    limbs = set(itertools.chain(*s.limbs))
    trunk = [j for j in s.subtree(s.root) if j not in limbs and s.mirror[j] == j]
    score = s.rest_positions[:, 1] / s.height + _forward(s)
    best = max(trunk, key=lambda j: (round(float(score[j]), 4), -j))
    return best if best != s.root else None


def _middle(s: Skeleton) -> list[Chain]:
    """Head and tail: the ends of the trunk ahead or above, and behind."""
    top = top_joint(s)
    if top is None:
        return []
    line = s.ancestors(top)
    paired = [s.parents[j] for k in s.limbs for j in k[:1] if s.parents[j] in line]
    neck = min(paired, key=line.index, default=s.root)  # the last trunk joint that limbs hang on
    found = [Chain(TOP, "", TOP, neck, top)] if neck != top else []
    ahead, limbs = _forward(s), set(itertools.chain(*s.limbs))
    ends = [j for j in s.subtree(s.root) if j not in limbs and j not in line and s.mirror[j] == j]
    ends = [j for j in ends if float(ahead[j]) < -0.1 and not s.children[j]]
    if ends:
        tip = min(ends, key=lambda j: float(ahead[j]))
        base = next(j for j in s.ancestors(tip) if j in line)
        found.append(Chain(TAIL, "", TAIL, base, tip))
    return found


def limbs(track: Track) -> tuple[Limb, ...]:
    """Return what each limb, the head and the tail do."""
    s, top = track.skeleton, top_joint(track.skeleton)
    crown = track.world[:, top, 1] if top is not None else None
    turned = rotation.about("y", -track.facing)[:, None]
    found = []
    for chain in limb_chains(s):
        arm = rotation.rotate(turned, track.world[:, [chain.tip]] - track.world[:, [chain.base]])[:, 0] / track.height
        arm = contact.smooth(arm.double(), 0.05 / track.frame_time)
        step = arm.diff(dim=0).norm(dim=-1)
        raised, raises = "", 0
        if chain.kind == ARM and crown is not None:
            over = (track.world[:, chain.tip, 1] - crown) / track.height
            raised, raises = _raised(arm[:, 1], over)
        repeats, period = _repeats(arm, track.frame_time)
        way, seconds = float(step.sum()), max(len(step), 1) * track.frame_time
        reach = float((arm.amax(0) - arm.amin(0)).norm())
        found.append(Limb(chain.name, chain.side, way, way / seconds, reach, raised, raises, repeats, period))
    return tuple(sorted(found, key=lambda limb: limb.name))


def _raised(over_shoulder: Float[Tensor, "t"], over_top: Float[Tensor, "t"]) -> tuple[str, int]:
    times = held(over_shoulder, OVER_SHOULDER, -HANGS)
    if not times:
        return "", 0
    return f"above the {TOP if float(over_top.max()) > OVER_TOP else 'shoulder'}", len(times)


def _repeats(arm: Float[Tensor, "t 3"], frame_time: float) -> tuple[int, float]:
    """How often a limb swings back and forth, and the seconds a swing takes.

    Its speed, in which what is frequent counts more than what is large, tells the rate; around it the way along the
    main axis is counted, so that lifting an arm before it waves is no repeat.
    """
    t = len(arm)
    if t * frame_time < 2 / FASTEST or t < 8:
        return 0, 0.0
    speed = arm.diff(dim=0) / frame_time
    padded = 4 * t
    rates = torch.fft.rfftfreq(padded, frame_time).double()
    window = torch.hann_window(t - 1, periodic=False, dtype=torch.float64)[:, None]
    power = torch.fft.rfft((speed - speed.mean(0)) * window, padded, dim=0).abs().square().sum(-1)
    looked = (rates >= max(SLOWEST, 1.5 / (t * frame_time))) & (rates <= FASTEST)
    if not looked.any() or float(power.sum()) <= 0:
        return 0, 0.0
    rate = float(rates[(power * looked).argmax()])
    near = (rates > 0.6 * rate) & (rates < 1.6 * rate)
    if float(power[near].sum()) < REPEATS * float(power.sum()):
        return 0, 0.0
    sigma = 0.5 / rate / frame_time
    steady = arm - contact.smooth(arm, sigma)
    axis = torch.linalg.eigh(steady.T @ steady)[1][:, -1]
    sizes = sorted(map(abs, swings((steady @ axis).tolist(), SMALL)))
    if not sizes:
        return 0, 0.0
    moves = [abs(m) for m in swings((arm @ axis).tolist(), max(AGAIN * sizes[int(0.8 * (len(sizes) - 1))], SMALL))]
    count = _cycles(moves)
    return (count, 1 / rate) if count >= 2 else (0, 0.0)


def _cycles(moves: list[float]) -> int:
    """How many times back and forth: the whole way over that of a usual time, between moves that are much larger."""
    usual = sorted(moves)[len(moves) // 2] if moves else 0.0
    groups = itertools.groupby(moves, lambda move: move > AWAY * usual)
    way = max((sum(group) for large, group in groups if not large), default=0.0)
    return math.floor(way / (2 * usual) + 0.55) if usual > 0 else 0


def busy(found: tuple[Limb, ...]) -> tuple[str, ...]:
    """Return the names of the limbs that move most."""
    most = max((limb.way for limb in found), default=0.0)
    moved = [limb for limb in found if limb.way > max(BUSY * most, MOVES)]
    return tuple(sorted(limb.name for limb in moved))


def sided(found: tuple[Limb, ...], kind: str) -> str:
    """Return which of the limbs of a kind (``arm``, ``leg``) move: left, right, both; empty if neither does."""
    way = {
        side: max((limb.way for limb in found if limb.name.endswith(kind) and limb.side == side), default=0.0)
        for side in ("left", "right")
    }
    if max(way.values()) < MOVES:
        return ""
    least, most = sorted(way, key=way.__getitem__)
    return most if way[most] > ONE_SIDED * way[least] else "both"
