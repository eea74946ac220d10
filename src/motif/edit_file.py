"""An :class:`Edit` as a JSON file: seconds, degrees and file names instead of frames, radians and motions.

::

    {
      "seconds": 12,
      "loop": false,
      "keep": [{"motion": "dance.bvh", "from": 2, "to": 4.5, "at": 0, "joints": ["lower"],
                "blend": 0.4, "anchored": true, "rate": null}],
      "weights": {"upper": 2},
      "way": {"points": [[0, 0], [2, 0]], "times": [0, 3], "facing": [90, 90]},
      "mix": [{"at": 0, "weights": [1, 0]}, {"at": 12, "weights": [0, 1]}]
    }

Every field may be left out but ``motion``, ``points`` and what ``mix`` holds. Names of files are relative to the JSON
file. Equal ``from`` and ``to`` give one frame: a key pose.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import io
from .edit import Constraint, Edit, Trajectory
from .errors import MotifError
from .files import replace_file
from .motion import Motion


def read(path: str | Path, load: Callable[[Path], Motion] = io.load) -> Edit:
    """The edit in a JSON file.

    Args:
        path: the file.
        load: reads the motion files that it names.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MotifError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise MotifError(f"{path}: is not JSON ({error})") from None
    try:
        return _edit(_Object(data, ""), path.parent, load)
    except MotifError as error:
        raise MotifError(f"{path}: {error}") from None


def write(edit: Edit, path: str | Path) -> Path:
    """Write an edit as JSON; the motions that it keeps become BVH files beside it (NAME.0.bvh and so on)."""
    path = Path(path)
    data: dict[str, Any] = {}
    if edit.seconds is not None:
        data["seconds"] = edit.seconds
    if edit.loop:
        data["loop"] = True
    if edit.constraints:
        data["keep"] = []
    for k, keep in enumerate(edit.constraints):
        name = f"{path.stem}.{k}.bvh"
        io.save(keep.motion, path.with_name(name))
        row: dict[str, Any] = {"motion": name, "at": keep.start * keep.motion.frame_time, "joints": list(keep.joints)}
        data["keep"].append(row | {"blend": keep.blend, "anchored": keep.world_space, "rate": keep.rate})
    if edit.joint_weights:
        data["weights"] = dict(edit.joint_weights)
    if edit.trajectory is not None:
        way: dict[str, Any] = {"points": [list(p) for p in edit.trajectory.points]}
        if edit.trajectory.times is not None:
            way["times"] = list(edit.trajectory.times)
        if edit.trajectory.facing is not None:
            way["facing"] = [math.degrees(f) for f in edit.trajectory.facing]
        data["way"] = way
    if edit.clip_weights:
        data["mix"] = [{"at": at, "weights": list(weights)} for at, weights in edit.clip_weights]
    text = json.dumps(data, indent=1)
    try:
        replace_file(path, lambda beside: Path(beside).write_text(text + "\n", encoding="utf-8"))
    except OSError as error:
        raise MotifError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None
    return path


# --- reading ---------------------------------------------------------------------------------------------------------
class _Object:
    """A JSON object whose fields are asked for one by one, by kind; what was never asked for is refused."""

    def __init__(self, data: Any, where: str):
        if not isinstance(data, Mapping):
            raise MotifError(f"{where or 'the file'} holds {json.dumps(data)[:60]}; expected an object in braces")
        self.data, self.where, self.asked = data, f"{where}." if where else "", set()

    def get(self, name: str, kind: str, check: Callable[[Any], bool], otherwise: Any = None, must: bool = False) -> Any:
        """A field, if it is there and ``check`` likes it."""
        self.asked.add(name)
        value = self.data.get(name)
        if value is None:
            if must:
                raise MotifError(f"{self.where}{name} is missing; give {kind}")
            return otherwise
        if not check(value):
            raise MotifError(f"{self.where}{name} is {json.dumps(value)[:60]}; give {kind}")
        return value

    def number(self, name: str, otherwise: Any = None, must: bool = False) -> Any:
        """A finite number."""
        return self.get(name, "a number", _number, otherwise, must)

    def done(self) -> None:
        """Nothing may be left."""
        unknown = sorted(set(self.data) - self.asked)
        if unknown:
            known = ", ".join(sorted(self.asked))
            raise MotifError(f"{self.where}{unknown[0]} is not a field of an edit; here there are {known}")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_number, value))


def _points(value: Any) -> bool:
    return isinstance(value, list) and all(_numbers(p) and len(p) == 2 for p in value)


def _edit(found: _Object, folder: Path, load: Callable[[Path], Motion]) -> Edit:
    a_list, a_bool = (lambda v: isinstance(v, list)), (lambda v: isinstance(v, bool))
    weights = found.get("weights", "names and numbers", lambda v: isinstance(v, dict) and _numbers([*v.values()]), {})
    kept = tuple(
        _keep(_Object(row, f"keep[{k}]"), folder, load)
        for k, row in enumerate(found.get("keep", "a list of objects", a_list, []))
    )
    mix = []
    for k, row in enumerate(found.get("mix", "a list of objects", a_list, [])):
        one = _Object(row, f"mix[{k}]")
        given = one.get("weights", "a list of numbers", _numbers, must=True)
        mix.append((float(one.number("at", must=True)), tuple(map(float, given))))
        one.done()
    way = found.get("way", "an object", lambda v: isinstance(v, dict))
    edit = Edit(
        seconds=found.number("seconds"),
        loop=found.get("loop", "true or false", a_bool, False),
        constraints=kept,
        joint_weights=weights,
        trajectory=None if way is None else _way(_Object(way, "way")),
        clip_weights=tuple(mix),
    )
    found.done()
    if not edit.features and edit.seconds is None:
        raise MotifError(f"asks for nothing; give at least one of {', '.join(sorted(found.asked))}")
    return edit


def _keep(row: _Object, folder: Path, load: Callable[[Path], Motion]) -> Constraint:
    def is_name(value: Any) -> bool:
        return isinstance(value, str) and bool(value)

    motion = load(folder / row.get("motion", "the name of a motion file", is_name, must=True))
    begin, end = row.number("from", 0.0), row.number("to", motion.seconds)
    first, last = round(begin * motion.fps), round(end * motion.fps)
    if begin == end:
        first = min(first, len(motion) - 1) if begin <= motion.seconds else first
        last = first + 1
    if not 0 <= first < last <= len(motion):
        raise MotifError(
            f"{row.where}from and to: {begin:g} to {end:g} s of {motion.name!r}, which lasts {motion.seconds:.2f} s; "
            f"give a stretch that lies in it"
        )
    joints = row.get("joints", "a list of names", lambda v: isinstance(v, list) and all(map(is_name, v)), ["all"])
    keep = Constraint(
        motion.crop(first, last),
        tuple(joints),
        round(row.number("at", 0.0) * motion.fps),
        row.number("blend", Constraint.blend),
        row.get("anchored", "true or false", lambda v: isinstance(v, bool), True),
        row.number("rate"),
    )
    row.done()
    return keep


def _way(row: _Object) -> Trajectory:
    points = row.get("points", "a list of pairs of x and z", _points, must=True)
    times, facing = (row.get(name, "a list of numbers", _numbers) for name in ("times", "facing"))
    row.done()
    return Trajectory(
        tuple((float(x), float(z)) for x, z in points),
        None if times is None else tuple(map(float, times)),
        None if facing is None else tuple(map(math.radians, facing)),
    )
