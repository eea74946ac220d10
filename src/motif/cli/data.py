"""Verbs that get public sets of motion."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ..errors import MotifError
from .options import Flag, Json
from .output import make_folder, note, print_json, progress_bar

data = App(name="data", help="Public sets of motion: list them, get one by name.")
Name = Annotated[str, Parameter(help="A name of motif data list, or the https address of an archive.")]
Where = Annotated[Path, Parameter(name=["-o", "--out"], help="Folder that the set's own folder is made in.")]
Accept = Annotated[Flag, Parameter(help="Accept the licence that is shown.")]
Digest = Annotated[str, Parameter(help="SHA-256 that the archive must have.")]
Keep = Annotated[Flag, Parameter(help="Keep the archive.")]


@data.command(name="list")
def list_sets(*, as_json: Json = False) -> None:
    """List sets with what they are, their licence, and how to get those that want a form filled in."""
    from dataclasses import asdict

    from ..curate.sets import SETS

    if as_json:
        print_json([asdict(one) for one in SETS])
        return
    for one in SETS:
        size = f", about {one.megabytes} MB" if one.megabytes else ""
        print(f"{one.name:<14} {one.what}{size}\n{'':<14} licence: {one.licence}")
        print(f"{'':<14} {f'motif data get {one.name}' if one.url else f'by hand: {one.how}'}")


@data.command
def get(
    name: Name, /, *, out: Where = Path("data"), accept: Accept = False, sha256: Digest = "", keep: Keep = False
) -> None:
    """Download a set and unpack it: motif data get lafan1. The same command goes on with a download that broke off."""
    from ..curate import fetch, sets, unpack

    one = sets.named(name)
    folder = out / one.name
    if folder.exists():
        raise MotifError(f"{folder} is there already; remove it, or choose another with --out")
    note(f"{one.name}: {one.what}\nlicence: {one.licence}\nfrom: {one.url}")
    if not accept:
        if not sys.stdin.isatty():
            raise MotifError("read the licence and add --accept")
        note("Do you accept the licence? [y/N]")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise MotifError("not accepted, nothing was downloaded")
    ending = next(e for e in unpack.ENDINGS if one.url.lower().partition("?")[0].endswith(e))
    archive = make_folder(out) / f".{one.name}{ending}"  # hidden, so that no folder of motion has it
    with progress_bar(f"downloading {one.name}") as progress:
        found = fetch.download(one.url, archive, sha256 or one.sha256, progress)
    if not (sha256 or one.sha256):
        note(f"no checksum is known for it; what came has SHA-256 {found}")
    try:
        left_in = unpack.unpack(archive, folder)
    except MotifError:
        archive.unlink(missing_ok=True)  # so that the next call gets it again
        raise
    if left_in:
        note("left in the archive: " + ", ".join(f"{n} {ending}" for ending, n in left_in.most_common(8)))
    if keep:
        archive.replace(out / f"{one.name}{ending}")
    archive.unlink(missing_ok=True)
    print(folder)
    note(f"now: motif curate {folder} CORPUS")
