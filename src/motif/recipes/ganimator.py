"""ganimator and paper: the single-clip GANs of the literature, as published, on the papers' own channels.

``ganimator``: Li et al. 2022, batch 1, two levels at a time, five critic steps to one of each generator loss, WGAN-GP,
contact loss, image pool. ``paper``: Roditakis et al. 2024 (arXiv 2406.01136), ablation 9: batches of 16, weights that
change from level to level, and the first two layers of a generator taken from the one two levels below. The other rows
of that paper's Table 1 are ``ablation-1`` to ``ablation-11``. Where code and paper differ, the code is followed.

Read as the paper's table must be (its "iterations" are samples, over seven): steps of a level are samples / batch.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import finish, parallel, resample
from ..edit import EDIT_FEATURES, Edit
from ..errors import MotifError
from ..motion import Motion
from ..nets.clip_gan import PaperPyramid
from ..paper_features import PaperFeatures
from ..seeds import take_rng
from ..train import Optim, Stage, Update


@dataclass(frozen=True, eq=False)
class Level:
    """What one level of the pyramid knows of the clips."""

    real: list[Float[Tensor, "c t"]]
    """Each clip at this level."""
    amplitude: list[float]
    """Root mean square of what a clip has here that the level below lacks: how strong the noise is."""


@dataclass(frozen=True, eq=False)
class Scales:
    """The clips as a pyramid of the papers' channels."""

    clips: tuple[Motion, ...]
    features: PaperFeatures
    full: tuple[Float[Tensor, "t c"], ...]
    levels: list[Level]


