"""What verbs are given: options, which are fields of frozen dataclasses, and motion files.

A field's docstring is its help, its default the option's default.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import motif

from ..config import CrowdConfig, ReadConfig, SampleConfig, TrainConfig
from ..errors import MotifError
from .output import FIRST, make_folder, note, unit_words

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
Clips = Annotated[
    list[Path],
    Parameter(help="Motion files (.bvh, .glb, .amc, .txt of DeepMimic, .npy, .npz, .csv), or folders of them."),
]
Source = Annotated[list[Path], Parameter(help="A model that motif fit wrote, or motion files, all of one rig.")]
Number = Annotated[int, Parameter(name=["-n", "--number"], help="How many.")]
Out = Annotated[Path, Parameter(name=["-o", "--out"], help="What to write; the ending of a file says which kind.")]
Folder = Annotated[Path, Parameter(name=["-o", "--out"], help="Folder for what is made.")]
Seed = Annotated[int, Parameter(help="The same seed gives the same files, byte for byte.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object, for programs.")]
Flag = Annotated[bool, Parameter(negative="")]
Read = Annotated[ReadConfig | None, Parameter(name="*", group="Reading files")]
Sample = Annotated[SampleConfig, Parameter(name="*", group="Sampling")]
Crowd = Annotated[CrowdConfig, Parameter(name="*")]


@Parameter(name="*")
@dataclass(frozen=True)
class Takes:
    """Takes and their files."""

    seconds: float | None = None
    """Length of each; what an edit needs, or else twice the clips (two minutes at most), if not given."""
    seed: Seed = 0
    out: Annotated[Path | None, Parameter(name=["-o", "--out"])] = None
    """Folder for the takes; out/NAME of the first clip if not given (of a crowd out/NAME-crowd)."""
    as_json: Json = False

    def folder(self, name: str) -> Path:
        """Return the folder, made before any work is done for it."""
        return make_folder(self.out or Path("out") / name)


@Parameter(name="*")
@dataclass(frozen=True)
class Learn:
    """How motion files become a model."""

    recipe: str | None = None
    """What makes the takes, where the source is not a model: clip-match if not given, or what motif fit can learn."""
    read: Read = None


@Parameter(name="*")
@dataclass(frozen=True)
class Vary:
    """What takes are asked without an edit."""

    loop: Flag = False
    """Let the last pose flow into the first; takes may end elsewhere and facing elsewhere, as a walk does."""
    weight: Annotated[list[str] | None, Parameter(name=["-w", "--weight"], negative="")] = None
    """How much a joint or body part counts when motion is compared, e.g. -w upper=2 -w JOINT=0.5."""
    config: Sample = SampleConfig()

    def edit(self) -> "motif.Edit":
        """Return it as an edit."""
        weights = {}
        for item in self.weight or ():
            name, _, number = item.rpartition("=")
            if not name or not _NUMBER.fullmatch(number):
                raise MotifError(f"--weight {item!r}; expected NAME=NUMBER, e.g. upper=2")
            weights[name] = float(number)
        return motif.Edit(loop=self.loop, joint_weights=weights)


@Parameter(name="*")
@dataclass(frozen=True)
class Fit:
    """A run of training."""

    recipe: str = "clip-gan"
    """clip-gan, clip-flow, or one of the papers' own, which take hours: ganimator, paper, sinmdm,
    sinmdm-qna, ablation-0 to -11 (rows of the 2024 paper's Table 1; row 9 is paper)."""
    seed: int = 0
    """The same seed gives the same model on the same machine."""
    run: Path | None = None
    """Folder to keep an unfinished run in, which stays; if not given, one beside the model until that is written."""
    config: Annotated[TrainConfig, Parameter(name="*", group="Training")] = TrainConfig()


@Parameter(name="*")
@dataclass(frozen=True)
class EditArgs:
    """One edit; a file can hold several."""

    file: Annotated[Path | None, Parameter(name=["-e", "--edit"])] = None
    """A JSON file with any combination of requests; docs/edits.md has its fields."""
    keep: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None
    """Joints or body parts of the (first) clip to keep throughout, e.g. --keep lower; the rest is made anew."""
    inpaint: str | None = None
    """Seconds of the (first) clip to make anew, FROM:TO, e.g. --inpaint 2:5 (or 2: or :5); the rest is kept."""
    before: float | None = None
    """Seconds to add before the (first) clip."""
    after: float | None = None
    """Seconds to add after the (first) clip."""
    content: Path | None = None
    """A motion file whose coarse motion is followed in the source's style."""
    trajectory: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """Points on the ground to walk along, X,Z in metres with spaces between, e.g. --trajectory "0,0 3,0 3,3"."""
    save_edit: Path | None = None
    """Write what was asked as a JSON file, to start one of your own from."""
    config: Sample = SampleConfig()

    def edit(self, first: "motif.Motion", read: ReadConfig | None) -> "motif.Edit":
        """Return what is asked of the first clip; files that it names are read as that was."""
        from .. import edit_file

        added = None if self.before is None and self.after is None else (self.before or 0.0, self.after or 0.0)
        given = {"--edit": self.file, "--keep": self.keep, "--inpaint": self.inpaint, "--before/--after": added}
        given |= {"--content": self.content, "--trajectory": self.trajectory}
        used = [name for name, value in given.items() if value is not None]
        if len(used) != 1:
            asked = " and ".join(used) or "nothing"
            raise MotifError(f"{asked} given; give one of {', '.join(given)} (an edit file can hold several requests)")
        if self.file is not None:
            return edit_file.read(self.file, lambda path: load_clips([path], read)[0])
        if self.keep is not None:
            return motif.Edit.keep(first, self.keep)
        if self.inpaint is not None:
            return motif.Edit.inpaint(first, *_span("--inpaint", self.inpaint, first))
        if self.content is not None:
            return motif.Edit.restyle(load_clips([self.content], read)[0])
        if added is not None:
            return motif.Edit.expand(first, *added)
        points = [point.split(",") for point in (self.trajectory or "").split()]
        if not all(len(point) == 2 and all(map(_NUMBER.fullmatch, point)) for point in points):
            raise MotifError(f"--trajectory {self.trajectory!r}; expected X,Z with spaces between: '0,0 3,0 3,3'")
        return motif.Edit(trajectory=motif.Trajectory(tuple((float(x), float(z)) for x, z in points)))


@Parameter(name="*")
@dataclass(frozen=True)
class Change:
    """Plain changes, in this order."""

    cut: str | None = None
    """Keep the seconds FROM:TO only."""
    mirror: Flag = False
    """Exchange left and right."""
    speed: float | None = None
    """So many times as fast."""
    seconds: float | None = None
    """As long as this, by playing slower or faster."""
    loop: Flag = False
    """Bend the end so that the first frame follows the last."""

    def __post_init__(self):
        if self.speed is not None and self.seconds is not None:
            raise MotifError("--speed and --seconds both say how fast it plays; give one")
        if self.seconds is not None and not 0 < self.seconds <= 3600:
            raise MotifError(f"--seconds {self.seconds:g}; give a number above 0 and up to 3600")

    def apply(self, motion: "motif.Motion") -> "motif.Motion":
        """Return the changed motion."""
        if self.cut is not None:
            begin, end = _span("--cut", self.cut, motion)
            motion = motion.crop(round(begin * motion.fps), round(end * motion.fps))
        motion = motion.mirror() if self.mirror else motion
        speed = self.speed if self.seconds is None else motion.seconds / self.seconds
        motion = motion if speed is None else motion.retime(speed)
        return motion.loop() if self.loop else motion


def _span(option: str, text: str, motion: "motif.Motion") -> tuple[float, float]:
    """Seconds FROM:TO; either end may be left out."""
    begin, colon, end = text.partition(":")
    numbers = colon and _NUMBER.fullmatch(begin or "0") and _NUMBER.fullmatch(end or "0")
    first, last = (float(begin or 0), float(end or motion.seconds)) if numbers else (-1.0, -1.0)
    if not 0 <= first < last <= motion.seconds + motion.frame_time or last - first < motion.frame_time / 2:
        raise MotifError(f"{option} {text!r}; expected seconds FROM:TO within {motion.seconds:.2f}, e.g. 1:2.5")
    return first, last


def list_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files themselves, and the motion files in folders, in the order of their names."""
    found = []
    for path in paths:
        inside = sorted(filter(motif.io.holds_motion, path.iterdir())) if path.is_dir() else [path]
        if not inside:
            raise MotifError(f"{path} is a folder without motion files; motif reads {', '.join(motif.io.READS)}")
        found += inside
    return found


def is_corpus(path: Path) -> bool:
    """Whether a path is a corpus that motif curate made."""
    return (path / "corpus.json").is_file()


def use_one_thread() -> None:
    """Run torch on one thread: many small steps, where several threads mostly wait for one another."""
    import torch

    torch.set_num_threads(1)


def load_clips(paths: Sequence[Path], read: ReadConfig | None, quiet: bool = False) -> "list[motif.Motion]":
    """Return the clips, with a line on standard error about what each one is taken for."""
    use_one_thread()
    read, files = read or ReadConfig(), list_files(paths)
    motions = [motif.load(path, read) for path in files]
    for path, motion in zip(files, motions if FIRST and not quiet else ()):
        length = f"{len(motion)} frames at {motion.fps:g} fps, {motion.seconds:.1f} s"
        note(f"{path.name}: {length}, {unit_words(motion.file_format.unit, read.unit is not None, path)}")
    return motions
