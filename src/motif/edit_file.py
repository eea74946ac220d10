"""An :class:`Edit` as a JSON file: seconds, degrees and file names instead of frames, radians and motions.

::

    {
      "seconds": 12,
      "loop": false,
      "constraints": [{"motion": "dance.bvh", "from": 2, "to": 4.5, "at": 0, "joints": ["lower"],
                       "blend": 0.4, "world_space": true, "cutoff": null}],
      "joint_weights": {"upper": 2},
      "trajectory": {"points": [[0, 0], [2, 0]], "times": [0, 3], "facing": [90, 90]},
      "clip_weights": [{"at": 0, "weights": [1, 0]}, {"at": 12, "weights": [0, 1]}]
    }

Every field may be left out but ``motion``, ``points`` and what ``clip_weights`` holds. Names of files are relative to
the JSON file. Equal ``from`` and ``to`` give one frame: a key frame.
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

RENAMED = {
    "keep": "constraints",
    "weights": "joint_weights",
    "mix": "clip_weights",
    "way": "trajectory",
    "rate": "cutoff",
    "anchored": "world_space",
}
"""Fields of older files and what they are called now."""


def read(path: str | Path, load: Callable[[Path], Motion] = io.load) -> Edit:
    """Read the edit in a JSON file; ``load`` reads the motion files that it names.

    Raises:
        MotifError: naming the file and the field that is wrong.
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
    """Write an edit as JSON; motions of its constraints become BVH files beside it (NAME.0.bvh and so on)."""
    path = Path(path)
    data: dict[str, Any] = {"seconds": edit.seconds, "loop": edit.loop, "joint_weights": dict(edit.joint_weights)}
    data["constraints"] = []
    for k, c in enumerate(edit.constraints):
        name = f"{path.stem}.{k}.bvh"
        io.save(c.motion, path.with_name(name))
        row: dict[str, Any] = {"motion": name, "at": c.start * c.motion.frame_time, "joints": list(c.joints)}
        data["constraints"].append(row | {"blend": c.blend, "world_space": c.world_space, "cutoff": c.cutoff})
    if edit.trajectory is not None:
        facing = edit.trajectory.facing and list(map(math.degrees, edit.trajectory.facing))
        row = {"points": edit.trajectory.points, "times": edit.trajectory.times, "facing": facing}
        data["trajectory"] = {name: value for name, value in row.items() if value is not None}
    data["clip_weights"] = [{"at": at, "weights": weights} for at, weights in edit.clip_weights]
    text = json.dumps({name: value for name, value in data.items() if value not in (None, False, [], {})}, indent=1)
    try:
        replace_file(path, lambda beside: Path(beside).write_text(text + "\n", encoding="utf-8"))
    except OSError as error:
        raise MotifError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None
    return path


# --- reading ---------------------------------------------------------------------------------------------------------
class _Object:
    """A JSON object whose fields are read one by one; what was never read is refused."""

    def __init__(self, data: Any, where: str):
        if not isinstance(data, Mapping):
            raise MotifError(f"{where or 'the file'} holds {json.dumps(data)[:60]}; expected an object in braces")
        self.data, self.where, self.known = data, f"{where}." if where else "", set()

    def get(self, name: str, kind: str, check: Callable[[Any], bool], default: Any = None, must: bool = False) -> Any:
        """Return a field that passes ``check``, or ``default`` if it is not there and not a ``must``."""
        self.known.add(name)
        value = self.data.get(name)
        if value is None:
            if must:
                raise MotifError(f"{self.where}{name} is missing; give {kind}")
            return default
        if not check(value):
            raise MotifError(f"{self.where}{name} is {json.dumps(value)[:60]}; give {kind}")
        return value

    def number(self, name: str, default: Any = None, must: bool = False) -> Any:
        """Return a finite number."""
        return self.get(name, "a number", _number, default, must)

    def rows(self, name: str) -> "list[_Object]":
        """Return the objects of a list."""
        found = self.get(name, "a list of objects", lambda v: isinstance(v, list), [])
        return [_Object(row, f"{self.where}{name}[{k}]") for k, row in enumerate(found)]

    def done(self) -> None:
        """Refuse fields that were not read."""
        for name in sorted(set(self.data) - self.known):
            if RENAMED.get(name) in self.known:
                raise MotifError(f"{self.where}{name} is now called {RENAMED[name]}; rename the field")
            known = ", ".join(sorted(self.known))
            raise MotifError(f"{self.where}{name} is not a field of an edit; here there are {known}")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_number, value))


def _points(value: Any) -> bool:
    return isinstance(value, list) and all(_numbers(p) and len(p) == 2 for p in value)


def _name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _edit(top: _Object, folder: Path, load: Callable[[Path], Motion]) -> Edit:
    mapping = lambda v: isinstance(v, dict)  # noqa: E731
    trajectory = top.get("trajectory", "an object", mapping)
    edit = Edit(
        seconds=top.number("seconds"),
        loop=top.get("loop", "true or false", _flag, False),
        constraints=tuple(_constraint(row, folder, load) for row in top.rows("constraints")),
        joint_weights=top.get(
            "joint_weights", "names and numbers", lambda v: mapping(v) and _numbers([*v.values()]), {}
        ),
        trajectory=None if trajectory is None else _trajectory(_Object(trajectory, "trajectory")),
        clip_weights=tuple(map(_weights, top.rows("clip_weights"))),
    )
    top.done()
    if not edit.features and edit.seconds is None:
        raise MotifError(f"asks for nothing; give at least one of {', '.join(sorted(top.known))}")
    return edit


def _weights(row: _Object) -> tuple[float, tuple[float, ...]]:
    weights, at = row.get("weights", "a list of numbers", _numbers, must=True), row.number("at", must=True)
    row.done()
    return float(at), tuple(map(float, weights))


def _constraint(row: _Object, folder: Path, load: Callable[[Path], Motion]) -> Constraint:
    motion = load(folder / row.get("motion", "the name of a motion file", _name, must=True))
    begin, end = row.number("from", 0.0), row.number("to", motion.seconds)
    first, last = round(begin * motion.fps), round(end * motion.fps)
    if begin == end:
        first = min(first, len(motion) - 1) if begin <= motion.seconds else first
        last = first + 1
    if not 0 <= first < last <= len(motion):
        raise MotifError(
            f"{row.where}from and to: {begin:g} to {end:g} s of {motion.name!r}, which lasts {motion.seconds:.2f} s; "
            f"give a span that lies in it"
        )
    constraint = Constraint(
        motion.crop(first, last),
        tuple(row.get("joints", "a list of names", lambda v: isinstance(v, list) and all(map(_name, v)), ["all"])),
        round(row.number("at", 0.0) * motion.fps),
        row.number("blend", Constraint.blend),
        row.get("world_space", "true or false", _flag, True),
        row.number("cutoff"),
    )
    row.done()
    return constraint


def _trajectory(row: _Object) -> Trajectory:
    points = row.get("points", "a list of pairs of x and z", _points, must=True)
    times, facing = (row.get(name, "a list of numbers", _numbers) for name in ("times", "facing"))
    row.done()
    return Trajectory(
        tuple((float(x), float(z)) for x, z in points),
        times and tuple(map(float, times)),
        facing and tuple(map(math.radians, facing)),
    )
