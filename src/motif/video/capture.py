"""From a video file to motions: a clip for each stretch of a shot in which a person is seen; and what is not, why."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from .. import contact
from ..errors import MotifError
from ..motion import Motion
from . import READS, Film, Landmarks, LeftOut, PoseEstimator, Shots, VideoConfig, environment, lift, rig

JUMP = 0.1  # body heights that joints move by, on average, in a thirtieth of a second: more is a cut
GAP = 0.2  # seconds that a body may be out of sight and is filled in


def find_shots(video: Path) -> Film:
    """Return the shots of a film by PySceneDetect's content detector, in an environment of its own."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "shots.json"
        environment.work(["shots", str(video.resolve()), str(out)])
        found = json.loads(out.read_text("utf-8"))
    if found["frames"] < 2 or not found["fps"] > 0:
        raise MotifError(f"{video}: holds {found['frames']} pictures that can be decoded; expected a film of a person")
    return Film(found["fps"], found["frames"], tuple(found["starts"]))


def mediapipe_pose(video: Path, film: Film, start: int, stop: int) -> Landmarks:
    """Return landmarks by MediaPipe's BlazePose (one person, the most prominent), in an environment of its own."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "pose.npz"
        environment.work(["pose", str(video.resolve()), str(out), str(start), str(stop)])
        with np.load(out, allow_pickle=False) as found:
            world, image, visible, flow = (
                torch.from_numpy(found[key]).float() for key in ("world", "image", "visibility", "flow")
            )
            width, height = found["size"].tolist()
    return Landmarks(film.fps, (width, height), world, image, visible, flow)


def capture(
    video: str | Path,
    config: VideoConfig = VideoConfig(),
    pose: PoseEstimator = mediapipe_pose,
    shots: Shots = find_shots,
    progress: Callable[[float], None] = lambda fraction: None,
) -> tuple[list[Motion], list[LeftOut]]:
    """Return the motions of a video and what of it was left out: ``cut``, ``nobody``,
    ``short``, ``jitter``.

    Shots give clips of their own. A file that is no film raises an error.
    """
    video = Path(video)
    if video.suffix.lower() not in READS:
        raise MotifError(f"{video} is no video that motif reads, which are {', '.join(READS)}")
    if not video.is_file():
        raise MotifError(f"{video}: there is no such file")
    film = shots(video)
    motions: list[Motion] = []
    left_out: list[LeftOut] = []
    edges = [*film.starts, film.frames]
    for start, stop in zip(edges, edges[1:], strict=False):
        at, seconds = start / film.fps, (stop - start) / film.fps
        if seconds < config.shortest:
            left_out.append(
                LeftOut("cut", f"{seconds:.2f} s between two cuts, at least {config.shortest:g}", at, seconds)
            )
            continue
        made, not_made = of_shot(pose(video, film, start, stop), video.stem, config, at)
        motions += made
        left_out += not_made
        progress(stop / film.frames)
    if len(motions) > 1:
        motions = [replace(m, name=f"{m.name}-{n}") for n, m in enumerate(motions, 1)]
    return motions, left_out


def of_shot(
    marks: Landmarks, name: str, config: VideoConfig = VideoConfig(), at: float = 0.0
) -> tuple[list[Motion], list[LeftOut]]:
    """Return the motions of a shot's landmarks and what is left out; ``at`` is where the shot begins, seconds."""
    motions: list[Motion] = []
    left_out: list[LeftOut] = []
    there = seen(marks, config)
    for start, stop in contact.runs(~there):
        why = f"no body is seen, visibility at least {config.visible:g}"
        left_out.append(LeftOut("nobody", why, at + start / marks.fps, (stop - start) / marks.fps))
    for start, stop in (part for run in contact.runs(there) for part in uncut(marks, *run)):
        when, seconds = at + start / marks.fps, (stop - start) / marks.fps
        part = filled(marks, start, stop)
        trembling = lift.shake(part) if config.jitter else 0.0
        if seconds < config.shortest:
            why = f"a body is seen for {seconds:.2f} s, at least {config.shortest:g}"
            left_out.append(LeftOut("short", why, when, seconds))
        elif trembling > config.jitter:
            why = f"landmarks tremble by {trembling:.4f} body heights, at most {config.jitter:g}"
            left_out.append(LeftOut("jitter", why, when, seconds))
        else:
            motions.append(lift.lift(part, name, config))
    return motions, left_out


def uncut(marks: Landmarks, start: int, stop: int) -> list[tuple[int, int]]:
    """Return the parts of a stretch between jumps of the body: one that is seen from elsewhere from one frame to the
    next, as behind a cut to a picture of the same colours."""
    world = filled(marks, start, stop).world
    change = world[:, list(rig.BODY)].diff(dim=0).norm(dim=-1).mean(-1)
    if not len(change):
        return [(start, stop)]
    height = float((world.amax(1) - world.amin(1)).norm(dim=-1).median())
    limit = max(JUMP * height * max(30 / marks.fps, 1), 4 * float(change.median()))
    edges = [start, *(start + 1 + (change > limit).nonzero()[:, 0]).tolist(), stop]
    return list(zip(edges, edges[1:], strict=False))


def seen(marks: Landmarks, config: VideoConfig) -> Bool[Tensor, "t"]:
    """Return in which frames a body is seen; shorter gaps than ``GAP`` count as seen."""
    sure = marks.visibility[:, list(rig.BODY)].mean(-1) >= max(config.visible, 1e-3)
    sure &= marks.world.isfinite().flatten(1).all(-1)
    for start, stop in contact.runs(~sure):
        if start > 0 and stop < len(sure) and (stop - start) / marks.fps <= GAP:
            sure[start:stop] = True
    return sure


def filled(marks: Landmarks, start: int, stop: int) -> Landmarks:
    """Return some frames of landmarks, those that are missing filled in between their neighbours."""
    part = slice(start, stop)
    world, image = marks.world[part].clone(), marks.image[part].clone()
    missing = ~world.isfinite().flatten(1).all(-1)
    for a, b in contact.runs(missing):
        if a == 0 or b == len(world):
            continue
        t = torch.linspace(0, 1, b - a + 2)[1:-1, None, None]
        for values in (world, image):
            values[a:b] = torch.lerp(values[a - 1 : a], values[b : b + 1], t)
    flow = marks.flow[part].clone()
    flow[:1] = 0
    return Landmarks(marks.fps, marks.size, world, image, marks.visibility[part], flow)
