"""ganimator and paper: the single-clip GANs of the literature, as published, on the papers' own channels.

``ganimator``: Li et al. 2022, batch 1, two levels at a time, five critic steps to one of each generator loss, WGAN-GP,
contact loss, image pool. ``paper``: Roditakis et al. 2024 (arXiv 2406.01136), row 9 of its Table 1: batches of 16,
weights that change from level to level, and the first two layers of a generator copied from the one two levels below.
The other rows of that table are ``ablation-0``, its baseline, to ``ablation-11``; how each is read stands beside it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import parallel, resample
from ..config import SampleConfig
from ..data.domain import Domain
from ..errors import MotifError
from ..motion import Motion
from ..nets.ganimator import GanimatorPyramid
from ..request import Request
from ..train import Optim, Stage, Update
from . import ganimator_sample
from .base import PaperClip
from .ganimator_losses import DrawNoise, Losses


@dataclass(frozen=True, eq=False)
class Level:
    """The clip at one level of the pyramid."""

    real: Float[Tensor, "c t"]
    amplitude: float
    """Of the noise: root mean square of what the clip has here and lacks at the level below."""


@dataclass(frozen=True, eq=False)
class Pyramid:
    """One clip as a pyramid of the papers' channels."""

    clip: PaperClip
    levels: list[Level]

    @property
    def groups(self) -> list[list[int]]:
        """Levels that are trained together: pairs, from coarse to fine."""
        levels = range(len(self.levels))
        return [list(levels[k : k + 2]) for k in levels[::2]]


@dataclass(frozen=True)
class Ganimator:
    """Hyper-parameters. Tuples hold one value per group of two levels; the last one stands for all further groups."""

    unsupported: ClassVar[Mapping[str, str]] = {
        "a loop": "its networks reflect the ends of a take, and the papers make none; clip-match can",
        "a trajectory": "GANimator learns a second network on paths for that, which is not here; clip-match can",
        "joint weights": "it compares no patches of motion; clip-match does",
        "clip weights": "the paper learns one clip; clip-match can mix several",
    }
    defaults: ClassVar[SampleConfig] = SampleConfig()

    samples: tuple[int, ...] = (15_000,)
    """Windows seen by each level's networks; the papers' "iterations" are these times seven levels."""
    batch: int = 1
    adversarial: tuple[float, ...] = (1.0,)
    """Weight of the Wasserstein terms."""
    reconstruction: tuple[float, ...] = (50.0,)
    """Weight of the L1 error of the clip reconstructed from its own noise."""
    contact: float = 5.0
    """Weight of the contact loss."""
    weigh_penalty: bool = False
    """Whether the adversarial weight multiplies the gradient penalty, too. Equation 4 of the 2024 paper, read to the
    letter, has it so: then it does nothing to a critic, as Adam takes no notice of a loss's scale. Not so, it lets
    critics be steeper; all recipes here are of that reading."""
    critic_steps: int = 5
    """Critic steps per step of each generator loss."""
    transfer: bool = False
    """Initialise the first two layers of a generator from the one two levels below."""
    transfer_critics: bool = False
    """The same for critics. The 2024 paper's abstract speaks of both networks; its method copies generators alone."""
    pool: int = 50
    """Earlier fakes kept to show to a critic; at least the batch."""
    lr: float = 1e-4
    ratio: float = 0.2
    """Length of the coarsest level over the length of the clip."""

    def __post_init__(self):
        if not 1 <= self.batch <= self.pool:
            raise MotifError(f"batch is {self.batch}, pool {self.pool}; give a batch of 1 up to what the pool holds")

    @staticmethod
    def at_group(values: tuple, group: int):
        """Return the value of a group."""
        return values[min(group, len(values) - 1)]

    def prepare(self, domain: Domain) -> Pyramid:
        """Encode the clip at 30 Hz and at all levels. Its rig must be one that the papers know."""
        clip, levels = PaperClip.of(domain, "ganimator", "clip-gan"), []
        frames = clip.channels.shape[1]
        lengths = resample.level_lengths(frames, self.ratio)
        if lengths[0] < 3:
            least = math.ceil(3 / self.ratio)
            raise MotifError(f"a clip of {frames} frames at 30 fps is too short; give at least {least}")
        for length in lengths:
            real = _resize(clip.channels, length)
            residual = real - _resize(levels[-1].real, length) if levels else real
            levels.append(Level(real, float(residual.square().mean().sqrt())))
        return Pyramid(clip, levels)

    def net(self, prepared: Pyramid) -> GanimatorPyramid:
        """Return generators and critics for every level."""
        return GanimatorPyramid(prepared.clip.features.skeleton, [level.real.shape[1] for level in prepared.levels])

    def plan(self, prepared: Pyramid) -> list[tuple[str, int]]:
        """Return one stage per group."""
        steps = [math.ceil(self.at_group(self.samples, k) / self.batch) for k in range(len(prepared.groups))]
        return [(f"levels {k + 1}", max(count, 1)) for k, count in enumerate(steps)]

    def stages(self, net: nn.Module, prepared: Pyramid, seed: int) -> Iterator[Stage]:
        """Yield one stage per group, from coarse to fine."""
        assert isinstance(net, GanimatorPyramid)
        shape = net.reconstruction_noise.shape
        net.reconstruction_noise.copy_(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))
        optim = Optim(self.lr, (0.9, 0.999), schedule="constant", fused=True)
        for k, (group, (name, steps)) in enumerate(zip(prepared.groups, self.plan(prepared), strict=True)):
            for level in group:
                if self.transfer and level >= 2:
                    net.transfer(level - 2, level, self.transfer_critics)
            losses = Losses(self, net, prepared, k)
            updates = (
                Update("critic", losses.critics, losses.critic, optim, self.critic_steps),
                Update("adversarial", losses.generators, losses.adversarial, optim),
                Update("reconstruction", losses.generators, losses.reconstruction, optim),
            )
            seen = prepared.levels[: group[-1] + 1]
            amplitudes, lengths = [x.amplitude for x in seen], [x.real.shape[1] for x in seen]
            draws = DrawNoise(self.batch, self.pool, amplitudes, lengths)
            yield Stage(name, steps, updates, draws, state=losses.pools, cuda_graph=True)

    def channels(self, net: nn.Module, prepared: Pyramid, request: Request) -> list[Float[Tensor, "c _t"]]:
        """Return the networks' own output for every take, in the papers' channels at 30 Hz."""
        assert isinstance(net, GanimatorPyramid)
        return ganimator_sample.channels(net, prepared.clip, request, self._sample_plan(prepared, request))

    def exemplar(self, prepared: Pyramid) -> Float[Tensor, "c t"]:
        """Return the clip in the same channels."""
        return prepared.clip.channels

    def sample(self, net: nn.Module, prepared: Pyramid, request: Request) -> list[Motion]:
        """Sample takes, one pass each, at the clip's rate."""
        plan, made = self._sample_plan(prepared, request), self.channels(net, prepared, request)
        with parallel.single_thread():
            return [ganimator_sample.finish(prepared.clip, x, request, plan, k) for k, x in enumerate(made)]

    def _sample_plan(self, prepared: Pyramid, request: Request) -> ganimator_sample.SamplePlan:
        levels = prepared.levels
        return ganimator_sample.SamplePlan.of(prepared.clip, request.edit, self.ratio, len(levels), levels[0].amplitude)


