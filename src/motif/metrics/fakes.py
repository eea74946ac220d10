"""Negative controls: five "generators" that have learned nothing.

Each is as easy to make as it is worthless to an animator. They are scored beside every recipe in the benchmark, where a
measure that prefers one of them to real held-out motion of the same performer is marked.
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
    generator = torch.Generator().manual_seed(seed)
    size = min(max(round(seconds * clip.fps), 2), len(clip))
    count = -(-frames // size)
    starts = torch.randint(len(clip) - size + 1, (count,), generator=generator).tolist()
    pieces = [clip.crop(s, s + size) for s in starts]
    return joined(pieces).crop(0, frames)


def frozen(clip: Motion, frames: int, seed: int) -> Motion:
    """Return the clip's mean pose, standing still."""
    mean = rotation.from_sixd(rotation.to_sixd(clip.rotations).mean(0, keepdim=True))
    return replace(clip, rotations=mean, positions=clip.positions.mean(0, keepdim=True)).select(
        torch.zeros(frames, dtype=torch.long)
    )


def slow(clip: Motion, frames: int, seed: int) -> Motion:
    """Repeat the clip at half its speed."""
    return copy(clip.interpolate(torch.arange(2 * len(clip) - 1) / 2), frames, seed)


def joined(pieces: Sequence[Motion]) -> Motion:
    """Put pieces end to end with hard cuts, each placed and turned so that it begins where the last one ended."""
    placed = [pieces[0]]
    for piece in pieces[1:]:
        last = placed[-1]
        turn = float(last.heading()[-1] - piece.heading()[0])
        piece = piece.transform(turn)
        s = piece.skeleton
        shift = last.world()[1][-1, s.root] - piece.world()[1][0, s.root]
        placed.append(piece.transform(0.0, (float(shift[0]), 0.0, float(shift[2]))))
    return replace(
        placed[0],
        rotations=torch.cat([p.rotations for p in placed]),
        positions=torch.cat([p.positions for p in placed]),
    )


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
