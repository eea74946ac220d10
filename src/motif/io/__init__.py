"""Motion files in and out: one reader per format, chosen by the file's suffix."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..config import ReadConfig
from ..errors import MotifError
from ..motion import Motion
from . import amc, bvh, deepmimic, glb, npy, npz, robot
from .bvh import Known

__all__ = ["READS", "WRITES", "ReadConfig", "load", "load_all", "save"]

_READERS = {".bvh": bvh.read, ".glb": glb.read, ".gltf": glb.read, ".amc": amc.read}
_READERS |= {".txt": deepmimic.read, ".json": deepmimic.read, ".npy": npy.read}
_READERS |= {".npz": npz.read, ".csv": robot.read}
READS = tuple(_READERS)
WRITES = (".bvh",)
_SNIFF = 4096  # bytes of a .txt, .json or .csv file that tell whether it holds motion


def holds_motion(path: Path) -> bool:
    """Whether a file is one that :func:`load` reads; many arrays, tables and texts beside motion are not."""
    suffix = path.suffix.lower()
    if suffix not in READS or not path.is_file():
        return False
    if suffix in (".npy", ".npz"):
        return (npy if suffix == ".npy" else npz).looks_like(path)
    if suffix not in (".txt", ".json", ".csv"):
        return True
    try:
        with path.open("rb") as file:
            start = file.read(_SNIFF)
    except OSError:
        return False
    return robot.looks_like(path, start) if suffix == ".csv" else deepmimic.looks_like(start)


def load(path: str | Path, config: ReadConfig = ReadConfig()) -> Motion:
    """Read a motion file: ``.bvh``, ``.glb``, ``.gltf``, ``.amc`` (with its ``.asf``), ``.txt`` of
    DeepMimic, ``.npy`` of MotionMillion or HumanML3D, ``.npz`` of AMASS, ``.csv`` of a robot."""
    suffix = Path(path).suffix.lower()
    if suffix not in READS:
        found, reads = _spell(suffix), ", ".join(READS)
        raise MotifError(f"{path}: motif cannot read {found}; it reads {reads}: convert the clip to one of them")
    if suffix == ".bvh" and config.clip is not None:
        raise MotifError(f"{path}: a BVH file holds one clip, so clip {config.clip!r} cannot be chosen; leave it out")
    only_bvh = config.root_offset != "replace" or config.up != "y" or (config.unit is not None and suffix != ".amc")
    if suffix != ".bvh" and only_bvh:
        what = "glTF" if suffix in (".glb", ".gltf") else f"a {suffix} file"
        raise MotifError(f"{path}: {what} is in metres and its axes are known; leave out unit, root offset and up")
    return _READERS[suffix](path, config)


def load_all(path: str | Path, config: ReadConfig = ReadConfig(), known: Known | None = None) -> Iterator[Motion]:
    """Yield every clip of a file that is longer than one pose: a BVH file has one, a glTF file any number.

    ``known`` keeps what was found out about the rigs of BVH files; one given to several calls makes the second file of
    a rig cost its parsing alone.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".bvh":
        yield bvh.read(path, config, known)
    elif suffix in (".glb", ".gltf"):
        for name, seconds in glb.clip_lengths(path).items():
            if seconds > 0:
                yield glb.read(path, replace(config, clip=name))
    else:
        yield load(path, config)


def save(
    motion: Motion, path: str | Path, unit: float | None = None, channels: Sequence[Sequence[str]] | None = None
) -> Path:
    """Write a motion file, see :func:`motif.io.bvh.write`; missing folders are made."""
    suffix = Path(path).suffix.lower()
    if suffix not in WRITES:
        found, writes = _spell(suffix), ", ".join(WRITES)
        raise MotifError(f"{path}: motif cannot write {found}; it writes {writes}: change the file's ending")
    return bvh.write(motion, path, unit=unit, channels=channels)


def _spell(suffix: str) -> str:
    return f"{suffix!r} files" if suffix else "a file without an ending such as .bvh"
