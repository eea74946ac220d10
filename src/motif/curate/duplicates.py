"""Near-duplicates and mirrored copies, found by an index over short descriptions of clips."""

import functools
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import rotation
from ..errors import MotifError
from ..motion import Motion
from ..skeleton import Skeleton

FRAMES = 16  # moments of a clip, evenly spaced, that it is described by
KEYS = 8  # joints that a pose is told by
LENGTH = 0.02  # share by which lengths of copies may differ
ALIKE = 0.12  # body heights: clips that are this near to each other share their weight


@functools.lru_cache(maxsize=256)
def key_joints(s: Skeleton) -> tuple[int, ...]:
    """Return joints that a pose is told by, each as far as can be from those before, along the bones.

    Names, parents and offsets alone decide: what a clip shows of its rig is not the same in every file.
    """
    below = s.subtree(s.root)
    to_root = dict.fromkeys(below, 0.0)
    for j in below[1:]:
        to_root[j] = to_root[s.parents[j]] + s.bone_length[j]
    above = {j: set(s.ancestors(j)) for j in below}

    def apart(a: int, b: int) -> float:
        meet = max(above[a] & above[b] & set(below), key=lambda j: (to_root[j], j))
        return to_root[a] + to_root[b] - 2 * to_root[meet]

    chosen = [s.root]
    while len(chosen) < min(KEYS, len(below)):
        chosen.append(max(below, key=lambda j: (round(min(apart(j, c) for c in chosen), 4), -j)))
    return tuple(chosen)


def size_of(s: Skeleton) -> float:
    """Return about the height of a body, metres: 1.4 times its longest chain of bones, whatever pose it stands in."""
    return 1.4 * max(s.chain_length[s.root], 1e-6)


def sketch(motion: Motion) -> Float[Tensor, "2 n"]:
    """Return a clip and its mirror image as points: key joints at ``FRAMES`` moments, in body heights.

    The distance of two points over the square root of ``FRAMES * KEYS`` is that of the joints, root mean square. The
    body starts over the origin, its left side towards +X. The image is the clip itself on a rig without sides.
    """
    s, world = motion.skeleton, motion.world()[1]
    at = torch.linspace(0, len(world) - 1, FRAMES).round().long()
    joints, flip = list(key_joints(s)), world.new_tensor([-1.0, 1.0, 1.0])
    found = torch.zeros(2, FRAMES * KEYS * 3)
    for k, mirrored in enumerate((False, bool(s.left))):
        p = world[:, list(s.mirror)] * flip if mirrored else world
        across = (
            p[0, list(s.left)].mean(0) - p[0, [s.mirror[j] for j in s.left]].mean(0) if s.left else p[0, -1] - p[0, 0]
        )
        turn = rotation.about("y", torch.atan2(across[2], across[0]))
        place = p[:1, s.root : s.root + 1] * p.new_tensor([1.0, 0.0, 1.0])
        placed = rotation.rotate(turn, p[at][:, joints] - place)
        placed[..., 1] -= float(p[..., 1].amin())
        found[k, : placed.numel()] = placed.flatten() / size_of(s)
    return found


def tree_of(points: np.ndarray):
    """Return an index of points, [K, D]."""
    try:
        from scipy.spatial import KDTree
    except ImportError:
        raise MotifError("finding duplicates needs scipy, which is not installed; pip install 'motif[data]'") from None
    return KDTree(points)


def project(points: Float[np.ndarray, "k n"], dims: int = 12) -> Float[np.ndarray, "k d"]:
    """Return points in fewer dimensions, none of them farther apart than before: fixed orthogonal directions."""
    n = points.shape[1]
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((n, min(dims, n))))[0]
    return np.ascontiguousarray(points @ axes)


def pairs(
    points: Float[np.ndarray, "k n"], images: Float[np.ndarray, "k n"], seconds: np.ndarray, radius: float
) -> Iterator[tuple[int, int]]:
    """Yield (earlier, later) clips of which one image is within a radius of the other, of nearly the same length."""
    limit = radius * np.sqrt(FRAMES * KEYS)
    low, low_images = project(points), project(images)
    tree = tree_of(low)
    for k in range(len(points)):
        near = tree.query_ball_point(low_images[k], limit + 1e-9)
        for other in sorted(n for n in near if n != k):
            close = float(np.linalg.norm(points[other] - images[k])) <= limit
            if close and abs(seconds[k] - seconds[other]) <= LENGTH * max(seconds[k], seconds[other]):
                yield min(k, other), max(k, other)


def crowding(points: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k"]:
    """Return for each clip how many are much like it, itself included."""
    low = project(points)
    radius = ALIKE * np.sqrt(FRAMES * KEYS) * np.sqrt(low.shape[1] / points.shape[1])
    return np.asarray(tree_of(low).query_ball_point(low, radius, return_length=True), float)
