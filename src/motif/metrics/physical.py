"""What a body may not do: slide on its standing foot, shake, sink, float, jump, bend too far.

All are curves over frames, so that the worst moment can be named; NaN where one means nothing.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import contact, ground, rotation
from .body import Body

Curves = dict[str, Tensor]
"""Values per frame of one motion, [T], by name."""
OFFSETS = {"slip": 0.005, "jerk": 1.0, "sink": 0.002, "float": 0.005, "still": 0.02}
"""Added to both sides of a ratio: what no eye sees, in body heights (a second, a second cubed) or a share."""
SEAM = 1.25  # a pose that changes its speed this many times faster than the exemplar's ever does is a seam
RISE_OFFSET = 0.15  # body heights a second added to both sides of a ratio of speeds up or down
STILL = 0.02  # body heights a second: a pose that changes less stands still
BEND = math.radians(10)  # a joint may turn this far beyond all that it does in the exemplar


def grounded(body: Body) -> Bool[Tensor, "t c"]:
    """Return which contact joints are near their resting level, however fast: a sliding foot must count, too."""
    return body.world[:, list(body.skeleton.contacts), 1] - body.level < contact.HEIGHT * body.skeleton.height


def slip(body: Body) -> Float[Tensor, "t"]:
    """Return the horizontal speed of the stillest grounded contact joint, m/s; NaN where nothing is near the ground."""
    near, feet = grounded(body), body.world[:, list(body.skeleton.contacts)]
    speed = contact.speed(feet * feet.new_tensor([1.0, 0.0, 1.0]), body.motion.frame_time).masked_fill(~near, torch.inf)
    return speed.amin(-1).masked_fill(~near.any(-1), torch.nan)


def still(body: Body) -> Float[Tensor, "t"]:
    """Return contact consistency: which share of the joints near the ground stands still; NaN where none is near."""
    near, feet = grounded(body), body.world[:, list(body.skeleton.contacts)]
    slow = contact.speed(feet, body.motion.frame_time) < contact.SPEED * body.skeleton.height
    return (near & slow).sum(-1) / near.sum(-1).float().masked_fill(~near.any(-1), torch.nan)


def sink(body: Body) -> Float[Tensor, "t"]:
    """Return penetration: how far the deepest contact joint is below its resting level, m."""
    return (body.level - body.world[:, list(body.skeleton.contacts), 1]).amax(-1).clamp_min(0)


def floating(body: Body) -> Float[Tensor, "t"]:
    """Return how far the lowest contact joint is above its resting level, m. A clip with jumps floats, too."""
    return (body.world[:, list(body.skeleton.contacts), 1] - body.level).amin(-1).clamp_min(0)


def jerk(body: Body) -> Float[Tensor, "t"]:
    """Return the size of the third derivative of position, mean over joints, m/s^3; NaN in three edge frames."""
    return _derivative(body, 3)


def bent(body: Body, exemplar: Sequence[Body]) -> Float[Tensor, "t"]:
    """Return joint-range violations: the share of joints more than ``BEND`` beyond all that they do in the exemplar.

    The range of a joint (but the root) is the set of its rotations in the exemplar: no axis has to be known.
    """
    s = body.skeleton
    if not (joints := [j for j in s.subtree(s.root)[1:] if not s.end[j]]):
        return body.world.new_zeros(len(body.world))
    known = torch.cat([t.motion.rotations[:: max(round(t.motion.fps / 10), 1)] for t in exemplar])
    alike = [(body.motion.rotations[:, j] @ known[:, j].T).abs().amax(-1) for j in joints]
    return (torch.stack(alike, -1) < math.cos(BEND / 2)).float().mean(-1)


def pose_speed(body: Body) -> Float[Tensor, "t"]:
    """Return how fast the pose changes, wherever the body goes, mean over joints, m/s; NaN in the last .1 s."""
    root, step = body.skeleton.root, max(round(0.1 / body.motion.frame_time), 1)
    local = rotation.rotate(rotation.about("y", -body.heading)[:, None], body.world - body.world[:, root : root + 1])
    change = (local[step:] - local[:-step]).norm(dim=-1).mean(-1) / (step * body.motion.frame_time)
    return torch.nn.functional.pad(change, (0, len(local) - len(change)), value=torch.nan)


def rise(body: Body) -> Float[Tensor, "t"]:
    """Return how fast the root rises, m/s, smoothed; less than 0 where it falls."""
    return ground.climb(body.root_height, body.motion.frame_time)


def fastest_rise(many: Sequence[Curves], height: float) -> tuple[float, float]:
    """Return the largest speed up and down in several motions, m/s, both raised by what no eye sees."""
    speeds = pooled(many, "rise")
    return (float(speeds.max()) + RISE_OFFSET * height, float(-speeds.min()) + RISE_OFFSET * height)


def longest_hold(curves: Curves, limit: float) -> tuple[int, int]:
    """Return first and last frame, not included, of the longest stretch whose pose changes slower than a limit, m/s."""
    return max(contact.runs(curves["pose_speed"] < limit), key=lambda run: run[1] - run[0], default=(0, 0))


def hold_limit(exemplar: Sequence[Curves], height: float) -> float:
    """Return the pose speed below which a body stands still, m/s: less for an exemplar that hardly moves at all."""
    usual = pooled(exemplar, "pose_speed")
    return min(STILL * height, float(usual.median()) / 2 if len(usual) else 0.0)


def _derivative(body: Body, order: int, reduce: Callable[[Tensor, int], Tensor] = Tensor.mean) -> Float[Tensor, "t"]:
    """Return the size of a derivative of position, reduced over joints, m/s^order; NaN in frames that have none."""
    value = reduce(body.world.diff(n=order, dim=0).norm(dim=-1), -1) / body.motion.frame_time**order
    return torch.nn.functional.pad(value, ((order + 1) // 2, order // 2), value=torch.nan)


def curves(body: Body, exemplar: Sequence[Body]) -> Curves:
    """Return all of the above by name, per frame, and the joints' largest speed and mean acceleration."""
    found = {"jerk": jerk(body), "bent": bent(body, exemplar), "pose_speed": pose_speed(body), "rise": rise(body)}
    found |= {"speed": _derivative(body, 1, Tensor.amax), "acceleration": _derivative(body, 2)}
    if body.skeleton.contacts:
        found |= {"slip": slip(body), "still": still(body)}
        found |= {} if body.uneven else {"sink": sink(body), "float": floating(body)}
    return found