@dataclass(frozen=True)
class Ganimator:
    """Hyper-parameters. Tuples hold one value a group of two levels; the last one stands for all further groups."""

    unsupported: ClassVar[Mapping[str, str]] = dict.fromkeys(
        EDIT_FEATURES, "it makes takes from noise alone; clip-gan can"
    )

    samples: tuple[int, ...] = (15_000,)
    """Windows seen by each level's networks."""
    batch: int = 1
    adversarial: tuple[float, ...] = (1.0,)
    """Weight of the Wasserstein terms. The gradient penalty keeps weight 1."""
    rebuild: tuple[float, ...] = (50.0,)
    """Weight of the L1 error of the clip rebuilt from its own noise."""
    contact: float = 5.0
    critics: int = 5
    """Critic steps to one step of each generator loss."""
    transfer: bool = False
    """Whether a generator begins with the first two layers of the one two levels below."""
    pool: int = 50
    """Old fakes that a critic is shown."""
    rate: float = 1e-4
    ratio: float = 0.2
    """Length of the coarsest level as a share of the clip."""

    def prepare(self, clips: Sequence[Motion]) -> Scales:
        """The clips at all levels. The rig must be one that the papers know; all clips are taken at 30 Hz."""
        if not clips:
            raise MotifError("no clip to learn from; give at least one")
        for other in clips[1:]:
            difference = clips[0].skeleton.rig_difference(other.skeleton)
            if difference:
                raise MotifError(f"{clips[0].name!r} and {other.name!r} are not the same rig: {difference}")
        features = PaperFeatures.of(clips[0].skeleton)
        full = tuple(features.encode(c.resample(features.RATE)) for c in clips)
        lengths = [resample.level_lengths(len(x), self.ratio) for x in full]
        if min(map(min, lengths)) < 3 or len({len(n) for n in lengths}) > 1:
            raise MotifError(
                f"clips of {', '.join(str(len(x)) for x in full)} frames at 30 fps do not make pyramids of the same "
                f"height with at least 3 frames at the bottom; give longer clips, of like lengths"
            )
        levels: list[Level] = []
        for k in range(len(lengths[0])):
            real = [resample.resize(x, n[k], antialias=False).T for x, n in zip(full, lengths, strict=True)]
            below = [_up(x, y.shape[1]) for x, y in zip(levels[-1].real, real, strict=True)] if levels else None
            missing = real if below is None else [a - b for a, b in zip(real, below, strict=True)]
            levels.append(Level(real, [float(m.square().mean().sqrt()) for m in missing]))
        return Scales(tuple(clips), features, full, levels)

    def net(self, exemplar: Scales) -> PaperPyramid:
        """Fresh generators and critics for every level."""
        lengths = [level.real[0].shape[1] for level in exemplar.levels]
        if len(exemplar.clips) > 1:
            raise MotifError(f"{len(exemplar.clips)} clips given; this engine learns one, clip-gan learns several")
        return PaperPyramid(exemplar.features.skeleton, lengths, self.pool)

    def groups(self, exemplar: Scales) -> list[list[int]]:
        """Levels that are trained together."""
        levels = range(len(exemplar.levels))
        return [list(levels[k : k + 2]) for k in levels[::2]]

    def plan(self, exemplar: Scales) -> list[tuple[str, int]]:
        """One stage a group."""
        count = len(self.groups(exemplar))
        return [(f"levels {k + 1}", max(_at(self.samples, k) // self.batch, 1)) for k in range(count)]

    def stages(self, net: nn.Module, exemplar: Scales, seed: int) -> Iterator[Stage]:
        """Group by group, from coarse to fine."""
        assert isinstance(net, PaperPyramid)
        net.noise_z.copy_(torch.randn(net.noise_z.shape, generator=torch.Generator().manual_seed(seed)))
        critic, generator = (Optim(self.rate, (0.9, 0.999), "none") for _ in range(2))
        for k, (group, (name, steps)) in enumerate(zip(self.groups(exemplar), self.plan(exemplar), strict=True)):
            if self.transfer:
                for level in group:
                    if level >= 2:
                        net.transfer(level - 2, level)
            games = [_Game(self, net, exemplar, level, k) for level in group]
            updates = [
                *(Update(f"critic {g.level + 1}", net.critics[g.level], g.critic, critic, self.critics) for g in games),
                *(Update(f"fool {g.level + 1}", net.generators[g.level], g.fool, generator) for g in games),
                *(Update(f"rebuild {g.level + 1}", net.generators[g.level], g.rebuild, generator) for g in games),
            ]
            yield Stage(name, steps, tuple(updates))

    def sample(
        self,
        net: nn.Module,
        exemplar: Scales,
        edit: Edit,
        n: int = 1,
        seed: int = 0,
        lock: bool = True,
        progress: Callable[[float], None] = lambda done: None,
    ) -> list[Motion]:
        """``n`` new takes at the clip's rate."""
        assert isinstance(net, PaperPyramid)
        first = exemplar.clips[0]
        seconds = edit.duration(2 * first.seconds)
        wanted = max(round(seconds * first.fps), 1)
        edit.check(first.skeleton, first.frame_time, wanted)
        frames = max(math.ceil(wanted / first.fps * exemplar.features.RATE) + 1, 12)
        lengths = resample.level_lengths(frames, self.ratio)[-len(exemplar.levels) :]
        takes = []
        with parallel.single_thread(), torch.no_grad():
            for k in range(n):
                random = take_rng(seed, k)
                x = torch.zeros(1, exemplar.features.width, lengths[0])
                for level, length in enumerate(lengths):
                    noise = torch.randn(1, 1, length, generator=random) * exemplar.levels[0].amplitude[0]
                    x = step(net, level, _up(x[0], length)[None], noise if level == 0 else torch.zeros(1, 1, length))
                name = f"{first.name}-take-{k + 1:02d}"
                takes.append(finish.finalize_paper_take(exemplar.features, x[0].T, first, lock, name))
                progress((k + 1) / n)
        return [t.crop(0, wanted) for t in takes]


def step(
    net: PaperPyramid, level: int, below: Float[Tensor, "b c t"], noise: Float[Tensor, "b e t"]
) -> Float[Tensor, "b c t"]:
    """One generator: the level below, stretched, and what it adds when it sees that with noise (GANimator, eq. 1)."""
    return net.generators[level](noise + below).float() + below


def _up(x: Float[Tensor, "c t"], frames: int) -> Float[Tensor, "c s"]:
    return resample.resize(x.T, frames, antialias=False).T


def _at(values: tuple, group: int):
    return values[min(group, len(values) - 1)]


@dataclass(frozen=True, eq=False)
class _Game:
    """The losses of one level (GANimator, section 4; as coded)."""

    recipe: Ganimator
    net: PaperPyramid
    exemplar: Scales
    level: int
    group: int

    @property
    def real(self) -> Float[Tensor, "c t"]:
        return self.exemplar.levels[self.level].real[0].to(self.net.noise_z.device)

    def below(self, random: torch.Generator) -> Float[Tensor, "b c t"]:
        """What the levels below make of fresh noise, stretched to this level; no gradients."""
        x = self.net.noise_z.new_zeros(self.recipe.batch, *self.exemplar.levels[0].real[0].shape)
        with torch.no_grad():
            for k, level in enumerate(self.exemplar.levels[: self.level]):
                if k:
                    x = resample.resize(x.transpose(1, 2), level.real[0].shape[1], antialias=False).transpose(1, 2)
                x = step(self.net, k, x, self.noise(k, random))
        return resample.resize(x.transpose(1, 2), self.real.shape[1], antialias=False).transpose(1, 2)

    def noise(self, level: int, random: torch.Generator) -> Float[Tensor, "b 1 t"]:
        """One channel, repeated over all, as strong as what this level adds."""
        at = self.exemplar.levels[level]
        noise = torch.randn(self.recipe.batch, 1, at.real[0].shape[1], generator=random)
        return noise.to(self.net.noise_z.device) * at.amplitude[0]

    def fake(self, random: torch.Generator) -> Float[Tensor, "b c t"]:
        """A batch of this level's generator."""
        return step(self.net, self.level, self.below(random), self.noise(self.level, random))

    def critic(self, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Wasserstein with gradient penalty; the penalty's norm is over channels, frame by frame."""
        with torch.no_grad():
            fake = self.fake(random)
        real = self.real.expand_as(fake)
        shown = self.pooled(fake, random)
        critic = self.net.critics[self.level]
        score = 0.5 * (critic(shown).float().mean() - critic(real).float().mean())
        alpha = torch.rand(len(fake), 1, 1, generator=random).to(fake.device)
        between = (alpha * real + (1 - alpha) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(critic(between).float().sum(), between, create_graph=True)
        penalty = ((slope.norm(dim=1) - 1) ** 2).mean()
        return _at(self.recipe.adversarial, self.group) * score + penalty, {
            f"penalty {self.level + 1}": penalty.detach()
        }

    def fool(self, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Higher scores, and contact joints that stand still where the labels say so."""
        fake = self.fake(random)
        score = -self.net.critics[self.level](fake).float().mean()
        slip = contact_loss(self.exemplar.features, fake)
        loss = _at(self.recipe.adversarial, self.group) * score + self.recipe.contact * slip
        return loss, {f"slip {self.level + 1}": slip.detach()}

    def rebuild(self, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The clip from its own noise: full channels, not scaled, and none above the coarsest level."""
        x = torch.zeros_like(self.net.noise_z)
        for k in range(self.level + 1):
            length = self.exemplar.levels[k].real[0].shape[1]
            x = resample.resize(x.transpose(1, 2), length, antialias=False).transpose(1, 2)
            noise = self.net.noise_z if k == 0 else x.new_zeros(1, 1, length)
            with torch.set_grad_enabled(k == self.level):
                x = step(self.net, k, x, noise)
        missed = (x - self.real).abs().mean()
        return _at(self.recipe.rebuild, self.group) * missed, {}

    def pooled(self, fake: Float[Tensor, "b c t"], random: torch.Generator) -> Float[Tensor, "b c t"]:
        """Old fakes in half of the places once the pool is full, which then keeps the new ones instead."""
        pool, filled = getattr(self.net, f"pool_{self.level}"), getattr(self.net, f"filled_{self.level}")
        shown = []
        for one in fake:
            count = int(filled)
            if count < len(pool):
                pool[count] = one
                filled += 1
            elif float(torch.rand(1, generator=random)) > 0.5:
                place = int(torch.randint(len(pool), (1,), generator=random))
                one, pool[place] = pool[place].clone(), one
            shown.append(one)
        return torch.stack(shown)


def contact_loss(features: PaperFeatures, x: Float[Tensor, "b c t"]) -> Tensor:
    """Mean speed a frame of contact joints, each weighed by a steep sigmoid of its own label (GANimator, as coded).

    The path is summed up from velocities a frame, which are too small at coarse levels: real motion has a loss there.
    """
    small = features.skeleton
    frames = x.transpose(1, 2).float()
    world = small.fk(*features.pose(frames))[1][..., list(small.contacts), :]
    # what has no length has no gradient; torch's norm gives NaN there through the square root
    squares = world.diff(dim=1).square().sum(-1)
    speed = torch.where(squares > 0, squares.clamp_min(1e-18).sqrt(), torch.zeros_like(squares))
    label = frames[..., 6 * len(small) : -6 : 6]
    gate = torch.sigmoid(12 * (label[:, 1:] - 0.5))
    return (speed * gate).sum() / label.numel()


def _row(
    samples: tuple[int, ...], batch: int, adversarial: tuple[float, ...], rebuild: tuple[float, ...], transfer=False
):
    return Ganimator(samples, batch, adversarial, rebuild, transfer=transfer)


_SLOWLY, _FADING, _GROWING = (30_000,), (5.0, 5.0, 2.5, 1.0), (50.0, 75.0, 100.0, 100.0)
PRESETS = {
    "ganimator": Ganimator(),
    "paper": _row((30_000, 30_000, 15_000, 10_000), 16, _FADING, _GROWING, True),
    "ablation-1": _row(_SLOWLY, 1, (1.0,), (10.0,)),
    "ablation-2": _row((15_000,), 1, (5.0,), (10.0,)),
    "ablation-3": _row(_SLOWLY, 1, (5.0,), (10.0,)),
    "ablation-4": _row((15_000,), 16, (5.0,), (10.0,)),
    "ablation-5": _row(_SLOWLY, 16, (5.0,), (10.0,)),
    "ablation-6": _row(_SLOWLY, 16, (5.0,), (100.0,)),
    "ablation-7": _row((30_000, 30_000, 15_000, 7_500), 16, (5.0,), (10.0,), True),
    "ablation-8": _row(_SLOWLY, 16, _FADING, _GROWING),
    "ablation-10": _row((15_000,), 24, (5.0,), (10.0,)),
    "ablation-11": _row(_SLOWLY, 24, (5.0,), (100.0,)),
}
"""Rows of Table 1 of the 2024 paper, whose baseline has a rebuild weight of 10 where GANimator's code has 50."""
