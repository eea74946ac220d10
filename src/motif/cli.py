"""The command line: ``motif <verb>``, the same verbs as in Python.

Nothing heavy is imported until a verb runs, so that ``--help`` answers at once. Results go to standard output, notes,
progress and errors to standard error; exit code 0 is success, 2 a mistake in what was asked or given, 130 Ctrl-C.
"""

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from . import __version__
from .errors import MotifError, MotifWarning, Stopped

if TYPE_CHECKING:
    from .api import Model
    from .edit import Edit
    from .metrics import Report
    from .motion import Motion

app = App(
    name="motif",
    help="One clip in, endless motion out: new takes of a motion clip in seconds, on any skeleton.",
    help_epilogue="Add --debug to any command to see where an error was raised.",
    version=__version__,
)

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "cmu": 0.056444}
Units = Annotated[
    str | None, Parameter(help="Unit of the file: m, cm, mm, in, cmu, or metres per unit. Guessed if not given.")
]
Fps = Annotated[float | None, Parameter(help="Resample the clips to this rate first.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object, for programs.")]
Clip = Annotated[
    str | None, Parameter(help="Which animation of a glTF file: its name or number; the longest if not given.")
]
Up = Annotated[Literal["y", "z"], Parameter(help="Axis that points up in the file.")]
RootOffset = Annotated[
    Literal["replace", "add"], Parameter(help="Whether root channels replace its OFFSET or add to it.")
]


@app.command
def vary(
    clips: list[Path],
    /,
    *,
    n: Annotated[int, Parameter(name=["-n", "--number"])] = 4,
    seconds: float | None = None,
    seed: int = 0,
    out: Annotated[Path | None, Parameter(name=["-o", "--out"])] = None,
    variety: float | None = None,
    tempo: float | None = None,
    completeness: float | None = None,
    loop: Annotated[bool, Parameter(negative="")] = False,
    weight: Annotated[list[str] | None, Parameter(name=["-w", "--weight"], negative="")] = None,
    foot_lock: bool = True,
    engine: str = "clip-match",
    fps: Fps = None,
    units: Units = None,
    root_offset: RootOffset = "replace",
    up: Up = "y",
    clip: Clip = None,
    as_json: Json = False,
) -> None:
    """Make new takes of one or more clips of the same rig and write them as BVH.

    Parameters
    ----------
    clips
        Motion files (.bvh, .glb) to learn from, all of one rig.
    n
        How many takes.
    seconds
        Length of each take; twice the clips if not given.
    seed
        The same seed gives the same files, byte for byte.
    out
        Folder for the takes; out/NAME of the first clip if not given.
    variety
        0 to 1: from takes that are true to the clip's own order to many short stretches [default: 0.2].
    tempo
        0 to 1: how far takes run slower here and faster there; none where the clip keeps time [default: 0.18].
    completeness
        0 to 1: how hard each take tries to show every part of the clip [default: 0.75].
    loop
        Make takes whose last pose flows into their first; they may end elsewhere and facing elsewhere, as a walk does.
    weight
        How much a joint or body part counts when motion is compared, e.g. -w upper=2 -w JOINT=0.5.
    foot_lock
        Hold standing feet still.
    engine
        What makes the takes.
    """
    from . import api

    motions = _load(clips, units, root_offset, up, clip, fps)
    folder = _folder(out or Path("out") / motions[0].name)
    edit = api.Edit(loop=loop, joint_weights=_weights(weight))
    with _progress("learning") as progress:
        dials: dict[str, Any] = {"variety": variety, "tempo": tempo, "completeness": completeness}
        model = api.fit(engine, motions, seed, progress=_learning(progress), **dials)
    with _progress("matching") as progress:
        takes = model.sample(n, seconds, seed, edit, foot_lock, progress)
    _told(takes, _write(takes, folder, clips), as_json)


