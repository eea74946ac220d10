"""clip-gan: a small GAN makes a coarse motion, and matching refines it. motif's own.

One generator at a coarse rate (a few frames a second), in the principal components of the clips' heading-free features,
with a relativistic pairing loss and zero-centred gradient penalties on both sides (R3GAN, Huang et al. 2024). Its
motion is new but blurred; matching from that rate up replaces every patch with the most similar one of the clip.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import matching, parallel
from ..config import SampleConfig
from ..data.crops import Crops
from ..data.domain import Domain
from ..matching import StreamState
from ..motion import Motion
from ..nets.clip_gan import ClipGanNet
from ..nn.layers import receptive_field
from ..request import Request
from ..train import Ema, Optim, Stage, Update
from . import base


@dataclass(frozen=True)
class ClipGan:
    """Hyper-parameters."""

    unsupported: ClassVar[Mapping[str, str]] = base.COARSE_UNSUPPORTED
    defaults: ClassVar[SampleConfig] = base.COARSE_DEFAULTS

    levels: int = 6
    """Steps of 3/4 from the finest rate down to the generator's: 30 Hz to 5.3."""
    steps: int = 1200
    batch: int = 16
    crop: int = 40
    """Frames of a training window, at the generator's rate."""
    width: int = 128
    noise_channels: int = 16
    dilations: tuple[int, ...] = (1, 2, 1, 2)
    lr: float = 1e-3
    ema: float = 0.999
    """Decay of the generator's weight average."""
    reconstruction: float = 3.0
    """Weight of the L1 error of the clip reconstructed from fixed noise, which keeps all of it in reach."""
    gradient_penalty: float = 1.0
    """Weight of R1 and R2, computed in a quarter of the steps, four times as strong."""
    speed_jitter: float = 0.1
    """Training windows are up to this fraction faster or slower than the clip."""

    match_config = staticmethod(base.coarse_match_config)
    step = staticmethod(base.step_stream)

    def __post_init__(self):
        base.check_counts(self)

    def prepare(self, domain: Domain) -> base.CoarseClips:
        """Encode the clips. All must be of one rig and one rate."""
        return base.prepare_coarse(domain, "clip-gan", self.levels)

    def net(self, prepared: base.CoarseClips) -> ClipGanNet:
        """Return the network; its reconstruction noise is set when training begins."""
        pca, frames = base.fit_pca(prepared.exemplar), sum(prepared.lengths)
        return ClipGanNet(pca, self.noise_channels, frames, self.width, self.dilations)

    def plan(self, prepared: base.CoarseClips) -> list[tuple[str, int]]:
        """Return one stage."""
        return [("gan", self.steps)]

    def stages(self, net: nn.Module, prepared: base.CoarseClips, seed: int) -> Iterator[Stage]:
        """Yield one stage: critic and generator in turn."""
        assert isinstance(net, ClipGanNet)
        shape = net.reconstruction_noise.shape
        net.reconstruction_noise.copy_(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))
        losses = Losses(self, net, prepared)
        updates = (
            Update("critic", net.critic, losses.critic, Optim(self.lr)),
            Update("generator", net.generator, losses.generator, Optim(self.lr)),
        )
        frames = prepared.crop(self.crop)
        crops = Crops(prepared.exemplar.fine, self.batch, frames, prepared.rate_ratio, self.speed_jitter)
        yield Stage("gan", self.steps, updates, crops, Ema(net.generator, self.ema))

    def sample(self, net: nn.Module, prepared: base.CoarseClips, request: Request) -> list[Motion]:
        """Sample takes, all in one pass."""
        assert isinstance(net, ClipGanNet)
        _, frames = prepared.take_lengths(request.edit)
        noise = base.take_noise(request, (self.noise_channels, frames))
        context = receptive_field(self.dilations) // 2 if request.edit.loop else 0  # a loop sees its other end
        with parallel.single_thread(), torch.no_grad():
            noise = noise[..., torch.arange(-context, frames + context) % frames]
            init = net.generate(noise)[:, context : context + frames]
        return matching.synthesize(prepared.exemplar, request, self.match_config(request.config), init)

    def start(self, net: nn.Module, prepared: base.CoarseClips, seed: int, config: SampleConfig) -> StreamState:
        """Begin an endless take, made 16 coarse frames at a time."""
        assert isinstance(net, ClipGanNet)
        context = receptive_field(self.dilations) // 2

        def decode(noise: Tensor) -> Tensor:
            return net.generate(noise)[0, context:-context]

        return base.start_stream(prepared, config, seed, (1, self.noise_channels, 2 * context), 2, 16, decode)


@dataclass(frozen=True, eq=False)
class Losses:
    """The losses of critic and generator, of windows [B, T, D] of motion features."""

    recipe: ClipGan
    net: ClipGanNet
    clips: base.CoarseClips

    def real(self, batch: Float[Tensor, "b t d"]) -> Float[Tensor, "b k t"]:
        """Return the components of real windows."""
        return self.net.pca(batch).transpose(1, 2)

    def fake(self, count: int, frames: int, rng: torch.Generator) -> Float[Tensor, "b k t"]:
        """Sample windows of the generator."""
        noise = torch.randn(count, self.recipe.noise_channels, frames, generator=rng)
        return self.net.generator(noise.to(self.net.pca.std.device)).float()

    def critic(self, batch: Float[Tensor, "b t d"], rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the relativistic pairing loss, in a quarter of the steps with R1 and R2."""
        real = self.real(batch)
        with torch.no_grad():
            fake = self.fake(len(real), real.shape[-1], rng)
        penalised = float(torch.rand(1, generator=rng)) < 0.25
        real, fake = real.requires_grad_(penalised), fake.clone().requires_grad_(penalised)
        real_score, fake_score = self.net.critic(real).float(), self.net.critic(fake).float()
        loss = nn.functional.softplus(fake_score - real_score).mean()
        if penalised:
            gradients = torch.autograd.grad((real_score.sum() + fake_score.sum()), (real, fake), create_graph=True)
            loss = loss + 2 * self.recipe.gradient_penalty * sum((g**2).sum(1).mean() for g in gradients)
        return loss, {}

    def generator(self, batch: Float[Tensor, "b t d"], rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the pairing loss the other way round, and the reconstruction error of a random window."""
        real = self.real(batch)
        frames, lengths = real.shape[-1], self.clips.lengths
        fake = self.fake(len(real), frames, rng)
        loss = nn.functional.softplus(self.net.critic(real).float().detach() - self.net.critic(fake).float()).mean()
        clip = int(torch.multinomial(torch.tensor(lengths).float(), 1, generator=rng))
        first = int(torch.randint(lengths[clip] - frames + 1, (1,), generator=rng))
        target = self.clips.coarse[clip][first : first + frames].to(real.device)
        target = self.net.pca(target).T
        first += sum(lengths[:clip])
        noise = self.net.reconstruction_noise[None, :, first : first + frames]
        error = (self.net.generator(noise).float()[0] - target).abs().mean()
        return loss + self.recipe.reconstruction * error, {"reconstruction": error.detach()}
