"""Can a classifier tell takes from the exemplar? The two-sample test C2ST of Lopez-Paz and Oquab (2017).

Windows of one second are described by random convolutions (ROCKET, Dempster et al. 2020: the share of positive values
and the largest value of each), and a ridge regression tells the two sides apart: fast, and always the same number. The
area under the ROC curve is given, not the accuracy, because one clip has few windows and takes have many.

No window leaks. The exemplar's time is cut into blocks; each is tested by a classifier trained on neither it nor a
second to its sides. A window of a take that is nearly a copy goes into the block of what it copies, else it would be
recognised by its twin on the other side, which scores below chance and hides faults.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .. import parallel, rotation, windows
from .body import Body
from .realism import Match

BLOCKS = 5  # parts of the exemplar's time that are held out in turn
KERNELS, TAPS, DILATIONS = 192, 7, (1, 2, 4)  # random convolutions for each dilation, and their length in frames
WINDOWS = 3000  # windows of takes used at most


def channels(body: Body) -> Float[Tensor, "t d"]:
    """Return the classifier's input, in body heights: poses, their first and second differences, contact velocities."""
    s, step = body.skeleton, windows.stride(body.motion.fps)
    poses = body.poses.flatten(1) / s.height
    moves = (body.world[::step, [s.root, *s.contacts]] / s.height).diff(dim=0)
    moves = rotation.rotate(rotation.about("y", -body.heading[::step])[1:, None], moves).flatten(1)
    first, second = (torch.nn.functional.pad(poses.diff(n=n, dim=0), (0, 0, n, 0)) for n in (1, 2))
    return torch.cat((poses, first, second, torch.cat((moves[:1], moves))), -1)


def auc(real: Float[Tensor, "n"], new: Float[Tensor, "m"]) -> float:
    """Return the area under the ROC curve: the chance that a new value exceeds a real one; ties count half."""
    return float(((new[:, None] > real).float() + 0.5 * (new[:, None] == real).float()).mean())


def random_convolutions(
    sequences: Sequence[Float[Tensor, "_t d"]], window: int, hops: Sequence[int]
) -> list[Float[Tensor, "_windows f"]]:
    """Return random-convolution features of the windows of each sequence, every so many frames (its hop)."""
    generator, width, kernels = torch.Generator().manual_seed(0), sequences[0].shape[1], []
    for dilation in (d for d in DILATIONS if (TAPS - 1) * d < window):
        weight = torch.zeros(KERNELS, width, TAPS)
        for k in range(KERNELS):
            inputs = torch.randperm(width, generator=generator)[:4]
            values = torch.randn(len(inputs), TAPS, generator=generator)
            weight[k, inputs] = values - values.mean()
        kernels.append((dilation, weight, torch.randn(KERNELS, generator=generator)))

    def convolved(item: tuple[Tensor, int]) -> Float[Tensor, "windows f"]:
        (sequence, hop), found = item, []
        x = sequence.T[None].float()
        for dilation, weight, bias in kernels:
            out = torch.nn.functional.conv1d(x, weight.to(x.device), bias.to(x.device), dilation=dilation)
            size = window - (TAPS - 1) * dilation
            share = torch.nn.functional.avg_pool1d((out > 0).float(), size, hop)
            found += [share, torch.nn.functional.max_pool1d(out, size, hop)]
        return torch.cat(found, 1)[0].T

    return parallel.parallel_map(convolved, zip(sequences, hops, strict=True))


def two_sample(takes: Sequence[Body], exemplar: Sequence[Body], matches: Sequence[Match]) -> float:
    """Return how surely a classifier tells takes from the exemplar clips: 0.5 not at all, 1 always.

    The mean area under the ROC curve over the held-out blocks; NaN where the exemplar has fewer than ``BLOCKS`` seconds
    or all takes (whose matches are given) are shorter than one.
    """
    fps = exemplar[0].motion.fps
    window = round(fps / windows.stride(fps))
    new, real = ([x for x in map(channels, side) if len(x) >= window] for side in (takes, exemplar))
    if not new or sum(map(len, real)) < BLOCKS * window or window < TAPS:
        return math.nan
    every = torch.cat(real)
    mean, scale = every.mean(0), every.std(0).clamp_min(1e-3)
    hop = max(math.ceil(sum(map(len, new)) / WINDOWS), window // 3)
    fine = max(math.ceil(len(every) / WINDOWS), window // 6)
    hops = [hop] * len(new) + [fine] * len(real)
    found = random_convolutions([(x - mean) / scale for x in (*new, *real)], window, hops)
    counts = [len(x) - window + 1 for x in real]
    total, near = sum(counts), windows.TOLERANCE * exemplar[0].skeleton.height
    starts = torch.cat([torch.arange(0, count, fine) + sum(counts[:k]) for k, count in enumerate(counts)])
    new_starts = _take_starts([m for m in matches if len(m.errors)], hop, total, near)
    return _held_out_auc(torch.cat(found[len(new) :]), starts, torch.cat(found[: len(new)]), new_starts, total, window)


def _take_starts(matches: Sequence[Match], hop: int, total: int, near: float) -> Int[Tensor, "m"]:
    """Return for each window of the takes the window of the exemplar in whose block it is tested."""
    own = torch.cat([torch.linspace(0, total - 1, len(m.errors))[::hop] for m in matches]).long()
    close = torch.cat([m.errors[::hop] < near for m in matches])
    found = torch.where(close, torch.cat([m.nearest[::hop] for m in matches]), own)
    largest = torch.bincount(found * BLOCKS // total, minlength=BLOCKS).max()
    return own if largest > 0.7 * len(found) else found  # one pose throughout: its copies cannot be kept apart


def _held_out_auc(real: Tensor, real_starts: Tensor, new: Tensor, new_starts: Tensor, total: int, gap: int) -> float:
    """Return the mean area under the curve over the blocks in which both sides have windows for training and test."""
    found = []
    for block in range(BLOCKS):
        low, high = block * total // BLOCKS, (block + 1) * total // BLOCKS
        real_test, new_test = ((at >= low) & (at < high) for at in (real_starts, new_starts))
        real_train, new_train = ((at < low - gap) | (at >= high + gap) for at in (real_starts, new_starts))
        if min(real_test.sum(), real_train.sum(), new_test.sum(), new_train.sum()) >= 2:
            direction = _ridge(real[real_train], new[new_train])
            found.append(auc(real[real_test] @ direction, new[new_test] @ direction))
    return sum(found) / len(found) if found else math.nan


def _ridge(real: Float[Tensor, "n f"], new: Float[Tensor, "m f"]) -> Float[Tensor, "f"]:
    """Return the direction of ridge regression that separates the two, weighed alike, in standardised axes."""
    x = torch.cat((real, new))
    weight = torch.cat([torch.full((len(side), 1), 0.5 / len(side)) for side in (real, new)])
    middle = (weight * x).sum(0)
    spread = (weight * (x - middle) ** 2).sum(0).sqrt().clamp_min(1e-4)
    x = (x - middle) / spread * weight.sqrt()
    y = torch.cat((-torch.ones(len(real)), torch.ones(len(new)))) * weight[:, 0].sqrt()
    return torch.linalg.solve(x.T @ x + 0.3 * torch.eye(x.shape[1]), x.T @ y) / spread
