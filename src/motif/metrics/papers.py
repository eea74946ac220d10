"""The measures of single-clip papers, exactly as their code has them, for comparison with published numbers only.

Coverage and the diversities are won by noise and, on calm clips, by a frozen pose: the threshold of 2.0 is near the
median distance of two frames of a clip. Motif is developed by :mod:`~motif.metrics.realism` and ``physical``.

The papers compare raw 6D rotations and contact labels, at 30 fps, without the root's path, with the Euclidean distance:
168 channels on the 24-joint Mixamo rig. Rigs that the papers do not name get the same parts of motif's own features.
"""

import collections
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from .. import parallel
from ..errors import MotifError
from ..features import Features
from ..motion import Motion
from ..paper_features import PaperFeatures

COVERAGE_WINDOW, GLOBAL_WINDOW, LOCAL_WINDOW = 30, 30, 15  # frames; GANimator (Li et al. 2022)
THRESHOLD = 2.0  # mean distance a frame below which a window counts as covered; GANimator

Frames = Float[np.ndarray, "_t d"]


def channels(motions: Sequence[Motion], against: Sequence[Motion]) -> tuple[list[Frames], list[Frames], str]:
    """Return the compared channels of takes and of exemplar clips, and the name of their layout.

    ``paper``: the papers' channels without the root's path and padding, where the rig is one of theirs.
    ``own``: root tilt, rotations and contacts of :class:`~motif.features.Features`; heading-free, which theirs are not.
    """
    resampled = [m.resample(30.0) if abs(m.fps - 30) > 0.05 else m for m in (*motions, *against)]
    try:
        features, columns, name = PaperFeatures.of(against[0].skeleton), slice(-6), "paper"
    except MotifError:
        features, name = Features.of(resampled), "own"
        columns = np.r_[tuple(features.slices[part] for part in ("root_tilt", "rotations", "contacts"))]
    found = parallel.parallel_map(lambda m: features.encode(m)[:, columns].double().numpy(), resampled)
    return found[: len(motions)], found[len(motions) :], name


def distances(a: Frames, b: Frames) -> Float[np.ndarray, "_n _m"]:
    """Return the Euclidean distance between every two frames."""
    square = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * (a @ b.T)
    return np.sqrt(np.maximum(square, 0, out=square), out=square)


class Published(NamedTuple):
    """Coverage, global and local diversity of one sample."""

    coverage: float
    """GANimator: share of the exemplar's windows of 30 frames (but the last, as in their code) within 2.0
    of a window of the sample. The code published with the 2024 paper swaps the roles: that is a precision."""
    global_diversity: float
    """GANimator's "patched nearest neighbour": the sample is cut into pieces of at least 30 frames, each matched to
    the exemplar, so that the mean distance a frame is least. Higher is called better; noise is best."""
    local_diversity: float
    """GANimator: mean distance of the sample's windows of 15 frames (but the last) to the nearest of the exemplar."""


def compare(sample: Frames, exemplar: Frames) -> Published:
    """Return all three, in one pass over the L frames of the sample for the T of the exemplar; NaN where one is short.

    The definition of global diversity minimises over all pieces at once; along a diagonal of the distance matrix the
    best beginning of a piece is a running minimum, so one value a diagonal is enough: time O(L T D), memory O(T)
    beside a block of distances.
    """
    length, frames, span, small = len(sample), len(exemplar), GLOBAL_WINDOW, LOCAL_WINDOW
    sums = np.zeros(frames + 1)
    """``sums[k]``: distances along the diagonal that ends before frame k of the exemplar and frame i of the sample."""
    ring = collections.deque([sums], span + 1)
    best = np.array([0.0] + [np.inf] * length)
    begin = np.full(length + frames + 1, np.inf)
    """Per diagonal (k - i + L) the least ``best[l] - sums`` where a piece may have begun."""
    covered = np.full(max(frames - COVERAGE_WINDOW + 1, 0), np.inf)
    local = np.full(max(length - small + 1, 0), np.inf)
    block = np.empty((0, frames))
    for i in range(1, length + 1):
        if (i - 1) % 256 == 0:
            block = distances(sample[i - 1 : i + 255], exemplar)
        sums = np.concatenate(([0.0], sums[:-1] + block[(i - 1) % 256]))
        ring.append(sums)
        if i >= small and frames >= small:
            local[i - small] = (sums[small:] - ring[-small - 1][:-small]).min() / small
        if i >= span and frames >= span:
            old, begun = ring[-span - 1], i - span
            np.minimum(covered, (sums[span:] - old[:-span]) / span, out=covered)
            place = slice(length - begun, length - begun + frames + 1)
            np.minimum(begin[place], best[begun] - old, out=begin[place])
            best[i] = (sums[span:] + begin[length - i + span : length - i + frames + 1]).min()
    return Published(
        float((covered[:-1] < THRESHOLD).mean()) if len(covered) > 1 else math.nan,
        float(best[length] / length) if np.isfinite(best[length]) else math.nan,
        float(local[:-1].mean()) if len(local) > 1 and frames >= small else math.nan,
    )


