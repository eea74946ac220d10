"""Motion files in and out: one reader per format, chosen by the file's suffix."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ..errors import MotifError
from ..motion import Motion

READS = (".bvh", ".glb", ".gltf")
WRITES = (".bvh",)


def load(
    path: str | Path,
    unit: float | None = None,
    root_offset: Literal["replace", "add"] = "replace",
    up: Literal["y", "z"] = "y",
    clip: str | int | None = None,
) -> Motion:
    """Read a motion file.

    Args:
        path: a ``.bvh``, ``.glb`` or ``.gltf`` file.
        unit: BVH only: metres per unit of length in the file; guessed from the size of the body if not given.
        root_offset: BVH only: whether the root's position channels replace its OFFSET or are added to it.
        up: BVH only: the axis that points up in the file.
        clip: glTF only: which of the file's animations, by name or number; the longest if not given.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".bvh":
        if clip is not None:
            raise MotifError(f"{path}: a BVH file holds one clip, so clip {clip!r} cannot be chosen; leave it out")
        from . import bvh

        return bvh.read(path, unit=unit, root_offset=root_offset, up=up)
    if suffix in READS:
        if unit is not None or root_offset != "replace" or up != "y":
            raise MotifError(f"{path}: glTF is in metres, Y-up and has no OFFSET; leave out unit, root offset and up")
        from . import glb

        return glb.read(path, clip=clip)
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
