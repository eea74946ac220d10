"""clip-gan: a small adversarial net invents the course of a take, and matching makes it real. motif's own.

One generator at a coarse rate (a few frames a second), in the principal axes of the clips' heading-free features, with
a relativistic pairing loss and zero-centred gradient penalties on both sides (R3GAN, Huang et al. 2024). What it makes
is new but soft; generative matching from that rate up then replaces every stretch with the likest one of the clip.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import matching, parallel, resample
from ..edit import Edit
from ..matching import Exemplar
from ..motion import Motion
from ..nets.clip_gan import ClipGanNet, reach
from ..request import Request, SampleConfig
from ..seeds import take_rng
from ..train import Optim, Stage, Update
from . import coarse


@dataclass(frozen=True)
class ClipGan(coarse.Coarse):
    """Hyper-parameters."""

    steps: int = 1200
    batch: int = 16
    crop: int = 40
    """Frames of a training window, at the generator's rate."""
    width: int = 128
    noise: int = 16
    dilations: tuple[int, ...] = (1, 2, 1, 2)
    rate: float = 1e-3
    """Learning rate."""
    rebuild: float = 3.0
    """Weight of the mean error of the clip rebuilt from fixed noise: what keeps all of it in reach."""
    penalty: float = 1.0
    """Weight of the gradient penalties, taken in a quarter of the steps, four times as strong."""
    speeds: float = 0.1
    """Training windows are up to this much faster or slower than the clip."""

    def net(self, exemplar: Exemplar) -> ClipGanNet:
        """The net, with the axes of these clips; its weights and anchors are set when its stage begins."""
        width, axes = matching.pca(exemplar).basis.shape
        frames = sum(coarse.lengths(exemplar, coarse.share(exemplar, self.levels)))
        net = ClipGanNet(width, axes, self.noise, frames, self.width, self.dilations)
        coarse.settle(net, exemplar)
        return net

    def plan(self, exemplar: Exemplar) -> list[tuple[str, int]]:
        """One stage."""
        return [("course", self.steps)]

    def stages(self, net: nn.Module, exemplar: Exemplar, seed: int) -> Iterator[Stage]:
        """One stage: critic and generator in turn."""
        assert isinstance(net, ClipGanNet)
        net.reconstruction_noise.copy_(
            torch.randn(net.reconstruction_noise.shape, generator=torch.Generator().manual_seed(seed))
        )
        share = coarse.share(exemplar, self.levels)
        game = _Game(self, net, exemplar, coarse.lengths(exemplar, share), share)
        adam = Optim(self.rate)
        updates = (
            Update("critic", net.critic, game.critic, adam),
            Update("generator", net.generator, game.generator, adam),
        )
        yield Stage("course", self.steps, updates, net.generator)

    def sample(
        self,
        net: nn.Module,
        exemplar: Exemplar,
        edit: Edit,
        n: int = 1,
        seed: int = 0,
        lock: bool = True,
        progress: Callable[[float], None] = lambda done: None,
    ) -> list[Motion]:
        """``n`` new takes in one pass; ``progress`` hears the share done."""
        assert isinstance(net, ClipGanNet)
        _, length = matching.take_length(exemplar, edit)
        count = max(round(length * coarse.share(exemplar, self.levels)), 2)
        begin = []
        for k in range(n):
            random = take_rng(seed, k)
            begin.append(torch.randn(net.reconstruction_noise.shape[0], count, generator=random))
        with parallel.single_thread(), torch.no_grad():
            x = _unrolled(net, torch.stack(begin), edit.loop, reach(self.dilations))
        request = Request(edit, n, seed, SampleConfig(lock), progress)
        return matching.synthesize(exemplar, request, self.matcher, x)

    def stream(self, net: nn.Module, exemplar: Exemplar, seed: int = 0, lock: bool = True) -> Any:
        """Blocks of one endless take."""
        assert isinstance(net, ClipGanNet)
        course, ratio = self._course(net, seed), coarse.share(exemplar, self.levels)
        made = matching.Stream(exemplar, self.matcher, ratio, lock, lambda it: (next(it), it))
        return matching.start(made, course, seed)

    def _course(self, net: ClipGanNet, seed: int) -> Iterator[Float[Tensor, "c d"]]:
        """Endless features at the generator's rate, sixteen frames at a time."""
        random, around, count = torch.Generator().manual_seed(seed), reach(self.dilations), 16
        noise = torch.randn(1, self.noise, 2 * around, generator=random)
        while True:
            noise = torch.cat((noise[..., -2 * around :], torch.randn(1, self.noise, count, generator=random)), -1)
            with torch.no_grad():
                yield net.made(noise)[0, around : around + count]


def _unrolled(net: ClipGanNet, noise: Float[Tensor, "n z t"], loop: bool, around: int) -> Float[Tensor, "n t d"]:
    """Features of noise; of a loop's noise with its neighbouring rounds around it."""
    if not loop:
        return net.made(noise)
    frames = noise.shape[-1]
    return net.made(noise[..., torch.arange(-around, frames + around) % frames])[:, around : around + frames]


@dataclass(frozen=True, eq=False)
class _Game:
    """The two losses, and where their windows come from."""

    recipe: ClipGan
    net: ClipGanNet
    exemplar: Exemplar
    lengths: list[int]
    """Frames of each clip at the generator's rate."""
    share: float
    """That rate as a share of the finest."""

    def windows(self, random: torch.Generator) -> Float[Tensor, "b k c"]:
        """Real windows at the generator's rate, each a little faster or slower than the clip."""
        r = self.recipe
        return coarse.windows(self.net, self.exemplar, self.share, r.crop, r.batch, r.speeds, random).transpose(1, 2)

    def made(self, random: torch.Generator, frames: int) -> Float[Tensor, "b k c"]:
        """Windows of the generator."""
        noise = torch.randn(self.recipe.batch, self.recipe.noise, frames, generator=random)
        return self.net.generator(noise.to(self.net.size.device)).float()

    def critic(self, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Relativistic pairing, and in a quarter of the steps R1 and R2."""
        real = self.windows(random)
        with torch.no_grad():
            fake = self.made(random, real.shape[-1])
        steep = float(torch.rand(1, generator=random)) < 0.25
        real, fake = real.requires_grad_(steep), fake.clone().requires_grad_(steep)
        high, low = self.net.critic(real).float(), self.net.critic(fake).float()
        loss = nn.functional.softplus(low - high).mean()
        if steep:
            slopes = torch.autograd.grad((high.sum() + low.sum()), (real, fake), create_graph=True)
            loss = loss + 2 * self.recipe.penalty * sum((s**2).sum(1).mean() for s in slopes)
        return loss, {}

    def generator(self, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Relativistic pairing the other way round, and the clip rebuilt from its anchors."""
        real = self.windows(random)
        fake = self.made(random, real.shape[-1])
        loss = nn.functional.softplus(self.net.critic(real).float().detach() - self.net.critic(fake).float()).mean()
        clip = int(torch.multinomial(torch.tensor(self.lengths).float(), 1, generator=random))
        first, frames = sum(self.lengths[:clip]), real.shape[-1]
        start = int(torch.randint(self.lengths[clip] - frames + 1, (1,), generator=random))
        target = resample.resize(self.exemplar.fine[clip], self.lengths[clip])[start : start + frames]
        target = self.net.axes(target.to(self.net.size.device)).T
        noise = self.net.reconstruction_noise[None, :, first + start : first + start + frames]
        missed = (self.net.generator(noise).float()[0] - target).abs().mean()
        return loss + self.recipe.rebuild * missed, {"rebuild": missed.detach()}
