"""Verbs that look at motion."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import motif

from .options import Clips, Json, Read, is_corpus, list_files, load_clips
from .output import print_json, print_scores, progress_bar, unit_words

Seconds = Annotated[float | None, Parameter(help="Draw only this much from the beginning.")]
Picture = Annotated[
    Path | None, Parameter(name=["-o", "--out"], help="Where to draw; out/NAME.png of the first clip if not given.")
]
Against = Annotated[
    list[Path],
    Parameter(name=["-a", "--against"], consume_multiple=True, negative="", help="The clips, or folders of them."),
]
Page = Annotated[Path | None, Parameter(help="Write an HTML page with curves and pictures of the worst moments.")]


def show(clips: Clips, /, *, out: Picture = None, seconds: Seconds = None, read: Read = None) -> None:
    """Draw clips: a contact sheet (.png) or an animation with ground, foot trails and contacts (.gif, .mp4).

    Of a corpus (motif curate) its sources, lengths, rejects and a wall of poses (.png).
    """
    if is_corpus(clips[0]):
        from ..data.corpus import Corpus
        from ..view.corpus_sheet import corpus_sheet

        print(corpus_sheet(Corpus.open(clips[0]), out or Path("out") / f"{clips[0].resolve().name}.png"))
        return
    motions = load_clips(clips, read)
    out = out or Path("out") / f"{motions[0].name}.png"
    if seconds is not None:
        motions = [m.crop(0, max(round(seconds * m.fps), 1)) for m in motions]
    print(motif.show(motions, out))


def info(clips: Clips, /, *, read: Read = None, as_json: Json = False) -> None:
    """Say what motif sees in clips: rig, rate, length, unit, contacts, problems. Of a corpus, check its files, too."""
    if is_corpus(clips[0]):
        from .corpus import describe

        describe(clips[0], as_json)
        return
    files = list_files(clips)
    facts = [motif.info(m) for m in load_clips(files, read, quiet=True)]
    if as_json:
        print_json(facts[0] if len(facts) == 1 else facts)
        return
    for f, path in zip(facts, files):
        rig = f"{f['joints']} joints and {f['end_sites']} end sites"
        unit = unit_words(f["metres_per_unit"], read is not None and read.unit is not None, path)
        travel = f"ends {f['travel']:.2f} m from where it began, floor at {f['floor']:.3f} m"
        stands = ", ".join(f"{name} {fraction:.0%}" for name, fraction in f["contacts"].items())
        print(f"{f['name']}: {rig}, {f['frames']} frames at {f['fps']:g} fps, {f['seconds']:.2f} s")
        print(f"  unit      {unit}; body height {f['height']:.2f} m")
        print(f"  path      root {f['root']}, {travel}")
        if not f["level_ground"]:
            print("  ground    not level: takes go on at the height that they reached")
        if f["in_place_speed"] is not None:
            print(f"  place     walks in place, its feet imply {f['in_place_speed']:.2f} m/s: --trajectory makes it go")
        print(f"  contacts  {stands or 'none'}")
        print(f"  parts     {', '.join(f'{k} {v}' for k, v in f['parts'].items())}; {f['pairs']} left/right pairs")
        for problem in f["problems"]:
            print(f"  problem   {problem}")


def score(takes: Clips, /, *, against: Against, report: Page = None, read: Read = None, as_json: Json = False) -> None:
    """Score takes against the clips they were made from: numbers, and what is wrong and where in words."""
    from ..view import page

    if report is not None:
        page.check(report)
    new, truth = load_clips(takes, read, quiet=True), load_clips(against, read)
    with progress_bar("scoring") as progress:
        found = motif.report(new, truth, report, progress)
    if as_json:
        print_json(found.plain())
        return
    print_scores(found)
    if report is not None:
        print(f"To look at: {report}")
