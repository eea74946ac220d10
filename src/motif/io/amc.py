"""ASF and AMC in: the skeleton and the motion files of Acclaim, in which CMU's library was published.

A bone of an ASF file turns about its beginning, in axes of its own; here a joint stands there and turns in those of its
parent.
AMC names no frame rate: CMU's takes were filmed at 120 a second, but for some at 60.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import rotation
from ..config import ReadConfig
from ..errors import MotifError
from ..motion import FileFormat, Motion
from ..rig_guess import guess_rig
from ..skeleton import Skeleton, free_name

FPS = 120.0
INCH = 0.0254  # metres; an ASF file's unit is so many over its length scale
LARGEST = 256 << 20  # bytes
ROOT = "root"


@dataclass
class _Bone:
    """A bone as the file tells it; angles in degrees."""

    direction: tuple[float, ...] = (0.0, 0.0, 0.0)
    length: float = 0.0
    axis: tuple[float, ...] = (0.0, 0.0, 0.0)
    order: str = "xyz"
    dof: tuple[str, ...] = ()


@dataclass
class _Rig:
    scale: float = 1.0
    degrees: bool = True
    root_order: tuple[str, ...] = ("tx", "ty", "tz", "rx", "ry", "rz")
    bones: dict[str, _Bone] = field(default_factory=lambda: {ROOT: _Bone()})
    children: dict[str, list[str]] = field(default_factory=dict)


def read(path: str | Path, config: ReadConfig = ReadConfig()) -> Motion:
    """Read an AMC file with its ASF file, which lies beside it, one folder up, or in a folder ``asf`` there."""
    path = Path(path)
    asf = find_asf(path)
    rig = _rig(asf)
    names, parents = _order(rig, asf)
    values, degrees = _frames(path, rig, names)
    unit = config.metres_per_unit or INCH / rig.scale
    turn = math.pi / 180 if degrees else 1.0
    place = values[ROOT][:, [rig.root_order.index(k) for k in ("tx", "ty", "tz")]]
    values[ROOT] = values[ROOT][:, [rig.root_order.index(k) for k in rig.bones[ROOT].dof]]
    rotations = torch.stack([_turns(rig.bones[n], values[n], turn, rig.degrees) for n in names], 1)
    skeleton, joints = _skeleton(rig, names, parents, unit)
    positions = skeleton.offset_tensor().double().expand(len(rotations), -1, 3).clone()
    positions[:, 0] = torch.from_numpy(place) * unit
    whole = rotation.identity(len(rotations), len(skeleton), like=rotations)
    whole[:, joints] = rotations
    q, p = whole.float(), positions.float()
    motion = Motion(guess_rig(skeleton, q, p, rest_known=True), q, p, 1 / FPS, path.stem, FileFormat(unit=0.01))
    return motion if config.fps is None else motion.resample(config.fps)


def find_asf(path: Path) -> Path:
    """Return the skeleton file of an AMC file: the one whose name begins the other's, or else the only one there."""
    folders = (path.parent, path.parent.parent, path.parent.parent / "asf", path.parent / "asf")
    for folder in folders:
        found = sorted(folder.glob("*.asf"))
        fitting = [f for f in found if path.stem.lower().startswith(f.stem.lower())]
        if fitting:
            return max(fitting, key=lambda f: len(f.stem))
        if len(found) == 1 and folder == path.parent:
            return found[0]
    raise MotifError(f"{path}: its skeleton is not there; put the .asf file of the same subject beside it")


def _text(path: Path) -> list[str]:
    try:
        if path.stat().st_size > LARGEST:
            raise MotifError(f"{path}: is larger than {LARGEST >> 20} MiB; cut the take into shorter files")
        raw = path.read_bytes()
    except OSError as error:
        raise MotifError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    return [line.split("#", 1)[0].strip() for line in raw.decode("latin-1").splitlines()]


def _fail(path: Path, line: int, what: str) -> MotifError:
    return MotifError(f"{path}:{line}: {what}; get the file again")


def _numbers(words: list[str], path: Path, line: int) -> tuple[float, ...]:
    try:
        found = tuple(map(float, words))
    except ValueError:
        raise _fail(path, line, f"found {' '.join(words)[:40]!r}, expected numbers") from None
    if not all(map(math.isfinite, found)):
        raise _fail(path, line, "holds a number that is not finite")
    return found


def _rig(path: Path) -> _Rig:
    """Read an ASF file."""
    rig, section, bone, name = _Rig(), "", _Bone(), ""
    for line, text in enumerate(_text(path), 1):
        words = text.split()
        if not words:
            continue
        if words[0].startswith(":"):
            section = words[0].lower()
        elif section == ":units" and len(words) > 1:
            if words[0] == "length":
                rig.scale = _numbers(words[1:2], path, line)[0]
            elif words[0] == "angle":
                rig.degrees = words[1].lower().startswith("deg")
        elif section == ":root" and words[0] == "order":
            rig.root_order = tuple(w.lower() for w in words[1:])
        elif section == ":root" and words[0] == "axis":
            rig.bones[ROOT].order = words[1].lower() if len(words) > 1 else ""
        elif section == ":root" and words[0] == "orientation":
            rig.bones[ROOT].axis = _numbers(words[1:4], path, line)
        elif section == ":bonedata":
            if words[0] == "begin":
                bone, name = _Bone(), ""
            elif words[0] == "name" and len(words) > 1:
                name = words[1]
            elif words[0] == "end":
                if not name or name in rig.bones:
                    raise _fail(path, line, f"a bone called {name!r} ends here, expected a name of its own")
                rig.bones[name] = bone
            else:
                _bone_line(bone, words, path, line)
        elif section == ":hierarchy" and words[0] not in ("begin", "end"):
            rig.children.setdefault(words[0], []).extend(words[1:])
    rig.bones[ROOT].dof = tuple(k for k in rig.root_order if k.startswith("r"))
    orders = [b.order for b in rig.bones.values()]
    if not rig.scale > 0 or sorted(rig.root_order) != ["rx", "ry", "rz", "tx", "ty", "tz"]:
        raise _fail(
            path, 1, f"root order {' '.join(rig.root_order)!r}, expected TX TY TZ RX RY RZ, and a length above 0"
        )
    if any(sorted(order) != ["x", "y", "z"] for order in orders):
        raise _fail(path, 1, f"axes {sorted(set(orders))}, expected an order of X, Y and Z for every bone")
    return rig


