"""The matcher against the plain NumPy form of the same algorithm, taking turns in one process.

Run as ``python benchmarks/matcher.py [CLIP]``; the clip that ships with motif is taken if none is given. The plain form
(GenMM as it is usually written) unfolds every patch into a row of all features and multiplies rows with rows. Both
start from the same pieces and do the same rounds at the same levels. The floor is what the products alone cost.
"""

from collections.abc import Callable

import numpy as np
import torch
from common import medians, one_clip, options, timed

from motif import matching, parallel, resample
from motif.matching.synthesize import MIN_PIECE, TakePlan, match
from motif.request import Request
from motif.seeds import take_rng


def unfold(x: np.ndarray, size: int) -> np.ndarray:
    """Return all patches of ``size`` frames of [T, D] as rows [T - size + 1, size * D]."""
    rows = np.lib.stride_tricks.sliding_window_view(x, size, axis=0)
    return rows.transpose(0, 2, 1).reshape(len(x) - size + 1, -1)


def nearest(x: np.ndarray, database: np.ndarray, size: int, alpha: float) -> np.ndarray:
    """Return for each patch of ``x`` the patch of the database of least D_ij / (alpha + min_i D_ij)."""
    a, b = unfold(x, size), unfold(database, size)
    d = ((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T).clip(0) / size
    return (d / (alpha + d.min(0))).argmin(1)


def level_ratios(plan: TakePlan) -> list[float]:
    """Return the rate of each level as a fraction of the finest."""
    rate, frames = plan.exemplar.rate, len(plan.exemplar.fine[0])
    slowest = rate * min(max(plan.config.coarsest, 1.5) * plan.patch / frames, 1.0)
    return [level / rate for level in resample.level_rates(rate, slowest)]


def plain(plan: TakePlan, fine: np.ndarray) -> np.ndarray:
    """Return the patches of one take at the finest level, in NumPy."""
    exemplar, config, size, length = plan.exemplar, plan.config, plan.patch, plan.length
    x = indices = None
    for ratio in level_ratios(plan):
        database = resample.resize(torch.from_numpy(fine), max(round(len(fine) * ratio), size))
        count = max(round(length * ratio), size)
        if x is None:
            least, random = round(MIN_PIECE * exemplar.rate * ratio), take_rng(plan.request.seed, 0)
            x = matching.shuffled(database, count, size, least, config.reorder, random).numpy()
        x = resample.resize(torch.from_numpy(x), count).numpy()
        alpha = config.alpha(ratio) * matching.mean_distance(torch.from_numpy(x)[None], database)
        frames = database.numpy()
        for _ in range(config.rounds):
            indices = nearest(x, frames, size, alpha)
            total, cover = np.zeros_like(x), np.zeros((len(x), 1), x.dtype)
            for s in range(size):
                total[s : s + len(indices)] += frames[indices + s]
                cover[s : s + len(indices)] += 1
            x = total / cover
    assert indices is not None
    return indices


def main() -> None:
    """Measure and print."""
    given = options(__doc__, "clip?", rounds=5)
    clip, config = one_clip(given.clip), matching.MatchConfig()
    exemplar = matching.prepare([clip], config.rate)
    frames = len(exemplar.fine[0])
    length = 2 * frames
    axes = matching.pca(exemplar, length=length).clips[0].numpy()
    channels = (exemplar.fine[0] * exemplar.features.channel_weights()).numpy()

    def plan(n: int) -> TakePlan:
        return TakePlan(exemplar, Request(n=n, seed=1), config, length * exemplar.stride, length)

    def ours(n: int) -> Callable[[], torch.Tensor]:
        def task() -> torch.Tensor:
            with parallel.single_thread():
                return match(plan(n))

        return task

    tasks = {
        "motif, 1 take": (ours(1), 1),
        "motif, 4 takes in one pass": (ours(4), 4),
        "plain NumPy, all features": (lambda: plain(plan(1), channels), 1),
        "plain NumPy, motif's principal axes": (lambda: plain(plan(1), axes), 1),
    }
    ours(1)()
    times = medians({name: task for name, (task, _) in tasks.items()}, given.rounds, pause=0.3)
    times = {name: seconds / tasks[name][1] for name, seconds in times.items()}
    print(
        f"{clip.name}: {frames} frames at {exemplar.rate:g} Hz, {length} made; {channels.shape[1]} channels, ", end=""
    )
    print(f"{axes.shape[1]} axes; torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name, took in times.items():
        print(f"  {name:<38}{took * 1e3:8.1f} ms a take   {took / times['motif, 4 takes in one pass']:6.1f} x")
    same = np.mean(plain(plan(1), axes) == ours(1)()[0].numpy())
    print(f"  same patches as the plain form in the same axes: {same:.2%}")
    work = sum(ratio**2 for ratio in level_ratios(plan(1)))
    flops = 2.0 * config.rounds * work * length * frames * axes.shape[1]
    a, b = torch.randn(length, 1024), torch.randn(1024, frames)
    speed = 2.0 * length * frames * 1024 / min(timed(lambda: a @ b)[1] for _ in range(10))
    floor = f"{flops / 1e9:.2f} GFLOP, {flops / speed * 1e3:.1f} ms at {speed / 1e9:.0f} GFLOP/s"
    print(f"  floor, products alone: {floor}")


if __name__ == "__main__":
    main()
