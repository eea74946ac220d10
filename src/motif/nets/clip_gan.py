"""The networks of the clip GANs: motif's own small ones, and the skeleton-aware ones of the papers."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..skeleton import Skeleton
from .axes import AxesNet

SLOPE = 0.2
"""Of LeakyReLU."""


class Block(nn.Module):
    """Residual: activation, dilated convolution, activation, mix."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.look = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        with torch.no_grad():
            self.mix.weight.mul_(0.3)

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """The same shape."""
        h = self.look(nn.functional.leaky_relu(x, SLOPE))
        return x + self.mix(nn.functional.leaky_relu(h, SLOPE))


def conv_stack(channels: int, out: int, width: int, dilations: tuple[int, ...]) -> nn.Sequential:
    """Convolution, blocks, convolution. It sees :func:`reach` frames to each side."""
    blocks = [Block(width, d) for d in dilations]
    last = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Conv1d(width, out, 1))
    return nn.Sequential(nn.Conv1d(channels, width, 3, padding=1), *blocks, *last)


def reach(dilations: tuple[int, ...]) -> int:
    """Frames to each side that one output frame of a :func:`tower` depends on."""
    return 1 + sum(dilations)


class ClipGanNet(AxesNet):
    """Generator and critic over K axes of one or several clips at a coarse rate.

    Buffer: ``reconstruction_noise`` [Z, S], the noise that each clip, laid end to end, is rebuilt from.
    """

    reconstruction_noise: Tensor

    def __init__(self, features: int, axes: int, noise: int, frames: int, width: int, dilations: tuple[int, ...]):
        super().__init__(features, axes)
        self.generator = conv_stack(noise, axes, width, dilations)
        self.critic = conv_stack(axes, 1, width, dilations[:-1])
        self.register_buffer("reconstruction_noise", torch.zeros(noise, frames))

    def made(self, noise: Float[Tensor, "n z t"]) -> Float[Tensor, "n t d"]:
        """Motion features made of noise, at the coarse rate."""
        return self.features(self.generator(noise).float().transpose(1, 2))


# --- the papers' networks --------------------------------------------------------------------------------------------
def neighbours(skeleton: Skeleton) -> Bool[Tensor, "n n"]:
    """Which nodes of the papers' layout see each other: J joints, K contact nodes, the root's path (spec: GANimator).

    A joint sees joints at most two bones away and its own contact node; a contact node what its joint sees; the path
    node what the root joint sees and all contact nodes, and all of those see it.
    """
    j, k = len(skeleton), len(skeleton.contacts)
    near = torch.zeros(j + k + 1, j + k + 1, dtype=torch.bool)
    near[:j, :j] = skeleton.neighbours(2)
    for place, joint in enumerate(skeleton.contacts):
        node = j + place
        near[node, : j + k] = near[joint, : j + k]
        near[joint, node] = near[node, node] = True
    path = near[0].clone()
    path[j:] = True
    near[-1], near[:, -1] = path, path
    return near


class SkeletonConv(nn.Conv1d):
    """A convolution over time in which every node's channels see only those of its neighbours; reflecting."""

    mask: Tensor

    def __init__(self, near: Bool[Tensor, "n n"], channels: int, out: int, taps: int = 5):
        nodes = len(near)
        super().__init__(channels * nodes, out * nodes, taps, padding=taps // 2, padding_mode="reflect")
        mask = near.float().repeat_interleave(out, 0).repeat_interleave(channels, 1)[..., None]
        self.register_buffer("mask", mask, persistent=False)
        with torch.no_grad():
            fan = (near.sum(1) * channels * taps).repeat_interleave(out)
            bound = 1 / fan.sqrt()
            self.weight.uniform_(-1, 1).mul_(bound[:, None, None] * mask)
            assert self.bias is not None
            self.bias.uniform_(-1, 1).mul_(bound)

    def forward(self, input: Float[Tensor, "b c t"]) -> Float[Tensor, "b d t"]:
        """Same length."""
        return self._conv_forward(input, self.weight * self.mask, self.bias)


def widths(nodes: int) -> tuple[int, int, int]:
    """Channels per node of the three hidden layers: 128, 256 and 256 in all, rounded up to whole channels per node."""
    first, second, third = (math.ceil(128 * 2 ** (i // 2) / nodes) for i in (1, 2, 3))
    return first, second, third


class PaperNet(nn.Module):
    """Four convolutions of five taps (GANimator, section 4): a generator, or a critic with one score a frame."""

    def __init__(self, near: Bool[Tensor, "n n"], critic: bool):
        super().__init__()
        a, b, c = widths(len(near))
        last = nn.Conv1d(c * len(near), 1, 5, padding=2, padding_mode="reflect") if critic else SkeletonConv(near, c, 6)
        self.layers = nn.ModuleList(
            [SkeletonConv(near, 6, a), SkeletonConv(near, a, b), SkeletonConv(near, b, c), last]
        )

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b d t"]:
        """Channels of the layout, or one score; the same length."""
        for layer in self.layers[:-1]:
            x = nn.functional.leaky_relu(layer(x), SLOPE)
        return self.layers[-1](x)


class PaperPyramid(nn.Module):
    """One generator and one critic for every level, the levels' lengths and noise, and the image pools of the critics.

    Buffers: ``noise_z`` [1, C, T1] rebuilds the clip; ``pool_k`` [50, C, Tk] old fakes and ``filled_k`` how many.
    """

    noise_z: Tensor

    def __init__(self, skeleton: Skeleton, lengths: list[int], pool: int):
        super().__init__()
        near = neighbours(skeleton)
        self.generators = nn.ModuleList([PaperNet(near, False) for _ in lengths])
        self.critics = nn.ModuleList([PaperNet(near, True) for _ in lengths])
        channels = 6 * len(near)
        self.register_buffer("noise_z", torch.zeros(1, channels, lengths[0]))
        for k, length in enumerate(lengths):
            self.register_buffer(f"pool_{k}", torch.zeros(pool, channels, length))
            self.register_buffer(f"filled_{k}", torch.zeros(1, dtype=torch.long))

    def transfer(self, source: int, target: int) -> None:
        """Give a level's generator the first two layers of another's (2024 paper, section 3.2)."""
        for layer in ("layers.0", "layers.1"):
            given = self.generators[source].get_submodule(layer).state_dict()
            self.generators[target].get_submodule(layer).load_state_dict(given)
