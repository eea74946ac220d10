"""How files are read, takes sampled, models trained, crowds placed, motions drawn: for Python and the command line.

Field docstrings are the command line's help, so nothing heavy may be imported here.
"""

import math
from dataclasses import dataclass
from typing import Literal

from .errors import MotifError

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "cmu": 0.056444}  # metres per unit of length, by name


@dataclass(frozen=True)
class ReadConfig:
    """How a motion file is read."""

    unit: float | str | None = None
    """Unit of a BVH file: m, cm, mm, in, cmu, or metres per unit; guessed from the size of the body if not given."""
    root_offset: Literal["replace", "add"] = "replace"
    """BVH only: whether the root's position channels replace its OFFSET (as Blender) or add to it (as three.js)."""
    up: Literal["y", "z"] = "y"
    """BVH only: the axis that points up in the file; a Z-up clip is turned to stand along Y."""
    clip: int | str | None = None
    """glTF only: which of the file's animations, by name or number; the longest if not given."""
    fps: float | None = None
    """Frames a second: glTF keys are sampled at it (30 if not given), BVH frames are resampled to it."""

    def __post_init__(self):
        if isinstance(self.unit, str) and self.unit not in UNITS:
            raise MotifError(
                f"unit is {self.unit!r}; expected one of {', '.join(UNITS)}, or metres per unit such as 0.01"
            )
        if not isinstance(self.unit, str | None) and not 1e-9 <= self.unit <= 1e9:
            raise MotifError(f"unit {self.unit}; expected metres per unit of length, e.g. 0.01 for centimetres")
        if self.root_offset not in ("replace", "add"):
            raise MotifError(
                f"root offset {self.root_offset!r}; expected 'replace' (as Blender) or 'add' (as three.js)"
            )
        if self.up not in ("y", "z"):
            raise MotifError(f"up {self.up!r}; expected 'y' or 'z'")
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise MotifError(f"cannot read at {self.fps} frames a second; give a positive number")

    @property
    def metres_per_unit(self) -> float | None:
        """The unit as a number."""
        return UNITS[self.unit] if isinstance(self.unit, str) else self.unit