def _bone_line(bone: _Bone, words: list[str], path: Path, line: int) -> None:
    if words[0] == "direction":
        bone.direction = _numbers(words[1:4], path, line)
    elif words[0] == "length":
        bone.length = (*_numbers(words[1:2], path, line), 0.0)[0]
    elif words[0] == "axis":
        bone.axis, bone.order = _numbers(words[1:4], path, line), words[-1].lower()
    elif words[0] == "dof":
        bone.dof = tuple(w.lower() for w in words[1:] if re.fullmatch("r[xyz]", w.lower()))
    if len(bone.direction) != 3 or len(bone.axis) != 3:
        raise _fail(path, line, f"{words[0]} has fewer than three numbers")


def _order(rig: _Rig, path: Path) -> tuple[list[str], list[int]]:
    """Return the bones that hang together, the root first, and the place of each one's parent."""
    names, parents, at = [ROOT], [-1], 0
    while at < len(names):
        for child in rig.children.get(names[at], ()):
            if child not in rig.bones or child in names:
                what = "is not described" if child not in rig.bones else "hangs on two bones"
                raise MotifError(f"{path}: bone {child!r} of the hierarchy {what}; get the file again")
            names.append(child)
            parents.append(at)
        at += 1
    return names, parents


def _skeleton(rig: _Rig, names: list[str], parents: list[int], unit: float) -> tuple[Skeleton, list[int]]:
    """Return the rig, with an end site at the tip of every last bone, and the joint of each bone."""

    def tip(name: str) -> tuple[float, float, float]:
        x, y, z = (rig.bones[name].length * unit * d for d in rig.bones[name].direction)
        return x, y, z

    joints = list(names)
    offsets = [(0.0, 0.0, 0.0) if p < 0 else tip(names[p]) for p in parents]
    up, end = list(parents), [False] * len(names)
    for k, name in enumerate(names):
        if k not in parents and name != ROOT:
            joints.append(free_name(f"{name}_end", joints))
            offsets.append(tip(name))
            up.append(k)
            end.append(True)
    return Skeleton(tuple(joints), tuple(up), tuple(offsets), tuple(end)), list(range(len(names)))


def _frames(path: Path, rig: _Rig, names: list[str]) -> tuple[dict[str, np.ndarray], bool]:
    """Return the numbers of each bone, [T, n], and whether angles are degrees. Bones that a frame leaves out rest."""
    width = {name: len(rig.root_order) if name == ROOT else len(rig.bones[name].dof) for name in names}
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    frames, degrees = 0, rig.degrees
    for line, text in enumerate(_text(path), 1):
        words = text.split()
        if not words or words[0].startswith(":"):
            degrees = {":degrees": True, ":radians": False}.get(words[0].lower(), degrees) if words else degrees
        elif len(words) == 1 and words[0].isdigit():
            frames += 1
            for name in names:
                if len(rows[name]) < frames - 1:
                    rows[name].append((0.0,) * width[name])
        elif words[0] not in rig.bones:
            raise _fail(path, line, f"bone {words[0]!r} is not in the skeleton file")
        elif words[0] in rows:
            found = _numbers(words[1:], path, line)
            if len(found) != width[words[0]] or len(rows[words[0]]) != frames - 1:
                raise _fail(path, line, f"{words[0]} has {len(found)} numbers, expected {width[words[0]]} once a frame")
            rows[words[0]].append(found)
    if not frames:
        raise MotifError(f"{path}: holds no frame; expected frame numbers and the bones' angles below each")
    for name in names:
        if len(rows[name]) < frames:
            rows[name].append((0.0,) * width[name])
    return {name: np.array(found, float).reshape(frames, width[name]) for name, found in rows.items()}, degrees


def _turns(bone: _Bone, angles: np.ndarray, turn: float, axis_degrees: bool) -> Float[Tensor, "t 4"]:
    """Return local rotations of a bone: its angles, one column for each of ``bone.dof``, taken about its own axes."""
    about_axes = np.zeros((len(angles), 3))
    for column, name in enumerate(bone.dof):
        about_axes[:, "xyz".index(name[1])] = angles[:, column]
    about = _euler(torch.from_numpy(about_axes) * turn, bone.order)
    own = torch.tensor([bone.axis], dtype=torch.float64) * (math.pi / 180 if axis_degrees else 1.0)
    c = _euler(own, bone.order)
    return rotation.normalise(rotation.mul(rotation.mul(c, about), rotation.inv(c)))


def _euler(angles: Float[Tensor, "t 3"], order: str) -> Float[Tensor, "t 4"]:
    """Return rotations of angles about x, y and z that are applied in the order named: XYZ turns about x first."""
    last_first = order[::-1]
    return rotation.from_euler(angles[:, ["xyz".index(k) for k in last_first]], last_first)