def sequence_distance(a: Frames, b: Frames) -> float:
    """Return SinMDM's distance: the Frobenius norm over the *number* of frames, comparable at one length only."""
    n = min(len(a), len(b))
    return float(np.linalg.norm(a[:n] - b[:n]) / max(n, 1))


def inter_diversity(samples: Sequence[Frames]) -> float:
    """Return SinMDM's mean distance of each sample and the one before it (the first's is the last); NaN for one sample.

    The 2024 paper's code has another measure by that name: the distance of a sample's embedding to the exemplar's.
    """
    found = [sequence_distance(sample, samples[i - 1]) for i, sample in enumerate(samples)]
    return float(np.mean(found)) if len(samples) > 1 else math.nan


def intra_difference(samples: Sequence[Frames], exemplar: Frames, seed: int = 0, window: int = 15) -> float:
    """Return SinMDM's mean difference of the distances of two random windows of a sample and of the exemplar.

    One pair a sample is very noisy: with twenty samples it changes by a tenth from seed to seed. NaN for short ones.
    """
    if min(map(len, (exemplar, *samples))) < window:
        return math.nan
    rng = np.random.default_rng(seed)

    def diversity(x: Frames) -> float:
        a, b = rng.integers(0, len(x) - window + 1, 2)
        return sequence_distance(x[a : a + window], x[b : b + window])

    return float(np.mean([abs(diversity(s) - diversity(exemplar)) for s in samples]))


def frechet(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Return the squared Frechet distance of two Gaussian sets: |mean difference|^2 + tr(A + B - 2 (A B)^1/2)."""
    gap = a.mean(0) - b.mean(0)
    first, second = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    return float(gap @ gap + np.trace(first) + np.trace(second) - 2 * cross)


def sifid(samples: Sequence[Frames], exemplar: Frames, window: int = 20, hop: int = 10, axes: int = 8) -> float:
    """Return the single-image Frechet distance over windows of 20 frames, mean over samples (SinGAN, SinMDM).

    The papers embed windows with a text-to-motion encoder that is no longer published; here they are projected on the
    exemplar's first principal axes, so the values cannot be compared with theirs. The 2024 paper's library has another
    formula by that name (mean distance not squared, element-wise root). NaN for clips with too few windows.
    """

    def windows(x: Frames) -> Float[np.ndarray, "n f"]:
        rows = np.lib.stride_tricks.sliding_window_view(x, window, axis=0)[::hop]
        return rows.reshape(len(rows), -1)

    if min(map(len, (exemplar, *samples))) < window + 2 * hop:
        return math.nan
    real = windows(exemplar)
    middle = real.mean(0)
    basis = np.linalg.svd(real - middle, full_matrices=False)[2][:axes].T / math.sqrt(window)
    truth = (real - middle) @ basis
    return float(np.mean([frechet((windows(s) - middle) @ basis, truth) for s in samples]))


HIGHER_IS_BETTER = ("coverage", "global_diversity", "local_diversity", "inter_diversity")
"""Published measures of which more is called better; of ``sifid`` and ``intra_difference`` less is."""


def harmonic_mean(values: Mapping[str, float], normalisers: Mapping[str, float]) -> float:
    """Return SinMDM's harmonic mean of scores over their normaliser n, or for lower-is-better (n - x) / n.

    The authors' normaliser, the 90th percentile "over various architectures", is published for HumanML3D only: quote
    which were used (:func:`normalisers` makes them from a table). NaN where one score is not positive after that.
    """
    scaled = [(x if k in HIGHER_IS_BETTER else normalisers[k] - x) / normalisers[k] for k, x in values.items()]
    if not scaled or any(math.isnan(x) or x <= 0 for x in scaled):
        return math.nan
    return len(scaled) / sum(1 / x for x in scaled)


def normalisers(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the 90th percentile of every score over the rows of a table, without NaN."""
    return {k: float(np.nanpercentile([row[k] for row in rows], 90)) for k in rows[0]}


def measures(takes: Sequence[Motion], against: Sequence[Motion]) -> dict[str, float]:
    """Return the published measures of takes against the first exemplar clip: the papers have one clip only."""
    samples, (exemplar,), _ = channels(takes, against[:1])
    return measures_of_frames(samples, exemplar)


def measures_of_frames(samples: Sequence[Frames], exemplar: Frames) -> dict[str, float]:
    """Return the published measures of frames, such as a network's own output; :func:`measures` is of motions."""
    each = parallel.parallel_map(lambda s: compare(s, exemplar), samples)
    found = {k: float(np.mean([getattr(p, k) for p in each])) for k in Published._fields}
    found |= {"inter_diversity": inter_diversity(samples), "intra_difference": intra_difference(samples, exemplar)}
    return found | {"sifid": sifid(samples, exemplar)}


def rows(x: Float[Tensor, "c _t"]) -> Frames:
    """Return the compared channels of motion in the papers' channels: without the root's path and padding."""
    return x[:-6].T.double().numpy()
