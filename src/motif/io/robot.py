"""Robots' motion in, as .csv files without a header: a frame a row, the root's place and quaternion, angles of joints.

The root comes first (3 numbers, metres, X ahead, Y left, Z up; then 4), then an angle in radians for each joint that
turns, in the order of a list of joints. The list is the file ``joints.json`` beside the rows::

    {"fps": 30, "quaternion": "xyzw", "joints": [
        {"name": "base"},
        {"name": "knee", "parent": "base", "offset": [0, 0.1, -0.4], "axis": [0, 1, 0]},
        {"name": "toe", "parent": "knee", "offset": [0, 0, -0.4]}]}

with offsets (metres) and axes in the root's axes when all angles are zero; a joint without an axis is a tip. Rows of 36
numbers need none: they are those of Unitree's G1 with 29 joints (LAFAN1 retargeted, G1 Moves; ``assets/g1.json``).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import rotation
from ..config import ReadConfig
from ..errors import MotifError
from ..motion import Motion
from ..skeleton import Skeleton
from .smpl import moving

LARGEST = 64 << 20  # bytes
LIST = "joints.json"
_KNOWN = Path(__file__).parents[1] / "assets" / "g1.json"
_ROOT = 7  # numbers of a root
_TURNED = [1, 2, 0]  # which of a file's axes are X (left), Y (up) and Z (ahead) here

Axes = tuple[tuple[float, float, float] | None, ...]


@dataclass(frozen=True)
class Robot:
    """A list of joints."""

    skeleton: Skeleton
    axes: Axes
    """One for each joint that turns, None for the root and tips."""
    fps: float = 30.0
    quaternion: str = "xyzw"

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return _ROOT + sum(axis is not None for axis in self.axes)


def looks_like(path: Path, start: bytes) -> bool:
    """Whether a file that begins so has rows of as many numbers as a robot that is known here."""
    try:
        row = np.array(start.split(b"\n", 1)[0].split(b","), float)
    except ValueError:
        return False
    try:
        return len(row) == _robot(path, len(row)).width
    except MotifError:
        return (path.parent / LIST).is_file()  # so that what is wrong with it is said


def read(path: str | Path, config: ReadConfig = ReadConfig()) -> Motion:
    """Read the rows of a robot; raise an error where they are not as many numbers as its list of joints says."""
    path = Path(path)
    values = _values(path)
    robot = _robot(path, values.shape[1])
    x, s = torch.from_numpy(values), robot.skeleton
    if x.shape[1] != robot.width:
        raise MotifError(f"{path}: {x.shape[1]} numbers a row; {LIST} says {robot.width}, {_ROOT} of them the root's")
    turn = x[:, 3:_ROOT] if robot.quaternion == "wxyz" else x[:, [6, 3, 4, 5]]
    if bool(((turn.norm(dim=-1) - 1).abs() > 0.1).any()):
        raise MotifError(f"{path}: numbers 4 to 7 of a row are no quaternion {robot.quaternion}; its length is not 1")
    rotations = rotation.identity(len(x), len(s), like=x)
    rotations[:, 0] = rotation.normalise(torch.cat((turn[:, :1], turn[:, 1:][:, _TURNED]), -1))
    turning = [j for j, axis in enumerate(robot.axes) if axis is not None]
    axes = torch.tensor([axis for axis in robot.axes if axis is not None], dtype=x.dtype).reshape(-1, 3)
    rotations[:, turning] = rotation.exp(axes * x[:, _ROOT:, None])
    positions = s.offset_tensor().double().expand(len(x), -1, 3).clone()
    positions[:, 0] = x[:, :3][:, _TURNED]
    motion = moving(s, rotations, positions, 1 / robot.fps, path)
    return motion if config.fps is None else motion.resample(config.fps)


def _robot(path: Path, width: int) -> Robot:
    """Return the robot of a file: of the list beside it, or the known one if rows are as long as its."""
    own = path.parent / LIST
    if own.is_file():
        return _parse(own)
    known = _parse(_KNOWN)
    if width != known.width:
        raise MotifError(
            f"{path}: rows of {width} numbers; expected {known.width}, a Unitree G1, or a list of joints in "
            f"{own.name} beside the file (docs/corpus.md shows one)"
        )
    return known


def _parse(path: Path) -> Robot:
    try:
        found: Any = json.loads(path.read_text("utf-8"))
        rows = found["joints"]
        names = [str(row["name"]) for row in rows]
        parents = tuple(names.index(row["parent"]) if k else -1 for k, row in enumerate(rows))
        offsets = tuple(_vector(row["offset"]) if k else (0.0, 0.0, 0.0) for k, row in enumerate(rows))
        axes = tuple(_vector(row["axis"], unit=True) if "axis" in row and k else None for k, row in enumerate(rows))
        fps, quaternion = float(found.get("fps", 30)), str(found.get("quaternion", "xyzw"))
        if quaternion not in ("xyzw", "wxyz") or not 1 <= fps <= 1000:
            raise ValueError(f"quaternion {quaternion!r}, fps {fps:g}; expected 'xyzw' or 'wxyz', and 1 to 1000")
        end = tuple(axis is None and k > 0 for k, axis in enumerate(axes))
        return Robot(Skeleton(tuple(names), parents, offsets, end), axes, fps, quaternion)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MotifError) as error:
        expected = "expected a list of joints with name, parent, offset and axis, parents before children"
        raise MotifError(f"{path}: {type(error).__name__} {error}; {expected}") from None


def _vector(values: Any, unit: bool = False) -> tuple[float, float, float]:
    """Return three numbers of a file in the axes used here, of length 1 if asked for."""
    v = [float(x) for x in values]
    size = math.hypot(*v) if unit else 1.0
    if len(v) != 3 or not all(map(math.isfinite, v)) or not size > 0:
        raise ValueError(f"{values} are no three finite numbers")
    a, b, c = (v[k] / size for k in _TURNED)
    return a, b, c


def _values(path: Path) -> np.ndarray:
    """Return the numbers of a file, [T, n]."""
    values = None
    try:
        size = path.stat().st_size
        if 0 < size <= LARGEST:
            values = np.loadtxt(path, delimiter=",", ndmin=2)
    except OSError as error:
        raise MotifError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    except ValueError as error:
        raise MotifError(f"{path}: {str(error)[:120]}; expected rows of equally many numbers and no header") from None
    if values is None:
        hint = f"is larger than {LARGEST >> 20} MiB; cut the take into shorter files" if size else "is empty"
        raise MotifError(f"{path}: {hint}")
    if values.shape[1] < _ROOT or not np.isfinite(values).all() or not len(values):
        raise MotifError(f"{path}: expected rows of finite numbers, {_ROOT} for the root and one for each joint")
    return values
