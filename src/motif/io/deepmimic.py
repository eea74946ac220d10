"""DeepMimic's JSON in: 44 numbers a frame for its humanoid of 13 bodies.

A frame is its length in seconds, the root's place (metres, Y up) and quaternion (w, x, y, z), and then the joints in
the order of the rig: a quaternion each, or an angle about Z for knees and elbows.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import rotation
from ..config import ReadConfig
from ..errors import MotifError
from ..motion import FileFormat, Motion
from ..rig_guess import guess_rig
from ..skeleton import Skeleton

LARGEST = 256 << 20  # bytes
_SIDE = (
    ("hip", "root", (0.0, 0.0, 0.084887), False),
    ("knee", "hip", (0.0, -0.421546, 0.0), True),
    ("ankle", "knee", (0.0, -0.40987, 0.0), False),
    ("shoulder", "chest", (-0.02405, 0.2435, 0.18311), False),
    ("elbow", "shoulder", (0.0, -0.274788, 0.0), True),
)
"""Joints of a side, with parent, offset (metres, Z to the right, X ahead) and whether it is a hinge."""
_TIPS = {"neck": (0.0, 0.175, 0.0), "elbow": (0.0, -0.258947, 0.0), "ankle": (0.0885, -0.045, 0.0)}


def _rig() -> tuple[Skeleton, list[bool]]:
    """Return the humanoid, in the order of the file, and which joints are hinges."""
    rows: list[tuple[str, str, tuple[float, float, float], bool]] = [
        ("root", "", (0.0, 0.0, 0.0), False),
        ("chest", "root", (0.0, 0.236151, 0.0), False),
        ("neck", "chest", (0.0, 0.223894, 0.0), False),
    ]
    for side, way in (("right", 1.0), ("left", -1.0)):
        for name, parent, (x, y, z), hinge in _SIDE:
            above = parent if parent in ("root", "chest") else f"{side}_{parent}"
            rows.append((f"{side}_{name}", above, (x, y, way * z), hinge))
    names = [row[0] for row in rows]
    for name in list(names):
        if tip := _TIPS.get(name.rpartition("_")[2]):
            rows.append((f"{name}_end", name, tip, False))
    parents = tuple(names.index(row[1]) if row[1] else -1 for row in rows)
    end = tuple(row[0].endswith("_end") for row in rows)
    skeleton = Skeleton(tuple(row[0] for row in rows), parents, tuple(row[2] for row in rows), end)
    return skeleton, [row[3] for row in rows if not row[0].endswith("_end")]


def looks_like(start: bytes) -> bool:
    """Whether a file that begins so is one of DeepMimic's."""
    return start.lstrip()[:1] == b"{" and b'"Frames"' in start


def read(path: str | Path, config: ReadConfig = ReadConfig()) -> Motion:
    """Read a clip of DeepMimic's humanoid; other characters' files have other numbers of values and are refused."""
    path = Path(path)
    values = _values(path)
    skeleton, hinges = _rig()
    width = 4 + sum(1 if hinge else 4 for hinge in hinges)
    if values.shape[1] != width:
        found = f"{values.shape[1]} numbers a frame"
        raise MotifError(f"{path}: {found}, expected {width}, those of the humanoid; other characters cannot be read")
    x = torch.from_numpy(values)
    rotations = rotation.identity(len(x), len(skeleton), like=x)
    at = 4
    for joint, hinge in enumerate(hinges):
        if hinge:
            rotations[:, joint] = rotation.about("z", x[:, at])
        else:
            rotations[:, joint] = rotation.normalise(x[:, at : at + 4])
        at += 1 if hinge else 4
    positions = skeleton.offset_tensor().expand(len(x), -1, 3).clone()
    positions[:, 0] = x[:, 1:4].float()
    q = rotations.float()
    frame_time = float(np.median(values[:-1, 0] if len(values) > 1 else values[:, 0]))
    if not frame_time > 0:
        raise MotifError(f"{path}: a frame lasts {frame_time:g} s; expected the length of a frame as its first number")
    rig = guess_rig(skeleton, q, positions, rest_known=True)
    motion = Motion(rig, q, positions, frame_time, path.stem, FileFormat(unit=0.01))
    return motion if config.fps is None else motion.resample(config.fps)


def _values(path: Path) -> np.ndarray:
    """Return the numbers of a file, [T, n]."""
    try:
        if path.stat().st_size > LARGEST:
            raise MotifError(f"{path}: is larger than {LARGEST >> 20} MiB; cut the take into shorter files")
        found: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise MotifError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    except (ValueError, RecursionError) as error:
        raise MotifError(f"{path}: is no JSON ({error}); expected a clip of DeepMimic") from None
    frames = found.get("Frames") if isinstance(found, dict) else None
    if not isinstance(frames, list) or not frames:
        raise MotifError(f"{path}: has no frames; expected DeepMimic's fields Loop and Frames")
    try:
        values = np.array(frames, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        values = np.zeros(0)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise MotifError(f"{path}: its frames are not rows of equally many finite numbers; get the file again")
    return values
