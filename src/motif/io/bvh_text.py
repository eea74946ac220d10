"""The text of BVH files: any legal spelling in, every refusal with its line, what was expected and what to do."""

import contextlib
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from ..errors import MotifError, MotifWarning
from ..skeleton import free_name
from . import bvh_numbers

MAX_BYTES, MAX_JOINTS, MAX_VALUE = 2**30, 2000, 1e8
POSITIONS = ("Xposition", "Yposition", "Zposition")
ROTATIONS = ("Zrotation", "Yrotation", "Xrotation")

_CHANNEL = re.compile(r"([xyz])(position|rotation)", re.IGNORECASE)
_LIKE_CHANNEL = re.compile(r"[xyz]?(position|rotation|scale|translation)", re.IGNORECASE)
_MOTION = re.compile(r"^[ \t}]*(motion)\b", re.IGNORECASE | re.MULTILINE)
_FRAMES = re.compile(r"\s*frames[ \t]*:?[ \t]*(\S*)", re.IGNORECASE)
_FRAME_TIME = re.compile(r"\s*frame[ \t]*time[ \t]*:?[ \t]*(\S*)", re.IGNORECASE)
_AGAIN = "the file is damaged or cut off: export or download it again"


@dataclass(frozen=True, eq=False)
class BvhFile:
    """What a BVH file says, in its own units, degrees and order; end sites are joints with ``end`` set."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    """[J, 3], float64."""
    end: tuple[bool, ...]
    channels: tuple[tuple[str, ...], ...]
    """Per joint its channels in file order, spelled like ``"Xposition"`` whatever the file's letter case."""
    values: np.ndarray
    """[T, C], float64: one row per frame, the channels of all joints one after the other."""
    frame_time: float
    """Seconds per frame, the literal number of the file."""
    path: str
    """Where it was read from, for messages."""
    motion_line: int
    """Line of the word MOTION, counted from 1."""


def parse(source: str | Path | bytes) -> BvhFile:
    """Read a BVH file without interpreting it: from a path, or its text as bytes or a string with line breaks."""
    text, path = _text(source)
    motion = _MOTION.search(text)
    header = text[: motion.start(1)] if motion else text
    first = header.split(None, 1)[:1]
    if not first or first[0].upper() != "HIERARCHY":
        _refuse_foreign(text, path)
    if motion is None:
        last = text.rstrip().count("\n") + 1
        _fail(path, last, "the file ends without a line MOTION", f"expected the frames below one; {_AGAIN}")
    joints = _Hierarchy(path).read(header)
    declared, line, frame_time, start = _motion_header(text, motion.end(), path)
    channels = tuple(tuple(j.channels or ()) for j in joints)
    values = _rows(text[start:], text.count("\n", 0, start) + 1, sum(map(len, channels)), path)
    if len(values) != declared:
        warn(f"{path}:{line}: declares {declared} frames but holds {len(values)}; all {len(values)} are read")
    parents, end = tuple(j.parent for j in joints), tuple(j.end for j in joints)
    offsets = np.array([j.offset for j in joints], dtype=np.float64)
    return BvhFile(_names(joints), parents, offsets, end, channels, values, frame_time, path, header.count("\n") + 1)


def _fail(path: str, line: int, found: str, expected: str) -> NoReturn:
    raise MotifError(f"{path}:{line}: {found}; {expected}")


def warn(message: str) -> None:
    """Tell that something odd was found and how it was taken."""
    warnings.warn(message, MotifWarning, stacklevel=3)


