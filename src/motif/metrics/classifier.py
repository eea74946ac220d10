"""Can a classifier tell takes from the exemplar? The two-sample test C2ST of Lopez-Paz and Oquab (2017).

Windows of one second are described by random convolutions (ROCKET, Dempster et al. 2020: the share of positive values
and the largest value of each), and a ridge regression tells the two sides apart. Both are fast and have no random
training: the same motion gives the same number. The area under the ROC curve is told instead of the accuracy, because
one clip has few windows and takes have many.

No window leaks. The exemplar's time is cut into blocks; each is tested by a classifier that saw neither it nor a second
to its sides. A window of a take that is nearly a copy of an exemplar window goes into the block of what it copies,
else a copy would be recognised by its twin on the other side, which scores below chance and hides what is wrong.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .. import parallel, rotation
from .body import Body
from .realism import TOLERANCE, Match, poses, stride

BLOCKS = 5
"""Parts of the exemplar's time that are held out in turn."""
KERNELS, TAPS, DILATIONS = 192, 7, (1, 2, 4)
"""Random convolutions for each dilation, and their length in frames."""
WINDOWS = 3000
"""Windows of takes used at most."""


def channels(body: Body) -> Float[Tensor, "t d"]:
    """What the classifier sees, in body heights: poses, their velocity and acceleration, and how contacts move.

    Velocities and accelerations are per frame of :func:`poses` and scaled to be as large as the poses' differences.
    """
    s, step = body.skeleton, stride(body)
    where = poses(body).flatten(1) / s.height
    contacts = body.world[::step, list(s.contacts)] / s.height
    root = body.world[::step, s.root] / s.height
    moved = torch.cat((root[:, None], contacts), 1).diff(dim=0)
    level = rotation.about("y", -body.heading[::step])[1:, None]
    moved = rotation.rotate(level, moved).flatten(1)
    moved = torch.cat((moved[:1], moved))
    first, second = (torch.nn.functional.pad(where.diff(n=n, dim=0), (0, 0, n, 0)) for n in (1, 2))
    return torch.cat((where, first, second, moved), -1)


def auc(real: Float[Tensor, "n"], new: Float[Tensor, "m"]) -> float:
    """Area under the ROC curve: the chance that a new window's value exceeds a real one's; ties count half."""
    above = (new[:, None] > real).float() + 0.5 * (new[:, None] == real).float()
    return float(above.mean())


def describe(
    sequences: Sequence[Float[Tensor, "_t d"]], window: int, hops: Sequence[int]
) -> list[Float[Tensor, "_windows f"]]:
    """Random-convolution features of the windows of each sequence, at its hop; at most ``t - window + 1`` windows."""
    random = torch.Generator().manual_seed(0)
    width = sequences[0].shape[1]
    kernels = []
    for dilation in DILATIONS:
        if (TAPS - 1) * dilation >= window:
            break
        weight = torch.zeros(KERNELS, width, TAPS)
        for k in range(KERNELS):
            some = torch.randperm(width, generator=random)[:4]
            values = torch.randn(len(some), TAPS, generator=random)
            weight[k, some] = values - values.mean()
        kernels.append((dilation, weight, torch.randn(KERNELS, generator=random)))

    def one(item: tuple[Tensor, int]) -> Float[Tensor, "windows f"]:
        sequence, hop = item
        found = []
        for dilation, weight, bias in kernels:
            reach = (TAPS - 1) * dilation
            out = torch.nn.functional.conv1d(sequence.T[None].float(), weight, bias, dilation=dilation)
            inside = window - reach
            found.append(torch.nn.functional.avg_pool1d((out > 0).float(), inside, hop))
            found.append(torch.nn.functional.max_pool1d(out, inside, hop))
        return torch.cat(found, 1)[0].T

    return parallel.parallel_map(one, zip(sequences, hops, strict=True))


