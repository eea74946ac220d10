"""A corpus: any number of clips of any rigs in one folder of Parquet files, with a card that says what it is.

``corpus.json`` is the card (sources and licences, counts, hours, reasons of rejects, hashes of files), ``rigs.json``
holds each rig once, ``clips-00000.parquet`` and so on the clips, ``rejects.parquet`` what was left out and why.

Opening one reads the card alone, clips are read a row group at a time. Everything is written whole or not at all, the
card last.
"""

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import MotifError
from ..files import replace_file
from ..motion import Motion
from ..skeleton import Skeleton, from_record

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise MotifError("a corpus needs pyarrow, which is not installed; pip install 'motif[data]'") from None

VERSION = 1
CARD, RIGS, REJECTS = "corpus.json", "rigs.json", "rejects.parquet"
ROWS_A_GROUP, ROWS_A_SHARD = 32, 2048
SCALE = 32767  # a component of a quaternion is kept as a whole number of this many parts: 3e-5 rad at most
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Caption:
    """A sentence about a clip, or about a part of it."""

    text: str
    source: str
    """Who says so: a data set's own words, ``measured`` or ``rewritten``."""
    start: float | None = None
    end: float | None = None
    """Seconds within the clip; None for all of it."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip of a corpus and what is known about it."""

    id: str
    """Unique: source, file, and which part of it."""
    motion: Motion
    source: str
    licence: str
    subject: str = ""
    """Who moves; empty if nobody said."""
    group: str = ""
    """Clips of one group are never divided between splits: a subject, partners, copies and mirror images."""
    split: str = "train"
    captions: tuple[Caption, ...] = ()
    quality: Mapping[str, float] = field(default_factory=dict)
    """Measured values by the name of their gate."""
    weight: float = 1.0
    """How often it should be drawn: one over the number of clips that are much like it."""


@functools.cache
def schema() -> Any:
    """Return the columns of a shard."""
    caption = pa.struct(
        [("text", pa.string()), ("source", pa.string()), ("start", pa.float32()), ("end", pa.float32())]
    )
    words = [(name, pa.string()) for name in ("id", "source", "licence", "subject", "group", "split")]
    numbers = [("rig", pa.int32()), ("frames", pa.int32()), ("frame_time", pa.float64()), ("weight", pa.float32())]
    motion = [("rotations", pa.binary()), ("moving", pa.list_(pa.int32())), ("positions", pa.binary())]
    more = [("captions", pa.list_(caption)), ("quality", pa.map_(pa.string(), pa.float32())), ("hash", pa.string())]
    return pa.schema([*words, *numbers, *motion, *more])


def pack(motion: Motion) -> dict[str, Any]:
    """Return a motion as the columns of a row: rotations as whole numbers, positions of the joints that move."""
    s, q = motion.skeleton, motion.rotations
    turning = [j for j in range(len(s)) if not s.end[j]]
    p = motion.positions
    moved = (p - s.offset_tensor(p)).abs().amax(0).amax(-1) > 1e-6
    moving = sorted({*s.ancestors(s.root), *moved.nonzero()[:, 0].tolist()})
    q = q[:, turning] * torch.where(q[:, turning, :1] < 0, -1, 1)
    rotations = (q * SCALE).round().to(torch.int16).permute(1, 2, 0).contiguous().numpy().tobytes()
    positions = p[:, moving].float().permute(1, 2, 0).contiguous().numpy().tobytes()
    digest = hashlib.sha256(rotations + positions).hexdigest()[:16]
    row = {"frames": len(motion), "frame_time": motion.frame_time, "rotations": rotations, "moving": moving}
    return row | {"positions": positions, "hash": digest}


def unpack(row: Mapping[str, Any], rig: Skeleton, frames: slice = slice(None)) -> Motion:
    """Return the motion of a row, or some frames of it."""
    t, j = row["frames"], len(rig)
    turning, moving = [k for k in range(j) if not rig.end[k]], list(row["moving"])
    raw = np.frombuffer(row["rotations"], np.int16), np.frombuffer(row["positions"], np.float32)
    if raw[0].size != t * 4 * len(turning) or raw[1].size != t * 3 * len(moving):
        raise MotifError(f"clip {row['id']!r} of the corpus does not fit its rig of {j} joints; make the corpus again")
    q = torch.from_numpy(raw[0].reshape(len(turning), 4, t)[..., frames].astype(np.float32)).permute(2, 0, 1)
    rotations = q.new_zeros(len(q), j, 4)
    rotations[..., 0] = 1
    rotations[:, turning] = q / q.norm(dim=-1, keepdim=True).clamp_min(1)
    positions = rig.offset_tensor().expand(len(q), j, 3).clone()
    places = raw[1].reshape(len(moving), 3, t)[..., frames].copy()
    positions[:, moving] = torch.from_numpy(places).permute(2, 0, 1)
    return Motion(rig, rotations, positions, row["frame_time"], row["id"])


