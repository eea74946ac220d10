"""Batches of windows of a corpus (:class:`motif.train.Batches`): streamed, in a new order every epoch, resumable.

An epoch is every window once. Row groups of the corpus are shuffled, some of them are held at a time (a *buffer*), and
the windows of a buffer are shuffled. So memory does not grow with the corpus, files are read in large pieces, and the
place in an epoch is one number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from ..errors import MotifError
from ..motion import Motion, mirror_frames
from ..train import Batches, Shard
from .corpus import Corpus, unpack
from .crops import check_shard

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


@dataclass(eq=False)
class CorpusWindows(Batches):
    """Windows of the clips of a split, all of ``frames`` frames at ``fps``, as ``collate`` makes batches of them."""

    corpus: Corpus
    batch: int
    frames: int
    collate: Callable[[list[Motion]], Any]
    """From the windows of a (part of a) batch to what losses are given."""
    fps: float = 30.0
    stride: int = 0
    """Frames from one window of a clip to the next; half a window if 0. The last one ends with the clip."""
    split: str = "train"
    mirror: bool = True
    """Show every second window of a rig with sides as its mirror image, another half in the next epoch."""
    seed: int = 0

    def __post_init__(self):
        if self.frames < 2 or self.batch < 1 or self.stride < 0:
            given = f"batch {self.batch}, frames {self.frames}, stride {self.stride}"
            raise MotifError(f"windows of a corpus: {given}; give at least 1, 2 and 0")
        self._position, self._held = 0, (-1, -1)
        self._rows: dict[tuple[int, int], list[dict[str, Any]]] = {}
        self._mirrors: dict[int, torch.Tensor] = {}

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
        if sum(counts) < self.batch:
            found = f"{sum(counts)} windows of {self.frames} frames at {self.fps:g} fps in {self.split!r}"
            raise MotifError(f"{self.corpus.folder}: {found}, a batch needs {self.batch}; take shorter windows")
        return _Index(shards, groups, np.array(counts), starts, first)

    def __len__(self) -> int:
        """Batches in an epoch; what does not fill the last one is left out."""
        return int(self.index.counts.sum()) // self.batch

    def draw(self, generator: torch.Generator, shard: Shard) -> Any:
        """Return a shard of the next batch, or another shard of the same one while their indices increase."""
        size = check_shard(self.batch, shard)
        if shard.index <= self._last:
            self._batch = self._next()
            self._position += 1
        self._last = shard.index
        return self.collate([self._window(*w) for w in self._batch[shard.index * size : (shard.index + 1) * size]])

    def state_dict(self) -> dict[str, Any]:
        """Return how many batches were drawn."""
        return {"position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after that many batches."""
        self._position, self._last = int(state["position"]), 1 << 62

    _last = 1 << 62  # any index begins a batch

    def _next(self) -> list[tuple[int, int, int, bool]]:
        """Return the windows of the batch at the current position."""
        epoch, number = divmod(self._position, len(self))
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.index.groups))
        buffers = [order[k : k + GROUPS] for k in range(0, len(order), GROUPS)]
        sizes = [int(self.index.counts[b].sum()) for b in buffers]
        ends = np.cumsum(sizes)
        found: list[tuple[int, int, int, bool]] = []
        first = number * self.batch
        while len(found) < self.batch:
            at = first + len(found)
            k = int(np.searchsorted(ends, at, side="right"))
            windows = self._windows(epoch, k, buffers[k])
            inside = at - int(ends[k] - sizes[k])
            found += windows[inside : inside + self.batch - len(found)]
        return found

    def _windows(self, epoch: int, number: int, groups: np.ndarray) -> list[tuple[int, int, int, bool]]:
        """Return the windows of a buffer in their order, and hold its row groups from now on."""
        if self._held != (epoch, number):
            rows = [(int(g), int(r), int(a)) for g in groups for r, a in self.index.starts[g]]
            order = np.random.default_rng((self.seed, epoch, number)).permutation(len(rows))
            self._ordered = [(*rows[k], self.mirror and (int(k) + epoch) % 2 == 1) for k in order]
            keep = {self.index.groups[g] for g in groups}
            self._rows = {key: rows for key, rows in self._rows.items() if key in keep}
            self._held = (epoch, number)
        return self._ordered

    def _window(self, group: int, row: int, start: int, mirrored: bool) -> Motion:
        """Read one window."""
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
