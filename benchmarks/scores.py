"""What scoring costs, and the published measures against their definition as the papers' code has it.

Run as ``python benchmarks/scores.py [CLIP]``. The definition fills the cost of every piece of the sample against
every stretch of the exemplar, ``group_cost[L, L + 1, T]``, and minimises over all of them (GANimator's Python and C++; here
both in NumPy, one vectorised step where theirs is a loop); coverage and local diversity compare windows by building them
all. It needs 8 L L T bytes, 8.7 GB for the salsa, so both run on a length that it can hold.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np

from motif import api, metrics
from motif.metrics import clip as papers


def slow(sample: np.ndarray, exemplar: np.ndarray) -> tuple[float, float, float]:
    """Coverage, global and local diversity by their definitions."""
    length, frames = len(sample), len(exemplar)
    cost = np.linalg.norm(sample[:, None] - exemplar[None], axis=-1)

    def nearest(a: np.ndarray, b: np.ndarray, window: int) -> np.ndarray:
        found = []
        for i in range(len(a) - window):
            total = [
                np.linalg.norm(a[i : i + window] - b[k : k + window], axis=-1).mean()
                for k in range(len(b) - window + 1)
            ]
            found.append(min(total))
        return np.array(found)

    group = np.full((length, length + 1, frames), np.inf)
    for start in range(length):
        group[start, start] = 0
        for stop in range(start + 1, min(start + frames, length) + 1):
            room = frames - (stop - start) + 1
            group[start, stop, :room] = group[start, stop - 1, :room] + cost[stop - 1, stop - 1 - start :][:room]
    best = np.full(length + 1, np.inf)
    best[0] = 0
    for stop in range(30, length + 1):
        best[stop] = (best[: stop - 29, None] + group[: stop - 29, stop]).min()
    covered = (nearest(exemplar, sample, 30) < 2.0).mean()
    return float(covered), float(best[length] / length), float(nearest(sample, exemplar, 15).mean())


def seconds(task: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", nargs="?")
    parser.add_argument("--takes", type=int, default=20)
    parser.add_argument("--frames", type=int, default=160, help="of the exemplar that the definition is given")
    options = parser.parse_args()
    clip = api.load(options.clip) if options.clip else api.demo_clip()
    takes = api.vary(clip, n=options.takes, seed=1)
    times = [seconds(lambda: metrics.report(takes, [clip])) for _ in range(3)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{clip.name}: {len(takes)} takes of {len(takes[0])} frames at {clip.fps:.0f} fps, {len(clip.skeleton)} joints"
    )
    print(f"  all measures: {statistics.median(times):.2f} s (median of 3), peak memory {memory:.2f} GB with matching")
    samples, exemplars, _ = papers.channels(takes[:1], [clip])
    sample, exemplar = samples[0][: 2 * options.frames], exemplars[0][: options.frames]
    fast, plain = [], []
    for _ in range(3):
        fast.append(seconds(lambda: papers.published(sample, exemplar)))
        plain.append(seconds(lambda: slow(sample, exemplar)))
    ours, theirs = papers.published(sample, exemplar), slow(sample, exemplar)
    print(
        f"  published three, {len(sample)} frames against {len(exemplar)}: {statistics.median(fast) * 1e3:.1f} ms, ",
        end="",
    )
    print(
        f"by definition {statistics.median(plain):.2f} s, ratio {statistics.median(plain) / statistics.median(fast):.0f}"
    )
    print(f"  {ours}\n  by definition {theirs}")


if __name__ == "__main__":
    main()
