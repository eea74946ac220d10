"""The losses of the papers' GANs, for a group of levels at once.

Everything random is drawn beforehand (:class:`Draws`): the losses are functions of networks and draws alone. Compared
with the papers' code the mathematics is the same and the work less: levels below the group pass nothing back, one
pyramid of fakes serves all levels of a group, the real clip is scored once and not once a sample, and the gradient
penalty is one explicit pass instead of a double backward.
"""

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ..errors import MotifError
from ..nets.ganimator import GanimatorPyramid, widened
from ..paper_features import PaperFeatures
from ..skeleton import index_tensor
from ..train import Shard

if TYPE_CHECKING:
    from .ganimator import Ganimator, Pyramid


class Draws(NamedTuple):
    """What one gradient step of a group draws. Its levels share it."""

    noise: Float[Tensor, "b 1 t"]
    """Of every level up to the finest of the group, one after the other, with its amplitude; added to all channels."""
    alpha: Float[Tensor, "b 1 1"]
    """Where between a fake and the clip the gradient penalty is taken, 0 to 1."""
    swapped: Bool[Tensor, "b"]
    """Whether an earlier fake is shown in place of a new one."""
    slots: Int[Tensor, "b"]
    """Where in the pool it lies."""


class DrawNoise:
    """Draws of one group, for the training loop: they depend on the generator alone."""

    def __init__(self, batch: int, pool: int, amplitudes: list[float], lengths: list[int]):
        self.batch, self.pool = batch, pool
        self.amplitude = torch.tensor(amplitudes).repeat_interleave(torch.tensor(lengths))

    def draw(self, generator: torch.Generator, shard: Shard) -> Draws:
        """Return a shard of the next draws."""
        if self.batch % shard.count:
            raise MotifError(f"batches of {self.batch} cannot be shared by {shard.count} processes; choose a divisor")
        size = self.batch // shard.count
        own = slice(shard.index * size, (shard.index + 1) * size)
        noise = torch.randn(self.batch, 1, len(self.amplitude), generator=generator)[own] * self.amplitude
        alpha = torch.rand(self.batch, 1, 1, generator=generator)[own]
        swapped = torch.rand(self.batch, generator=generator)[own] > 0.5
        return Draws(noise, alpha, swapped, torch.randperm(self.pool, generator=generator)[: self.batch][own])

    def state_dict(self) -> dict:
        """Return nothing: there is no state."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Do nothing."""


class ImagePool(nn.Module):
    """Earlier fakes of one level, some of which its critic is shown in place of new ones (GANimator, as coded).

    Buffers: ``images`` [P, C, T]; ``filled`` [1], how many there are.
    """

    images: Tensor
    filled: Tensor

    def __init__(self, size: int, like: Float[Tensor, "c t"]):
        super().__init__()
        self.register_buffer("images", like.new_zeros(size, *like.shape))
        self.register_buffer("filled", torch.zeros(1, dtype=torch.long, device=like.device))

    def forward(self, fakes: Float[Tensor, "b c t"], draws: Draws) -> Float[Tensor, "b c t"]:
        """Return fakes, some of them replaced by earlier ones, in whose places the new ones are kept.

        Until the pool is full it keeps what it is given and nothing is replaced.
        """
        size = len(self.images)
        full, after = self.filled >= size, self.filled + torch.arange(len(fakes), device=self.filled.device)
        place = torch.where(full, draws.slots, after % size)
        swapped, kept = full & draws.swapped, self.images.index_select(0, place)
        stored = torch.where(full, swapped, after < size)
        self.images.index_copy_(0, place, torch.where(stored[:, None, None], fakes, kept))
        self.filled.copy_((self.filled + len(fakes)).clamp(max=size))
        return torch.where(swapped[:, None, None], kept, fakes)