def _resize(x: Float[Tensor, "*b c t"], frames: int) -> Float[Tensor, "*b c s"]:
    return resample.resize(x.transpose(-1, -2), frames, antialias=False).transpose(-1, -2)


_ALL, _SHORT = (30_000,), (15_000,)
_ANNEALED = Ganimator(_ALL, 16, (5.0, 5.0, 2.5, 1.0), (50.0, 75.0, 100.0, 100.0))
RECIPES = {
    "ganimator": Ganimator(),
    "paper": replace(_ANNEALED, samples=(30_000, 30_000, 15_000, 10_000), transfer=True),
    "ablation-0": Ganimator(_SHORT, 1, (1.0,), (10.0,)),
    "ablation-1": Ganimator(_ALL, 1, (1.0,), (10.0,)),
    "ablation-2": Ganimator(_SHORT, 1, (5.0,), (10.0,)),
    "ablation-3": Ganimator(_ALL, 1, (5.0,), (10.0,)),
    "ablation-4": Ganimator(_SHORT, 16, (5.0,), (10.0,)),
    "ablation-5": Ganimator(_ALL, 16, (5.0,), (10.0,)),
    "ablation-6": Ganimator(_ALL, 16, (5.0,), (100.0,)),
    "ablation-7": Ganimator((30_000, 30_000, 15_000, 7_500), 16, (5.0,), (100.0,), transfer=True),
    "ablation-8": _ANNEALED,
    "ablation-10": Ganimator(_SHORT, 24, (5.0,), (10.0,)),
    "ablation-11": Ganimator(_ALL, 24, (5.0,), (100.0,)),
}
"""``ganimator`` is GANimator's code; the others are the rows of Table 1 of the 2024 paper, whose row 9 is ``paper``.

Row 0, the baseline, has a reconstruction weight of 10 in the table, where GANimator's code and the paper's text say 50.
"""
