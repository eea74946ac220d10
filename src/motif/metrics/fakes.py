"""Negative controls: five "generators" that have learned nothing, worthless to an animator.

The benchmark scores them beside every recipe, and marks measures that prefer one to real held-out motion.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from .. import rotation
from ..motion import Motion


def copy(clip: Motion, frames: int, seed: int) -> Motion:
    """Repeat the clip, with a hard cut where it begins again where it ended."""
    return joined([clip] * -(-frames // len(clip))).crop(0, frames)


def jitter(clip: Motion, frames: int, seed: int, degrees: float = 4.0) -> Motion:
    """Return a copy with noise on every joint in every frame (about 0.1 on each channel of the papers' features)."""
    motion = copy(clip, frames, seed)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((*motion.rotations.shape[:2], 3), generator=generator) * (degrees * torch.pi / 180)
    return replace(motion, rotations=rotation.mul(motion.rotations, rotation.exp(noise)))


def shuffle(clip: Motion, frames: int, seed: int, seconds: float = 0.5) -> Motion:
    """Put pieces of the clip end to end in random order, with hard cuts."""
    size = min(max(round(seconds * clip.fps), 2), len(clip))
    generator, count = torch.Generator().manual_seed(seed), -(-frames // size)
    starts = torch.randint(len(clip) - size + 1, (count,), generator=generator).tolist()
    return joined([clip.crop(s, s + size) for s in starts]).crop(0, frames)


def frozen(clip: Motion, frames: int, seed: int) -> Motion:
    """Return the clip's mean pose, standing still."""
    mean = rotation.from_sixd(rotation.to_sixd(clip.rotations).mean(0))
    rotations, positions = (x.repeat(frames, 1, 1) for x in (mean, clip.positions.mean(0)))
    return replace(clip, rotations=rotations, positions=positions)


def slow(clip: Motion, frames: int, seed: int) -> Motion:
    """Repeat the clip at half its speed."""
    return copy(clip.interpolate(torch.arange(2 * len(clip) - 1) / 2), frames, seed)


def joined(pieces: Sequence[Motion]) -> Motion:
    """Put pieces end to end with hard cuts, each placed and turned so that it begins where the last one ended."""
    placed = [pieces[0]]
    for piece in pieces[1:]:
        last, root = placed[-1], piece.skeleton.root
        piece = piece.transform(float(last.heading()[-1] - piece.heading()[0]))
        x, _, z = (last.world()[1][-1, root] - piece.world()[1][0, root]).tolist()
        placed.append(piece.transform(translation=(x, 0.0, z)))
    rotations, positions = (torch.cat([getattr(p, k) for p in placed]) for k in ("rotations", "positions"))
    return replace(pieces[0], rotations=rotations, positions=positions)


FAKES: dict[str, Callable[[Motion, int, int], Motion]] = {
    "copy": copy,
    "copy + noise": jitter,
    "shuffled pieces": shuffle,
    "frozen mean pose": frozen,
    "slow motion": slow,
}
"""By name: functions of a clip, the number of frames to make, and a seed."""


def takes(name: str, clips: Sequence[Motion], n: int, frames: int | None = None) -> list[Motion]:
    """Return ``n`` takes of one control, from the clips in turn, as long as their clip if ``frames`` is not given."""
    made = [FAKES[name](clip, frames or len(clip), seed) for seed, clip in zip(range(n), itertools.cycle(clips))]
    return [replace(m, name=f"{name} {k + 1}") for k, m in enumerate(made)]