@app.command
def fit(
    clips: list[Path],
    /,
    *,
    out: Annotated[Path, Parameter(name=["-o", "--out"])],
    engine: str = "clip-gan",
    seed: int = 0,
    steps: int | None = None,
    run: Path | None = None,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    device: str = "auto",
    fps: Fps = None,
    units: Units = None,
    root_offset: RootOffset = "replace",
    up: Up = "y",
    clip: Clip = None,
) -> None:
    """Teach an engine one or more clips of the same rig. Ctrl-C stops it; the same command goes on from there.

    Parameters
    ----------
    clips
        Motion files (.bvh, .glb) to learn from, all of one rig.
    out
        The model file to write, ending in .safetensors.
    engine
        clip-gan, clip-flow, or one of the papers' own, which take hours: ganimator, paper (their ablation 9), sinmdm,
        sinmdm-qna, ablation-1 to -11.
    seed
        The same seed gives the same model on the same machine.
    steps
        Training steps, fewer for a first look [default: clip-gan 1200, clip-flow 2000]; ganimator has none.
    run
        Folder to keep an unfinished run in, which stays; if not given, one beside the model file until that is written.
    precision
        bf16 is faster on some processors; auto measures both.
    device
        Where to train, as torch spells it; auto is an NVIDIA GPU if there is one, else the processor.
    """
    from . import api, bundle

    target = bundle.check(out)
    folder = run or target.with_name(f"{target.stem}.run")
    _folder(target.parent)
    _writable(target)
    motions = _load(clips, units, root_offset, up, clip, fps)
    with _progress("learning") as progress:
        model = api.fit(
            engine,
            motions,
            seed,
            folder,
            api.TrainConfig(precision=precision, device=device),
            _learning(progress),
            steps=steps,
        )
    print(model.save(target))
    if run is None:
        api.forget(folder)


@app.command
def sample(
    model: Path,
    /,
    *,
    n: Annotated[int, Parameter(name=["-n", "--number"])] = 4,
    seconds: float | None = None,
    seed: int = 0,
    out: Annotated[Path | None, Parameter(name=["-o", "--out"])] = None,
    variety: float | None = None,
    tempo: float | None = None,
    completeness: float | None = None,
    loop: Annotated[bool, Parameter(negative="")] = False,
    foot_lock: bool = True,
    as_json: Json = False,
) -> None:
    """Make new takes from a model and write them as BVH.

    Parameters
    ----------
    model
        What motif fit wrote.
    n
        How many takes.
    seconds
        Length of each take; twice the clips if not given.
    seed
        The same seed gives the same files, byte for byte.
    out
        Folder for the takes; out/NAME of the first clip if not given.
    variety
        0 to 1: from takes that are true to the clip to takes that are new [default: as fitted, 0.25].
    tempo
        0 to 1: how far takes run slower here and faster there; none where the clip keeps time [default: as fitted].
    completeness
        0 to 1: how hard each take tries to show every part of the clip [default: as fitted, 0.75].
    loop
        Make takes whose last pose flows into their first; they may end elsewhere and facing elsewhere, as a walk does.
    foot_lock
        Hold standing feet still.
    """
    from . import api

    learned = api.Model.load(model).turned(variety=variety, tempo=tempo, completeness=completeness)
    folder = _folder(out or Path("out") / learned.clips[0].name)
    with _progress("sampling") as progress:
        takes = learned.sample(n, seconds, seed, api.Edit(loop=loop), foot_lock, progress)
    _told(takes, _write(takes, folder, []), as_json)


