"""clip-flow: flow matching makes a coarse motion, and matching refines it. motif's own.

A small network that sees about three seconds to each side learns a velocity field (flow matching, Lipman et al. 2023;
times as Esser et al. 2024) at a coarse rate, in the principal components of the clips' features. What is kept of a take
is imposed on the network's prediction at every step.
"""

from collections.abc import Callable, Iterator, Mapping
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
from ..nets.clip_flow import FlowNet
from ..nn.layers import receptive_field
from ..request import Request
from ..train import Ema, Optim, Stage, Update
from . import base


@dataclass(frozen=True)
class ClipFlow:
    """Hyper-parameters."""

    unsupported: ClassVar[Mapping[str, str]] = base.COARSE_UNSUPPORTED
    defaults: ClassVar[SampleConfig] = base.COARSE_DEFAULTS

    levels: int = 6
    """Steps of 3/4 from the finest rate down to the network's: 30 Hz to 5.3."""
    steps: int = 2000
    batch: int = 16
    crop: int = 40
    """Frames of a training window, at the network's rate."""
    width: int = 128
    dilations: tuple[int, ...] = (1, 1, 2, 2, 4, 4, 1, 1)
    lr: float = 2e-3
    ema: float = 0.999
    """Decay of the weight average."""
    speed_jitter: float = 0.0
    """Training windows are up to this fraction faster or slower than the clip."""
    num_inference_steps: int = 4
    """Evaluations of the network for a take."""

    match_config = staticmethod(base.coarse_match_config)
    step = staticmethod(base.step_stream)

    def __post_init__(self):
        base.check_counts(self)

    def prepare(self, domain: Domain) -> base.CoarseClips:
        """Encode the clips. All must be of one rig and one rate."""
        return base.prepare_coarse(domain, "clip-flow", self.levels)

    def net(self, prepared: base.CoarseClips) -> FlowNet:
        """Return the network."""
        return FlowNet(base.fit_pca(prepared.exemplar), self.width, self.dilations)

    def plan(self, prepared: base.CoarseClips) -> list[tuple[str, int]]:
        """Return one stage."""
        return [("flow", self.steps)]

    def stages(self, net: nn.Module, prepared: base.CoarseClips, seed: int) -> Iterator[Stage]:
        """Yield one stage."""
        assert isinstance(net, FlowNet)

        def loss(batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
            motion = net.pca(batch)
            noise = torch.randn(motion.shape, generator=generator).to(motion.device)
            t = torch.sigmoid(torch.randn(len(motion), generator=generator)).to(motion.device)
            return flow_loss(net, motion, noise, t), {}

        frames = prepared.crop(self.crop)
        crops = Crops(prepared.exemplar.fine, self.batch, frames, prepared.rate_ratio, self.speed_jitter)
        update = Update("flow", net, loss, Optim(self.lr, (0.9, 0.99)))
        yield Stage("flow", self.steps, (update,), crops, Ema(net, self.ema))

    def sample(self, net: nn.Module, prepared: base.CoarseClips, request: Request) -> list[Motion]:
        """Sample takes, all in one pass."""
        assert isinstance(net, FlowNet)
        length, frames = prepared.take_lengths(request.edit)
        noise = base.take_noise(request, (frames, net.pca.basis.shape[1]))
        loop_context = min(self.num_inference_steps * (receptive_field(self.dilations) // 2), 4 * frames)
        context = loop_context if request.edit.loop else 0
        guides, std = base.guides(prepared, request.edit, length), net.pca.std

        def constrain(motion: Float[Tensor, "n t k"]) -> Float[Tensor, "n t k"]:
            for guide in guides:
                inner = guide.impose(motion[:, context : context + frames] * std) / std
                motion = torch.cat((motion[:, :context], inner, motion[:, context + frames :]), 1)
            return motion

        with parallel.single_thread(), torch.no_grad():
            window = noise[:, torch.arange(-context, frames + context) % frames]
            x = sample_euler(net, window, self.num_inference_steps, constrain)[:, context : context + frames]
            init = net.pca.inverse(x)
        return matching.synthesize(prepared.exemplar, request, self.match_config(request.config), init)

    def start(self, net: nn.Module, prepared: base.CoarseClips, seed: int, config: SampleConfig) -> StreamState:
        """Begin an endless take, made 32 coarse frames at a time."""
        assert isinstance(net, FlowNet)
        context = receptive_field(self.dilations) - 1  # to each side what two evaluations see

        def decode(noise: Tensor) -> Tensor:
            return net.pca.inverse(sample_euler(net, noise, self.num_inference_steps))[0, context:-context]

        return base.start_stream(prepared, config, seed, (1, 2 * context, net.pca.basis.shape[1]), 1, 32, decode)


def flow_loss(
    net: nn.Module, motion: Float[Tensor, "b t k"], noise: Float[Tensor, "b t k"], t: Float[Tensor, "b"]
) -> Tensor:
    """Compute the mean squared error of the velocity at times ``t`` between noise (0) and motion (1)."""
    between = torch.lerp(noise, motion, t[:, None, None])
    return (net(between, t).float() - (motion - noise)).square().mean()


def sample_euler(
    net: nn.Module,
    noise: Float[Tensor, "n t k"],
    num_inference_steps: int,
    constrain: Callable[[Tensor], Tensor] = lambda motion: motion,
) -> Float[Tensor, "n t k"]:
    """Integrate a network's velocities from noise (time 0) to motion (1) in equal Euler steps.

    ``constrain`` is applied to the predicted motion at every step.
    """
    x = noise
    for step in range(num_inference_steps):
        t = step / num_inference_steps
        motion = constrain(x + (1 - t) * net(x, torch.full((len(x),), t)).float())
        x = torch.lerp(x, motion, 1 / (num_inference_steps - step))
    return x
