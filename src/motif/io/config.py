"""How motion files are read: one value for every format."""

import math
from dataclasses import dataclass
from typing import Literal

from ..errors import MotifError


@dataclass(frozen=True)
class ReadConfig:
    """How a motion file is read."""

    unit: float | None = None
    """BVH only: metres per unit of length in the file; guessed from the size of the body if not given."""
    root_offset: Literal["replace", "add"] = "replace"
    """BVH only: whether the root's position channels replace its OFFSET (as Blender) or add to it (as three.js)."""
    up: Literal["y", "z"] = "y"
    """BVH only: the axis that points up in the file; a Z-up clip is turned to stand along Y."""
    clip: str | int | None = None
    """glTF only: which of the file's animations, by name or number; the longest if not given."""
    fps: float | None = None
    """Frames a second: glTF keys are sampled at it (30 if not given), BVH frames are resampled to it."""

    def __post_init__(self):
        if self.root_offset not in ("replace", "add"):
            raise MotifError(
                f"root offset {self.root_offset!r}; expected 'replace' (as Blender) or 'add' (as three.js)"
            )
        if self.up not in ("y", "z"):
            raise MotifError(f"up {self.up!r}; expected 'y' or 'z'")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise MotifError(f"cannot read at {self.fps} frames a second; give a positive number")
        if self.unit is not None:
            check_unit(self.unit)


def check_unit(unit: float) -> None:
    """Raise an error for a unit that no file can have."""
    if not 1e-9 <= unit <= 1e9:
        raise MotifError(f"unit {unit}; expected metres per unit of length, e.g. 0.01 for centimetres")