@app.command
def edit(
    source: list[Path],
    /,
    *,
    n: Annotated[int, Parameter(name=["-n", "--number"])] = 4,
    request: Annotated[Path | None, Parameter(name=["-e", "--edit"])] = None,
    keep: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    renew: str | None = None,
    before: float | None = None,
    after: float | None = None,
    content: Path | None = None,
    way: str | None = None,
    seconds: float | None = None,
    seed: int = 0,
    out: Annotated[Path | None, Parameter(name=["-o", "--out"])] = None,
    variety: float | None = None,
    engine: str = "clip-match",
    save_edit: Path | None = None,
    fps: Fps = None,
    units: Units = None,
    root_offset: RootOffset = "replace",
    up: Up = "y",
    clip: Clip = None,
    as_json: Json = False,
) -> None:
    """Keep what you like of a clip and change the rest, go along a path, restyle.

    One of --edit, --keep, --inpaint, --before/--after, --content and --trajectory says what; a file can ask for several.

    Parameters
    ----------
    source
        A model that motif fit wrote, or motion files (.bvh, .glb), all of one rig.
    n
        How many takes.
    request
        A JSON file with any combination of requests; docs/edits.md has its fields.
    keep
        Joints or body parts of the (first) clip to keep throughout, e.g. --keep lower; the rest is renewed.
    renew
        Seconds of the (first) clip to make anew, FROM:TO, e.g. --inpaint 2:5 (or 2: or :5); the rest is kept.
    before
        Seconds to add before the (first) clip.
    after
        Seconds to add after the (first) clip.
    content
        A motion file whose course is followed in the source's style.
    way
        Points on the ground to walk along, X,Z in metres with spaces between, e.g. --trajectory "0,0 3,0 3,3".
    seconds
        Length of each take; what the edit needs if not given.
    seed
        The same seed gives the same files, byte for byte.
    out
        Folder for the takes; out/NAME of the first clip if not given.
    variety
        0 to 1: from almost the same to free [default: 0.2, for fitted models 0.25].
    engine
        What makes the takes, if the source is no model.
    save_edit
        Write what was asked as a JSON file, to start one of your own from.
    """

    def read(path: Path) -> "Motion":
        return _load([path], units, root_offset, up, clip, fps)[0]

    given = {
        "--edit": request,
        "--keep": keep,
        "--inpaint": renew,
        "--before/--after": None if before is None and after is None else (before or 0.0, after or 0.0),
        "--content": content,
        "--trajectory": way,
    }
    used = [name for name, value in given.items() if value is not None]
    if len(used) != 1:
        asked = " and ".join(used) or "nothing"
        raise MotifError(f"{asked} given; give one of {', '.join(given)} (an edit file can hold several requests)")
    clips, learn = _source(source, engine, seed, {"variety": variety}, (units, root_offset, up, clip, fps))
    asked = _asked(used[0], given[used[0]], clips[0], read)
    folder = _folder(out or Path("out") / clips[0].name)
    if save_edit is not None:
        from .edit_file import write

        print(f"edit: {write(asked, save_edit)}", file=sys.stderr)
    model = learn(asked)
    try:
        with _progress("editing") as progress:
            takes = model.sample(n, seconds, seed, asked, progress=progress)
    except MotifError as error:
        if request is None:
            raise
        raise MotifError(f"{request}: {str(error).replace('Edit.constraints', 'keep').replace('Edit.', '')}") from None
    _told(takes, _write(takes, folder, source), as_json)


@app.command
def crowd(
    source: list[Path],
    /,
    *,
    n: Annotated[int, Parameter(name=["-n", "--number"])] = 20,
    seconds: float | None = None,
    seed: int = 0,
    spread: float = 0.1,
    gap: float = 0.1,
    out: Annotated[Path | None, Parameter(name=["-o", "--out"])] = None,
    engine: str = "clip-match",
    fps: Fps = None,
    units: Units = None,
    root_offset: RootOffset = "replace",
    up: Up = "y",
    clip: Clip = None,
    as_json: Json = False,
) -> None:
    """Make many takes that stand side by side, so that no two bodies touch at any frame.

    Parameters
    ----------
    source
        A model that motif fit wrote, or motion files (.bvh, .glb), all of one rig.
    n
        How many.
    seconds
        Length of each take; twice the clips if not given.
    seed
        The same seed gives the same crowd.
    spread
        Each is up to this share faster or slower than the clip.
    gap
        Metres left between any two bodies at least.
    out
        Folder for the takes; out/NAME-crowd of the first clip if not given.
    engine
        What makes the takes, if the source is no model.
    """
    clips, learn = _source(source, engine, seed, {}, (units, root_offset, up, clip, fps))
    folder = _folder(out or Path("out") / f"{clips[0].name}-crowd")
    model = learn(None)
    with _progress("crowd") as progress:
        takes = model.crowd(n, seconds, seed, spread, gap, progress=progress)
    _told(takes, _write(takes, folder, source), as_json)


@app.command
def change(
    clip: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["-o", "--out"])],
    mirror: Annotated[bool, Parameter(negative="")] = False,
    speed: float | None = None,
    cut: str | None = None,
    seconds: float | None = None,
    loop: Annotated[bool, Parameter(negative="")] = False,
    fps: float | None = None,
    units: Units = None,
    root_offset: RootOffset = "replace",
    up: Up = "y",
    which: Annotated[str | None, Parameter(name="--clip")] = None,
) -> None:
    """Plain changes of one clip, in this order: cut, mirror, speed, length, loop, rate. Nothing is made up.

    Parameters
    ----------
    clip
        The motion file.
    out
        The BVH file to write.
    mirror
        Exchange left and right.
    speed
        So many times as fast.
    cut
        Keep the seconds FROM:TO only.
    seconds
        As long as this, by playing slower or faster.
    loop
        Bend the end so that the first frame follows the last.
    fps
        Resample to this rate.
    """
    if not any((mirror, speed is not None, cut, seconds is not None, loop, fps is not None)):
        raise MotifError("nothing to change; give --mirror, --speed, --cut, --seconds, --loop or --fps")
    if speed is not None and seconds is not None:
        raise MotifError("--speed and --seconds both say how fast it plays; give one")
    if seconds is not None and not 0 < seconds <= 3600:
        raise MotifError(f"--seconds {seconds:g}; give a number above 0 and up to 3600")
    motion = _load([clip], units, root_offset, up, which)[0]
    if cut is not None:
        begin, end = _span("--cut", cut, motion)
        motion = motion.crop(round(begin * motion.fps), round(end * motion.fps))
    motion = motion.mirror() if mirror else motion
    motion = motion if speed is None else motion.retime(speed)
    if seconds is not None:
        motion = motion.retime(motion.seconds / seconds)
    motion = motion.loop() if loop else motion
    motion = motion if fps is None else motion.resample(fps)
    if out.resolve() == clip.resolve():
        raise MotifError(f"{out} is the clip itself; write to another file")
    from . import io

    _folder(out.parent)
    print(io.save(motion, out))


