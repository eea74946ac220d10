"""What a body may not do: slide on its standing foot, shake, sink, float, jump, bend too far.

Everything is per frame first, so that the worst moment can be named, and is judged against the exemplar, in which it
is normal. NaN marks frames in which a measure means nothing.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import contact
from .body import Body

Curves = dict[str, Tensor]
"""Values per frame of one motion, [T], by name."""
LEAST = {"slip": 0.005, "jerk": 1.0, "sink": 0.002, "float": 0.005, "still": 0.02}
"""Added to both sides of a ratio: what no eye sees, in body heights (a second, a second cubed) or a share."""
SEAM = 1.25
"""A pose that changes its speed this many times faster than the exemplar's ever does is a seam."""
BEND = math.radians(10)
"""A joint may turn this far beyond all that it does in the exemplar."""


def grounded(body: Body) -> Bool[Tensor, "t c"]:
    """Which contact joints are near their resting level, however fast they move: a measure that asked for a slow foot
    could not see a sliding one.
    """
    height = body.world[:, list(body.skeleton.contacts), 1] - body.level
    return height < contact.HEIGHT * body.skeleton.height


def slip(body: Body) -> Float[Tensor, "t"]:
    """Horizontal speed of the stillest grounded contact joint, m/s; NaN where nothing is near the ground."""
    near = grounded(body)
    flat = body.world * body.world.new_tensor([1.0, 0.0, 1.0])
    speed = contact.speeds(flat, body.skeleton, body.frame_time).masked_fill(~near, torch.inf)
    return speed.amin(-1).masked_fill(~near.any(-1), torch.nan)


def still(body: Body) -> Float[Tensor, "t"]:
    """Contact consistency: the share of the joints near the ground that also stand still; NaN where none is near."""
    near = grounded(body)
    slow = contact.speeds(body.world, body.skeleton, body.frame_time) < contact.SPEED * body.skeleton.height
    return (near & slow).sum(-1) / near.sum(-1).float().masked_fill(~near.any(-1), torch.nan)


def sink(body: Body) -> Float[Tensor, "t"]:
    """Penetration: how far the deepest contact joint is below its resting level, m."""
    return (body.level - body.world[:, list(body.skeleton.contacts), 1]).amax(-1).clamp_min(0)


def float_(body: Body) -> Float[Tensor, "t"]:
    """How far the lowest contact joint is above its resting level, m. A clip with jumps floats, too: compare."""
    return (body.world[:, list(body.skeleton.contacts), 1] - body.level).amin(-1).clamp_min(0)


def jerk(body: Body) -> Float[Tensor, "t"]:
    """Mean over joints of the size of the third derivative of world position, m/s^3; NaN in three edge frames."""
    value = body.world.diff(n=3, dim=0).norm(dim=-1).mean(-1) / body.frame_time**3
    return _padded(value, 2, 1)


def speed(body: Body) -> Float[Tensor, "t"]:
    """Speed of the fastest joint, m/s; NaN in the first frame."""
    return _padded(body.world.diff(dim=0).norm(dim=-1).amax(-1) / body.frame_time, 1, 0)


def change(body: Body) -> Float[Tensor, "t"]:
    """How abruptly the pose changes its speed: mean size of the joints' acceleration, m/s^2; NaN at both ends."""
    return _padded(body.world.diff(n=2, dim=0).norm(dim=-1).mean(-1) / body.frame_time**2, 1, 1)


def bent(body: Body, truth: Sequence[Body]) -> Float[Tensor, "t"]:
    """Joint-range violations: share of the joints turned more than ``BEND`` beyond all that they do in the exemplar.

    The range of a joint is the set of its rotations in the exemplar (at about 10 Hz), so that no axis or limit has
    to be known. The root turns as it likes.
    """
    s = body.skeleton
    joints = [j for j in s.subtree(s.root)[1:] if not s.end[j]]
    if not joints:
        return torch.zeros(len(body.world))
    seen = torch.cat([t.motion.rotations[:: max(round(t.motion.fps / 10), 1)] for t in truth])
    alike = [(body.motion.rotations[:, j] @ seen[:, j].T).abs().amax(-1) for j in joints]
    return (torch.stack(alike, -1) < math.cos(BEND / 2)).float().mean(-1)


def _padded(values: Float[Tensor, "n"], before: int, after: int) -> Float[Tensor, "t"]:
    return torch.nn.functional.pad(values, (before, after), value=torch.nan)


def curves(body: Body, truth: Sequence[Body]) -> Curves:
    """All of the above by name, per frame."""
    found = {"jerk": jerk(body), "speed": speed(body), "change": change(body), "bent": bent(body, truth)}
    if body.skeleton.contacts:
        found |= {"slip": slip(body), "still": still(body), "sink": sink(body), "float": float_(body)}
    return found


def pooled(many: Sequence[Curves], name: str) -> Tensor:
    """One curve of several motions, end to end, without its NaN; empty where the rig has no such curve."""
    values = torch.cat([c[name] for c in many if name in c] or [torch.zeros(0)])
    return values[~values.isnan()]


def mean_ratio(
    new: Sequence[Curves],
    old: Sequence[Curves],
    name: str,
    height: float,
) -> float:
    """Mean of a curve over that of the exemplar, both raised by ``LEAST``, so that a faultless clip compares too.

    NaN where one of them never has a value.
    """
    least = LEAST[name] * (1 if name == "still" else height)
    return float((pooled(new, name).mean() + least) / (pooled(old, name).mean() + least))


def measures(new: Sequence[Curves], old: Sequence[Curves], body: Body) -> dict[str, float]:
    """All physical measures of takes from the curves of takes and exemplar; ratios are 1 where a take is as the clip.

    ``slip_ratio`` support-foot slip; ``jerk_ratio``; ``still_ratio`` contact consistency; ``sink_ratio`` ground
    penetration; ``float_ratio``; ``peak_ratio`` the speed that one frame in a thousand exceeds; ``seams`` jumps of
    pose a minute that the exemplar never makes; ``bent`` share of joints beyond the exemplar's range.
    """
    height = body.skeleton.height
    found = {f"{name}_ratio": mean_ratio(new, old, name, height) for name in LEAST}
    fast, was = (pooled(side, "speed") for side in (new, old))
    found["peak_ratio"] = float(_quantile(fast, 0.999) / _quantile(was, 0.999).clamp_min(0.01 * height))
    limit = SEAM * float(pooled(old, "change").max()) + height
    jumps = [(torch.nan_to_num(c["change"]) > limit).int() for c in new]
    seconds = sum(len(c["change"]) for c in new) * body.frame_time
    found["seams"] = sum(int((j.diff() == 1).sum() + j[:1].sum()) for j in jumps) / seconds * 60
    found["bent"] = float(pooled(new, "bent").mean())
    return found


def _quantile(values: Float[Tensor, "n"], share: float) -> Tensor:
    """The value that ``share`` of the values do not exceed, without torch's limit on their number."""
    return values.kthvalue(max(math.ceil(share * len(values)), 1)).values