@dataclass(frozen=True)
class SampleConfig:
    """How takes are made from what was asked. None stands for the recipe's own default."""

    foot_lock: bool = True
    """Hold standing feet still."""
    finish: Literal["full", "none"] = "full"
    """none: what the papers' networks made, decoded and no more: constraints are not met exactly, feet not held."""
    variety: float | None = None
    """0 to 1: from takes that are true to the clip to takes that are new; .2 if not given (learned models: .25)."""
    tempo: float | None = None
    """0 to 1: how far takes run slower here and faster there; none where the clip keeps time; 0 if not given."""
    amplitude: float | None = None
    """0 to 1: how much larger or smaller the movements of each take are than the clip's; .1 if not given
    (learned models: 0)."""
    completeness: float | None = None
    """0 to 1: how hard each take tries to show every part of the clip; .75 if not given."""
    stance: float = 0.0
    """0 to 1: radians (sigma) by which each take holds its joints differently while standing; .01 is plenty."""

    def __post_init__(self):
        if self.finish not in ("full", "none"):
            raise MotifError(f"finish is {self.finish!r}; give 'full' or 'none'")
        for name, value in {**self.given, "stance": self.stance}.items():
            if not 0 <= value <= 1:
                raise MotifError(f"{name} is {value}; give a number from 0 to 1")

    @property
    def given(self) -> dict[str, float]:
        """The numbers that are not None."""
        return {k: v for k in ("variety", "tempo", "amplitude", "completeness") if (v := getattr(self, k)) is not None}

    def resolve(self, defaults: "SampleConfig") -> tuple[float, float, float, float]:
        """Return variety, tempo, amplitude and completeness, those of ``defaults`` where nothing is given."""
        values = defaults.given | self.given
        return values["variety"], values["tempo"], values["amplitude"], values["completeness"]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run. Beside ``steps`` and ``minutes``, which cut it short, no field changes what is
    learned but ``precision`` and ``threads``, in its last digits; a batch in parts (several processes,
    ``grad_accum_steps``) draws other noise.
    """

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 keeps parameters in fp32; auto takes it where the hardware computes in it (CUDA, or a CPU with AMX)."""
    device: str = "auto"
    """As torch spells it; auto is an NVIDIA GPU if there is one. On the CPU a run that was stopped ends bit for bit as
    the whole one."""
    parallel: Literal["auto", "none", "ddp", "fsdp"] = "auto"
    """How the processes of torchrun share the work; auto is ddp."""
    grad_accum_steps: int = 1
    """Micro-batches per optimizer step of each process."""
    prefetch: int | None = None
    """Batches drawn ahead in a thread; None: 2 on a GPU, 0 on the CPU."""
    compile: bool = False
    """Whether modules are compiled (torch.compile); not for losses with gradient penalties."""
    save_every: float = 20.0
    """Seconds between checkpoints at least; more where they are slow."""
    threads: int = 1
    """Of torch, on the CPU: the papers' GANs gain by two, small networks do not."""
    steps: int | None = None
    """At most so many training steps, of each stage where a recipe has several. The model says what share of its
    schedule it had."""
    minutes: float | None = None
    """Train for about so long, each stage for an equal part of it or to the end of its schedule."""

    def __post_init__(self):
        for name, known in {"precision": ("auto", "fp32", "bf16"), "parallel": ("auto", "none", "ddp", "fsdp")}.items():
            if getattr(self, name) not in known:
                raise MotifError(f"{name} is {getattr(self, name)!r}; give one of {', '.join(known)}")
        if self.threads < 1:
            raise MotifError(f"threads is {self.threads}; give at least 1")
        if self.steps is not None and self.steps < 1:
            raise MotifError(f"steps is {self.steps}; give at least 1")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise MotifError(f"minutes is {self.minutes}; give a positive number")
        if self.grad_accum_steps < 1 or (self.prefetch or 0) < 0:
            given = f"grad_accum_steps is {self.grad_accum_steps}, prefetch {self.prefetch}"
            raise MotifError(f"{given}; give at least 1 and 0")


@dataclass(frozen=True)
class CrowdConfig(SampleConfig):
    """How a crowd is made: as takes are sampled, and how its members differ in speed and stand."""

    spread: float = 0.1
    """Each member is up to this fraction faster or slower than the clip; as it is where an edit asks for anything."""
    gap: float = 0.1
    """Metres left between any two bodies at least."""

    def __post_init__(self):
        SampleConfig.__post_init__(self)
        if not 0 <= self.spread < 1:
            raise MotifError(f"spread is {self.spread}; give a fraction from 0 to below 1")
        if not (0 <= self.gap < math.inf):
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


@dataclass(frozen=True)
class VideoConfig:
    """How a video is read; thresholds of 0 turn their check off."""

    fov: float = 50.0
    """Degrees that the camera sees along the longer side of the picture; a phone has about 65, a telephoto 20."""
    height: float | None = None
    """Metres that the person is tall from the ground to the nose; as the pose estimator guesses if not given."""
    shortest: float = 1.0
    """Seconds that a person must be seen without a gap."""
    visible: float = 0.5
    """How sure the pose estimator must be of a body, 0 to 1, the mean over its joints."""
    jitter: float = 0.012
    """Landmarks tremble from frame to frame by at most so many body heights."""

    def __post_init__(self):
        if not 5 <= self.fov <= 150:
            raise MotifError(f"fov is {self.fov:g}; give degrees from 5 to 150")
        if self.height is not None and not 0.2 <= self.height <= 3:
            raise MotifError(f"height is {self.height:g}; give metres from 0.2 to 3")
