"""Parts become a corpus: near-duplicates are left out, groups split, clips weighed, all in the order of the parts."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..data import corpus
from ..skeleton import Skeleton, from_record
from . import CurateConfig, Reject, duplicates, sources

MIRRORED = 2.5  # times the radius of copies: no body is the same on both sides
SHARES = (0.85, 0.925)  # of groups: train below the first, val below the second, test above


def finish(parts: Sequence[Path], roots: Sequence[Path], folder: Path, config: CurateConfig) -> corpus.Corpus:
    """Join parts, in order, into a corpus: without near-duplicates, split by group, weighed; the card comes last."""
    joined = _Joined.of(parts, config)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / corpus.CARD).unlink(missing_ok=True)
    tally, shards = _Tally(), []
    for number, shard in enumerate(corpus.shard_rows(joined.rows(tally))):
        path = folder / f"clips-{number:05d}.parquet"
        corpus.write_rows(path, shard)
        seconds = sum(r["frames"] * r["frame_time"] for r in shard)
        shards.append({"file": path.name, "clips": len(shard), "seconds": seconds, "sha256": corpus.file_hash(path)})
    for old in set(folder.glob("clips-*.parquet")) - {folder / shard["file"] for shard in shards}:
        old.unlink()
    corpus.write_json(folder / corpus.RIGS, [asdict(rig) for rig in joined.rigs])
    corpus.write_rows(folder / corpus.REJECTS, joined.rejects, _reject_schema())
    card = {"rigs": len(joined.rigs), "shards": shards, "rejects_sha256": corpus.file_hash(folder / corpus.REJECTS)}
    corpus.write_json(folder / corpus.CARD, tally.card(roots, config) | joined.counts() | card)
    return corpus.Corpus.open(folder)


def plan(parts: Sequence[Path], roots: Sequence[Path], config: CurateConfig) -> dict[str, Any]:
    """Return the card of the corpus that parts would become, and write nothing."""
    joined, tally = _Joined.of(parts, config), _Tally()
    for _ in joined.rows(tally):
        pass
    return tally.card(roots, config) | joined.counts() | {"rigs": len(joined.rigs)}


@dataclass(frozen=True, eq=False)
class _Joined:
    """All parts together, and what is decided about their clips."""

    parts: Sequence[Path]
    rigs: list[Skeleton]
    numbers: list[list[int]]
    """For each part the numbers of its rigs."""
    dropped: dict[int, Reject]
    groups: dict[str, str]
    weights: np.ndarray
    rejects: list[dict[str, Any]]

    @staticmethod
    def of(parts: Sequence[Path], config: CurateConfig) -> "_Joined":
        beside = [json.loads(p.with_suffix(".json").read_text("utf-8")) for p in parts]
        rigs, numbers = _rigs(beside)
        dropped, groups, weights = _Index.of(parts, numbers).decide(config.duplicate)
        rejects = [r for one in beside for r in one["rejects"]] + [asdict(r) for r in dropped.values()]
        return _Joined(parts, rigs, numbers, dropped, groups, weights, rejects)

    def rows(self, tally: "_Tally") -> Iterator[dict[str, Any]]:
        """Yield the rows that stay, and count them."""
        for k, row in enumerate(_rows(self.parts, self.numbers)):
            if k not in self.dropped:
                group = self.groups.get(str(row["group"]), str(row["group"]))
                row |= {"group": group, "split": split_of(group), "weight": float(self.weights[k])}
                tally.add(row)
                yield row

    def counts(self) -> dict[str, Any]:
        """Return how much was left out, and for which reasons."""
        seconds = sum(r["seconds"] for r in self.rejects)
        reasons = Counter(r["reason"] for r in self.rejects)
        return {"rejects": dict(sorted(reasons.items())), "rejected_hours": seconds / 3600}


def _reject_schema() -> Any:
    words = [(name, pa.string()) for name in ("id", "reason", "detail")]
    return pa.schema([*words, ("start", pa.float32()), ("seconds", pa.float32())])


def _rigs(beside: Iterable[dict[str, Any]]) -> tuple[list[Skeleton], list[list[int]]]:
    """Return all rigs once, and for each part the number of each of its own; what was found out about a rig is the
    same for all its clips."""
    rigs: dict[Any, tuple[int, Skeleton]] = {}
    numbers = []
    for one in beside:
        mine = []
        for record in one["rigs"]:
            rig = from_record(record)
            bones = tuple(round(x, 4) for j in rig.subtree(rig.root)[1:] for x in rig.offsets[j])
            mine.append(rigs.setdefault((rig.names, rig.parents, rig.end, bones), (len(rigs), rig))[0])
        numbers.append(mine)
    return [rig for _, rig in rigs.values()], numbers


def _rows(parts: Sequence[Path], numbers: Sequence[Sequence[int]], columns: Sequence[str] | None = None):
    for part, mine in zip(parts, numbers, strict=True):
        for row in corpus.read_rows(part, columns):
            row.pop("sketch", None) if columns is None else None
            yield row | {"rig": mine[row["rig"]]}


@dataclass(frozen=True, eq=False)
class _Index:
    """What is compared of all clips."""

    ids: list[str]
    groups: list[str]
    rigs: np.ndarray
    seconds: np.ndarray
    points: np.ndarray
    """[K, 2, n]: clips and their mirror images."""

    @staticmethod
    def of(parts: Sequence[Path], numbers: Sequence[Sequence[int]]) -> "_Index":
        ids, groups, rigs, seconds, points = [], [], [], [], []
        for row in _rows(parts, numbers, ("id", "group", "rig", "frames", "frame_time", "sketch")):
            ids.append(row["id"])
            groups.append(row["group"])
            rigs.append(row["rig"])
            seconds.append(row["frames"] * row["frame_time"])
            points.append(np.frombuffer(row["sketch"], np.float32).astype(np.float16).reshape(2, -1))
        shape = (0, 2, duplicates.FRAMES * duplicates.KEYS * 3)
        return _Index(ids, groups, np.array(rigs), np.array(seconds), np.stack(points) if points else np.zeros(shape))

    def decide(self, radius: float) -> tuple[dict[int, Reject], dict[str, str], np.ndarray]:
        """Return the copies to leave out, the groups that go under another's name, and the weights."""
        dropped: dict[int, Reject] = {}
        joined: dict[str, str] = {}
        weights = np.ones(len(self.ids))
        for rig in np.unique(self.rigs):
            mine = np.nonzero(self.rigs == rig)[0]
            points, images = (self.points[mine, k].astype(np.float32) for k in (0, 1))
            weights[mine] = 1 / duplicates.crowding(points)
            if not radius:
                continue
            for a, b in (
                mine[list(duplicates.pairs(points, points, self.seconds[mine], radius))].reshape(-1, 2).tolist()
            ):
                if a not in dropped and b not in dropped:
                    detail = f"within {radius:g} body heights of {self.ids[a]}"
                    dropped[b] = Reject("duplicate", detail, self.ids[b], 0.0, float(self.seconds[b]))
                    _join(joined, self.groups[a], self.groups[b])
            for a, b in duplicates.pairs(points, images, self.seconds[mine], MIRRORED * radius):
                _join(joined, self.groups[mine[a]], self.groups[mine[b]])
        return dropped, {group: _first(joined, group) for group in joined}, weights


