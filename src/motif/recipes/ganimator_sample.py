"""Takes of the papers' GANs and their applications (2024 paper, Figures 5 to 8), each one pass of the pyramid.

What an edit asks for is put into what a level makes, at that level's frames, in place of what is there; the levels
above go on from it without noise. Where it is put in first:

- re-styling (soft constraints): the finest level that shows no more than the cutoff; for the papers the coarsest one,
  which shows up to 3 Hz;
- key frames: the coarsest level, as GANimator does;
- expansion (all joints of one piece, new motion before and after it): the fourth level;
- body parts, in-painting (equation 5) and regions of interest: the second level.

The paper does not say whether it is put in again: here it is, exact constraints at every further level but the finest,
which joins it to what is new. Then the take meets constraints exactly and feet are held (:func:`motif.post`), unless
``finish`` is "none".
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from .. import parallel, post, resample
from ..edit import Constraint, Edit
from ..features import Features
from ..motion import Motion
from ..nets.ganimator import GanimatorPyramid
from ..post import feet
from ..request import Request
from ..seeds import take_rng
from .base import PaperClip

REGIONS, EXPANSION = 1, 3  # levels, from 0


@dataclass(frozen=True, eq=False)
class Imposed:
    """One constraint in the papers' channels at 30 Hz, and which of them it holds."""

    constraint: Constraint
    target: Float[Tensor, "1 c t"]
    mask: Float[Tensor, "1 c t"]

    @staticmethod
    def of(clip: PaperClip, constraint: Constraint, plan: "SamplePlan") -> "Imposed":
        """Encode a constraint at 30 Hz for takes of some length."""
        frames, piece, dt, rate = plan.lengths[-1], constraint.motion, clip.motion.frame_time, clip.features.RATE
        long = math.ceil((frames - 1) / rate / dt) + 1
        held = (torch.arange(long) - constraint.start).clamp(0, len(piece) - 1)  # its first and last pose beyond it
        whole = replace(piece, rotations=piece.rotations[held], positions=piece.positions[held])
        target = clip.features.encode(whole.resample(rate))[:frames].T.clone()
        first, last = constraint.start * dt * rate, (constraint.stop - 1) * dt * rate
        at = torch.arange(target.shape[1])
        inside = (at >= math.ceil(first - 0.01)) & (at <= math.floor(last + 0.01))
        if constraint.stop >= plan.frames:  # the last frame at 30 Hz may be later than that of the take
            inside |= at >= last
        if not inside.any():  # a key frame between two frames
            inside = at == min(round(first), target.shape[1] - 1)
        begin = int(inside.nonzero()[0])
        if begin + 1 < target.shape[1]:
            target[-6:-3:2, begin] = target[-6:-3:2, begin + 1]  # the speed there is not that from the pose held
        mask = channel_mask(clip, constraint)[:, None] * inside
        return Imposed(constraint, target[None], mask[None].to(target))

    def level(self, lengths: list[int], alone: bool, rate: float) -> int:
        """Return the level at which it is put in first; ``alone``: no other exact constraint is asked for."""
        c, finest = self.constraint, len(lengths) - 1
        if c.cutoff is not None:
            shown = [k for k, n in enumerate(lengths) if rate / 2 * n / lengths[-1] <= c.cutoff]
            return max(shown, default=0)
        if len(c.motion) == 1:
            return 0
        whole = bool(self.mask.amax(-1).min() > 0)
        return min(EXPANSION if alone and whole and bool((self.mask == 0).any()) else REGIONS, finest)


def channel_mask(clip: PaperClip, constraint: Constraint) -> Float[Tensor, "c"]:
    """Return which of the papers' channels a constraint holds.

    Labels go with their contact joints, the root's path with the root. A single frame has no speed, and so no labels.
    """
    features, small = clip.features, clip.features.skeleton
    joints = set(clip.motion.skeleton.select(constraint.joints))
    on = [source in joints for source in features.source]
    moving, root = len(constraint.motion) > 1, clip.motion.skeleton.root in joints
    nodes = [[held] * 6 for held in on] + [[on[j] and moving] * 6 for j in small.contacts]
    path = [root and moving, root, root and moving, root, root, root]
    return torch.tensor([value for node in (*nodes, path) for value in node], dtype=torch.float32)


def channels(net: GanimatorPyramid, clip: PaperClip, request: Request, plan: "SamplePlan") -> list[Tensor]:
    """Return the networks' own output [C, T] at 30 Hz for every take, decoded by nothing."""
    imposed = [Imposed.of(clip, c, plan) for c in request.edit.constraints]
    alone = len(request.edit.exact_constraints) == 1
    levels = [each.level(plan.lengths, alone, clip.features.RATE) for each in imposed]
    takes = []
    with parallel.single_thread(), torch.no_grad():
        for k in range(request.n):
            noise = torch.randn(1, 1, plan.lengths[0], generator=take_rng(request.seed, k)) * plan.amplitude
            x = torch.zeros(1, clip.features.width, plan.lengths[0])
            for level, length in enumerate(plan.lengths):
                x = net.step(level, net.upsample(x, length), 0.0 if level else noise)
                for each, first in zip(imposed, levels, strict=True):
                    again = each.constraint.cutoff is None and first <= level < len(plan.lengths) - 1
                    if level == first or again:
                        mask, target = (net.upsample(t, length) for t in (each.mask, each.target))
                        x = torch.lerp(x, target, mask)
            takes.append(x[0])
            request.progress((k + 1) / request.n)
    return takes


@dataclass(frozen=True)
class SamplePlan:
    """Lengths of takes."""

    frames: int
    """At the clip's rate."""
    lengths: list[int]
    """By level."""
    amplitude: float
    """Of the noise of the coarsest level, the only one that has any."""

    @staticmethod
    def of(clip: PaperClip, edit: Edit, ratio: float, levels: int, amplitude: float) -> "SamplePlan":
        """Return lengths for a pyramid of ``levels``; if there are more the coarsest are dropped, as GANimator does."""
        frames = clip.take_frames(edit)
        long = max(math.ceil(frames / clip.motion.fps * clip.features.RATE) + 1, 12)
        return SamplePlan(frames, resample.level_lengths(long, ratio)[-levels:], amplitude)


def finish(clip: PaperClip, x: Float[Tensor, "c t"], request: Request, plan: SamplePlan, number: int) -> Motion:
    """Decode a take; meet exact constraints and hold feet where that is asked for."""
    whole = request.config.finish == "full"
    lock = request.config.foot_lock and whole
    if not whole or not request.edit.exact_constraints:
        return clip.take(x, number, lock).crop(0, plan.frames)
    take = clip.take(x, number, False).crop(0, plan.frames)
    features = Features.of([clip.motion, *(c.motion for c in request.edit.exact_constraints)])
    encoded, dt = features.encode(take)[None], take.frame_time
    still = encoded.new_zeros(1, len(take), 3 * len(take.skeleton.contacts))
    encoded = torch.cat((encoded, feet.foot_drift(features, encoded, dt), still), -1)
    return post.finalize_take(features, request.edit, encoded, dt, features.start(take), lock, take.name)
