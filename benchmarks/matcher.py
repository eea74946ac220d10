"""The matcher against the plain NumPy form of the same algorithm, taking turns in one process.

Run as ``python benchmarks/matcher.py [CLIP]``; the clip that ships with motif is taken if none is given. The plain form
(GenMM as it is usually written) unfolds every stretch into a row of all features and multiplies rows with rows. Both
start from the same pieces and do the same rounds at the same levels. The floor is what the products alone cost.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from motif import api, matching, parallel, resample
from motif.edit import Edit
from motif.matching import Exemplar
from motif.recipes.clip_match import ClipMatch


def unfold(x: np.ndarray, size: int) -> np.ndarray:
    """All stretches of ``size`` frames of [T, D] as rows [T - size + 1, size * D]."""
    rows = np.lib.stride_tricks.sliding_window_view(x, size, axis=0)
    return rows.transpose(0, 2, 1).reshape(len(x) - size + 1, -1)


def nearest(x: np.ndarray, bank: np.ndarray, size: int, alpha: float) -> np.ndarray:
    """For each stretch of ``x`` the bank's stretch of least D_ij / (alpha + min_i D_ij)."""
    a, b = unfold(x, size), unfold(bank, size)
    d = ((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T).clip(0) / size
    return (d / (alpha + d.min(0))).argmin(1)


def plain(recipe: ClipMatch, exemplar: Exemplar, fine: np.ndarray, length: int, seed: int) -> np.ndarray:
    """One take's places at the finest level, in NumPy."""
    size = recipe._patch(exemplar)
    slowest = exemplar.rate * min(max(recipe.coarsest * size / len(fine), 1.5 * size / len(fine)), 1.0)
    x = places = None
    for rate in resample.level_rates(exemplar.rate, slowest):
        share = rate / exemplar.rate
        bank = resample.resize(torch.from_numpy(fine), max(round(len(fine) * share), size))
        count = max(round(length * share), size)
        if x is None:
            x = recipe._shuffled(bank, count, size, round(matching.SHORTEST * rate), seed, 0).numpy()
        x = resample.resize(torch.from_numpy(x), count).numpy()
        scale = matching._mean_distance(torch.from_numpy(x)[None], bank)
        bank = bank.numpy()
        for _ in range(recipe.rounds):
            places = nearest(x, bank, size, recipe._alpha(share) * scale)
            total, cover = np.zeros_like(x), np.zeros((len(x), 1), x.dtype)
            for s in range(size):
                total[s : s + len(places)] += bank[places + s]
                cover[s : s + len(places)] += 1
            x = total / cover
    assert places is not None
    return places


def seconds(task: Callable[[], object]) -> float:
    """How long one call takes, once the threads of the call before have gone to sleep."""
    time.sleep(0.3)
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    clip = api.load(options.clip) if options.clip else api.demo_clip()
    recipe = ClipMatch()
    exemplar = recipe.prepare([clip])
    frames = len(exemplar.fine[0])
    length = 2 * frames
    ours = recipe.space(exemplar, Edit(), length, 1.0).clips[0].numpy()
    full = (exemplar.fine[0] * exemplar.features.channel_weights()).numpy()

    def batch(n: int) -> Callable[[], torch.Tensor]:
        def task() -> torch.Tensor:
            with parallel.single_thread():
                return recipe._match(exemplar, Edit(), n, length, 1, lambda done: None)

        return task

    tasks = {
        "motif, 1 take": (batch(1), 1),
        "motif, 4 takes in one pass": (batch(4), 4),
        "plain NumPy, all features": (lambda: plain(recipe, exemplar, full, length, 1), 1),
        "plain NumPy, motif's principal axes": (lambda: plain(recipe, exemplar, ours, length, 1), 1),
    }
    times: dict[str, list[float]] = {name: [] for name in tasks}
    batch(1)()
    for _ in range(options.rounds):
        for name, (task, takes) in tasks.items():
            times[name].append(seconds(task) / takes)
    print(f"{clip.name}: {frames} frames at {exemplar.rate:g} Hz, {length} made; {full.shape[1]} channels, ", end="")
    print(f"{ours.shape[1]} axes; torch {torch.__version__}, {torch.get_num_threads()} threads")
    base = statistics.median(times["motif, 4 takes in one pass"])
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"  {name:<38}{middle * 1e3:8.1f} ms a take   {middle / base:6.1f} x")
    same = np.mean(plain(recipe, exemplar, ours, length, 1) == batch(1)()[0].numpy())
    print(f"  same places as the plain form in the same axes: {same:.2%}")
    share = sum((r / exemplar.rate) ** 2 for r in resample.level_rates(exemplar.rate, exemplar.rate * 55 / frames))
    flops = 2.0 * recipe.rounds * share * length * frames * ours.shape[1]
    a, b = torch.randn(length, 1024), torch.randn(1024, frames)
    speed = 2.0 * length * frames * 1024 / min(seconds(lambda: a @ b) for _ in range(10))
    print(
        f"  floor, products alone: {flops / 1e9:.2f} GFLOP, {flops / speed * 1e3:.1f} ms at {speed / 1e9:.0f} GFLOP/s"
    )


if __name__ == "__main__":
    main()