class Losses:
    """The losses of a group of levels (GANimator; 2024 paper, equation 4), as sums over its levels."""

    def __init__(self, recipe: "Ganimator", net: GanimatorPyramid, pyramid: "Pyramid", group: int):
        self.recipe, self.net, self.pyramid = recipe, net, pyramid
        self.levels = pyramid.groups[group]
        self.adversarial_weight = recipe.at_group(recipe.adversarial, group)
        self.reconstruction_weight = recipe.at_group(recipe.reconstruction, group)
        self.generators = nn.ModuleList([net.generators[k] for k in self.levels])
        self.critics = nn.ModuleList([net.critics[k] for k in self.levels])
        self.reals = [level.real.to(net.reconstruction_noise.device) for level in pyramid.levels]
        self.pools = nn.ModuleList([ImagePool(recipe.pool, self.reals[k]) for k in self.levels])

    # --- the pyramid
    @cached_property
    def _below(self) -> list:
        """Generators below the group, ready to be called; they no longer change."""
        with torch.no_grad():
            return [self.net.generator(k).assembled() for k in range(self.levels[0])]

    @cached_property
    def _rebuilt_below(self) -> Float[Tensor, "1 c t"]:
        """The clip rebuilt from its own noise, which enters at the coarsest level alone and is not scaled."""
        x = torch.zeros_like(self.net.reconstruction_noise)
        with torch.no_grad():
            for k in range(self.levels[0]):
                x = self.net.step(k, self._up(x, k), 0.0 if k else self.net.reconstruction_noise, self._below[k])
        return x

    def _up(self, x: Tensor, level: int) -> Float[Tensor, "b c t"]:
        return self.net.upsample(x, self.reals[level].shape[1])

    def fakes(self, draws: Draws) -> list[Float[Tensor, "b c t"]]:
        """Sample all levels of the group; no gradient flows from one level to another."""
        noise = draws.noise.split([x.shape[1] for x in self.reals[: self.levels[-1] + 1]], -1)
        x = self.reals[0].new_zeros(len(draws.alpha), *self.reals[0].shape)
        with torch.no_grad():
            for k, layers in enumerate(self._below):
                x = self.net.step(k, self._up(x, k), noise[k], layers)
        made = []
        for k in self.levels:
            made.append(self.net.step(k, self._up(x, k), noise[k]))
            x = made[-1].detach()
        return made

    # --- the losses
    def critic(self, draws: Draws, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the Wasserstein losses with gradient penalties, whose norm is over channels, frame by frame.

        The adversarial weight multiplies the Wasserstein term, and with ``weigh_penalty`` the penalty, too.
        """
        with torch.no_grad():
            fakes = self.fakes(draws)
        total, metrics = draws.alpha.new_zeros(()), {}
        for k, fake, pool in zip(self.levels, fakes, self.pools, strict=True):
            critic, real = self.net.critic(k), self.reals[k][None]
            layers = critic.assembled()
            scores = widened(critic(torch.cat((pool(fake, draws), real)), layers))
            score = 0.5 * (scores[:-1].mean() - scores[-1].mean())
            gradient = widened(critic.input_gradient(torch.lerp(fake, real, draws.alpha), layers))
            penalty = ((gradient.norm(dim=1) - 1) ** 2).mean()
            weight = self.adversarial_weight
            total = total + weight * score + (weight if self.recipe.weigh_penalty else 1.0) * penalty
            metrics[f"gradient_penalty {k + 1}"] = penalty.detach()
        return total, metrics

    def adversarial(self, draws: Draws, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the generators' Wasserstein losses and the contact losses."""
        total, metrics = draws.alpha.new_zeros(()), {}
        for k, fake in zip(self.levels, self.fakes(draws), strict=True):
            score = -widened(self.net.critic(k)(fake)).mean()
            contact = contact_loss(self.pyramid.clip.features, fake)
            total = total + self.adversarial_weight * score + self.recipe.contact * contact
            metrics[f"contact {k + 1}"] = contact.detach()
        return total, metrics

    def reconstruction(self, draws: Draws, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the L1 errors of the clip from its own noise; nothing in it is random."""
        x, total = self._rebuilt_below, draws.alpha.new_zeros(())
        for k in self.levels:
            rebuilt = self.net.step(k, self._up(x, k), 0.0 if k else self.net.reconstruction_noise)
            total = total + self.reconstruction_weight * (rebuilt - self.reals[k]).abs().mean()
            x = rebuilt.detach()
        return total, {}


def contact_loss(features: PaperFeatures, x: Float[Tensor, "b c t"]) -> Tensor:
    """Compute the mean speed per frame of contact joints, weighed by a sigmoid of their labels (GANimator, as coded).

    The path is summed up from velocities per frame, which are too small at coarse levels: real motion has a loss there.
    """
    feet = features.contact_features
    frames = x.index_select(1, index_tensor(features.contact_channels, x.device)).transpose(1, 2)
    world = feet.contact_positions(frames)
    # no gradient where there is no speed, instead of the NaN of a norm at zero
    squares = world.diff(dim=1).square().sum(-1)
    speed = torch.where(squares > 0, squares.clamp_min(1e-18).sqrt(), torch.zeros_like(squares))
    label = frames[..., 6 * len(feet.skeleton) : -6 : 6]
    gate = torch.sigmoid(12 * (label[:, 1:] - 0.5))
    return (speed * gate).sum() / label.numel()
