"""Motion files in and out: one reader per format, chosen by the file's suffix."""

from collections.abc import Sequence
from pathlib import Path

from ..config import ReadConfig
from ..errors import MotifError
from ..motion import Motion

__all__ = ["READS", "WRITES", "ReadConfig", "load", "save"]

READS = (".bvh", ".glb", ".gltf")
WRITES = (".bvh",)


def load(path: str | Path, config: ReadConfig = ReadConfig()) -> Motion:
    """Read a motion file: ``.bvh``, ``.glb`` or ``.gltf``."""
    suffix = Path(path).suffix.lower()
    if suffix == ".bvh":
        if config.clip is not None:
            raise MotifError(
                f"{path}: a BVH file holds one clip, so clip {config.clip!r} cannot be chosen; leave it out"
            )
        from . import bvh

        return bvh.read(path, config)
    if suffix in READS:
        if config.unit is not None or config.root_offset != "replace" or config.up != "y":
            raise MotifError(f"{path}: glTF is in metres, Y-up and has no OFFSET; leave out unit, root offset and up")
        from . import glb

        return glb.read(path, config)
    raise MotifError(
        f"{path}: motif cannot read {_spell(suffix)}; it reads {', '.join(READS)}: convert the clip to one of them"
    )


def save(
    motion: Motion, path: str | Path, unit: float | None = None, channels: Sequence[Sequence[str]] | None = None
) -> Path:
    """Write a motion file, see :func:`motif.io.bvh.write`; missing folders are made."""
    suffix = Path(path).suffix.lower()
    if suffix not in WRITES:
        raise MotifError(
            f"{path}: motif cannot write {_spell(suffix)}; it writes {', '.join(WRITES)}: change the file's ending"
        )
    from . import bvh

    return bvh.write(motion, path, unit=unit, channels=channels)


def _spell(suffix: str) -> str:
    return f"{suffix!r} files" if suffix else "a file without an ending such as .bvh"
