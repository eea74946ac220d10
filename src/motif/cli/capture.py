"""The verb that makes clips of videos."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import motif

from ..config import VideoConfig
from ..errors import MotifError
from .options import Flag, Json, Out, use_one_thread
from .output import make_folder, note, print_json, progress_bar

Video = Annotated[VideoConfig, Parameter(name="*", group="Video")]


def capture(
    film: Path, /, *, out: Out, config: Video = VideoConfig(), rough: Flag = False, as_json: Json = False
) -> None:
    """Make clips of a video of one person: motif capture VIDEO -o clip.bvh. Several shots become clip-1.bvh, ...

    The first time an environment for MediaPipe is made (about 1 GB); videos stay on this machine.

    Parameters
    ----------
    rough
        Keep clips that shake, slide, sink, ..., which are left out as motif curate does.
    """
    from ..video.capture import capture as read

    if out.suffix.lower() != ".bvh":
        raise MotifError(f"{out}: clips are written as .bvh; give --out a name that ends in it")
    make_folder(out.parent)
    use_one_thread()
    with progress_bar("watching") as progress:
        motions, left_out = read(film, config, progress=progress)
    lost = [(x.reason, x.detail, x.start, x.seconds) for x in left_out]
    kept = []
    for motion in motions:
        failed = [] if rough else _failures(motion)
        lost += [(reason, f"{motion.name}: {detail}", 0.0, motion.seconds) for reason, detail in failed[:1]]
        kept += [] if failed else [motion]
    for reason, detail, start, seconds in lost:
        note(f"left out: {reason} ({detail}; {seconds:.2f} s from {start:.2f} s)")
    if not kept:
        why = ", ".join(sorted({reason for reason, *_ in lost})) or "it has no shot"
        raise MotifError(f"{film}: gives no clip ({why}); --rough keeps clips that are seen but rough")
    names = [out] if len(kept) == 1 else [out.with_stem(f"{out.stem}-{n}") for n in range(1, len(kept) + 1)]
    files = [str(motif.save(motion, name)) for motion, name in zip(kept, names)]
    if as_json:
        rows = [dict(zip(("reason", "detail", "start", "seconds"), x)) for x in lost]
        print_json({"files": files, "seconds": [m.seconds for m in kept], "left_out": rows})
        return
    print(*files, sep="\n")


def _failures(motion: "motif.Motion") -> "list[tuple[str, str]]":
    from ..curate import CurateConfig, gates

    measured = gates.Measured.of(motion)
    return gates.failures({k: measure(measured) for k, (measure, _, _) in gates.GATES.items()}, CurateConfig())