@app.command
def show(
    clips: list[Path],
    /,
    *,
    out: Annotated[Path, Parameter(name=["-o", "--out"])],
    seconds: float | None = None,
    units: Units = None,
    root_offset: RootOffset = "replace",
    up: Up = "y",
    clip: Clip = None,
) -> None:
    """Draw clips: a contact sheet (.png) or an animation with ground, foot trails and contacts (.gif, .mp4).

    Parameters
    ----------
    clips
        Motion files to draw, side by side.
    out
        The picture to write; its ending says which kind.
    seconds
        Draw only this much from the beginning.
    """
    from . import api

    motions = [
        m if seconds is None else m.crop(0, max(round(seconds * m.fps), 1))
        for m in _load(clips, units, root_offset, up, clip)
    ]
    print(api.show(motions, out))


@app.command
def info(
    clips: list[Path],
    /,
    *,
    units: Units = None,
    root_offset: RootOffset = "replace",
    up: Up = "y",
    clip: Clip = None,
    as_json: Json = False,
) -> None:
    """Say what motif sees in clips: rig, rate, length, unit, contacts, problems.

    Parameters
    ----------
    clips
        Motion files to look at.
    """
    from . import api

    clips = _files(clips)
    facts = [api.info(m) for m in _load(clips, units, root_offset, up, clip, quiet=True)]
    if as_json:
        _print_json(facts[0] if len(facts) == 1 else facts)
        return
    for f, path in zip(facts, clips):
        rig = f"{f['joints']} joints and {f['end_sites']} end sites"
        print(f"{f['name']}: {rig}, {f['frames']} frames at {f['fps']:g} fps, {f['seconds']:.2f} s")
        print(f"  unit      {_unit_words(f['metres_per_unit'], units, path)}; body height {f['height']:.2f} m")
        print(
            f"  path      root {f['root']}, ends {f['travel']:.2f} m from where it began, floor at {f['floor']:.3f} m"
        )
        stands = ", ".join(f"{name} {share:.0%}" for name, share in f["contacts"].items())
        print(f"  contacts  {stands or 'none'}")
        print(f"  parts     {', '.join(f'{k} {v}' for k, v in f['parts'].items())}; {f['pairs']} left/right pairs")
        for problem in f["problems"]:
            print(f"  problem   {problem}")


@app.command
def score(
    takes: list[Path],
    /,
    *,
    against: Annotated[list[Path], Parameter(name=["-a", "--against"], consume_multiple=True, negative="")],
    report: Path | None = None,
    fps: Fps = None,
    units: Units = None,
    root_offset: RootOffset = "replace",
    up: Up = "y",
    as_json: Json = False,
) -> None:
    """Score takes against the clips they were made from: numbers, and what is wrong and where in words.

    Parameters
    ----------
    takes
        Motion files to score together, or folders of them.
    against
        The exemplar clips, or folders of them.
    report
        Write an HTML page with curves over time and pictures of the worst moments.
    """
    from . import api, page

    if report is not None:
        page.check(report)
    new = _load(takes, units, root_offset, up, fps=fps, quiet=True)
    truth = _load(against, units, root_offset, up, fps=fps)
    with _progress("scoring") as progress:
        found = api.report(new, truth, report, progress)
    if as_json:
        _print_json(found.plain())
        return
    _print_scores(found)
    if report is not None:
        print(f"To look at: {report}")


