"""From raw files to a corpus: chunks of files are curated side by side, then joined in order.

A chunk is a fixed list of files and becomes one part file, written whole or not at all under a name that holds the hash
of its files and settings. So a run can be stopped anywhere, goes on from the parts that are there, and gives the same
bytes whoever did which chunk, in which order, on which machine of the same kind.
"""

import hashlib
import json
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import io, video
from ..config import ReadConfig
from ..data import corpus
from ..data.corpus import Caption, Clip
from ..errors import MotifError, MotifWarning
from ..motion import Motion
from ..rig_guess import looks_z_up
from ..skeleton import Skeleton
from ..video import environment
from . import CurateConfig, Reject, captions, duplicates, facts, join, sources, stages

CHUNK_FILES, CHUNK_BYTES = 64, 64 << 20
CODE = 4  # changes where stages give other results, so that parts of older code are not taken up
WORK = ".parts"
FAULTS = (MotifError, ValueError, RuntimeError, ArithmeticError, LookupError, TypeError)
"""What one strange clip may raise; want of memory and Ctrl-C end a run."""


@dataclass(frozen=True)
class Chunk:
    """Files that one worker curates at a time."""

    root: Path
    files: tuple[Path, ...]
    """Relative to ``root``, in order."""
    config: CurateConfig

    @property
    def key(self) -> str:
        """What its result depends on, as a hash."""
        stats = [(f.as_posix(), (s := (self.root / f).stat()).st_size, s.st_mtime_ns) for f in self.files]
        plain = json.dumps([CODE, stats, asdict(self.config), corpus.VERSION], sort_keys=True)
        return hashlib.sha256(plain.encode()).hexdigest()[:20]


def find(root: Path, videos: bool = False) -> list[Path]:
    """Return the motion files below a folder, and videos if asked for, relative to it, in order of their names."""
    if not root.is_dir():
        raise MotifError(f"{root} is no folder; give one with motion files")
    files = sorted(p.relative_to(root) for p in root.rglob("*") if io.holds_motion(p) or _is_video(p))
    files = [f for f in files if not any(part.startswith(".") for part in f.parts)]
    films = [] if videos else [f for f in files if _is_video(root / f)]
    files = [f for f in files if f not in films] if films else files
    if not files:
        also = f"; there are {len(films)} videos, which --videos reads" if films else ""
        raise MotifError(f"{root}: no motion files in it or below{also}; motif reads {', '.join(io.READS)}")
    if films:
        warnings.warn(f"{root}: {len(films)} videos are passed over; --videos reads them", MotifWarning, stacklevel=2)
    return files


def chunks(roots: Sequence[Path], config: CurateConfig) -> list[Chunk]:
    """Return the files of folders in chunks, whatever is done with them later."""
    found = []
    if len({root.resolve().name for root in roots}) < len(roots):
        raise MotifError("two folders of raw files have the same name, which clips are called after; rename one")
    for root in roots:
        files, size = [], 0
        for file in find(root, config.videos):
            files.append(file)
            size += (root / file).stat().st_size
            if len(files) == CHUNK_FILES or size > CHUNK_BYTES:
                found.append(Chunk(root, tuple(files), config))
                files, size = [], 0
        found += [Chunk(root, tuple(files), config)] if files else []
    return found


def run_chunk(chunk: Chunk, work: Path) -> Path:
    """Curate a chunk, if that is not done yet, and return its part file; beside it lie its rigs and rejects."""
    part = work / f"{chunk.key}.parquet"
    if part.is_file():
        return part
    rules, known, began = sources.own(chunk.root), {}, time.process_time()
    rigs: dict[Skeleton, int] = {}
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    seconds = 0.0
    for file in chunk.files:
        source = sources.of(Path(_name(chunk.root)) / file, rules)
        if chunk.config.only_free and not source.free:
            continue
        motions, unread = load(chunk.root, file, known)
        rejects += unread
        seconds += sum(m.seconds for m in motions)
        for motion in motions:
            clips, left_out = _curated(_clip(chunk.root, file, source, motion), chunk.config)
            rejects += left_out
            for clip in clips:
                row = corpus.row_of(clip, rigs.setdefault(clip.motion.skeleton, len(rigs)))
                rows.append(row | {"sketch": duplicates.sketch(clip.motion).numpy().tobytes()})
    beside = {
        "rigs": [asdict(rig) for rig in rigs],
        "rejects": [asdict(r) for r in rejects],
        "cost": {"cpu_seconds": time.process_time() - began, "motion_seconds": seconds, "files": len(chunk.files)},
    }
    corpus.write_json(part.with_suffix(".json"), beside)
    corpus.write_rows(part, rows, _part_schema())
    return part


