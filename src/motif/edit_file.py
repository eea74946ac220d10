"""An :class:`Edit` as a JSON file: seconds, degrees and file names instead of frames, radians and motions.

docs/edits.md shows one. Every field may be left out but ``motion``, ``points`` and what ``clip_weights`` holds. Names
of files are relative to the JSON file. Equal ``from`` and ``to`` give one frame: a key frame.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import io
from .edit import Constraint, Edit, Trajectory
from .errors import MotifError
from .files import replace_file
from .motion import Motion

RENAMED = {"keep": "constraints", "weights": "joint_weights", "mix": "clip_weights", "way": "trajectory"}
RENAMED |= {"rate": "cutoff", "anchored": "world_space"}
"""Fields of older files and what they are called now."""


def read(path: str | Path, load: Callable[[Path], Motion] = io.load) -> Edit:
    """Read the edit in a JSON file; ``load`` reads the motion files that it names. Errors name the file and field."""
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MotifError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise MotifError(f"{path}: is not JSON ({error})") from None
    try:
        return _edit(data, path.parent, load)
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
    replace_file(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))
    return path


# --- reading ---------------------------------------------------------------------------------------------------------
def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))


KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("seconds", "from", "to", "at", "blend", "cutoff"), ("a number", _number)),
    **dict.fromkeys(("loop", "world_space"), ("true or false", lambda v: isinstance(v, bool))),
    **dict.fromkeys(("times", "facing", "weights"), ("a list of numbers", _list_of(_number))),
    **dict.fromkeys(("constraints", "clip_weights"), ("a list of objects", _list_of(lambda v: True))),
    "trajectory": ("an object", lambda v: isinstance(v, dict)),
    "joint_weights": ("names and numbers", lambda v: isinstance(v, dict) and all(map(_number, v.values()))),
    "motion": ("the name of a motion file", lambda v: isinstance(v, str) and v != ""),
    "joints": ("a list of names", _list_of(lambda v: isinstance(v, str) and v != "")),
    "points": ("a list of pairs of x and z", _list_of(lambda v: _list_of(_number)(v) and len(v) == 2)),
}
"""What each field holds, in words and as a check."""


def _fields(data: Any, where: str, must: tuple[str, ...], may: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return those fields of a JSON object that are not null, if they are the right ones and of the right kind."""
    if not isinstance(data, dict):
        raise MotifError(f"{where or 'the file'} holds {json.dumps(data)[:60]}; expected an object in braces")
    known, where = sorted(must + may), f"{where}." if where else ""
    for name in sorted(set(data) - set(known)):
        if RENAMED.get(name) in known:
            raise MotifError(f"{where}{name} is now called {RENAMED[name]}; rename the field")
        raise MotifError(f"{where}{name} is not a field of an edit; here there are {', '.join(known)}")
    for name in must:
        if data.get(name) is None:
            raise MotifError(f"{where}{name} is missing; give {KINDS[name][0]}")
    given = {name: value for name, value in data.items() if value is not None}
    for name, value in given.items():
        if not KINDS[name][1](value):
            raise MotifError(f"{where}{name} is {json.dumps(value)[:60]}; give {KINDS[name][0]}")
    return given


def _edit(data: Any, folder: Path, load: Callable[[Path], Motion]) -> Edit:
    known = ("clip_weights", "constraints", "joint_weights", "loop", "seconds", "trajectory")
    top = _fields(data, "", (), known)
    constraints, clips = (list(enumerate(top.get(name, []))) for name in ("constraints", "clip_weights"))
    rows = [_fields(row, f"clip_weights[{k}]", ("at", "weights")) for k, row in clips]
    edit = Edit(
        seconds=top.get("seconds"),
        loop=top.get("loop", False),
        constraints=tuple(_constraint(row, f"constraints[{k}]", folder, load) for k, row in constraints),
        joint_weights=top.get("joint_weights", {}),
        trajectory=_trajectory(top["trajectory"]) if "trajectory" in top else None,
        clip_weights=tuple((float(row["at"]), tuple(map(float, row["weights"]))) for row in rows),
    )
    if not edit.features and edit.seconds is None:
        raise MotifError(f"asks for nothing; give at least one of {', '.join(known)}")
    return edit


def _constraint(data: Any, where: str, folder: Path, load: Callable[[Path], Motion]) -> Constraint:
    row = _fields(data, where, ("motion",), ("from", "to", "at", "joints", "blend", "world_space", "cutoff"))
    motion = load(folder / row["motion"])
    begin, end = row.get("from", 0.0), row.get("to", motion.seconds)
    first, last = round(begin * motion.fps), round(end * motion.fps)
    if begin == end:
        first = min(first, len(motion) - 1) if begin <= motion.seconds else first
        last = first + 1
    if not 0 <= first < last <= len(motion):
        given = f"{begin:g} to {end:g} s of {motion.name!r}, which lasts {motion.seconds:.2f} s"
        raise MotifError(f"{where}.from and to: {given}; give a span that lies in it")
    joints, start = tuple(row.get("joints", ("all",))), round(row.get("at", 0.0) * motion.fps)
    options = {name: row[name] for name in ("blend", "world_space", "cutoff") if name in row}
    return Constraint(motion.crop(first, last), joints, start, **options)


def _trajectory(data: Any) -> Trajectory:
    row = _fields(data, "trajectory", ("points",), ("times", "facing"))
    times, facing = (tuple(row[name]) if name in row else None for name in ("times", "facing"))
    points = tuple((float(x), float(z)) for x, z in row["points"])
    return Trajectory(points, times and tuple(map(float, times)), facing and tuple(map(math.radians, facing)))