@app.command
def demo(*, out: Annotated[Path, Parameter(name=["-o", "--out"])] = Path("out/demo"), seed: int = 1) -> None:
    """Make four new takes of the clip that ships with motif, score them and draw them: a first look in seconds.

    Parameters
    ----------
    out
        Folder for what is made.
    seed
        Another seed, other takes.
    """
    from . import api

    clip = api.demo_clip()
    print(
        f"The clip: CMU 01_01, jumps and turns, {clip.seconds:.1f} s at {clip.fps:g} fps, {len(clip.skeleton)} joints."
    )
    with _progress("matching") as progress:
        takes = api.vary(clip, n=4, seed=seed, progress=progress)
    files = _write(takes, _folder(out), [])
    with _progress("drawing") as progress:
        sheet = api.show([clip, *takes], out / "sheet.png")
        preview = api.show([t.crop(0, round(10 * t.fps)) for t in takes], out / "preview.gif", progress=progress)
    print(f"Four new takes of {takes[0].seconds:.1f} s each:")
    for file in files:
        print(f"  {file}")
    print(f"To look at: {sheet} and {preview}")
    _print_scores(api.report(takes, [clip]))


# --- in and out ------------------------------------------------------------------------------------------------------
def _load(
    paths: Sequence[Path],
    units: str | None,
    root_offset: Literal["replace", "add"],
    up: Literal["y", "z"],
    clip: str | None = None,
    fps: float | None = None,
    quiet: bool = False,
) -> "list[Motion]":
    """The clips, with a line on standard error about what each one is taken for."""
    import torch

    from . import io

    torch.set_num_threads(1)  # many small steps: on a busy machine several threads mostly wait for one another
    which = int(clip) if clip and clip.isdigit() else clip
    config, motions = io.ReadConfig(_unit(units), root_offset, up, which, fps), []
    for path in _files(paths):
        motion = io.load(path, config)
        if not quiet:
            _note(
                f"{path.name}: {len(motion)} frames at {motion.fps:g} fps, {motion.seconds:.1f} s, "
                f"{_unit_words(motion.file_format.unit, units, path)}"
            )
        motions.append(motion)
    return motions


def _source(
    source: Sequence[Path], engine: str, seed: int, dials: dict[str, Any], reading: tuple[Any, ...]
) -> "tuple[Sequence[Motion], Callable[[Edit | None], Model]]":
    """Clips, and what makes a model of them that an edit can be asked of: a model file is one already."""
    from . import api, registry

    if any(p.suffix == ".safetensors" for p in source):
        if len(source) > 1:
            raise MotifError(f"{len(source)} sources with a model among them; give one model, or motion files")
        model = api.Model.load(source[0]).turned(**dials)
        return model.clips, lambda asked: model
    motions = _load(source, *reading)

    def learn(asked: "Edit | None") -> "Model":
        if asked is not None:
            registry.check_supported(engine, registry.recipe(engine, **dials), asked)
        with _progress("learning") as progress:
            return api.fit(engine, motions, seed, progress=_learning(progress), **dials)

    return motions, learn


def _asked(option: str, value: Any, first: "Motion", read: "Callable[[Path], Motion]") -> "Edit":
    """The edit that one option stands for."""
    from . import edit_file
    from .edit import Edit, Trajectory

    if option == "--edit":
        return edit_file.read(value, read)
    if option == "--keep":
        return Edit.keep(first, value)
    if option == "--inpaint":
        return Edit.inpaint(first, *_span(option, value, first))
    if option == "--content":
        return Edit.restyle(read(value))
    if option == "--trajectory":
        try:
            points = tuple((float(x), float(z)) for x, z in (point.split(",") for point in value.split()))
        except ValueError:
            raise MotifError(
                f"--trajectory {value!r}; expected points as X,Z with spaces between: '0,0 3,0 3,3'"
            ) from None
        return Edit(trajectory=Trajectory(points))
    return Edit.expand(first, *value)


def _span(option: str, text: str, motion: "Motion") -> tuple[float, float]:
    """Seconds FROM:TO; either end may be left out."""
    begin, colon, end = text.partition(":")
    try:
        first, last = float(begin or 0), float(end or motion.seconds)
    except ValueError:
        first = last = -1.0
    if not colon or not 0 <= first < last <= motion.seconds + motion.frame_time or last - first < motion.frame_time / 2:
        raise MotifError(f"{option} {text!r}; expected seconds FROM:TO within {motion.seconds:.2f}, e.g. 1:2.5")
    return first, last


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the motion files in folders, in the order of their names."""
    found = []
    for path in paths:
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in (".bvh", ".glb")) if path.is_dir() else [path]
        if not inside:
            raise MotifError(f"{path} is a folder without motion files; expected .bvh or .glb files in it")
        found += inside
    return found


def _folder(folder: Path) -> Path:
    """The folder, made if need be, before any work is done for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotifError(f"{folder} cannot be made a folder ({error.strerror}); choose another with --out") from None
    return folder


