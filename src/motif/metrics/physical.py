"""What a body may not do: slide on its standing foot, shake. Relative to the exemplar, in which both are normal."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import contact
from ..motion import Motion


def slip(motion: Motion, level: Float[Tensor, "c"]) -> tuple[Float[Tensor, "t"], Bool[Tensor, "t"]]:
    """Horizontal speed of the stillest grounded contact joint in m/s, per frame, and where any joint is grounded.

    Grounded means near its resting level ``level``, however fast: a measure that asked for a slow foot could not see
    a sliding one.
    """
    s = motion.skeleton
    world = motion.world()[1]
    grounded = world[:, list(s.contacts), 1] - level < contact.HEIGHT * s.height
    flat = world.clone()
    flat[..., 1] = 0
    speed = contact.speeds(flat, s, motion.frame_time)
    stillest = speed.masked_fill(~grounded, torch.inf).amin(-1)
    supported = grounded.any(-1)
    return stillest.masked_fill(~supported, 0.0), supported


def mean_slip(motions: Sequence[Motion], level: Float[Tensor, "c"]) -> float:
    """Mean of :func:`slip` over all supported frames; NaN where nothing ever touches the ground."""
    parts = [slip(m, level) for m in motions]
    frames = sum(int(on.sum()) for _, on in parts)
    return sum(float(v.sum()) for v, _ in parts) / frames if frames else float("nan")


def jerk(motion: Motion) -> Float[Tensor, "t"]:
    """Mean over joints of the size of the third derivative of world position, m/s^3, per frame (3 fewer)."""
    return motion.world()[1].diff(n=3, dim=0).norm(dim=-1).mean(-1) / motion.frame_time**3


def mean_jerk(motions: Sequence[Motion]) -> float:
    """Mean of :func:`jerk` over all frames; NaN for motions of fewer than four frames."""
    values = torch.cat([jerk(m) for m in motions])
    return float(values.mean()) if len(values) else float("nan")