def row_of(clip: Clip, rig: int) -> dict[str, Any]:
    """Return a clip as a row whose rig has this number."""
    words = {k: getattr(clip, k) for k in ("id", "source", "licence", "subject", "group", "split", "weight")}
    captions = [asdict(caption) for caption in clip.captions]
    return {**words, "rig": rig, **pack(clip.motion), "captions": captions, "quality": list(clip.quality.items())}


def clip_of(row: Mapping[str, Any], rig: Skeleton) -> Clip:
    """Return the clip of a row."""
    words = {k: row[k] for k in ("id", "source", "licence", "subject", "group", "split", "weight")}
    captions = tuple(Caption(**caption) for caption in row["captions"])
    return Clip(**words, motion=unpack(row, rig), captions=captions, quality=dict(row["quality"]))


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], columns: Any = None) -> None:
    """Write rows as a Parquet file with checksums, whole or not at all; the same rows give the same bytes."""
    table = pa.Table.from_pylist(list(rows), columns or schema())
    options = {"compression": "zstd", "write_page_checksum": True, "row_group_size": ROWS_A_GROUP}
    replace_file(path, lambda beside: pq.write_table(table, beside, **options))


def read_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, a row group in memory at a time; a damaged file is an error that names it."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for k in range(file.num_row_groups):
                yield from file.read_row_group(k, columns=list(columns) if columns else None).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        what = str(error).splitlines()[0]
        raise MotifError(f"{path}: is damaged ({what}); copy it again or make the corpus again") from None


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk: its card, and its clips as they are asked for."""

    folder: Path
    card: Mapping[str, Any]

    @staticmethod
    def open(folder: str | Path) -> "Corpus":
        """Open a corpus; reads its card alone, however many clips it has."""
        folder = Path(folder)
        card = _json(folder / CARD, f"{folder} is no corpus: it has no {CARD}; make one with motif curate")
        if card.get("version") != VERSION:
            found = card.get("version")
            raise MotifError(f"{folder / CARD}: has version {found!r}, this motif reads {VERSION}; make it again")
        return Corpus(folder, card)

    def __len__(self) -> int:
        return self.card["clips"]

    @property
    def hours(self) -> float:
        """Length of all clips."""
        return self.card["hours"]

    @functools.cached_property
    def rigs(self) -> tuple[Skeleton, ...]:
        """The rigs, which clips name by their number."""
        records = _json(self.folder / RIGS, f"{self.folder}: has no {RIGS}; copy the whole folder again")
        return tuple(map(from_record, records))

    def shards(self) -> list[Path]:
        """Return the files of clips."""
        return [self.folder / shard["file"] for shard in self.card["shards"]]

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Yield what is told of each clip, as plain values; name columns to read no more than these."""
        for path in self.shards():
            yield from read_rows(path, columns)

    def clips(self, split: str | None = None) -> Iterator[Clip]:
        """Yield the clips, of one split or all, one in memory at a time."""
        for row in self.rows():
            if split in (None, row["split"]):
                yield clip_of(row, self.rigs[row["rig"]])

    def rejects(self) -> Iterator[dict[str, Any]]:
        """Yield file, part, reason and detail of what was left out."""
        yield from read_rows(self.folder / REJECTS)

    def check(self) -> list[str]:
        """Return what is wrong with the files, by their hashes; nothing for a sound corpus."""
        wrong = []
        for shard in self.card["shards"]:
            path = self.folder / shard["file"]
            if not path.is_file():
                wrong.append(f"{path} is missing")
            elif file_hash(path) != shard["sha256"]:
                wrong.append(f"{path} is not as it was written")
        return wrong


def _json(path: Path, missing: str) -> Any:
    if not path.is_file():
        raise MotifError(missing)
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise MotifError(f"{path}: cannot be read ({error}); copy the corpus again") from None


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write plain values, whole or not at all."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
    replace_file(path, lambda beside: beside.write_text(text + "\n", "utf-8"))


def shard_rows(rows: Iterable[Mapping[str, Any]], size: int = ROWS_A_SHARD) -> Iterator[list[Mapping[str, Any]]]:
    """Yield rows in lists of one shard each."""
    shard: list[Mapping[str, Any]] = []
    for row in rows:
        shard.append(row)
        if len(shard) == size:
            yield shard
            shard = []
    if shard:
        yield shard
