"""Quality gates: one number of each clip, in body heights and seconds, and the limit that it must keep.

Every gate is a plain function of a :class:`Measured` clip; :data:`GATES` says which limit of
:class:`~motif.curate.CurateConfig` it is held to, and whether it is an upper or a lower one.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .. import contact, ground, rotation
from ..motion import Motion, heading
from ..skeleton import Skeleton
from . import CurateConfig

NEAR = 0.008  # body heights between the middles of two bones that touch
LONG_BONE = 0.05  # body heights; shorter bones (fingers, helpers) are not looked at for collisions
STANCE = 0.4  # seconds, in which every walk and run stands
LOOKS = 8  # frames a second that collisions are looked for in
LOWEST_FPS = 20  # below it a quick limb changes as much from frame to frame as noise does
GRAVITY = 9.81


@dataclass(frozen=True, eq=False)
class Measured:
    """A clip with what several gates need, computed once."""

    motion: Motion
    world: Float[Tensor, "t j 3"]
    facing: Float[Tensor, "t"]

    @staticmethod
    def of(motion: Motion) -> "Measured":
        """Return a motion with its joints' positions, metres, over level ground."""
        s, (q, world) = motion.skeleton, motion.world()
        facing = heading(q[:, s.root], s, motion.frame_time)
        if ground.is_uneven(motion):
            world = ground.levelled(world, s, motion.frame_time)
        return Measured(motion, world, facing)

    @property
    def height(self) -> float:
        """Of the body, metres."""
        return self.motion.skeleton.height

    @functools.cached_property
    def feet(self) -> Float[Tensor, "t c 3"]:
        """Positions of the contact joints."""
        return self.world[:, list(self.motion.skeleton.contacts)]

    @functools.cached_property
    def above(self) -> Float[Tensor, "t c"]:
        """Metres of each contact joint above its resting level."""
        return self.feet[..., 1] - contact.floors(self.feet, self.motion.skeleton)

    @functools.cached_property
    def local(self) -> Float[Tensor, "t j 3"]:
        """Positions beside the root, the body facing +Z."""
        root = self.motion.skeleton.root
        turned = rotation.about("y", -self.facing)[:, None]
        return rotation.rotate(turned, self.world - self.world[:, root : root + 1])


def shake(clip: Measured) -> float:
    """Return how far joints tremble, body heights: the median size of what is faster than about a quarter of the rate.

    The fourth difference over 16 is 1 for what alternates from frame to frame, .56 at a third of the rate and .01 at a
    tenth, where limbs move. Jerk does not tell a sprint from noise: it is as large in both.
    """
    if len(clip.world) < 5 or clip.motion.fps < LOWEST_FPS:
        return 0.0
    return float(clip.world.diff(n=4, dim=0).norm(dim=-1).mean(-1).median()) / 16 / clip.height


def slip(clip: Measured) -> float:
    """Return how fast standing feet slide, body heights/s: the mean over time of what the stillest foot near the ground
    does in its stillest quarter of ``STANCE`` seconds around; 0 without feet.

    In every step a foot stands still for a moment, in a sprint, too; one that glides never does.
    """
    if not clip.motion.skeleton.contacts:
        return 0.0
    near = clip.above < contact.HEIGHT * clip.height
    speed = contact.speed(clip.feet * clip.feet.new_tensor([1.0, 0.0, 1.0]), clip.motion.frame_time)
    stillest = speed.masked_fill(~near, torch.inf).amin(-1)[near.any(-1)]
    if not len(stillest):
        return 0.0
    width = min(max(round(STANCE / clip.motion.frame_time), 1), len(stillest))
    low = stillest.unfold(0, width, 1).kthvalue(max(width // 4, 1), dim=-1).values
    return float(low.mean()) / clip.height


def sink(clip: Measured) -> float:
    """Return how far the deepest foot is below its resting level in one frame of a hundred, body heights."""
    if not clip.motion.skeleton.contacts:
        return 0.0
    return float((-clip.above.amin(-1)).quantile(0.99).clamp_min(0)) / clip.height


def floating(clip: Measured) -> float:
    """Return the longest time, s, that nothing holds the body up and its root does not fall.

    It is held up by whatever is near the ground, and by feet that rest, at any height: on stairs and boxes. In a real
    flight the root falls freely: what is off the ground for t seconds drops g t^2 / 8 from its highest point.
    """
    s, dt = clip.motion.skeleton, clip.motion.frame_time
    if not s.contacts:
        return 0.0
    root = clip.world[:, s.root, 1]
    low = clip.world[..., 1].amin(-1)
    held = (low - low.quantile(0.05) < 2 * contact.HEIGHT * clip.height) | ground.resting(clip.feet, root, s, dt).any(
        -1
    )
    longest = 0.0
    for start, stop in contact.runs(~held):
        heights, seconds = root[start:stop], (stop - start) * dt
        falls = float(heights.max() - torch.minimum(heights[0], heights[-1]))
        if falls < 0.25 * GRAVITY * seconds**2 / 8:
            longest = max(longest, seconds)
    return longest


def static(clip: Measured) -> float:
    """Return how fast the pose changes, mean over joints, in the liveliest tenth of the clip, body heights/s."""
    step = max(round(0.1 / clip.motion.frame_time), 1)
    if len(clip.local) <= step:
        return 0.0
    change = (clip.local[step:] - clip.local[:-step]).norm(dim=-1).mean(-1) / (step * clip.motion.frame_time)
    travel = clip.world[:, clip.motion.skeleton.root].diff(dim=0).norm(dim=-1) / clip.motion.frame_time
    return max(float(change.quantile(0.9)), float(travel.quantile(0.9))) / clip.height


def bend(clip: Measured) -> float:
    """Return the largest angle between a long bone and the long bone above it, degrees, in one frame of a hundred.

    0 is straight on, 180 folded back into it; bones that are folded in the natural pose do not count.
    """
    s = clip.motion.skeleton
    long = [s.bone_length[j] > LONG_BONE * s.height for j in range(len(s))]
    pairs = [
        (s.parents[j], j) for j in s.subtree(s.root)[1:] if s.parents[j] != s.root and long[j] and long[s.parents[j]]
    ]
    if not pairs:
        return 0.0
    first, second = [p for p, _ in pairs], [j for _, j in pairs]
    above = [s.parents[p] for p in first]

    def angles(world: Tensor) -> Tensor:
        upper, lower = world[..., first, :] - world[..., above, :], world[..., second, :] - world[..., first, :]
        cosine = torch.nn.functional.cosine_similarity(upper, lower, dim=-1)
        return torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))

    fair = angles(s.rest_positions) < 90
    return float(angles(clip.world)[:, fair].quantile(0.99, dim=0).max()) if bool(fair.any()) else 0.0


