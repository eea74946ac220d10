"""The losses of the papers' GANs as their code computes them: dense weights times masks, a critic for every copy of the
clip, double backward through the gradient penalty, every level with a pyramid of its own. Slow, and easy to believe.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from motif.nets.ganimator import GanimatorNet
from motif.recipes.ganimator_losses import Draws, Losses, contact_loss


class PlainNet(nn.Module):
    """A GanimatorNet with dense weights and masks."""

    def __init__(self, net: GanimatorNet):
        super().__init__()
        self.masks, weights, biases = [], [], []
        for layer in net.layers:
            dense = layer.dense()
            weights.append(nn.Parameter(dense.detach().clone()))
            biases.append(nn.Parameter(layer.bias.detach().clone()))
            self.masks.append((dense.detach() != 0).to(dense.dtype))
        self.weights, self.biases = nn.ParameterList(weights), nn.ParameterList(biases)

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b d t"]:
        """Return what the GanimatorNet does."""
        for k, (weight, mask, bias) in enumerate(zip(self.weights, self.masks, self.biases, strict=True)):
            x = torch.conv1d(nn.functional.pad(x, (2, 2), "reflect"), weight * mask, bias)
            x = x if k == 3 else nn.functional.leaky_relu(x, 0.2)
        return x


class PlainLosses:
    """One level's losses of the networks that ``fast`` has, with the same draws."""

    def __init__(self, fast: Losses, level: int):
        self.fast, self.level = fast, level
        self.generators = [PlainNet(net).requires_grad_(k == level) for k, net in enumerate(fast.net.generators)]
        self.critic_net = PlainNet(fast.net.critics[level])

    def noises(self, draws: Draws) -> list[Float[Tensor, "b 1 _t"]]:
        """Return the draws' noise by level."""
        seen = self.fast.reals[: self.fast.levels[-1] + 1]
        return list(draws.noise.split([x.shape[1] for x in seen], -1))

    def fake(self, noises: list) -> Float[Tensor, "b c t"]:
        """Run the pyramid up to this level."""
        x = torch.zeros(len(noises[0]), *self.fast.reals[0].shape, dtype=noises[0].dtype)
        for k in range(self.level + 1):
            x = nn.functional.interpolate(x, self.fast.reals[k].shape[1], mode="linear", align_corners=False)
            x = self.generators[k](noises[k] + x) + x
        return x

    def critic(self, draws: Draws) -> Tensor:
        """Compute the Wasserstein loss and the penalty by double backward; the pool is not used."""
        with torch.no_grad():
            fake = self.fake(self.noises(draws))
        real = self.fast.reals[self.level].expand_as(fake)
        score = 0.5 * (self.critic_net(fake).mean() - self.critic_net(real).mean())
        between = (draws.alpha * real + (1 - draws.alpha) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(self.critic_net(between).sum(), between, create_graph=True)
        penalty = ((gradient.norm(dim=1) - 1) ** 2).mean()
        weight = self.fast.adversarial_weight
        return weight * score + (weight if self.fast.recipe.weigh_penalty else 1.0) * penalty

    def adversarial(self, draws: Draws) -> Tensor:
        """Compute the generator's Wasserstein loss and the contact loss."""
        fake = self.fake(self.noises(draws))
        contact = contact_loss(self.fast.pyramid.clip.features, fake)
        return -self.fast.adversarial_weight * self.critic_net(fake).mean() + self.fast.recipe.contact * contact

    def reconstruction(self) -> Tensor:
        """Compute the error of the clip from its own noise."""
        first = self.fast.net.reconstruction_noise
        noises = [first, *(torch.zeros(1, 1, x.shape[1], dtype=first.dtype) for x in self.fast.reals[1:])]
        error = (self.fake(noises) - self.fast.reals[self.level]).abs().mean()
        return self.fast.reconstruction_weight * error


def flat_gradients(net: GanimatorNet) -> list[Tensor]:
    """Return a network's gradients of weights and biases, in the order of :meth:`PlainNet.gradients`."""
    return [p.grad for layer in net.layers for p in (layer.weight, layer.bias)]


def plain_gradients(plain: PlainNet) -> list[Tensor]:
    """Return a plain network's gradients, without those of the masked weights."""
    found = []
    for weight, mask, bias in zip(plain.weights, plain.masks, plain.biases, strict=True):
        pairs = mask[..., 0] > 0
        found += [weight.grad[pairs], bias.grad]
    return found
