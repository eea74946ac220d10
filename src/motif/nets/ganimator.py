"""The skeleton-aware networks of GANimator (Li et al. 2022) and of its 2024 successor (arXiv 2406.01136)."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..nn.layers import LEAKY_SLOPE
from ..skeleton import Skeleton


def adjacency(skeleton: Skeleton) -> Bool[Tensor, "n n"]:
    """Return which nodes of the papers' layout are connected: J joints, K contact nodes, one node for the root's path.

    A joint is connected to joints at most two bones away and to its own contact node; a contact node to what its joint
    is; the path node to what the root joint is and to all contact nodes.
    """
    j, k = len(skeleton), len(skeleton.contacts)
    near = torch.zeros(j + k + 1, j + k + 1, dtype=torch.bool)
    near[:j, :j] = skeleton.neighbours(2)
    for i, joint in enumerate(skeleton.contacts):
        node = j + i
        near[node, : j + k] = near[joint, : j + k]
        near[joint, node] = near[node, node] = True
    path = near[0].clone()
    path[j:] = True
    near[-1], near[:, -1] = path, path
    return near


class SkeletonConv(nn.Conv1d):
    """A convolution over time, masked to connected nodes (GANimator, section 4), with reflection padding."""

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
        """Return a tensor of the same length."""
        return self._conv_forward(input, self.weight * self.mask, self.bias)


def widths(nodes: int) -> tuple[int, int, int]:
    """Return the channels per node of the hidden layers: 128, 256 and 256 in all, rounded up to whole ones per node."""
    first, second, third = (math.ceil(128 * 2 ** (i // 2) / nodes) for i in (1, 2, 3))
    return first, second, third


class GanimatorNet(nn.Module):
    """Four convolutions of five taps (GANimator, section 4): a generator, or a critic with one score a frame."""

    def __init__(self, near: Bool[Tensor, "n n"], critic: bool):
        super().__init__()
        a, b, c = widths(len(near))
        last = nn.Conv1d(c * len(near), 1, 5, padding=2, padding_mode="reflect") if critic else SkeletonConv(near, c, 6)
        self.layers = nn.ModuleList(
            [SkeletonConv(near, 6, a), SkeletonConv(near, a, b), SkeletonConv(near, b, c), last]
        )

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b d t"]:
        """Return channels of the layout, or one score, for every frame."""
        for layer in self.layers[:-1]:
            x = nn.functional.leaky_relu(layer(x), LEAKY_SLOPE)
        return self.layers[-1](x)


class GanimatorPyramid(nn.Module):
    """One generator and one critic for every level, and the critics' image pools.

    Buffers: ``reconstruction_noise`` [1, C, T1]; ``pool_k`` [50, C, Tk] earlier fakes and ``filled_k`` [1] how many.
    """

    reconstruction_noise: Tensor

    def __init__(self, skeleton: Skeleton, lengths: list[int], pool: int):
        super().__init__()
        near = adjacency(skeleton)
        self.generators = nn.ModuleList([GanimatorNet(near, False) for _ in lengths])
        self.critics = nn.ModuleList([GanimatorNet(near, True) for _ in lengths])
        channels = 6 * len(near)
        self.register_buffer("reconstruction_noise", torch.zeros(1, channels, lengths[0]))
        for k, length in enumerate(lengths):
            self.register_buffer(f"pool_{k}", torch.zeros(pool, channels, length))
            self.register_buffer(f"filled_{k}", torch.zeros(1, dtype=torch.long))

    def transfer(self, source: int, target: int) -> None:
        """Copy the first two layers of one level's generator to another's (2024 paper, section 3.2)."""
        for layer in ("layers.0", "layers.1"):
            weights = self.generators[source].get_submodule(layer).state_dict()
            self.generators[target].get_submodule(layer).load_state_dict(weights)
