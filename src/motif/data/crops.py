"""Batches of real motion (:class:`motif.train.Batches`), drawn from a few clips in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import resample
from ..errors import MotifError
from ..train import Batches, Shard


@dataclass(frozen=True, eq=False)
class Crops(Batches):
    """Windows of clips, resampled to a coarser frame rate.

    A batch depends on the generator alone. Every process draws all windows and cuts its own share of them.
    """

    clips: Sequence[Float[Tensor, "_t d"]]
    batch: int
    frames: int
    """Of a window, at the coarser rate."""
    rate_ratio: float
    """Coarser rate over the clips' rate."""
    speed_jitter: float = 0.0
    """Windows are up to this fraction faster or slower than the clip."""

    def draw(self, generator: torch.Generator, shard: Shard) -> Float[Tensor, "b t d"]:
        """Draw the next batch."""
        check_shard(self.batch, shard)
        sizes, windows = torch.tensor([float(len(x)) for x in self.clips]), []
        for k in range(self.batch):
            x = self.clips[int(torch.multinomial(sizes, 1, generator=generator))]
            speed = 1 + self.speed_jitter * (2 * float(torch.rand(1, generator=generator)) - 1)
            length = min(max(round(self.frames / self.rate_ratio * speed), 2), len(x))
            start = int(torch.randint(len(x) - length + 1, (1,), generator=generator))
            if k % shard.count == shard.index:
                windows.append(resample.resize(x[start : start + length], self.frames))
        return torch.stack(windows)


@dataclass(frozen=True, eq=False)
class StretchedClip(Batches):
    """A batch of copies of one clip, all stretched by one random factor (SinMDM, as coded), and a seed for dropout."""

    clip: Float[Tensor, "c t"]
    batch: int
    stretch: float
    """Copies are up to this fraction longer or shorter than the clip."""

    def draw(self, generator: torch.Generator, shard: Shard) -> tuple[Float[Tensor, "b c s"], int]:
        """Draw the next batch and the seed."""
        seed = int(torch.randint(1 << 62, (1,), generator=generator))
        factor = 1 + self.stretch * (2 * float(torch.rand(1, generator=generator)) - 1)
        return stretch(self.clip, factor).expand(check_shard(self.batch, shard), -1, -1), seed + shard.index


def check_shard(batch: int, shard: Shard) -> int:
    """Return the size of an equal part of a batch."""
    if batch % shard.count:
        raise MotifError(f"batches of {batch} cannot be shared by {shard.count}; choose a multiple")
    return batch // shard.count


def stretch(clip: Float[Tensor, "c t"], factor: float) -> Float[Tensor, "c s"]:
    """Resample a clip to about ``factor`` times its length, a multiple of four frames, by cubic interpolation."""
    frames = max(4 * (round(clip.shape[1] * factor) // 4), 4)
    return nn.functional.interpolate(clip[None, :, None], (1, frames), mode="bicubic")[0, :, 0]
