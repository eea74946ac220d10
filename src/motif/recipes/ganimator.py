"""ganimator and paper: the single-clip GANs of the literature, as published, on the papers' own channels.

``ganimator``: Li et al. 2022, batch 1, two levels at a time, five critic steps to one of each generator loss, WGAN-GP,
contact loss, image pool. ``paper``: Roditakis et al. 2024 (arXiv 2406.01136), ablation 9: batches of 16, weights that
change from level to level, and the first two layers of a generator copied from the one two levels below. The other rows
of that paper's Table 1 are ``ablation-1`` to ``ablation-11``. Where code and paper differ, the code is followed.

The "iterations" of the paper's table are samples, over seven: steps of a level are samples / batch.
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
from ..edit import EDIT_FEATURES
from ..errors import MotifError
from ..motion import Motion
from ..nets.ganimator import GanimatorPyramid
from ..paper_features import PaperFeatures
from ..request import Request
from ..seeds import take_rng
from ..train import Optim, Stage, Update
from .base import PaperClip


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

    unsupported: ClassVar[Mapping[str, str]] = dict.fromkeys(
        EDIT_FEATURES, "it makes takes from noise alone; clip-gan can"
    )
    defaults: ClassVar[SampleConfig] = SampleConfig()

    samples: tuple[int, ...] = (15_000,)
    """Windows seen by each level's networks."""
    batch: int = 1
    adversarial: tuple[float, ...] = (1.0,)
    """Weight of the Wasserstein terms. The gradient penalty keeps weight 1."""
    reconstruction: tuple[float, ...] = (50.0,)
    """Weight of the L1 error of the clip reconstructed from its own noise."""
    contact: float = 5.0
    """Weight of the contact loss."""
    critic_steps: int = 5
    """Critic steps per step of each generator loss."""
    transfer: bool = False
    """Initialise the first two layers of a generator from the one two levels below."""
    pool: int = 50
    """Earlier fakes kept to show to a critic."""
    lr: float = 1e-4
    ratio: float = 0.2
    """Length of the coarsest level over the length of the clip."""

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
        lengths = [level.real.shape[1] for level in prepared.levels]
        return GanimatorPyramid(prepared.clip.features.skeleton, lengths, self.pool)

    def plan(self, prepared: Pyramid) -> list[tuple[str, int]]:
        """Return one stage per group."""
        count = len(prepared.groups)
        return [(f"levels {k + 1}", max(_at(self.samples, k) // self.batch, 1)) for k in range(count)]

    def stages(self, net: nn.Module, prepared: Pyramid, seed: int) -> Iterator[Stage]:
        """Yield one stage per group, from coarse to fine."""
        assert isinstance(net, GanimatorPyramid)
        shape = net.reconstruction_noise.shape
        net.reconstruction_noise.copy_(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))
        optim = Optim(self.lr, (0.9, 0.999), schedule="constant")
        for k, (group, (name, steps)) in enumerate(zip(prepared.groups, self.plan(prepared), strict=True)):
            for level in group:
                if self.transfer and level >= 2:
                    net.transfer(level - 2, level)
            losses = [Losses(self, net, prepared, level, k) for level in group]
            nets = [(x, f"{x.level + 1}", net.critics[x.level], net.generators[x.level]) for x in losses]
            updates = [
                *(Update(f"critic {n}", critic, x.critic, optim, self.critic_steps) for x, n, critic, _ in nets),
                *(Update(f"adversarial {n}", generator, x.adversarial, optim) for x, n, _, generator in nets),
                *(Update(f"reconstruction {n}", generator, x.reconstruction, optim) for x, n, _, generator in nets),
            ]
            yield Stage(name, steps, tuple(updates))

    def sample(self, net: nn.Module, prepared: Pyramid, request: Request) -> list[Motion]:
        """Sample takes, one after the other, at the clip's rate."""
        assert isinstance(net, GanimatorPyramid)
        clip, wanted = prepared.clip, prepared.clip.take_frames(request.edit)
        frames = max(math.ceil(wanted / clip.motion.fps * clip.features.RATE) + 1, 12)
        lengths = resample.level_lengths(frames, self.ratio)[-len(prepared.levels) :]
        amplitude, takes = prepared.levels[0].amplitude, []
        with parallel.single_thread(), torch.no_grad():
            for k in range(request.n):
                noise = torch.randn(1, 1, lengths[0], generator=take_rng(request.seed, k))
                x = torch.zeros(1, clip.features.width, lengths[0])
                for level, length in enumerate(lengths):
                    x = step(net, level, _resize(x, length), torch.zeros(1, 1, length) if level else noise * amplitude)
                takes.append(clip.take(x[0], k, request.config.foot_lock).crop(0, wanted))
                request.progress((k + 1) / request.n)
        return takes


def step(
    net: GanimatorPyramid, level: int, below: Float[Tensor, "b c t"], noise: Float[Tensor, "b e t"]
) -> Float[Tensor, "b c t"]:
    """Apply one generator to the upsampled level below, with noise, as a residual (GANimator, eq. 1)."""
    return net.generators[level](noise + below).float() + below


def _resize(x: Float[Tensor, "*b c t"], frames: int) -> Float[Tensor, "*b c s"]:
    return resample.resize(x.transpose(-1, -2), frames, antialias=False).transpose(-1, -2)


def _at(values: tuple, group: int):
    return values[min(group, len(values) - 1)]


@dataclass(frozen=True, eq=False)
class Losses:
    """The losses of one level (GANimator, section 4; as coded). They draw everything themselves: a batch is None."""

    recipe: Ganimator
    net: GanimatorPyramid
    pyramid: Pyramid
    level: int
    group: int

    @property
    def real(self) -> Float[Tensor, "c t"]:
        """The clip at this level, where the networks are."""
        return self.pyramid.levels[self.level].real.to(self.net.reconstruction_noise.device)

    def below(self, random: torch.Generator) -> Float[Tensor, "b c t"]:
        """Sample the levels below and upsample them to this one; without gradients."""
        levels = self.pyramid.levels
        x = self.net.reconstruction_noise.new_zeros(self.recipe.batch, *levels[0].real.shape)
        with torch.no_grad():
            for k, level in enumerate(levels[: self.level]):
                x = step(self.net, k, _resize(x, level.real.shape[1]), self.noise(k, random))
        return _resize(x, self.real.shape[1])

    def noise(self, level: int, random: torch.Generator) -> Float[Tensor, "b 1 t"]:
        """Sample one channel of noise, which is added to all, with the level's amplitude."""
        at = self.pyramid.levels[level]
        noise = torch.randn(self.recipe.batch, 1, at.real.shape[1], generator=random)
        return noise.to(self.net.reconstruction_noise.device) * at.amplitude

    def fake(self, random: torch.Generator) -> Float[Tensor, "b c t"]:
        """Sample this level's generator."""
        return step(self.net, self.level, self.below(random), self.noise(self.level, random))

    def critic(self, batch: None, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the Wasserstein loss with gradient penalty, whose norm is over channels, frame by frame."""
        with torch.no_grad():
            fake = self.fake(random)
        real = self.real.expand_as(fake)
        shown = self.pooled(fake, random)
        critic = self.net.critics[self.level]
        score = 0.5 * (critic(shown).float().mean() - critic(real).float().mean())
        alpha = torch.rand(len(fake), 1, 1, generator=random).to(fake.device)
        between = (alpha * real + (1 - alpha) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).float().sum(), between, create_graph=True)
        penalty = ((gradient.norm(dim=1) - 1) ** 2).mean()
        loss = _at(self.recipe.adversarial, self.group) * score + penalty
        return loss, {f"gradient_penalty {self.level + 1}": penalty.detach()}

    def adversarial(self, batch: None, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the generator's Wasserstein loss and the contact loss."""
        fake = self.fake(random)
        score = -self.net.critics[self.level](fake).float().mean()
        contact = contact_loss(self.pyramid.clip.features, fake)
        loss = _at(self.recipe.adversarial, self.group) * score + self.recipe.contact * contact
        return loss, {f"contact {self.level + 1}": contact.detach()}

    def reconstruction(self, batch: None, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the L1 error of the clip from its own noise, which enters at the coarsest level alone, not scaled."""
        x = torch.zeros_like(self.net.reconstruction_noise)
        for k in range(self.level + 1):
            length = self.pyramid.levels[k].real.shape[1]
            noise = x.new_zeros(1, 1, length) if k else self.net.reconstruction_noise
            with torch.set_grad_enabled(k == self.level):
                x = step(self.net, k, _resize(x, length), noise)
        return _at(self.recipe.reconstruction, self.group) * (x - self.real).abs().mean(), {}

    def pooled(self, fake: Float[Tensor, "b c t"], random: torch.Generator) -> Float[Tensor, "b c t"]:
        """Replace half of the fakes by earlier ones, once the pool is full, which then keeps the new ones instead."""
        pool, filled = getattr(self.net, f"pool_{self.level}"), getattr(self.net, f"filled_{self.level}")
        shown = []
        for one in fake:
            count = int(filled)
            if count < len(pool):
                pool[count] = one
                filled += 1
            elif float(torch.rand(1, generator=random)) > 0.5:
                k = int(torch.randint(len(pool), (1,), generator=random))
                one, pool[k] = pool[k].clone(), one
            shown.append(one)
        return torch.stack(shown)


def contact_loss(features: PaperFeatures, x: Float[Tensor, "b c t"]) -> Tensor:
    """Compute the mean speed per frame of contact joints, weighed by a sigmoid of their labels (GANimator, as coded).

    The path is summed up from velocities per frame, which are too small at coarse levels: real motion has a loss there.
    """
    small = features.skeleton
    frames = x.transpose(1, 2).float()
    world = small.fk(*features.pose(frames))[1][..., list(small.contacts), :]
    # no gradient where there is no speed, instead of the NaN of a norm at zero
    squares = world.diff(dim=1).square().sum(-1)
    speed = torch.where(squares > 0, squares.clamp_min(1e-18).sqrt(), torch.zeros_like(squares))
    label = frames[..., 6 * len(small) : -6 : 6]
    gate = torch.sigmoid(12 * (label[:, 1:] - 0.5))
    return (speed * gate).sum() / label.numel()


_ABLATION_8 = Ganimator((30_000,), 16, (5.0, 5.0, 2.5, 1.0), (50.0, 75.0, 100.0, 100.0))
RECIPES = {
    "ganimator": Ganimator(),
    "paper": replace(_ABLATION_8, samples=(30_000, 30_000, 15_000, 10_000), transfer=True),
    "ablation-1": Ganimator((30_000,), 1, (1.0,), (10.0,)),
    "ablation-2": Ganimator((15_000,), 1, (5.0,), (10.0,)),
    "ablation-3": Ganimator((30_000,), 1, (5.0,), (10.0,)),
    "ablation-4": Ganimator((15_000,), 16, (5.0,), (10.0,)),
    "ablation-5": Ganimator((30_000,), 16, (5.0,), (10.0,)),
    "ablation-6": Ganimator((30_000,), 16, (5.0,), (100.0,)),
    "ablation-7": Ganimator((30_000, 30_000, 15_000, 7_500), 16, (5.0,), (10.0,), transfer=True),
    "ablation-8": _ABLATION_8,
    "ablation-10": Ganimator((15_000,), 24, (5.0,), (10.0,)),
    "ablation-11": Ganimator((30_000,), 24, (5.0,), (100.0,)),
}
"""Rows of Table 1 of the 2024 paper, whose baseline has a reconstruction weight of 10 where GANimator's code has 50."""