def collision(clip: Measured) -> float:
    """Return the share of frames in which two bones pass through each other that do not in the natural pose."""
    s, step = clip.motion.skeleton, max(round(1 / LOOKS / clip.motion.frame_time), 1)
    first, second = bone_pairs(s)
    if not len(first):
        return 0.0
    world = clip.world[::step]
    ends = [world[:, [parent for parent, _ in pair]] for pair in (first, second)]
    tips = [world[:, [joint for _, joint in pair]] for pair in (first, second)]
    gap = segment_gap(ends[0], tips[0], ends[1], tips[1])
    return float((gap < NEAR * clip.height).any(-1).float().mean())


@functools.lru_cache(maxsize=256)
def bone_pairs(s: Skeleton) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return pairs of long bones, (parent, joint) each, that are far apart in the tree and in the natural pose."""
    bones = [(s.parents[j], j) for j in s.subtree(s.root)[1:] if s.bone_length[j] > LONG_BONE * s.height]
    limb = {j: s.limb_of(j) for _, j in bones}
    pairs = [(a, b) for k, a in enumerate(bones) for b in bones[k + 1 :] if limb[a[1]] != limb[b[1]]]
    related = [set(s.ancestors(j)) for j in range(len(s))]
    pairs = [(a, b) for a, b in pairs if a[0] not in (b[0], b[1]) and b[0] != a[1]]
    pairs = [(a, b) for a, b in pairs if a[1] not in related[b[0]] and b[1] not in related[a[0]]]
    if not pairs:
        return [], []
    rest = s.rest_positions
    at = [[rest[[bone[k] for bone in side]] for k in (0, 1)] for side in zip(*pairs, strict=True)]
    apart = segment_gap(at[0][0], at[0][1], at[1][0], at[1][1]) > 4 * NEAR * s.height
    kept = [pair for pair, ok in zip(pairs, apart.tolist(), strict=True) if ok]
    return [a for a, _ in kept], [b for _, b in kept]


def segment_gap(
    a: Float[Tensor, "*n 3"], b: Float[Tensor, "*n 3"], c: Float[Tensor, "*n 3"], d: Float[Tensor, "*n 3"]
) -> Float[Tensor, "*n"]:
    """Return the distance between segments ``ab`` and ``cd`` (Ericson, Real-Time Collision Detection, 5.1.9)."""
    u, v, w = b - a, d - c, a - c
    uu, uv, vv, uw, vw = ((x * y).sum(-1) for x, y in ((u, u), (u, v), (v, v), (u, w), (v, w)))
    det = uu * vv - uv * uv
    s = ((uv * vw - vv * uw) / det.clamp_min(1e-12)).clamp(0, 1)
    t = ((uv * s + vw) / vv.clamp_min(1e-12)).clamp(0, 1)
    s = ((uv * t - uw) / uu.clamp_min(1e-12)).clamp(0, 1)
    return (w + s[..., None] * u - t[..., None] * v).norm(dim=-1)


GATES: dict[str, tuple[Callable[[Measured], float], bool, str]] = {
    "shake": (shake, True, "shakes"),
    "slip": (slip, True, "slides"),
    "sink": (sink, True, "sinks"),
    "floating": (floating, True, "floats"),
    "static": (static, False, "static"),
    "collision": (collision, True, "collides"),
    "bend": (bend, True, "bends"),
}
"""By name: the measure, whether its limit is an upper one, and the reason a clip is left out for."""


def failures(found: dict[str, float], config: CurateConfig) -> list[tuple[str, str]]:
    """Return reason and detail of every gate that a clip does not pass."""
    failed = []
    for name, (_, upper, reason) in GATES.items():
        limit, value = getattr(config, name), found[name]
        if limit and (value > limit if upper else value < limit):
            failed.append((reason, f"{name} {value:.3g}, {'at most' if upper else 'at least'} {limit:g}"))
    return failed