def _quote(text: str) -> str:
    """The text short enough for a message."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _text(source: str | Path | bytes) -> tuple[str, str]:
    """The file's text with plain line breaks, and what to call it."""
    if isinstance(source, str) and ("\n" in source or "\r" in source):
        source = source.encode("utf-8", "surrogatepass")
    if isinstance(source, bytes):
        raw, path = source, "<text>"
    else:
        file, path = Path(source), str(source)
        try:
            if not file.is_file():
                there = "is not a regular file" if file.exists() else "does not exist"
                raise MotifError(f"{path}: {there}; give the path of a .bvh file")
            if file.stat().st_size > MAX_BYTES:
                raise MotifError(f"{path}: is larger than 1 GiB; cut the take into shorter files first")
            raw = file.read_bytes()
        except MotifError:
            raise
        except (OSError, ValueError) as error:
            raise MotifError(f"{path}: cannot be read ({error}); check the path and its permissions") from error
    if not raw or raw.isspace():
        raise MotifError(f"{path}: is empty; expected a BVH file that starts with HIERARCHY; {_AGAIN}")
    if b"\0" in raw:
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        _fail(path, line, "holds binary data", "expected BVH, which is plain text in UTF-8; export the clip as BVH")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    return (text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text), path


def _refuse_foreign(text: str, path: str) -> NoReturn:
    """Say what a file that does not start with HIERARCHY is instead."""
    start = text.lstrip()
    line = text[: len(text) - len(start)].count("\n") + 1
    if start.startswith("version https://git-lfs"):
        _fail(path, line, "is a git-LFS pointer, not the clip", "run 'git lfs pull' in its repository")
    if start[:1] == "<":
        _fail(path, line, "is a web page (HTML or XML), not a clip", "download the raw file, not the page showing it")
    found = _quote(start.split("\n", 1)[0].strip())
    _fail(path, line, f"found {found}, expected HIERARCHY", f"a BVH file starts with that word; {_AGAIN}")


@dataclass(eq=False)
class _Joint:
    name: str
    parent: int
    line: int
    end: bool = False
    offset: list[float] | None = None
    channels: list[str] | None = None


