"""What a file is read with, takes are sampled with, a model is trained with: values that Python and the command line share.

Field docstrings are the command line's help, so nothing heavy may be imported here.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from .errors import MotifError

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "cmu": 0.056444}
"""Metres per unit of length, by name."""


@dataclass(frozen=True)
class ReadConfig:
    """How a motion file is read."""

    unit: float | str | None = None
    """Unit of a BVH file: m, cm, mm, in, cmu, or metres per unit; guessed from the size of the body if not given."""
    root_offset: Literal["replace", "add"] = "replace"
    """Whether the root's position channels replace its OFFSET or are added to it (BVH)."""
    up: Literal["y", "z"] = "y"
    """Axis that points up in the file (BVH)."""
    clip: int | str | None = None
    """Which animation of a glTF file: its name or number; the longest if not given."""
    fps: float | None = None
    """Resample to this rate; the file's own if not given."""

    def __post_init__(self):
        if isinstance(self.unit, str) and self.unit not in UNITS:
            raise MotifError(
                f"unit is {self.unit!r}; expected one of {', '.join(UNITS)}, or metres per unit such as 0.01"
            )
        if not isinstance(self.unit, str | None) and not 0 < self.unit < math.inf:
            raise MotifError(f"unit is {self.unit}; give metres per unit, a positive number such as 0.01")
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise MotifError(f"fps is {self.fps}; give a positive number of frames a second")

    @property
    def metres_per_unit(self) -> float | None:
        """The unit as a number."""
        return UNITS[self.unit] if isinstance(self.unit, str) else self.unit


@dataclass(frozen=True)
class SampleConfig:
    """How takes are made from what was asked. None stands for the recipe's own default."""

    foot_lock: bool = True
    """Hold standing feet still."""
    variety: float | None = None
    """0 to 1: from takes that are true to the clip to takes that are new."""
    tempo: float | None = None
    """0 to 1: how far takes run slower here and faster there; none where the clip keeps time."""
    completeness: float | None = None
    """0 to 1: how hard each take tries to show every part of the clip."""

    def __post_init__(self):
        for name, value in self.given.items():
            if not 0 <= value <= 1:
                raise MotifError(f"{name} is {value}; give a number from 0 to 1")

    @property
    def given(self) -> dict[str, float]:
        """The numbers that are not None."""
        return {k: v for k, v in vars(self).items() if k != "foot_lock" and v is not None}

    def fill(self, defaults: "SampleConfig") -> "SampleConfig":
        """Return this configuration with ``defaults`` where nothing is given."""
        return replace(defaults, foot_lock=self.foot_lock, **self.given)


@dataclass(frozen=True)
class TrainConfig:
    """How a run is run; no field changes what is learned, but for ``precision`` in its last digits."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 is faster on some processors; auto measures both on the first update and takes the faster one."""
    save_every: float = 20.0
    """Seconds between checkpoints."""
    ema: float = 0.999
    """Decay of the average; less in the first steps, (1 + n) / (10 + n)."""
    device: str = "auto"
    """Where losses and steps are computed, as torch spells it; auto is an NVIDIA GPU if there is one."""


@dataclass(frozen=True)
class CrowdConfig:
    """How a crowd stands."""

    spread: float = 0.1
    """Each is up to this fraction faster or slower than the clip; as it is where an edit asks for anything."""
    gap: float = 0.1
    """Metres left between any two bodies at least."""

    def __post_init__(self):
        if not 0 <= self.spread < 1:
            raise MotifError(f"spread is {self.spread}; give a fraction from 0 to below 1")
        if not 0 <= self.gap < math.inf:
            raise MotifError(f"gap is {self.gap}; give metres, at least 0")


@dataclass(frozen=True)
class ShowConfig:
    """How motions are drawn."""

    title: str = ""
    """Written above a contact sheet."""
    poses: int = 12
    """Poses a motion on a contact sheet, evenly spaced over its length; long bodies take two or three lines."""
    seconds: float | None = None
    """Length of an animation; the longest motion's if not given, and at most that."""
    fps: float | None = None
    """Pictures a second; 15 for a GIF, 30 for an MP4 if not given."""
    size: int = 480
    """Side of one motion's square in an animation, pixels."""

    def __post_init__(self):
        ranges = {"poses": (1, 60, "poses a motion"), "seconds": (1e-3, 36_000, "seconds")}
        ranges |= {"fps": (0.1, 240, "pictures a second"), "size": (64, 2048, "pixels a motion")}
        for name, (low, high, what) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise MotifError(f"cannot draw {value:g} {what}; give a number from {low:g} to {high:g}")
