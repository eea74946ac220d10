"""Guides: what an edit asks for, imposed on takes while they are matched."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import resample
from ..edit import Constraint, Edit
from ..post.trajectory import trajectory_velocities
from .exemplar import Exemplar
from .pca import Pca


@dataclass(frozen=True, eq=False)
class Guide:
    """Values of some channels, in principal axes: ``x + weight (target - x @ projection)`` has them."""

    weight: Float[Tensor, "t 1"]
    target: Float[Tensor, "t k"]
    projection: Float[Tensor, "k k"]
    max_rate_ratio: float = math.inf
    """Levels above this fraction of the finest rate are left alone."""

    def impose(self, x: Float[Tensor, "n t k"]) -> Float[Tensor, "n t k"]:
        """Set the channels of takes at any level."""
        frames = x.shape[1]
        weight, target = resample.resize(self.weight, frames), resample.resize(self.target * self.weight, frames)
        return x + target - weight * (x @ self.projection)


def guides(exemplar: Exemplar, edit: Edit, length: int, pca: Pca, speed_ratio: float = 1.0) -> list[Guide]:
    """Lay constraints and trajectory of an edit on ``length`` frames at the finest level, in the axes of ``pca``.

    Times of the edit are those of the take as it is shown: ``speed_ratio`` times faster than it is matched.
    """
    features, found = exemplar.features, [_lay(exemplar, c, length, pca, speed_ratio) for c in edit.constraints]
    if edit.trajectory is not None:
        direction, dt = exemplar.travel[1], 1 / exemplar.rate
        target, mask = pca.basis.new_zeros(length, features.width), torch.zeros(features.width, dtype=torch.bool)
        both = trajectory_velocities(edit.trajectory, length, dt, direction, speed_ratio)
        for name, values in zip(("root_velocity", "root_turn"), both):
            target[:, features.slices[name]], mask[features.slices[name]] = values.to(target), True
        found.append(Guide(target.new_ones(length, 1), *_project(pca, mask, target)))
    return found


def _lay(exemplar: Exemplar, constraint: Constraint, length: int, pca: Pca, speed_ratio: float) -> Guide:
    """Lay one constraint on a take."""
    features, stride, start = exemplar.features, exemplar.stride, constraint.start
    mask = features.channel_mask(features.skeleton.select(constraint.joints), moving=len(constraint.motion) > 1)
    x = features.encode(constraint.motion)
    if speed_ratio != 1:
        count = min(max(round(len(x) * speed_ratio), 1), length * stride)
        x, start = resample.resize(x, count), min(round(start * speed_ratio), length * stride - count)
        for part in features.velocities:
            x[:, part] /= speed_ratio
    target, weight = x.new_zeros(length * stride, features.width), x.new_zeros(length * stride, 1)
    target[start : start + len(x)], weight[start : start + len(x)] = x, 1
    weight = weight.unflatten(0, (-1, stride)).mean(1)
    target = target.unflatten(0, (-1, stride)).sum(1) / (weight * stride).clamp_min(1)
    cutoff = math.inf if constraint.cutoff is None else constraint.cutoff / exemplar.rate
    return Guide(weight, *_project(pca, mask, target), cutoff)


def _project(pca: Pca, mask: Bool[Tensor, "d"], target: Float[Tensor, "t d"]) -> tuple[Tensor, Tensor]:
    """Return the masked channels of a target in principal axes, and the projection of a take on these channels."""
    masked = pca.basis * mask.to(pca.basis.device)[:, None]
    return (target * pca.scale - pca.centre) @ masked, pca.basis.T @ masked
