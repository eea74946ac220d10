"""Ground that is not level: stairs, slopes and boxes, told by where feet come to rest and the body with them.

Only clips whose ground clearly rises are treated so. Everything else stands on level ground, whatever its feet do.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from . import contact
from .motion import Motion
from .skeleton import Skeleton

SPEED, SHORTEST = 0.15, 0.15
"""A foot rests below this many body heights a second for this many seconds: at the top of a jump it does not."""
BELOW_ROOT = 0.35  # of the root's height in the natural pose: what is higher up is a kick, or a leg of one who lies
STEP = 0.12  # body heights by which resting feet differ at least: a leg held up or the tip of the toes is less
FOLLOWS, CORRELATION = (0.25, 1.4), 0.85  # how far, and how surely, the root rises with the feet
CLIMB = 0.05  # seconds (sigma) over which speeds up and down are smoothed
SMOOTH = 0.1  # seconds (sigma) over which the ground's height is smoothed


def resting(
    feet: Float[Tensor, "t c 3"], root: Float[Tensor, "t"], skeleton: Skeleton, frame_time: float
) -> Bool[Tensor, "t c"]:
    """Return where contact joints rest, at whatever height: slow, and well below the height of the root, metres."""
    rest = skeleton.rest_positions[:, 1]
    least = BELOW_ROOT * float((rest[skeleton.root] - rest[list(skeleton.contacts)].min()).abs())
    slow = contact.speed(feet, frame_time) < SPEED * skeleton.height
    return contact.without_short(slow & (root[:, None] - feet[..., 1] > least), max(round(SHORTEST / frame_time), 1))


def is_uneven(motion: Motion) -> bool:
    """Return whether the ground under a clip rises or falls: its feet rest at heights that its root follows."""
    s = motion.skeleton
    if not s.contacts or len(motion) < 3:
        return False
    if not s.ancestors(s.root)[1:]:  # the root's height alone tells most clips
        up = motion.positions[:, s.root, 1]
        if float(up.max() - up.min()) < FOLLOWS[0] * STEP * s.height:
            return False
    _, root, feet = motion.root_and_feet
    root = root[:, 1]
    on = resting(feet, root, s, motion.frame_time)
    stands = on.any(-1)
    if int(stands.sum()) < 3:
        return False
    feet, root = feet[..., 1].masked_fill(~on, torch.inf).amin(-1)[stands].double(), root[stands].double()
    low, high = (feet.kthvalue(1 + round(share * (len(feet) - 1))).values for share in (0.03, 0.97))
    up = feet > (low + high) / 2
    if float(high - low) < STEP * s.height or up.all() or not up.any():
        return False
    follows = float((root[up].median() - root[~up].median()) / (high - low))
    return FOLLOWS[0] < follows < FOLLOWS[1] and float(torch.corrcoef(torch.stack((feet, root)))[0, 1]) > CORRELATION


def heights(
    feet: Float[Tensor, "t c 3"], root: Float[Tensor, "t"], skeleton: Skeleton, frame_time: float
) -> Float[Tensor, "t"]:
    """Return how high the ground under the body is, metres: the mean of its resting feet, on straight lines between.

    ``feet`` are where contact joints are and ``root`` how high the root is, metres in the world.
    """
    on = resting(feet, root, skeleton, frame_time)
    stands = on.any(-1)
    if not stands.any():
        return torch.zeros_like(root)
    limbs: dict[int, list[int]] = {}
    for index, joint in enumerate(skeleton.contacts):
        limbs.setdefault(skeleton.limb_of(joint), []).append(index)
    height = feet[..., 1].masked_fill(~on, torch.inf)
    lowest = torch.stack([height[:, own].amin(-1) for own in limbs.values()], -1)
    rests = lowest.isfinite()
    level = torch.where(rests, lowest, 0.0).sum(-1) / rests.sum(-1).clamp_min(1)
    at, known = torch.arange(len(root), device=root.device), stands.nonzero()[:, 0]
    after = torch.searchsorted(known, at).clamp(max=len(known) - 1)
    before = (torch.searchsorted(known, at, right=True) - 1).clamp(min=0)
    a, b = known[before], known[after]
    share = ((at - a) / (b - a).clamp_min(1)).clamp(0, 1).to(level)
    return contact.smooth(torch.lerp(level[a], level[b], share)[:, None], SMOOTH / frame_time)[:, 0]


def comes_back(motion: Motion) -> bool:
    """Return whether a clip ends on the ground that it began on, so that each height of its ground is reached anew."""
    _, root, feet = motion.root_and_feet
    height = heights(feet, root[:, 1], motion.skeleton, motion.frame_time)
    return float((height[-1] - height[0]).abs()) < STEP * motion.skeleton.height


def climb(root: Float[Tensor, "*b t"], frame_time: float) -> Float[Tensor, "*b t"]:
    """Return how fast a root at these heights (metres) rises, m/s, smoothed; less than 0 where it falls."""
    speed = torch.nn.functional.pad(root.diff(), (1, 0)) / frame_time
    return contact.smooth(speed[..., None], CLIMB / frame_time)[..., 0]


def levelled(world: Float[Tensor, "t j 3"], skeleton: Skeleton, frame_time: float) -> Float[Tensor, "t j 3"]:
    """Return joint positions over the ground under them instead of over the world's zero."""
    height = heights(world[:, list(skeleton.contacts)], world[:, skeleton.root, 1], skeleton, frame_time)
    return world - torch.nn.functional.pad(height[:, None, None], (1, 1))