@dataclass(eq=False)
class _Hierarchy:
    """The text above MOTION, taken statement by statement; several may share a line."""

    path: str
    joints: list[_Joint] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    """The joints whose braces are open, outermost first."""
    awaiting: bool = False
    """True between a joint's name and its brace."""
    line: int = 0
    """The line that is read, counted from 1."""

    def read(self, header: str) -> list[_Joint]:
        for self.line, content in enumerate(header.split("\n"), 1):
            for piece in re.split(r"([{}])", content):
                statement = piece.strip()
                while statement:
                    statement = self._take(statement)
        if self.awaiting or self.open:
            joint = self.joints[-1 if self.awaiting else self.open[-1]]
            found = f"the hierarchy ends inside {_quote(joint.name)}, opened on line {joint.line}"
            self._refuse(found, "expected one '}' for every '{'; close its brace or export the file again")
        if not self.joints:
            self._refuse("the hierarchy has no ROOT", f"expected a joint tree above MOTION; {_AGAIN}")
        return self.joints

    def _take(self, statement: str) -> str:
        """Read the first statement and return what is left of the text."""
        words = statement.split(None, 1)
        word, rest = words[0].upper(), words[1] if len(words) > 1 else ""
        if self.awaiting and word != "{":
            self._refuse(f"found {_quote(statement)} after {_quote(self.joints[-1].name)}", "expected '{'; add it")
        if word == "HIERARCHY" and not self.joints:
            return rest
        if word in ("ROOT", "JOINT", "END", "ENDSITE"):
            self._joint(word, rest)
        elif word == "{" and self.awaiting:
            self.awaiting = False
            self.open.append(len(self.joints) - 1)
        elif word == "}" and self.open:
            joint = self.joints[self.open.pop()]
            if joint.offset is None:
                found = f"{_quote(joint.name)} (line {joint.line}) closes without an OFFSET"
                self._refuse(found, "expected 'OFFSET x y z' inside its braces; add it, 0 0 0 if unknown")
        elif word == "}":
            self._refuse("found a '}' that closes nothing", "remove it or export the file again")
        elif word == "OFFSET" and self.open:
            return self._offset(rest)
        elif word == "CHANNELS" and self.open:
            return self._channels(rest)
        else:
            expected = "OFFSET, CHANNELS, JOINT, End Site or '}'" if self.open else "MOTION" if self.joints else "ROOT"
            self._refuse(f"found {_quote(statement)}, expected {expected}", "remove it or export the file again")
        return ""

    def _refuse(self, found: str, expected: str) -> NoReturn:
        _fail(self.path, self.line, found, expected)

    def _joint(self, word: str, name: str) -> None:
        end = word.startswith("END")
        if word == "ROOT" and self.joints:
            self._refuse(f"found a second ROOT {_quote(name)}", "motif reads one body per file; save each to its own")
        if word != "ROOT" and not self.open:
            where = "above ROOT" if not self.joints else "after the root has closed, a '}' too early"
            self._refuse(f"found {word} {_quote(name)} {where}", "expected it inside the root's braces; move it there")
        if not name and not end:
            self._refuse(f"found {word} without a name", "every joint needs one; add it")
        if twin := next((j for j in self.joints if j.name == name and not (end or j.end)), None):
            self._refuse(f"joint {_quote(name)} is already on line {twin.line}", "names must differ; rename one")
        if self.open and self.joints[self.open[-1]].end:
            self._refuse("found a joint inside an End Site", "an End Site is a tip; make it a JOINT or close its brace")
        if len(self.joints) == MAX_JOINTS:
            self._refuse(f"more than {MAX_JOINTS} joints", "that is no body; export the skeleton only")
        parent = self.open[-1] if self.open else -1
        self.joints.append(_Joint(f"{self.joints[parent].name}/end" if end else name, parent, self.line, end))
        self.awaiting = True

    def _offset(self, rest: str) -> str:
        joint = self.joints[self.open[-1]]
        if joint.offset is not None:
            self._refuse(f"{_quote(joint.name)} has a second OFFSET", "expected one per joint; remove one")
        words = rest.split(None, 3)
        if len(words) < 3:
            self._refuse(f"OFFSET has {len(words)} numbers", "expected 3, 'OFFSET x y z'; add the missing ones")
        joint.offset = [_number(w, "OFFSET", self.path, self.line) for w in words[:3]]
        return words[3] if len(words) > 3 else ""

    def _channels(self, rest: str) -> str:
        joint = self.joints[self.open[-1]]
        name = _quote(joint.name)
        if joint.channels is not None:
            self._refuse(f"{name} has a second CHANNELS line", "expected one per joint; remove one")
        if joint is not self.joints[-1]:
            self._refuse(f"CHANNELS of {name} stands below its children", "move it above them, below its OFFSET")
        count, *words = rest.split() or [""]
        given = next((i for i, w in enumerate(words) if not _LIKE_CHANNEL.fullmatch(w)), len(words))
        if not (count.isascii() and count.isdigit()) or len(count) > 9:
            self._refuse(f"CHANNELS says {_quote(count)}", "expected how many channels follow; put their number there")
        wanted = int(count)
        if given < wanted < len(words) + 1:
            known = f"found channel {_quote(words[given])}"
            self._refuse(known, "expected Xposition ... Zposition or Xrotation ... Zrotation; rename or drop it")
        if given != wanted:
            self._refuse(f"CHANNELS says {wanted} but {given} follow", "expected equal numbers; correct the count")
        if joint.end and wanted:
            self._refuse(f"End Site {name} has channels", "only joints have; make it a JOINT or remove the line")
        joint.channels = [_channel(w, self.path, self.line) for w in words[:wanted]]
        if len(set(joint.channels)) < wanted:
            self._refuse(f"{name} lists a channel twice", "expected each at most once; correct the names")
        return " ".join(words[wanted:])


def _channel(word: str, path: str, line: int) -> str:
    match = _CHANNEL.fullmatch(word)
    if match is None:
        hint = "motif reads no scale; export without it" if "scale" in word.lower() else "rename or drop it"
        _fail(path, line, f"found channel {_quote(word)}", f"expected e.g. Xposition or Zrotation; {hint}")
    return match[1].upper() + match[2].lower()