def pooled(many: Sequence[Curves], name: str) -> Tensor:
    """Return one curve of several motions, end to end, without NaN; empty where the rig has no such curve."""
    values = torch.cat([c[name] for c in many if name in c] or [torch.zeros(0)])
    return values[~values.isnan()]


def mean_ratio(new: Sequence[Curves], exemplar: Sequence[Curves], name: str, height: float) -> float:
    """Return the mean of a curve over the exemplar's, both raised by ``OFFSETS``; NaN where one never has a value."""
    offset = OFFSETS[name] * (1 if name == "still" else height)
    return float((pooled(new, name).mean() + offset) / (pooled(exemplar, name).mean() + offset))


def measures(new: Sequence[Curves], exemplar: Sequence[Curves], body: Body) -> dict[str, float]:
    """Return all physical measures from the curves of takes and exemplar; ratios are 1 where a take is as the clip.

    ``slip_ratio`` support-foot slip; ``jerk_ratio``; ``still_ratio`` contact consistency; ``sink_ratio`` ground
    penetration; ``float_ratio``; ``peak_ratio`` the speed that one frame in a thousand exceeds; ``seams`` jumps of
    pose a minute that the exemplar never makes; ``rise_ratio`` how fast the root
    rises or falls at most; ``bent`` share of joints beyond the exemplar's range; ``held`` by how
    many seconds the pose stands still for longer than the exemplar's ever does.
    """
    height = body.skeleton.height
    found = {f"{name}_ratio": mean_ratio(new, exemplar, name, height) for name in OFFSETS}
    speeds = [pooled(side, "speed") for side in (new, exemplar)]  # torch.quantile takes only so many values
    fast, normal = (x.kthvalue(math.ceil(0.999 * len(x))).values for x in speeds)
    found["peak_ratio"] = float(fast / normal.clamp_min(0.01 * height))
    limit = SEAM * float(pooled(exemplar, "acceleration").max()) + height
    jumps = [(torch.nan_to_num(c["acceleration"]) > limit).int() for c in new]
    seconds = sum(len(c["acceleration"]) for c in new) * body.motion.frame_time
    found["seams"] = sum(int((j.diff() == 1).sum() + j[:1].sum()) for j in jumps) / seconds * 60
    ways = (fastest_rise(side, height) for side in (new, exemplar))
    found["rise_ratio"] = max(a / b for a, b in zip(*ways, strict=True))
    slow, dt = hold_limit(exemplar, height), body.motion.frame_time
    longest, own = (max(b - a for a, b in (longest_hold(c, slow) for c in side)) * dt for side in (new, exemplar))
    return found | {"bent": float(pooled(new, "bent").mean()), "held": max(longest - own, 0.0)}