def two_sample(takes: Sequence[Body], truth: Sequence[Body], matches: Sequence[Match]) -> float:
    """How surely takes are told from the exemplar: 0.5 not at all, 1 always.

    Args:
        takes: what is tested.
        truth: the exemplar clips.
        matches: how each take matches them.

    Returns:
        Mean area under the ROC curve over the held-out blocks; NaN where the exemplar has fewer than ``BLOCKS``
        seconds or the takes are shorter than one.
    """
    window = round(truth[0].motion.fps / stride(truth[0]))
    sides = [[channels(b) for b in side] for side in (takes, truth)]
    sides = [[s for s in side if len(s) >= window] for side in sides]
    matches = [m for m in matches if len(m.one)]
    frames = [sum(map(len, side)) for side in sides]
    if not sides[0] or frames[1] < BLOCKS * window or window < TAPS:
        return math.nan
    every = torch.cat(sides[1])
    scale = every.std(0).clamp_min(1e-3)
    scaled = [(s - every.mean(0)) / scale for side in sides for s in side]
    hop = max(math.ceil(frames[0] / WINDOWS), window // 3)
    fine = max(math.ceil(frames[1] / WINDOWS), window // 6)
    hops = [hop] * len(sides[0]) + [fine] * len(sides[1])
    parts = describe(scaled, window, hops)
    new, real = torch.cat(parts[: len(sides[0])]), torch.cat(parts[len(sides[0]) :])
    total = sum(len(s) - window + 1 for s in sides[1])
    place, offset = [], 0
    for s in sides[1]:
        place.append(torch.arange(0, len(s) - window + 1, fine) + offset)
        offset += len(s) - window + 1
    height = truth[0].skeleton.height
    return _folds(real, torch.cat(place), new, _places(matches, hop, total, TOLERANCE * height), total, window)


def _places(matches: Sequence[Match], hop: int, total: int, near: float) -> Int[Tensor, "m"]:
    """For each window of the takes the place in the exemplar's time whose block it belongs to."""
    own = torch.cat([torch.linspace(0, total - 1, len(m.one))[::hop] for m in matches]).long()
    copied = torch.cat([m.where[::hop] for m in matches])
    close = torch.cat([m.one[::hop] < near for m in matches])
    found = torch.where(close, copied, own)
    crowd = torch.bincount(found * BLOCKS // total, minlength=BLOCKS)
    return own if crowd.max() > 0.7 * len(found) else found  # one pose throughout: its copies cannot be kept apart


def _folds(
    real: Float[Tensor, "n f"],
    real_place: Int[Tensor, "n"],
    new: Float[Tensor, "m f"],
    new_place: Int[Tensor, "m"],
    total: int,
    gap: int,
) -> float:
    """Mean area under the curve over the blocks in which both sides have windows to learn from and to test."""
    found = []
    for block in range(BLOCKS):
        low, high = block * total // BLOCKS, (block + 1) * total // BLOCKS

        def parts(place: Int[Tensor, "n"], low=low, high=high) -> tuple[Bool[Tensor, "n"], Bool[Tensor, "n"]]:
            return (place >= low) & (place < high), (place < low - gap) | (place >= high + gap)

        (real_test, real_learn), (new_test, new_learn) = parts(real_place), parts(new_place)
        if min(real_test.sum(), real_learn.sum(), new_test.sum(), new_learn.sum()) < 2:
            continue
        direction = _ridge(real[real_learn], new[new_learn])
        found.append(auc(real[real_test] @ direction, new[new_test] @ direction))
    return sum(found) / len(found) if found else math.nan


def _ridge(real: Float[Tensor, "n f"], new: Float[Tensor, "m f"]) -> Float[Tensor, "f"]:
    """The direction that tells the two best: least squares with both sides weighing the same, in standardised axes."""
    x = torch.cat((real, new))
    weight = torch.cat((torch.full((len(real),), 0.5 / len(real)), torch.full((len(new),), 0.5 / len(new))))[:, None]
    middle = (weight * x).sum(0)
    spread = ((weight * (x - middle) ** 2).sum(0)).sqrt().clamp_min(1e-4)
    x = (x - middle) / spread * weight.sqrt()
    y = torch.cat((-torch.ones(len(real)), torch.ones(len(new)))) * weight[:, 0].sqrt()
    square = x.T @ x + 0.3 * torch.eye(x.shape[1])
    return torch.linalg.solve(square, x.T @ y) / spread
