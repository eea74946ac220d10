"""DeepMimic's JSON in: 44 numbers a frame for its humanoid of 13 bodies, 84 for its dog of 23.

A frame is its length in seconds, the root's place (metres, Y up) and quaternion (w, x, y, z), and then the joints in
the order of the rig: a quaternion each, or an angle about Z for hinges such as knees. Which character moves is told by
how many numbers a frame has.
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
_Bone = tuple[str, str, tuple[float, float, float], bool]
"""A joint with its parent, offset (metres, X ahead, Y up, Z to the right) and whether it is a hinge."""
_TRUNK: tuple[_Bone, ...] = (
    ("chest", "root", (0.0, 0.236151, 0.0), False),
    ("neck", "chest", (0.0, 0.223894, 0.0), False),
)
_SIDE: tuple[_Bone, ...] = (
    ("hip", "root", (0.0, 0.0, 0.084887), False),
    ("knee", "hip", (0.0, -0.421546, 0.0), True),
    ("ankle", "knee", (0.0, -0.40987, 0.0), False),
    ("shoulder", "chest", (-0.02405, 0.2435, 0.18311), False),
    ("elbow", "shoulder", (0.0, -0.274788, 0.0), True),
)
_TIPS = {"neck": (0.0, 0.175, 0.0), "elbow": (0.0, -0.258947, 0.0), "ankle": (0.0885, -0.045, 0.0)}
_DOG_TRUNK: tuple[_Bone, ...] = (
    ("spine0", "root", (0.0, 0.0, 0.0), False),
    ("spine1", "spine0", (0.2375, 0.0, 0.0), False),
    ("neck", "spine1", (0.28135, 0.0, 0.0), False),
    ("head", "neck", (0.175, 0.0, 0.0), False),
)
_DOG_FORE: tuple[_Bone, ...] = (
    ("shoulder", "spine1", (0.304074, -0.109983, 0.106071), False),
    ("forearm", "shoulder", (0.0, -0.19, 0.0), True),
    ("hand", "forearm", (0.0, -0.2225, 0.0), False),
    ("finger", "hand", (0.0, -0.09, 0.0), False),
)
_DOG_HIND: tuple[_Bone, ...] = (
    ("upper_leg", "root", (-0.074803, -0.095825, 0.05986), False),
    ("leg", "upper_leg", (0.0, -0.2, 0.0), True),
    ("foot", "leg", (0.0, -0.225, 0.0), False),
    ("toe", "foot", (0.0, -0.135, 0.0), False),
)
_DOG_TAIL: tuple[_Bone, ...] = (
    ("tail0", "root", (-0.086, 0.0, 0.0), False),
    ("tail1", "tail0", (-0.2, 0.0, 0.0), False),
)
_DOG_TIPS = {
    "head": (0.14, -0.04, 0.0),
    "finger": (0.052, -0.04, 0.0),
    "toe": (0.06, -0.04, 0.0),
    "tail1": (-0.22, 0, 0),
}
"""Of both characters the ends of the bodies that hang on the last joints."""


def _sided(side: str, bones: tuple[_Bone, ...]) -> list[_Bone]:
    """Return the bones of one side."""
    own, way = {bone[0] for bone in bones}, 1.0 if side == "right" else -1.0
    return [(f"{side}_{n}", f"{side}_{p}" if p in own else p, (x, y, way * z), h) for n, p, (x, y, z), h in bones]


def _rig(rows: list[_Bone], tips: dict[str, tuple[float, float, float]]) -> tuple[Skeleton, list[bool]]:
    """Return a character, in the order of its files, and which joints are hinges."""
    rows = [("root", "", (0.0, 0.0, 0.0), False), *rows]
    hinges = [row[3] for row in rows]
    for name in [row[0] for row in rows]:
        if tip := tips.get(name.removeprefix("left_").removeprefix("right_")):
            rows.append((f"{name}_end", name, tip, False))
    names = [row[0] for row in rows]
    parents = tuple(names.index(row[1]) if row[1] else -1 for row in rows)
    end = tuple(row[0].endswith("_end") for row in rows)
    return Skeleton(tuple(names), parents, tuple(row[2] for row in rows), end), hinges


def _rigs() -> dict[int, tuple[Skeleton, list[bool]]]:
    """Return the characters by how many numbers a frame of theirs has."""
    human = [*_TRUNK, *_sided("right", _SIDE), *_sided("left", _SIDE)]
    dog = [
        *_DOG_TRUNK,
        *(row for bones in (_DOG_FORE, _DOG_HIND) for s in ("left", "right") for row in _sided(s, bones)),
    ]
    rigs = _rig(human, _TIPS), _rig([*dog, *_DOG_TAIL], _DOG_TIPS)
    return {4 + sum(1 if hinge else 4 for hinge in rig[1]): rig for rig in rigs}


def looks_like(start: bytes) -> bool:
    """Whether a file that begins so is one of DeepMimic's."""
    return start.lstrip()[:1] == b"{" and b'"Frames"' in start


def read(path: str | Path, config: ReadConfig = ReadConfig()) -> Motion:
    """Read a clip of DeepMimic's humanoid or dog; other characters' frames have other lengths and are refused."""
    path = Path(path)
    values, rigs = _values(path), _rigs()
    if values.shape[1] not in rigs:
        found, expected = f"{values.shape[1]} numbers a frame", " or ".join(map(str, rigs))
        raise MotifError(f"{path}: {found}, expected {expected}, those of DeepMimic's humanoid or dog")
    skeleton, hinges = rigs[values.shape[1]]
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
    if paws := [name for name in rig.names if "finger" in name]:  # the dog stands on them, which no name tells
        rig = rig.with_contacts([*(rig.names[c] for c in rig.contacts), *paws])
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