def _first(joined: dict[str, str], group: str) -> str:
    while group in joined and joined[group] != group:
        group = joined[group]
    return group


def _join(joined: dict[str, str], a: str, b: str) -> None:
    first, second = sorted((_first(joined, a), _first(joined, b)))
    if first != second:
        joined[second] = first


def split_of(group: str) -> str:
    """Return the split of a group: decided by its name alone, so that a corpus may grow."""
    share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64
    return corpus.SPLITS[sum(share >= limit for limit in SHARES)]


class _Tally:
    """Counts for the card, as rows go by."""

    def __init__(self):
        self.clips, self.seconds, self.captions = 0, 0.0, 0
        self.sources: dict[str, dict[str, Any]] = {}
        self.splits: Counter[str] = Counter()

    def add(self, row: dict[str, Any]) -> None:
        seconds = row["frames"] * row["frame_time"]
        self.clips, self.seconds = self.clips + 1, self.seconds + seconds
        self.captions += len(row["captions"])
        self.splits[row["split"]] += 1
        source = self.sources.setdefault(row["source"], {"licence": row["licence"], "clips": 0, "seconds": 0.0})
        source["clips"] += 1
        source["seconds"] += seconds

    def card(self, roots: Sequence[Path], config: CurateConfig) -> dict[str, Any]:
        rules = {r.name: r for r in (*sources.KNOWN, *(r for root in roots for r in sources.own(root)))}
        for name, source in self.sources.items():
            rule = rules.get(name)
            source |= {"cite": rule.cite if rule else "", "free": bool(rule and rule.free)}
        return {
            "version": corpus.VERSION,
            "clips": self.clips,
            "hours": self.seconds / 3600,
            "captions": self.captions,
            "sources": dict(sorted(self.sources.items())),
            "splits": dict(sorted(self.splits.items())),
            "config": asdict(config),
        }
