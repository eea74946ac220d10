"""The skeleton-aware networks of GANimator (Li et al. 2022) and of its 2024 successor (arXiv 2406.01136)."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..nn.layers import LEAKY_SLOPE
from ..nn.skeleton_conv import Assembled, SkeletonConv
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


def widened(x: Tensor) -> Tensor:
    """Return what autocast made half as fp32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def widths(nodes: int) -> tuple[int, int, int]:
    """Return the channels per node of the hidden layers: 128, 256 and 256 in all, rounded up to whole ones per node."""
    first, second, third = (math.ceil(128 * 2 ** (i // 2) / nodes) for i in (1, 2, 3))
    return first, second, third


class GanimatorNet(nn.Module):
    """Four convolutions of five taps (GANimator): a generator, or a critic with one score a frame."""

    def __init__(self, near: Bool[Tensor, "n n"], critic: bool):
        super().__init__()
        a, b, c = widths(len(near))
        last = SkeletonConv(torch.ones_like(near[:1]), c, 1) if critic else SkeletonConv(near, c, 6)
        hidden = [SkeletonConv(near, 6, a), SkeletonConv(near, a, b), SkeletonConv(near, b, c)]
        self.layers = nn.ModuleList([*hidden, last])

    def assembled(self) -> list[Assembled]:
        """Return the layers with their weights laid out, for several calls of :meth:`forward`."""
        return [layer.assembled() for layer in self.layers]  # type: ignore[operator]

    def forward(self, x: Float[Tensor, "b c t"], layers: Sequence[Assembled] | None = None) -> Float[Tensor, "b d t"]:
        """Return channels of the layout, or one score, for every frame."""
        *hidden, last = self.assembled() if layers is None else layers
        for layer in hidden:
            x = nn.functional.leaky_relu(layer(x), LEAKY_SLOPE, inplace=True)
        return last(x)

    def input_gradient(self, x: Float[Tensor, "b c t"], layers: Sequence[Assembled]) -> Float[Tensor, "b c t"]:
        """Return the gradient of a critic's summed score with respect to ``x``, itself with gradients to the weights.

        It is the pass backward through the layers, written out. The slopes of the activations, 1 or 0.2, are constant
        where they have a derivative: nothing flows back through the pass forward, which is what double backward does.
        """
        *hidden, last = layers
        activations = []
        with torch.no_grad():
            for layer in hidden:
                x = nn.functional.leaky_relu(layer(x), LEAKY_SLOPE, inplace=True)
                activations.append(x)
        g = last.transpose(torch.ones_like(x[:1, :1]))
        for layer, x in zip(hidden[::-1], activations[::-1], strict=True):
            g = layer.transpose(torch.ops.aten.leaky_relu_backward(g.expand_as(x), x, LEAKY_SLOPE, True))
        return g


class GanimatorPyramid(nn.Module):
    """One generator and one critic for every level, and ``reconstruction_noise`` [1, C, T1]."""

    reconstruction_noise: Tensor

    def __init__(self, skeleton: Skeleton, lengths: list[int]):
        super().__init__()
        near = adjacency(skeleton)
        self.generators = nn.ModuleList([GanimatorNet(near, False) for _ in lengths])
        self.critics = nn.ModuleList([GanimatorNet(near, True) for _ in lengths])
        channels = 6 * len(near)
        self.register_buffer("reconstruction_noise", torch.zeros(1, channels, lengths[0]))

    def transfer(self, source: int, target: int, critics: bool) -> None:
        """Copy the first two layers of one level's generator, and critic, to another's (cross-stage transfer)."""
        for nets in (self.generators, self.critics) if critics else (self.generators,):
            for layer in ("layers.0", "layers.1"):
                weights = nets[source].get_submodule(layer).state_dict()
                nets[target].get_submodule(layer).load_state_dict(weights)

    def critic(self, level: int) -> GanimatorNet:
        """Return the critic of a level."""
        return cast(GanimatorNet, self.critics[level])

    def generator(self, level: int) -> GanimatorNet:
        """Return the generator of a level."""
        return cast(GanimatorNet, self.generators[level])

    # --- the pyramid
    def step(
        self,
        level: int,
        below: Float[Tensor, "b c t"],
        noise: Float[Tensor, "b e t"] | float = 0.0,
        layers: Sequence[Assembled] | None = None,
    ) -> Float[Tensor, "b c t"]:
        """Apply one generator to the upsampled level below, with noise, as a residual (GANimator)."""
        return widened(self.generator(level)(below + noise, layers)) + below

    @staticmethod
    def upsample(x: Float[Tensor, "b c t"], frames: int) -> Float[Tensor, "b c s"]:
        """Resample linearly; frames are points, as in the papers, and not averages."""
        return x if x.shape[-1] == frames else nn.functional.interpolate(x, frames, mode="linear")
