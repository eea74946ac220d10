"""A corpus at a glance: how much of what, how long clips are, a wall of poses, and what was left out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..data.corpus import Clip, Corpus, clip_of
from ..files import replace_file
from . import draw

UNIT = 2 * draw.OVERSAMPLE
WIDTH, EDGE = 4000, 88
COLUMNS, ROWS, CELL = 12, 6, (WIDTH - 2 * EDGE) / 12
BAR = 22 * UNIT


def corpus_sheet(corpus: Corpus, path: str | Path, seed: int = 0) -> Path:
    """Draw a corpus as PNG: bars of its sources, of the lengths of its clips and of the reasons of rejects, and clips
    of all its rigs, drawn at random.
    """
    target = draw.check_suffix(path, (".png",))
    seconds, shown = _survey(corpus, seed)
    sources = {f"{k} ({v['licence']})": v["seconds"] / 3600 for k, v in corpus.card["sources"].items()}
    rejects = dict(sorted(corpus.card["rejects"].items(), key=lambda item: -item[1]))
    rows = max(len(sources), len(rejects), 10)
    top, wall = 110 * UNIT, -(-len(shown) // COLUMNS)
    canvas = draw.Canvas(WIDTH, top + (rows + 2) * BAR + wall * CELL + 30 * UNIT)
    card = corpus.card
    kept = f"{len(corpus):,} clips, {corpus.hours:.2f} h, {card['rigs']} rigs, {card['captions']:,} captions"
    splits = ", ".join(f"{k} {v:,}" for k, v in card["splits"].items())
    canvas.text((EDGE, 14 * UNIT), corpus.folder.resolve().name, 22 * UNIT, draw.TRUNK)
    canvas.text((EDGE, 48 * UNIT), f"{kept}; {splits}", 14 * UNIT, draw.GREY, room=WIDTH - 2 * EDGE)
    third = (WIDTH - 2 * EDGE) / 3
    lengths = _lengths(seconds)
    for k, (title, values) in enumerate(
        (("hours by source", sources), ("seconds a clip", lengths), ("left out", rejects))
    ):
        _bars(canvas, title, values, (EDGE + k * third, top - 24 * UNIT, third - 40 * UNIT))
    for k, clip in enumerate(shown):
        _thumbnail(canvas, clip, EDGE + k % COLUMNS * CELL, top + (rows + 2) * BAR + k // COLUMNS * CELL)
    picture = draw.to_palette(canvas.image.reduce(draw.OVERSAMPLE))
    replace_file(target, lambda beside: picture.save(beside, optimize=True))
    return target


def _survey(corpus: Corpus, seed: int) -> tuple[list[float], list[Clip]]:
    """Return the lengths of all clips, seconds, and some clips of as many rigs as there are room for."""
    rng = np.random.default_rng(seed)
    seconds, rigs = [], []
    for row in corpus.rows(("frames", "frame_time", "rig")):
        seconds.append(row["frames"] * row["frame_time"])
        rigs.append(row["rig"])
    places: dict[int, list[int]] = {}
    for k in rng.permutation(len(rigs)).tolist():
        places.setdefault(rigs[k], []).append(k)
    wanted: list[int] = []
    while len(wanted) < min(COLUMNS * ROWS, len(rigs)):  # in turn, so that a rig of few clips is seen, too
        for mine in places.values():
            wanted += [mine.pop()] if mine and len(wanted) < COLUMNS * ROWS else []
    chosen = set(wanted)
    found = [clip_of(row, corpus.rigs[row["rig"]]) for k, row in enumerate(corpus.rows()) if k in chosen]
    return seconds, found


def _lengths(seconds: Sequence[float]) -> dict[str, float]:
    edges = [0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 30, 1e9]
    counts = np.histogram(seconds, edges)[0].tolist()
    names = [f"{a:g} to {b:g}" if b < 1e9 else f"{a:g} and more" for a, b in zip(edges, edges[1:], strict=False)]
    return {name: n for name, n in zip(names, counts, strict=True) if n}


def _bars(canvas: draw.Canvas, title: str, values: Mapping[str, float], at: tuple[float, float, float]) -> None:
    left, y, width = at
    canvas.text((left, y - 4 * UNIT), title, 13 * UNIT, draw.TRUNK)
    most = max([*values.values(), 1e-9])
    for name, value in values.items():
        y += BAR
        canvas.text((left, y), name, 11 * UNIT, draw.GREY, room=0.45 * width)
        start, room = left + 0.47 * width, 0.4 * width
        canvas.pen.rectangle((start, y + UNIT, start + max(room * value / most, UNIT), y + BAR - 8 * UNIT), draw.LEFT)
        number = f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
        canvas.text((start + room * value / most + 5 * UNIT, y), number, 11 * UNIT, draw.TRUNK)


def _thumbnail(canvas: draw.Canvas, clip: Clip, left: float, top: float) -> None:
    """Draw the middle pose of a clip in its cell, and the last part of its name."""
    (figure,), room = draw.figures(clip.motion), CELL - 16 * UNIT
    frame = len(clip.motion) // 2
    relative = figure.world[frame] - figure.world[frame, figure.root] * draw.GROUND
    points, shadow = relative @ figure.axes.T, (relative * draw.GROUND) @ figure.axes.T
    body = points[list(figure.joints), :2]
    low, span = body.min(0), np.ptp(body, axis=0)
    scale = float(min(room / max(span[0], 1e-6), (room - 20 * UNIT) / max(span[1], 1e-6), 160 * UNIT / figure.size))
    middle = np.array([left + CELL / 2, top + room - 14 * UNIT])
    shift, flip = np.array([low[0] + span[0] / 2, low[1]]), np.array([scale, -scale])
    at = [middle + (p[..., :2] - shift) * flip for p in (points, shadow)]
    draw.pose(canvas, figure, frame, at[0], at[1], points[:, 2] / figure.size, scale)
    name = clip.id.rpartition("/")[2]
    canvas.text((left + CELL / 2, top + room - 6 * UNIT), name, 8 * UNIT, draw.GREY, "ma", CELL - 4 * UNIT)