def _curated(clip: Clip, config: CurateConfig) -> tuple[list[Clip], list[Reject]]:
    """Run all stages and describe what is kept. A clip that brings a stage down is a reject: a run has millions."""
    try:
        clips, rejects = stages.run(clip, config)
        return [captioned(one, config.captions) for one in clips], rejects
    except FAULTS as error:
        return [], [Reject("failed", f"{type(error).__name__}: {error}"[:300], clip.id, 0.0, clip.motion.seconds)]


def _name(root: Path) -> str:
    return root.resolve().name


def captioned(clip: Clip, count: int) -> Clip:
    """Return a clip with sentences: of what was said about it in ``count`` ways, and ``count`` of what is measured."""
    if not count:
        return clip
    seed, said = zlib.crc32(clip.id.encode()), []
    for caption in clip.captions:
        labelled = caption.source.endswith(" label")
        of = captions.of_label if labelled else captions.of_description
        said += [replace(caption, text=text) for text in of(caption.text, count, seed)] or [caption]
    measured = captions.sentences(facts.facts(clip.motion), count, seed)
    return replace(clip, captions=(*said, *(Caption(text, "measured") for text in measured)))


def _part_schema() -> Any:
    import pyarrow as pa

    return corpus.schema().append(pa.field("sketch", pa.binary()))


def load(root: Path, file: Path, known: dict[Any, Any]) -> tuple[list[Motion], list[Reject]]:
    """Read all clips of a file; what cannot be read is a reject with the reader's own words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MotifWarning)
        try:
            if _is_video(root / file):
                return _film(root, file)
            motions = list(io.load_all(root / file, ReadConfig(), known))
            if file.suffix.lower() == ".bvh" and _lies(motions[0]):
                motions = list(io.load_all(root / file, ReadConfig(up="z"), known))
            return motions, []
        except FAULTS as error:
            words = str(error).replace(f"{root / file}", file.name)
            return [], [Reject("unreadable", words, f"{_name(root)}/{file.as_posix()}")]


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in video.READS and path.is_file()


def _film(root: Path, file: Path) -> tuple[list[Motion], list[Reject]]:
    """The clips of a video and what of it was left out."""
    from ..video import capture

    motions, left_out = capture.capture(root / file)
    name = f"{_name(root)}/{file.as_posix()}"
    return motions, [Reject(x.reason, x.detail, name, x.start, x.seconds) for x in left_out]


def _lies(motion: Motion) -> bool:
    """Whether a file has Z up: its rig is known only when it is read so."""
    return looks_z_up(motion.skeleton, motion.world()[1].median(0).values)


def _clip(root: Path, file: Path, source: sources.Source, motion: Motion) -> Clip:
    several = motion.name != file.stem and file.suffix.lower() in (".glb", ".gltf", *video.READS)
    name = f"{_name(root)}/{file.as_posix()}{f':{motion.name}' if several else ''}"
    stem = motion.name if several else file.stem
    said = sources.captions_of(root, source, stem)
    group = source.group_of(file.stem)
    return Clip(name, motion, source.name, source.licence, source.subject_of(stem), group, captions=said)


def cost(parts: Sequence[Path]) -> dict[str, float]:
    """Return what a run cost: processor seconds, seconds of motion that were read, files."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(json.loads(part.with_suffix(".json").read_text("utf-8"))["cost"])
    return dict(total)


Runner = Callable[[Sequence[Chunk], Path, Callable[[float], None]], list[Path]]
"""What spreads chunks: it returns their parts, in order."""


def prepare(raw: Sequence[Path], folder: Path, config: CurateConfig) -> tuple[list[Chunk], Path]:
    """Return the chunks of some folders and the place for their parts; refuse what cannot be done before any work."""
    corpus.schema()
    duplicates.tree_of(np.zeros((1, 1)))
    inside = [root for root in raw if folder.resolve() in (root.resolve(), *root.resolve().parents)]
    if inside:
        raise MotifError(f"{inside[0]} lies in {folder}, where the corpus would be; give another folder for it")
    is_ours = (folder / corpus.CARD).is_file() or (folder / WORK).is_dir()
    if folder.exists() and not (folder.is_dir() and (is_ours or not any(folder.iterdir()))):
        raise MotifError(f"{folder} is there and is no corpus; give the name of a new folder for the corpus")
    work = folder / WORK
    todo = chunks(raw, config)
    if any(_is_video(chunk.root / file) for chunk in todo for file in chunk.files):
        environment.interpreter()  # made once, before workers would all make it
    work.mkdir(parents=True, exist_ok=True)
    return todo, work


def curate(
    raw: Sequence[Path],
    folder: Path,
    config: CurateConfig = CurateConfig(),
    run: Runner | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> corpus.Corpus:
    """Make a corpus of the motion files in folders; the same call goes on with what was begun.

    ``run`` is :func:`motif.curate.run_local.run` if not given.
    """
    from . import run_local

    todo, work = prepare(raw, folder, config)
    parts = (run or run_local.run)(todo, work, lambda fraction: progress(0.95 * fraction))
    made = join.finish(parts, raw, folder, config)
    progress(1.0)
    return made
