"""Windows of a corpus for the training loop: streamed, in a new order every epoch, resumable.

An epoch is every window once. Row groups of the corpus are shuffled, some of them are held at a time (a *buffer*), and
the windows of a buffer are shuffled. So memory does not grow with the corpus, files are read in large pieces, and the
place in an epoch is one number.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from ..errors import MotifError
from ..motion import Motion, mirror_frames
from ..train import IterableBatches
from .corpus import Corpus, unpack

GROUPS = 32  # row groups held at a time
COLUMNS = ["id", "rig", "frames", "frame_time", "rotations", "moving", "positions"]


@dataclass(frozen=True, eq=False)
class _Index:
    """What is known of every window before any motion is read: numpy arrays, a few bytes a clip."""

    shards: list[Path]
    groups: list[tuple[int, int]]
    """Number of the shard and of the row group in it."""
    counts: np.ndarray
    """Windows in each row group."""
    starts: list[np.ndarray]
    """For each row group the row and the first frame of each of its windows, [w, 2]."""
    first: dict[int, tuple[int, int, int]]
    """Number of each rig's first clip: shard, row group and row."""


Window = tuple[int, int, int, bool]
"""Number of the row group in the index, row in it, first frame, and whether it is shown as its mirror image."""


@dataclass(eq=False)
class CorpusWindows:
    """Windows of the clips of a split, all of ``frames`` frames at ``fps``."""

    corpus: Corpus
    frames: int
    fps: float = 30.0
    stride: int = 0
    """Frames from one window of a clip to the next; half a window if 0. The last one ends with the clip."""
    split: str = "train"
    mirror: bool = True
    """Show every second window of a rig with sides as its mirror image, another half in the next epoch."""
    seed: int = 0

    def __post_init__(self):
        if self.frames < 2 or self.stride < 0:
            given = f"frames {self.frames}, stride {self.stride}"
            raise MotifError(f"windows of a corpus: {given}; give at least 2 and 0")
        self._rows: dict[tuple[int, int], list[dict[str, Any]]] = {}
        self._mirrors: dict[int, torch.Tensor] = {}

    def batches(self, size: int, collate: Callable[[list[Motion]], Any]) -> IterableBatches:
        """Return batches of ``size`` windows, as ``collate`` makes them of motions; a process reads its own share."""
        return IterableBatches(self.stream, size, lambda windows: collate([self.read(w) for w in windows]))

    def stream(self, position: int) -> Iterator[Window]:
        """Yield windows without end, epoch after epoch, from this one on."""
        epoch, inside = divmod(position, len(self))
        while True:
            order = np.random.default_rng((self.seed, epoch)).permutation(len(self.index.groups))
            for number, start in enumerate(range(0, len(order), GROUPS)):
                groups = order[start : start + GROUPS]
                size = int(self.index.counts[groups].sum())
                if inside < size:
                    yield from self._buffer(epoch, number, groups)[inside:]
                inside = max(inside - size, 0)
            epoch += 1

    def _buffer(self, epoch: int, number: int, groups: np.ndarray) -> list[Window]:
        """Return the windows of a buffer in their order, and hold no other row groups from now on."""
        keep = {self.index.groups[g] for g in groups}
        self._rows = {key: rows for key, rows in self._rows.items() if key in keep}
        rows = [(int(g), int(r), int(a)) for g in groups for r, a in self.index.starts[g]]
        order = np.random.default_rng((self.seed, epoch, number)).permutation(len(rows))
        return [(*rows[k], self.mirror and (int(k) + epoch) % 2 == 1) for k in order]

    def __len__(self) -> int:
        """Windows in an epoch."""
        return int(self.index.counts.sum())

    @cached_property
    def index(self) -> _Index:
        """Where the windows are."""
        shards, groups, counts, starts, first = self.corpus.shards(), [], [], [], {}
        stride = self.stride or max(self.frames // 2, 1)
        for number, path in enumerate(shards):
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    rows = file.read_row_group(group, ["split", "frames", "frame_time", "rig"]).to_pylist()
                    found = []
                    for k, row in enumerate(rows):
                        first.setdefault(row["rig"], (number, group, k))
                        n = int((row["frames"] - 1) * row["frame_time"] * self.fps + 1e-6) + 1
                        if row["split"] == self.split and n >= self.frames:
                            at = [*range(0, n - self.frames, stride), n - self.frames]
                            found += [(k, a) for a in dict.fromkeys(at)]
                    if found:
                        groups.append((number, group))
                        counts.append(len(found))
                        starts.append(np.array(found, np.int32))
        if not counts:
            found = f"no clip of {self.frames} frames at {self.fps:g} fps in {self.split!r}"
            raise MotifError(f"{self.corpus.folder}: {found}; take shorter windows")
        return _Index(shards, groups, np.array(counts), starts, first)

    def read(self, window: Window) -> Motion:
        """Read one window."""
        group, row, start, mirrored = window
        shard, number = key = self.index.groups[group]
        if key not in self._rows:
            self._rows[key] = self._read(shard, number)
        found = self._rows[key][row]
        rig, ratio = self.corpus.rigs[found["rig"]], self.fps * found["frame_time"]
        if abs(ratio - 1) < 1e-3:
            motion = unpack(found, rig, slice(start, start + self.frames))
        else:
            motion = unpack(found, rig).resample(self.fps).crop(start, start + self.frames)
        return motion.mirror(self._frames(found["rig"])) if mirrored and rig.left else motion

    def _read(self, shard: int, group: int) -> list[dict[str, Any]]:
        with pq.ParquetFile(self.index.shards[shard]) as file:
            return file.read_row_group(group, COLUMNS).to_pylist()

    def _frames(self, rig: int) -> torch.Tensor:
        """Return how the joints of a rig are mirrored, as its first clip tells: finding out is most of mirroring."""
        if rig not in self._mirrors:
            shard, group, k = self.index.first[rig]
            row = self._read(shard, group)[k]
            self._mirrors[rig] = mirror_frames(self.corpus.rigs[rig], unpack(row, self.corpus.rigs[rig]))
        return self._mirrors[rig]
