"""Where clips come from: licence, subject, group and own words, told by the path of a file.

The table below knows public sets as they are unpacked; a file ``sources.json`` of the same fields in the folder of raw
files adds to it and goes first. What no rule knows keeps the name of its folder and an unknown licence.
"""

import csv
import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ..data.corpus import Caption
from ..errors import MotifError

OWN = "sources.json"


@dataclass(frozen=True)
class Source:
    """A data set: which files are of it, and what is known about them."""

    name: str
    match: str
    """Regular expression that is searched for in the path, with / between folders."""
    licence: str
    free: bool = False
    """Whether a model trained on it may be given away."""
    cite: str = ""
    subject: str = ""
    """Regular expression for the file's stem; its first group names who moves."""
    label: str = ""
    """Likewise, the groups are the words for what is done."""
    family: str = ""
    """Sets of one family that film the same subjects (conversions of one library) share their groups."""
    partners: tuple[tuple[str, ...], ...] = ()
    """Subjects that belong together: partners, or one person under several numbers."""

    def __post_init__(self):
        for name in ("match", "subject", "label"):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                raise MotifError(f"source {self.name!r}: {name} is no regular expression ({error})") from None

    def subject_of(self, stem: str) -> str:
        """Return who moves, empty if the name of the file does not say."""
        found = re.search(self.subject, stem) if self.subject else None
        return found[1].lstrip("0") or "0" if found else ""

    def group_of(self, stem: str) -> str:
        """Return the group that a file's clips are split with."""
        subject = self.subject_of(stem)
        together = next((p for p in self.partners if subject in p), (subject,))
        return f"{self.family or self.name}:{'+'.join(together) or stem}"

    def label_of(self, stem: str) -> str:
        """Return the words for what is done, empty if the name of the file does not say."""
        found = re.search(self.label, stem) if self.label else None
        return "_".join(x for x in found.groups() if x) if found else ""


_CMU_TERMS = "CMU: free to use, also in products, not to be resold as data"
_CMU_CITE = "The data used in this project was obtained from mocap.cs.cmu.edu, funded by NSF EIA-0196217."
_CMU = {"licence": _CMU_TERMS, "free": True, "cite": _CMU_CITE, "subject": r"^(\d+)_\d+", "family": "cmu"}
_PARTNERS = (("60", "61"), ("14", "16", "127"))
_CAMEL = r"^(?:[A-Z]_)?([A-Za-z]+?)\d*(?:_([A-Za-z]+))?$"
KNOWN = (
    Source("bandai-namco", r"Bandai-Namco", "CC BY-NC 4.0", False, label=r"^dataset-\d_([^_]+)_([^_]+)_"),
    Source("cmu-mocap", r"cmu-mocap/", partners=_PARTNERS, **_CMU),
    Source("cmu", r"(^|/)(iclone|amc|amc-misc)/", partners=_PARTNERS, **_CMU),
    Source("animated-drawings", r"animated-drawings/", "MIT", True, label=r"^([A-Za-z_]+)"),
    Source("mass", r"(^|/)mass/", "Apache-2.0", True, label=r"^([A-Za-z_]+)"),
    Source("deep-motion-editing", r"deep-motion-editing/", "BSD; CMU and Xia motion, research", False),
    Source("lafan1", r"lafan1/", "CC BY-NC-ND 4.0", False, subject=r"_subject(\d+)$", label=r"^([A-Za-z]+)\d*_"),
    Source("deepmimic", r"deepmimic/", "MIT", True, label=r"(?:humanoid3d|dog3d)_([A-Za-z_]+?)\d*$"),
    Source("mesh2motion", r"mesh2motion/", "CC0", True, label=r"-([A-Za-z_ ]+)$"),
    Source("kaykit", r"kaykit/", "CC0", True, label=r"-([A-Za-z_ ]+)$"),
    Source("godot", r"(^|/)godot/", "MIT", True, label=r"-([A-Za-z_ ]+)$"),
    Source("reactidle", r"reactidle/", "MIT", True, subject=r"^(\d+)_"),
    Source("dog-lifelike", r"dog-lifelike/", "MIT", True, label=r"^dog_([a-z_]+?)_\d"),
    Source("g1-moves", r"g1-moves/", "CC BY 4.0", True, "experientialtech/g1-moves", r"^([A-Z])_", _CAMEL),
    Source(
        "mixamo",
        r"(Salsa-Dancing|Walk-In-Circle|Baseball-Milling)",
        "Adobe Mixamo terms",
        False,
        label=r"^([A-Za-z-]+)",
    ),
    Source("xia", r"xia-", "research", False, label=r"^xia-([a-z]+)"),
)


def own(folder: Path) -> tuple[Source, ...]:
    """Return the rules of a folder's ``sources.json``; none where it has none."""
    path = folder / OWN
    if not path.is_file():
        return ()
    try:
        records = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise MotifError(f"{path}: cannot be read ({error}); expected a list of sources") from None
    known = {f.name for f in fields(Source)}
    if not isinstance(records, list) or not all(isinstance(r, Mapping) for r in records):
        raise MotifError(f"{path}: expected a list of sources with the fields {', '.join(sorted(known))}")
    for record in records:
        if strange := sorted(set(record) - known):
            raise MotifError(f"{path}: a source has no field {strange[0]!r}; it has {', '.join(sorted(known))}")
        if missing := sorted({"name", "match", "licence"} - set(record)):
            raise MotifError(f"{path}: a source lacks {missing[0]!r}")
    return tuple(Source(**{**r, "partners": tuple(map(tuple, r.get("partners", ())))}) for r in records)


def of(path: Path, rules: Sequence[Source]) -> Source:
    """Return the source of a file."""
    text = path.as_posix()
    found = next((rule for rule in (*rules, *KNOWN) if re.search(rule.match, text)), None)
    return found or Source(path.parent.name or "unknown", "", "unknown")


@functools.cache
def spoken(root: Path) -> dict[str, tuple[Caption, ...]]:
    """Return what people wrote about takes of a folder, by the take's name (``05_02``), from the files found in it.

    ``captions.jsonl`` (fields trial, text, source, start, end) and CMU's table of descriptions.
    """
    found: dict[str, list[Caption]] = {}
    for path in sorted(root.rglob("captions.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            try:
                row = json.loads(line)
                caption = Caption(str(row["text"]), str(row.get("source", path.parent.name)), row["start"], row["end"])
                found.setdefault(str(row["trial"]), []).append(caption)
            except (ValueError, KeyError, TypeError):
                continue
    for path in sorted(root.rglob("CMU data.csv")):
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.reader(file):
                if len(row) >= 3 and row[0].strip().isdigit() and row[1].strip().isdigit() and row[2].strip():
                    trial = f"{int(row[0]):02d}_{int(row[1]):02d}"
                    if not any(c.source.startswith("cmu") for c in found.get(trial, ())):
                        found.setdefault(trial, []).append(Caption(row[2].strip(), "cmu-index"))
    return {trial: tuple(dict.fromkeys(captions)) for trial, captions in found.items()}


def captions_of(root: Path, source: Source, stem: str) -> tuple[Caption, ...]:
    """Return what is said about a file: by people, else by its name."""
    trial = re.search(r"^0*(\d+)_0*(\d+)", stem) if source.family == "cmu" else None
    said = spoken(root).get(f"{int(trial[1]):02d}_{int(trial[2]):02d}", ()) if trial else ()
    label = source.label_of(stem)
    return said or ((Caption(label, f"{source.name} label"),) if label else ())