def _writable(target: Path) -> None:
    """Whether a file can be written there, before any work is done for it."""
    if target.is_dir():
        raise MotifError(f"{target} is a folder; give the name of a file with --out")
    if not os.access(target.parent, os.W_OK):
        raise MotifError(f"{target.parent} cannot be written to; choose another folder with --out")


def _unit(units: str | None) -> float | None:
    if units is None or units in UNITS:
        return UNITS.get(units or "")
    with contextlib.suppress(ValueError):
        if float(units) > 0:
            return float(units)
    raise MotifError(f"--units {units!r}; expected one of {', '.join(UNITS)}, or metres per unit such as 0.01")


def _unit_words(unit: float, asked: str | None, path: Path) -> str:
    if path.suffix.lower() != ".bvh":
        return "metres, as glTF always is"
    from .io.bvh import CMU_UNIT

    names = {1.0: "metres", 0.01: "centimetres", 0.001: "millimetres", CMU_UNIT: "CMU units (0.056 m)"}
    words = names.get(unit, f"units of {unit:g} m")
    return f"{words}, as asked" if asked else f"looks like {words}"


def _weights(given: Sequence[str] | None) -> dict[str, float]:
    weights = {}
    for item in given or ():
        name, _, number = item.rpartition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise MotifError(f"--weight {item!r}; expected NAME=NUMBER, e.g. upper=2")
    return weights


def _write(takes: "Sequence[Motion]", folder: Path, inputs: Sequence[Path]) -> list[str]:
    """Write takes into a folder, never over a clip that they were made from."""
    from . import io

    files = [folder / f"{take.name}.bvh" for take in takes]
    taken = {path.resolve() for path in inputs}
    for file in files:
        if file.resolve() in taken:
            raise MotifError(f"{file} is one of the clips given; choose another folder with --out")
    return [str(io.save(take, file)) for take, file in zip(takes, files)]


def _told(takes: "Sequence[Motion]", files: list[str], as_json: bool) -> None:
    """What was made and where it lies."""
    if as_json:
        _print_json({"files": files, "frames": len(takes[0]), "fps": takes[0].fps, "seconds": takes[0].seconds})
        return
    print(f"{len(takes)} take{'s' * (len(takes) > 1)} of {takes[0].seconds:.1f} s at {takes[0].fps:g} fps:")
    for file in files:
        print(f"  {file}")


def _print_scores(found: "Report") -> None:
    from .metrics import MEANING
    from .page import number

    for key, value in found.headline.items():
        print(f"  {key:<11}{number(key, value):>6}  {MEANING[key]}")
    for line in found.verdict():
        print(f"- {line}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


def _note(text: str) -> None:
    print(text, file=sys.stderr)


@contextlib.contextmanager
def _progress(title: str) -> "Iterator[Callable[..., None]]":
    """A bar with the time left, and what is told beside it, on a terminal; silent otherwise."""
    if not sys.stderr.isatty():
        yield lambda done, beside="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[beside]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1.0, beside="")
        yield lambda done, beside="": bar.update(task, completed=done, beside=beside)


def _learning(progress: "Callable[..., None]") -> "Callable[[Any], None]":
    """A listener to training that shows the share done and the losses."""
    return lambda told: progress(told.share, "  ".join(f"{k} {v:.2f}" for k, v in told.losses.items()))


def main() -> None:
    """Run the command line and exit."""
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    show_warning = warnings.showwarning

    def showwarning(message, category, *rest, **named):
        if issubclass(category, MotifWarning):
            _note(f"note: {message}")
        else:
            show_warning(message, category, *rest, **named)

    warnings.showwarning = showwarning
    warnings.simplefilter("always", MotifWarning)
    try:
        app(arguments, exit_on_error=False)
    except CycloptsError:  # already explained by the parser
        sys.exit(2)
    except MotifError as error:
        if debug:
            raise
        _note(f"motif: {error}")
        sys.exit(130 if isinstance(error, Stopped) else 2)
    except BrokenPipeError:  # who reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        _note("stopped")
        sys.exit(130)


if __name__ == "__main__":
    main()
