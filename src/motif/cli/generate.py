"""Verbs that make motion."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import motif

from ..config import CrowdConfig, ReadConfig, SampleConfig
from ..errors import MotifError
from . import options
from .options import Change, Clips, Crowd, EditArgs, Fit, Folder, Learn, Number, Out, Read, Seed, Source, Takes, Vary
from .output import FIRST, make_folder, note, print_scores, print_takes, progress_bar, write_takes


def vary(
    clips: Clips, /, *, n: Number = 4, takes: Takes = Takes(), asked: Vary = Vary(), learn: Learn = Learn()
) -> None:
    """Make new takes of one or more clips of the same rig and write them as BVH."""
    from .. import api

    motions, edit = options.load_clips(clips, learn.read), asked.edit()
    folder = takes.folder(motions[0].name)
    for problem in api.takes_problems(motions[0]) if len(motions) == 1 and FIRST else ():
        note(f"note: {problem}")
    model = _fit(learn, motions, n, takes, edit, asked.config)
    with progress_bar("matching") as progress:
        made = model.sample(n, takes.seconds, takes.seed, edit, asked.config, progress)
    print_takes(made, write_takes(made, folder, clips), takes.as_json)


def fit(clips: Clips, /, *, out: Out, run: Fit = Fit(), read: Read = None) -> None:
    """Teach a recipe clips of one rig: a .safetensors file. Ctrl-C stops it; the same command goes on from there."""
    from .. import api, bundle, registry, train

    target = bundle.check(out)
    registry.recipe(run.recipe)  # names that are not known are refused before anything is read
    make_folder(target.parent)
    if target.is_dir():
        raise MotifError(f"{target} is a folder; give the name of a file with --out")
    folder = run.run or target.with_name(f"{target.stem}.run")
    motions = options.load_clips(clips, read)
    with progress_bar("learning") as progress:
        model = api.fit(run.recipe, motions, run.seed, run.config, folder, progress)
    if FIRST:
        _note_share(model)
        print(model.save(target))
    if FIRST and run.run is None:
        train.delete_run(folder)


def sample(model: Path, /, *, n: Number = 4, takes: Takes = Takes(), asked: Vary = Vary()) -> None:
    """Make new takes from a model that motif fit wrote and write them as BVH."""
    options.use_one_thread()
    learned = motif.Model.load(model)
    folder = takes.folder(learned.clips[0].name)
    _note_share(learned)
    with progress_bar("sampling") as progress:
        made = learned.sample(n, takes.seconds, takes.seed, asked.edit(), asked.config, progress)
    print_takes(made, write_takes(made, folder, []), takes.as_json)


def edit(
    source: Source, /, *, n: Number = 4, takes: Takes = Takes(), request: EditArgs = EditArgs(), learn: Learn = Learn()
) -> None:
    """Keep what you like of a clip and change the rest, go along a path, restyle.

    One of --edit, --keep, --inpaint, --before/--after, --content and --trajectory says what; a file can say several.
    """
    from .. import edit_file

    clips, model = _source(source, learn, None if request.file or request.content else learn.read)
    asked = request.edit(clips[0], learn.read)
    folder = takes.folder(clips[0].name)
    if request.save_edit is not None:
        note(f"edit: {edit_file.write(asked, request.save_edit)}")
    try:
        model = model or _fit(learn, clips, n, takes, asked, request.config)
        with progress_bar("editing") as progress:
            made = model.sample(n, takes.seconds, takes.seed, asked, request.config, progress)
    except MotifError as error:  # names the file that the edit is from, and its fields
        if request.file is None:
            raise
        raise type(error)(f"{request.file}: {error}") from None
    print_takes(made, write_takes(made, folder, source), takes.as_json)


def crowd(
    source: Source, /, *, n: Number = 20, takes: Takes = Takes(), config: Crowd = CrowdConfig(), learn: Learn = Learn()
) -> None:
    """Make many takes that stand side by side, so that no two bodies touch at any frame."""
    clips, model = _source(source, learn, learn.read)
    folder = takes.folder(f"{clips[0].name}-crowd")
    model = model or _fit(learn, clips, n, takes, None, config)
    with progress_bar("crowd") as progress:
        made = model.crowd(n, takes.seconds, takes.seed, config=config, progress=progress)
    print_takes(made, write_takes(made, folder, source), takes.as_json)


def change(clip: Path, /, *, out: Out, changes: Change = Change(), read: Read = None) -> None:
    """Plain changes of one clip, in this order: cut, mirror, speed, length, loop, rate. Nothing is made up."""
    fps = None if read is None else read.fps
    if changes == Change() and fps is None:
        raise MotifError("nothing to change; give --mirror, --speed, --cut, --seconds, --loop or --fps")
    if read is not None and clip.suffix.lower() not in (".glb", ".gltf"):  # glTF keys are sampled at the rate
        read = replace(read, fps=None)  # frames are resampled to it last
    motion = changes.apply(options.load_clips([clip], read)[0])
    if out.resolve() == clip.resolve():
        raise MotifError(f"{out} is the clip itself; write to another file")
    make_folder(out.parent)
    print(motif.save(motion if fps is None else motion.resample(fps), out))


def demo(*, out: Folder = Path("out/demo"), seed: Seed = 1) -> None:
    """Make four new takes of the clip that ships with motif, score them and draw them: a first look in seconds."""
    options.use_one_thread()
    clip = motif.demo_clip()
    length = f"{clip.seconds:.1f} s at {clip.fps:g} fps, {motif.info(clip)['joints']} joints"
    print(f"The clip: CMU 17_10, boxing, {length}.")
    with progress_bar("matching") as progress:
        takes = motif.fit("clip-match", clip, seed).sample(4, seed=seed, progress=progress)
    files = write_takes(takes, make_folder(out), [])
    with progress_bar("drawing") as progress:
        sheet = motif.show([clip, *takes], out / "sheet.png")
        preview = motif.show([t.crop(0, round(10 * t.fps)) for t in takes], out / "preview.gif", progress=progress)
    print(f"Four new takes of {takes[0].seconds:.1f} s each:")
    print(*(f"  {file}" for file in files), sep="\n")
    print(f"To look at: {sheet} and {preview}")
    print_scores(motif.report(takes, [clip]))


def _source(
    source: Sequence[Path], learn: Learn, unused: ReadConfig | None
) -> "tuple[Sequence[motif.Motion], motif.Model | None]":
    """The clips, and the model if that is the source: what it cannot use must not be given then."""
    if not any(p.suffix == ".safetensors" for p in source):
        return options.load_clips(source, learn.read), None
    if len(source) > 1:
        raise MotifError(f"{len(source)} sources with a model among them; give one model, or motion files")
    if learn.recipe is not None or unused is not None:
        what = "options of reading files are" if learn.recipe is None else "--recipe is"
        raise MotifError(f"{what} given, but {source[0]} is a model, which has its recipe and clips; leave that out")
    options.use_one_thread()
    model = motif.Model.load(source[0])
    _note_share(model)
    return model.clips, model


def _fit(
    learn: Learn, clips: "Sequence[motif.Motion]", n: int, takes: Takes, edit: "motif.Edit | None", config: SampleConfig
) -> "motif.Model":
    """A model of the clips, if it can make what is asked."""
    from .. import api

    recipe = learn.recipe or "clip-match"
    api.check_request(recipe, clips, n, takes.seconds, edit, config)
    with progress_bar("learning") as progress:
        return api.fit(recipe, clips, takes.seed, progress=progress)


def _note_share(model: "motif.Model") -> None:
    if model.share < 1:
        note(f"{model.name}: trained for {model.share:.3g} of its schedule")
