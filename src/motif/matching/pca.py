"""The space in which patches are compared: principal axes of the weighted features."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from .. import resample
from ..edit import Edit
from .exemplar import Exemplar
from .search import Database

TRAJECTORY_WEIGHT = 2.0  # factor on the root's velocities where there is a trajectory
MAX_AXES, MAX_FRAMES = 64, 20_000  # axes kept, and about how many frames of long clips they are fitted to


@dataclass(frozen=True, eq=False)
class Pca:
    """Principal axes ``basis`` of the features times ``scale``, about their mean ``centre``, and the clips in them."""

    clips: list[Float[Tensor, "_s k"]]
    scale: Float[Tensor, "d"]
    centre: Float[Tensor, "d"]
    basis: Float[Tensor, "d k"]
    levels: dict[tuple[float, int], Database] = field(default_factory=dict, repr=False)

    def project(self, x: Float[Tensor, "*n t d"]) -> Float[Tensor, "*n t k"]:
        """Return features in these axes."""
        return (x * self.scale - self.centre) @ self.basis

    def database(self, rate_ratio: float, patch: int) -> Database:
        """Return the clips at a fraction of the finest rate."""
        if (rate_ratio, patch) not in self.levels:
            level = [resample.resize(c, max(round(len(c) * rate_ratio), patch)) for c in self.clips]
            self.levels[rate_ratio, patch] = Database(torch.cat(level), tuple(map(len, level)), patch)
        return self.levels[rate_ratio, patch]


def pca(
    exemplar: Exemplar, edit: Edit = Edit(), length: int = 1, kept_weight: float = 1.0, variance: float = 0.995
) -> Pca:
    """Fit principal axes that keep a fraction of the variance of the clips' features, as an edit weighs them.

    Joints that it keeps throughout a take of ``length`` frames at the finest level count ``kept_weight`` times as much.
    """
    edited = bool(edit.constraints or edit.joint_weights or edit.trajectory)
    if not edited and variance in exemplar.cache:
        return exemplar.cache[variance]
    features, whole = exemplar.features, length * exemplar.stride - exemplar.stride + 1
    scale = features.channel_weights(edit.joint_weights)
    throughout = [c for c in edit.exact_constraints if len(c.motion) >= whole]
    joints = [j for c in throughout for j in features.skeleton.select(c.joints)]
    scale = torch.where(features.channel_mask(joints), kept_weight * scale, scale).to(exemplar.table.device)
    if edit.trajectory is not None:
        for name in ("root_velocity", "root_turn"):
            scale[features.slices[name]] *= TRAJECTORY_WEIGHT
    x = torch.cat(exemplar.fine)
    x = x[:: max(len(x) // MAX_FRAMES, 1)] * scale
    centre = x.mean(0)
    values, vectors = torch.linalg.eigh((x - centre).T.double() @ (x - centre).double())
    explained = values.flip(0).clamp_min(0).cumsum(0) / values.clamp_min(0).sum().clamp_min(1e-12)
    axes = min(int((explained < variance).sum()) + 1, MAX_AXES, len(explained))
    basis = vectors.flip(1)[:, :axes].to(x.dtype)
    fitted = Pca([(c * scale - centre) @ basis for c in exemplar.fine], scale, centre, basis)
    return fitted if edited else exemplar.cache.setdefault(variance, fitted)
