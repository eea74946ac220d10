"""Diffusion on one clip. clip-flow, motif's own, and sinmdm and sinmdm-qna, the published ones.

``clip-flow``: flow matching (Lipman et al. 2023; times as Esser et al. 2024) at a coarse rate in the matcher's
principal axes, by a small net that sees about three seconds to each side; matching from that rate up makes its takes
real. What is kept of a take is imposed on the motion that the net has in mind at every evaluation.

``sinmdm``: Raab et al. 2024 on the papers' channels: 1,000 steps, cosine schedule, the clean motion is predicted,
batches of 64 copies of the clip, all stretched or shrunk to one random length. Where code and paper differ, the code
is followed.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .. import finish, parallel
from ..edit import EDIT_FEATURES, Edit
from ..errors import MotifError
from ..matching import Exemplar
from ..motion import Motion
from ..nets.clip_unet import FlowNet, SinQna, SinUnet
from ..paper_features import PaperFeatures
from ..seeds import take_rng
from ..train import Optim, Stage, Update
from . import coarse


# --- motif's own -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class ClipFlow(coarse.Coarse):
    """Hyper-parameters."""

    steps: int = 2000
    batch: int = 16
    crop: int = 40
    """Frames of a training window, at the net's rate."""
    width: int = 128
    dilations: tuple[int, ...] = (1, 1, 2, 2, 4, 4, 1, 1)
    """Of the net's blocks: it sees their sum and one frame more to each side."""
    rate: float = 2e-3
    """Learning rate."""
    speeds: float = 0.0
    """Training windows are up to this much faster or slower than the clip."""
    num_inference_steps: int = 4
    """Of the net, for every take."""

    def net(self, exemplar: Exemplar) -> FlowNet:
        """The net, with the axes of these clips."""
        width, axes = self.matcher.space(exemplar, Edit(), 1, 1.0).basis.shape
        net = FlowNet(width, axes, self.width, self.dilations)
        coarse.settle(net, self.matcher, exemplar)
        return net

    def plan(self, exemplar: Exemplar) -> list[tuple[str, int]]:
        """One stage."""
        return [("flow", self.steps)]

    def stages(self, net: nn.Module, exemplar: Exemplar, seed: int) -> Iterator[Stage]:
        """One stage, one loss."""
        assert isinstance(net, FlowNet)
        share = coarse.share(exemplar, self.levels)

        def flow(random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
            motion = coarse.windows(net, exemplar, share, self.crop, self.batch, self.speeds, random)
            noise = torch.randn(motion.shape, generator=random).to(motion.device)
            t = torch.sigmoid(torch.randn(self.batch, generator=random)).to(motion.device)
            return flow_loss(net, motion, noise, t), {}

        yield Stage("flow", self.steps, (Update("flow", net, flow, Optim(self.rate, (0.9, 0.99))),), net)

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
        """``n`` new takes; ``progress`` hears the share done."""
        assert isinstance(net, FlowNet)
        _, length = self.matcher.size(exemplar, edit)
        frames = max(round(length * coarse.share(exemplar, self.levels)), 2)
        noise = torch.stack([torch.randn(frames, net.basis.shape[1], generator=take_rng(seed, k)) for k in range(n)])
        around = min(self.num_inference_steps * (1 + sum(self.dilations)), 4 * frames) if edit.loop else 0
        guides = self.matcher.guides(exemplar, edit, length, self.matcher.space(exemplar, Edit(), 1, 1.0))

        def keep(motion: Float[Tensor, "n t k"]) -> Float[Tensor, "n t k"]:
            for guide in guides:
                inner = guide.impose(motion[:, around : around + frames] * net.size) / net.size
                motion = torch.cat((motion[:, :around], inner, motion[:, around + frames :]), 1)
            return motion

        with parallel.single_thread(), torch.no_grad():
            noise = noise[:, torch.arange(-around, frames + around) % frames]
            x = sample_euler(net, noise, self.num_inference_steps, keep)[:, around : around + frames]
            begin = net.features(x)
        return self.matcher.takes(exemplar, edit, n, seed, lock, progress, begin)

    def stream(self, net: nn.Module, exemplar: Exemplar, seed: int = 0, lock: bool = True) -> Iterator[Motion]:
        """Blocks of one endless take."""
        assert isinstance(net, FlowNet)
        share = coarse.share(exemplar, self.levels)
        return self.matcher.blocks(exemplar, self._course(net, seed), share, seed, lock)

    def _course(self, net: FlowNet, seed: int) -> Iterator[Float[Tensor, "c d"]]:
        """Endless features at the net's rate, in overlapping windows of the same noise, 32 new frames each."""
        random, around, count = torch.Generator().manual_seed(seed), 2 * (1 + sum(self.dilations)), 32
        noise = torch.randn(1, 2 * around, net.basis.shape[1], generator=random)
        while True:
            new = torch.randn(1, count, noise.shape[2], generator=random)
            noise = torch.cat((noise[:, -2 * around :], new), 1)
            with parallel.single_thread(), torch.no_grad():
                yield net.features(sample_euler(net, noise, self.num_inference_steps))[0, around : around + count]


def flow_loss(
    net: nn.Module, motion: Float[Tensor, "b t k"], noise: Float[Tensor, "b t k"], t: Float[Tensor, "b"]
) -> Tensor:
    """Mean square of what the net misses of the way from noise to motion, seen on that way at times ``t``."""
    between = torch.lerp(noise, motion, t[:, None, None])
    return (net(between, t).float() - (motion - noise)).square().mean()


def sample_euler(
    net: nn.Module,
    noise: Float[Tensor, "n t k"],
    num_inference_steps: int,
    keep: Callable[[Tensor], Tensor] = lambda motion: motion,
) -> Float[Tensor, "n t k"]:
    """Noise carried along the net's velocities, in equal Euler steps.

    Args:
        net: velocities from state and time.
        noise: where takes begin.
        evaluations: of the net.
        keep: imposes what is kept on the motion in mind, at every step.
    """
    x = noise
    for step in range(num_inference_steps):
        t = step / num_inference_steps
        motion = keep(x + (1 - t) * net(x, torch.full((len(x),), t)).float())
        x = torch.lerp(x, motion, 1 / (num_inference_steps - step))
    return x


# --- SinMDM ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Whole:
    """One clip in the papers' channels."""

    clips: tuple[Motion, ...]
    features: PaperFeatures
    real: Float[Tensor, "c t"]


@dataclass(frozen=True)
class SinMdm:
    """Hyper-parameters."""

    unsupported: ClassVar[Mapping[str, str]] = dict.fromkeys(
        EDIT_FEATURES, "it makes takes from noise alone; clip-flow can"
    )

    network: Literal["unet", "qna"] = "unet"
    steps: int = 60_000
    batch: int = 64
    rate: float = 1e-4
    end: float = 0.3012
    """What the learning rate falls to, exponentially: 0.99998 to the power of 60,000."""
    num_train_steps: int = 1000
    """Steps of the diffusion."""
    num_inference_steps: int = 1000
    """Of the net, for every take; fewer take evenly spaced steps."""
    stretch: float = 0.25
    """Windows are up to this much longer or shorter than the clip."""

    def prepare(self, clips: Sequence[Motion]) -> Whole:
        """The clip at 30 Hz. The rig must be one that the papers know."""
        if len(clips) != 1:
            raise MotifError(f"{len(clips)} clips given; this engine learns one, clip-flow learns several")
        features = PaperFeatures.of(clips[0].skeleton)
        real = features.encode(clips[0].resample(features.RATE)).T.contiguous()
        if real.shape[1] < 12:
            raise MotifError(f"a clip of {real.shape[1]} frames at 30 fps is too short to learn from; give at least 12")
        return Whole(tuple(clips), features, real)

    def net(self, exemplar: Whole) -> nn.Module:
        """The untrained network."""
        return (SinUnet if self.network == "unet" else SinQna)(exemplar.features.width)

    def plan(self, exemplar: Whole) -> list[tuple[str, int]]:
        """One stage."""
        return [("denoise", self.steps)]

    def stages(self, net: nn.Module, exemplar: Whole, seed: int) -> Iterator[Stage]:
        """One stage, one loss."""
        alphas_cumprod, device = cosine_alphas_cumprod(self.num_train_steps), next(net.parameters()).device

        def denoise(random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
            torch.manual_seed(int(torch.randint(1 << 62, (1,), generator=random)))  # of what the net leaves out
            factor = 1 + self.stretch * (2 * float(torch.rand(1, generator=random)) - 1)
            real = stretched(exemplar.real, factor).expand(self.batch, -1, -1)
            t = torch.randint(self.num_train_steps, (self.batch,), generator=random)
            noise = torch.randn(real.shape, generator=random)
            return denoising_loss(net, alphas_cumprod, real.to(device), t, noise.to(device)), {}

        adam = Optim(self.rate, (0.9, 0.999), "exponential", self.end)
        yield Stage("denoise", self.steps, (Update("denoise", net, denoise, adam),))

    def sample(
        self,
        net: nn.Module,
        exemplar: Whole,
        edit: Edit,
        n: int = 1,
        seed: int = 0,
        lock: bool = True,
        progress: Callable[[float], None] = lambda done: None,
    ) -> list[Motion]:
        """``n`` new takes at the clip's rate."""
        first, features = exemplar.clips[0], exemplar.features
        wanted = max(round(edit.duration(2 * first.seconds) / first.frame_time), 1)
        edit.check(first.skeleton, first.frame_time, wanted)
        frames, takes = math.ceil(wanted * first.frame_time * features.RATE) + 1, []
        alphas_cumprod = cosine_alphas_cumprod(self.num_train_steps)
        learning = net.training
        net.eval()
        with parallel.single_thread(), torch.no_grad():
            for k in range(n):
                told = lambda done, k=k: progress((k + done) / n)  # noqa: E731
                x = sample_ddpm(
                    net,
                    alphas_cumprod,
                    self.num_inference_steps,
                    (1, len(exemplar.real), frames),
                    take_rng(seed, k),
                    told,
                )
                name = f"{first.name}-take-{k + 1:02d}"
                takes.append(finish.finalize_paper_take(features, x[0].T, first, lock, name))
        net.train(learning)
        return [t.crop(0, wanted) for t in takes]


def cosine_alphas_cumprod(num_train_steps: int) -> Float[Tensor, "n"]:
    """Share of the motion's variance left after each step (Nichol and Dhariwal 2021, eq. 17; betas at most .999)."""

    def curve(t: Tensor) -> Tensor:
        return torch.cos((t + 0.008) / 1.008 * math.pi / 2).square()

    at = torch.arange(num_train_steps + 1, dtype=torch.float64) / num_train_steps
    betas = (1 - curve(at[1:]) / curve(at[:-1])).clamp(max=0.999)
    return (1 - betas).cumprod(0)


def stretched(real: Float[Tensor, "c t"], factor: float) -> Float[Tensor, "c s"]:
    """The clip at about ``factor`` times its length, a multiple of four frames, by cubic interpolation."""
    frames = max(4 * (round(real.shape[1] * factor) // 4), 4)
    return nn.functional.interpolate(real[None, :, None], (1, frames), mode="bicubic")[0, :, 0]


def denoising_loss(
    net: nn.Module,
    alphas_cumprod: Float[Tensor, "n"],
    real: Float[Tensor, "b c t"],
    t: Int[Tensor, "b"],
    noise: Float[Tensor, "b c t"],
) -> Tensor:
    """Mean square of what the net misses of the clean motion."""
    bar = alphas_cumprod[t].to(real)[:, None, None]
    return (net(bar.sqrt() * real + (1 - bar).sqrt() * noise, t.to(real)).float() - real).square().mean()


def sample_ddpm(
    net: nn.Module,
    alphas_cumprod: Float[Tensor, "n"],
    num_inference_steps: int,
    shape: tuple[int, int, int],
    random: torch.Generator,
    progress: Callable[[float], None] = lambda done: None,
) -> Float[Tensor, "b c t"]:
    """Ancestral sampling with the posterior's own (small) variance (Ho et al. 2020, eq. 6 and 7)."""
    steps = torch.linspace(0, len(alphas_cumprod) - 1, min(num_inference_steps, len(alphas_cumprod))).round().long()
    kept = alphas_cumprod[steps]
    before = torch.cat((torch.ones(1, dtype=kept.dtype), kept[:-1]))
    x = torch.randn(shape, generator=random)
    for k in reversed(range(len(steps))):
        clean = net(x, torch.full((shape[0],), float(steps[k]))).float()
        alpha, bar, last = float(kept[k] / before[k]), float(kept[k]), float(before[k])
        mean = (1 - alpha) * last**0.5 / (1 - bar) * clean + (1 - last) * alpha**0.5 / (1 - bar) * x
        spread = ((1 - alpha) * (1 - last) / (1 - bar)) ** 0.5
        x = mean + spread * torch.randn(shape, generator=random) if k else mean
        progress((len(steps) - k) / len(steps))
    return x


PRESETS = {"clip-flow": ClipFlow(), "sinmdm": SinMdm(), "sinmdm-qna": SinMdm("qna", 20_000)}