def _number(word: str, what: str, path: str, line: int) -> float:
    """A finite number of sane size."""
    try:
        value = float(word.replace("_", "?"))  # only Python reads 1_000
    except ValueError:
        comma = re.fullmatch(r"[-+]?\d*,\d+", word)
        hint = "write decimals with a point, not a comma" if comma else "correct it or export the file again"
        _fail(path, line, f"{what} holds {_quote(word)}, expected a number", hint)
    if not abs(value) <= MAX_VALUE:
        hint = f"{'repair the gap' if value != value else 'correct it'} in the program that wrote it"
        _fail(path, line, f"{what} holds {_quote(word)}, expected a finite number of at most {MAX_VALUE:.0e}", hint)
    return value


def _names(joints: list[_Joint]) -> tuple[str, ...]:
    """One name per joint; those of end sites, which files do not name, made different from all others."""
    taken, names = {j.name for j in joints if not j.end}, []
    for joint in joints:
        names.append(free_name(joint.name, taken, "") if joint.end else joint.name)
        taken.add(names[-1])
    return tuple(names)


def _motion_header(text: str, start: int, path: str) -> tuple[int, int, float, int]:
    """Declared number of frames and its line, frame time, and where the rows begin."""

    def field_of(pattern: re.Pattern, at: int, label: str) -> tuple[str, int, int]:
        match = pattern.match(text, at)
        if match is None:
            rest = text[at : at + 1000].lstrip()
            line = text.count("\n", 0, at + min(1000, len(text) - at) - len(rest)) + 1
            found = f"found {_quote(rest.split(chr(10), 1)[0].strip())}" if rest else "the file ends"
            _fail(path, line, f"{found} where '{label}' was expected", f"add that line below MOTION, or {_AGAIN}")
        return match[1], match.end(), text.count("\n", 0, match.end()) + 1

    word, at, count_line = field_of(_FRAMES, start, "Frames: <count>")
    if not re.fullmatch(r"[-+]?[0-9]{1,18}", word):
        _fail(path, count_line, f"Frames holds {_quote(word)}", "expected a whole number; write how many rows follow")
    count = int(word)
    word, at, line = field_of(_FRAME_TIME, at, "Frame Time: <seconds>")
    frame_time = _number(word, "Frame Time", path, line)
    if not 1e-6 <= frame_time <= 1e4:
        found = f"Frame Time is {_quote(word)}"
        _fail(path, line, found, "expected seconds per frame, more than 0; write e.g. 0.033333 for 30 frames a second")
    if frame_time > 1:
        per_second = f"if frames per second were meant, write {1 / frame_time:.6f}"
        warn(f"{path}:{line}: Frame Time is {word} seconds per frame; {per_second}")
    return count, count_line, frame_time, at


def _rows(text: str, first: int, width: int, path: str) -> np.ndarray:
    """The numbers below ``Frame Time``, all at once if all is well; ``first`` is the number of the first line."""
    if not text or text.isspace():
        _fail(path, first, "no frames follow", f"expected one row of {width} numbers per frame; {_AGAIN}")
    if width == 0:
        line = text[: len(text) - len(text.lstrip())].count("\n")
        _fail(path, first + line, "found frames though no joint has CHANNELS", "add CHANNELS to the joints that move")
    with contextlib.suppress(ValueError):
        values = bvh_numbers.read_rows(text.encode("utf-8", "surrogatepass"), width)
        if values.max() <= MAX_VALUE and values.min() >= -MAX_VALUE:  # False for NaN
            return values
    return _rows_slowly(text.split("\n"), first, width, path)


def _rows_slowly(lines: list[str], first: int, width: int, path: str) -> np.ndarray:
    """The same line by line, to say which one is wrong."""
    rows = []
    for line, content in enumerate(lines, first):
        row = [_number(w, f"frame {len(rows) + 1}", path, line) for w in content.split()]
        if row and len(row) != width:
            found = f"frame {len(rows) + 1} has {len(row)} numbers, the channels above need {width}"
            cut = "the row is cut off: remove it, or export it again"
            _fail(path, line, found, cut if len(row) < width else "give each frame a line or correct CHANNELS")
        if row:
            rows.append(row)
    return np.array(rows, dtype=np.float64)
