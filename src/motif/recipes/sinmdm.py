"""sinmdm and sinmdm-qna: SinMDM (Raab et al. 2024), diffusion on one clip, as published.

On the papers' channels: 1,000 steps, cosine schedule, the clean motion is predicted, batches of 64 copies of the clip,
all stretched to one random length. Where code and paper differ, the code is followed.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .. import parallel
from ..config import SampleConfig
from ..data.crops import StretchedClip
from ..data.domain import Domain
from ..edit import EDIT_FEATURES
from ..errors import MotifError
from ..motion import Motion
from ..nets.sinmdm import SinQna, SinUnet
from ..request import Request
from ..seeds import take_rng
from ..train import Optim, Stage, Update
from .base import PaperClip, check_counts


@dataclass(frozen=True)
class SinMdm:
    """Hyper-parameters."""

    unsupported: ClassVar[Mapping[str, str]] = dict.fromkeys(
        EDIT_FEATURES, "it makes takes from noise alone; clip-flow can"
    )
    defaults: ClassVar[SampleConfig] = SampleConfig()

    network: Literal["unet", "qna"] = "unet"
    steps: int = 60_000
    batch: int = 64
    lr: float = 1e-4
    lr_end_fraction: float = 0.3012
    """What the learning rate falls to, exponentially: 0.99998 to the power of 60,000."""
    num_train_timesteps: int = 1000
    """Diffusion steps."""
    num_inference_steps: int = 1000
    """Evaluations of the network for a take, evenly spaced over the diffusion steps."""
    stretch: float = 0.25
    """Training windows are up to this fraction longer or shorter than the clip."""

    def __post_init__(self):
        check_counts(self)

    def prepare(self, domain: Domain) -> PaperClip:
        """Encode the clip. Its rig must be one that the papers know."""
        clip = PaperClip.of(domain, "sinmdm", "clip-flow")
        frames = clip.channels.shape[1]
        if frames < 12:
            raise MotifError(f"a clip of {frames} frames at 30 fps is too short to learn from; give at least 12")
        return clip

    def net(self, prepared: PaperClip) -> nn.Module:
        """Return the network."""
        return (SinUnet if self.network == "unet" else SinQna)(prepared.features.width)

    def plan(self, prepared: PaperClip) -> list[tuple[str, int]]:
        """Return one stage."""
        return [("denoise", self.steps)]

    def stages(self, net: nn.Module, prepared: PaperClip, seed: int) -> Iterator[Stage]:
        """Yield one stage."""
        alphas_cumprod = cosine_alphas_cumprod(self.num_train_timesteps)

        def loss(batch: tuple[Tensor, int], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
            real, dropout_seed = batch
            torch.manual_seed(dropout_seed)
            t = torch.randint(self.num_train_timesteps, (len(real),), generator=generator)
            noise = torch.randn(real.shape, generator=generator).to(real.device)
            return denoising_loss(net, alphas_cumprod, real, t, noise), {}

        optim = Optim(self.lr, (0.9, 0.999), schedule="exponential", min_lr_ratio=self.lr_end_fraction)
        clips = StretchedClip(prepared.channels.contiguous(), self.batch, self.stretch)
        yield Stage("denoise", self.steps, (Update("denoise", net, loss, optim),), clips)

    def channels(self, net: nn.Module, prepared: PaperClip, request: Request) -> list[Float[Tensor, "c _t"]]:
        """Return the network's own output for every take, in the papers' channels at 30 Hz."""
        wanted, takes, training = prepared.take_frames(request.edit), [], net.training
        frames = math.ceil(wanted * prepared.motion.frame_time * prepared.features.RATE) + 1
        alphas_cumprod, shape = cosine_alphas_cumprod(self.num_train_timesteps), (1, prepared.features.width, frames)
        net.eval()
        with parallel.single_thread(), torch.no_grad():
            for k in range(request.n):
                progress = lambda fraction, k=k: request.progress((k + fraction) / request.n)  # noqa: E731
                generator = take_rng(request.seed, k)
                takes.append(sample_ddpm(net, alphas_cumprod, self.num_inference_steps, shape, generator, progress)[0])
        net.train(training)
        return takes

    def exemplar(self, prepared: PaperClip) -> Float[Tensor, "c t"]:
        """Return the clip in the same channels."""
        return prepared.channels

    def sample(self, net: nn.Module, prepared: PaperClip, request: Request) -> list[Motion]:
        """Sample takes, one after the other, at the clip's rate."""
        wanted, config = prepared.take_frames(request.edit), request.config
        lock = config.foot_lock and config.finish == "full"
        with parallel.single_thread():
            made = enumerate(self.channels(net, prepared, request))
            return [prepared.take(x, k, lock).crop(0, wanted) for k, x in made]


def cosine_alphas_cumprod(num_train_timesteps: int) -> Float[Tensor, "n"]:
    """Return the cosine schedule's cumulative products (Nichol and Dhariwal 2021, eq. 17; betas at most .999)."""

    def curve(t: Tensor) -> Tensor:
        return torch.cos((t + 0.008) / 1.008 * math.pi / 2).square()

    t = torch.arange(num_train_timesteps + 1, dtype=torch.float64) / num_train_timesteps
    betas = (1 - curve(t[1:]) / curve(t[:-1])).clamp(max=0.999)
    return (1 - betas).cumprod(0)


def denoising_loss(
    net: nn.Module,
    alphas_cumprod: Float[Tensor, "n"],
    real: Float[Tensor, "b c t"],
    t: Int[Tensor, "b"],
    noise: Float[Tensor, "b c t"],
) -> Tensor:
    """Compute the mean squared error of the predicted clean motion at diffusion steps ``t``."""
    alpha = alphas_cumprod[t].to(real)[:, None, None]
    return (net(alpha.sqrt() * real + (1 - alpha).sqrt() * noise, t.to(real)).float() - real).square().mean()


def sample_ddpm(
    net: nn.Module,
    alphas_cumprod: Float[Tensor, "n"],
    num_inference_steps: int,
    shape: tuple[int, int, int],
    generator: torch.Generator,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Float[Tensor, "b c t"]:
    """Sample by ancestral sampling with the posterior's own (small) variance (Ho et al. 2020, eq. 6 and 7)."""
    steps = torch.linspace(0, len(alphas_cumprod) - 1, min(num_inference_steps, len(alphas_cumprod))).round().long()
    alpha_t = alphas_cumprod[steps]
    alpha_previous = torch.cat((torch.ones(1, dtype=alpha_t.dtype), alpha_t[:-1]))
    x = torch.randn(shape, generator=generator)
    for k in reversed(range(len(steps))):
        clean = net(x, torch.full((shape[0],), float(steps[k]))).float()
        alpha, bar, last = float(alpha_t[k] / alpha_previous[k]), float(alpha_t[k]), float(alpha_previous[k])
        mean = (1 - alpha) * last**0.5 / (1 - bar) * clean + (1 - last) * alpha**0.5 / (1 - bar) * x
        std = ((1 - alpha) * (1 - last) / (1 - bar)) ** 0.5
        x = mean + std * torch.randn(shape, generator=generator) if k else mean
        progress((len(steps) - k) / len(steps))
    return x


RECIPES = {"sinmdm": SinMdm(), "sinmdm-qna": SinMdm("qna", 20_000)}
