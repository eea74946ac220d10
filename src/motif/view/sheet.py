"""Contact sheets: a strip of poses for each motion, and its path from above."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..config import ShowConfig
from ..files import replace_file
from ..motion import Motion
from . import draw

UNIT = 2 * draw.OVERSAMPLE  # a pixel of the layout, in fine pixels
WIDTH, EDGE, CHART = 4000, 88, 600  # of the sheet, its margins and the map of the path
ROOM = WIDTH - 3 * EDGE - CHART  # of the strip of poses
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class _Strip:
    """The evenly spaced poses of one figure; metres to the right of each pose's middle and up from under its root."""

    figure: draw.Figure
    frames: list[int]
    points: Float[np.ndarray, "n j 2"]
    shadow: Float[np.ndarray, "n j 2"]
    depth: Float[np.ndarray, "n j"]
    low: float
    high: float
    height: float  # from low to high
    pitch: float  # what two neighbours need between their middles


def _strip(figure: draw.Figure, poses: int) -> _Strip:
    frames = np.unique(np.linspace(0, len(figure.motion) - 1, poses).round().astype(int))
    relative = figure.world[frames] - figure.world[frames][:, [figure.root]] * draw.GROUND
    points, shadow = relative @ figure.axes.T, (relative * draw.GROUND) @ figure.axes.T
    x, y = points[:, figure.joints, 0], points[:, figure.joints, 1]
    middle = (x.min(1) + x.max(1))[:, None, None] / 2 * np.array([1.0, 0.0])
    width, rim = np.ptp(x, axis=1), 0.05 * figure.size
    pitch = (width[1:] + width[:-1]).max() / 2 if len(frames) > 1 else width[0]
    low, high = min(y.min(), shadow[:, figure.joints, 1].min()) - rim, y.max() + rim * (3 if figure.head else 1)
    flat, depth = (points[..., :2] - middle, shadow[..., :2] - middle), points[..., 2] / figure.size
    return _Strip(figure, frames.tolist(), *flat, depth, low, high, high - low, pitch + rim)


def contact_sheet(motions: Sequence[Motion] | Motion, path: str | Path, config: ShowConfig = ShowConfig()) -> Path:
    """Draw a strip of poses a motion over its ground line, and its path and footsteps seen from above, as PNG.

    Motions may be of any rigs; those of one rig are drawn at one scale.
    """
    target = draw.check_suffix(path, (".png",))
    drawn, poses = draw.figures(motions), config.poses
    strips = [_strip(figure, poses) for figure in drawn]
    ideal = [math.sqrt(220 * UNIT * poses * s.pitch / ROOM / s.height) for s in strips]
    lines = [min(max(int(n), 1), 3, poses) for n in draw.shared_scales(drawn, ideal)]
    columns = [math.ceil(poses / n) for n in lines]
    fits = [min(ROOM / c / s.pitch, 260 * UNIT / s.height / n) for s, n, c in zip(strips, lines, columns, strict=True)]
    scales = draw.shared_scales(drawn, fits)
    heights = [s.height * scale + 24 * UNIT for s, scale in zip(strips, scales, strict=True)]
    rows = [max(n * h + 34 * UNIT, 160 * UNIT) for n, h in zip(lines, heights, strict=True)]
    canvas = draw.Canvas(WIDTH, 48 * UNIT + sum(rows))
    _head_line(canvas, config.title)
    y = 44.0 * UNIT
    for strip, scale, height, row, count in zip(strips, scales, heights, rows, columns, strict=True):
        figure = strip.figure
        canvas.pen.line((EDGE, y, WIDTH - EDGE, y), draw.tint(draw.GREY, 0.35), draw.OVERSAMPLE)
        canvas.text((EDGE, y + 8 * UNIT), figure.name, 14 * UNIT, draw.TRUNK, room=ROOM - 170 * UNIT)
        length = f"{figure.motion.seconds:.1f} s, {len(figure.motion)} frames"
        canvas.text((EDGE + ROOM, y + 9 * UNIT), length, 12 * UNIT, draw.GREY, "ra")
        spare = max(row - 34 * UNIT - math.ceil(len(strip.frames) / count) * height, 0)
        ground = y + 30 * UNIT + spare / 2 + strip.high * scale
        _draw_strip(canvas, strip, (EDGE, ground, ROOM / count, height), count, scale)
        _draw_path(canvas, figure, (WIDTH - EDGE - CHART, y + 10 * UNIT, CHART, row - 20 * UNIT))
        y += row
    picture = draw.to_palette(canvas.image.reduce(draw.OVERSAMPLE))
    replace_file(target, lambda beside: picture.save(beside, optimize=True))
    return target


def _head_line(canvas: draw.Canvas, title: str) -> None:
    """Write the title and what the colours mean."""
    canvas.text((EDGE, 13 * UNIT), title, 19 * UNIT, draw.TRUNK, room=ROOM)
    right = WIDTH - EDGE
    for word, colour in (("stands", draw.CONTACT), ("trunk", draw.TRUNK), ("right", draw.RIGHT), ("left", draw.LEFT)):
        canvas.text((right, 24 * UNIT), word, 12 * UNIT, draw.GREY, "rm")
        right -= draw.font_of(12 * UNIT).getlength(word) + 9 * UNIT
        canvas.dot((right, 24 * UNIT), 4 * UNIT, colour)
        right -= 14 * UNIT


def _draw_strip(canvas: draw.Canvas, strip: _Strip, cell: Box, columns: int, scale: float) -> None:
    """Draw the poses in cells; ``cell``: left edge, ground of the first line, width and height of one."""
    (left, top, width, height), motion = cell, strip.figure.motion
    for n, frame in enumerate(strip.frames):
        column, ground = n % columns, top + n // columns * height
        if not column:
            canvas.pen.line((left, ground, left + width * columns, ground), draw.tint(draw.GREY, 0.6), draw.OVERSAMPLE)
        spot, flip = np.array([left + width * (column + 0.5), ground]), np.array([scale, -scale])
        points, shadow = spot + strip.points[n] * flip, spot + strip.shadow[n] * flip
        draw.pose(canvas, strip.figure, frame, points, shadow, strip.depth[n], scale)
        when = f"{frame * motion.frame_time:.{1 if motion.seconds > 2 else 2}f}" + " s" * (n == 0)
        canvas.text((spot[0], ground - strip.low * scale + 10), when, 22 * draw.OVERSAMPLE, draw.GREY, "ma")


def _draw_path(canvas: draw.Canvas, figure: draw.Figure, box: Box) -> None:
    """Draw the root's path from above, from the hollow to the full dot, with each footstep and a measure."""
    left, top, width, height = box
    into = figure.axes[2, ::2] / np.linalg.norm(figure.axes[2, ::2])
    ground = figure.world[..., ::2] @ np.stack((figure.axes[0, ::2], into), -1)
    path, steps, colours = ground[:, figure.root], np.zeros((0, 2)), []
    for k, j in enumerate(figure.motion.skeleton.contacts):
        edges = np.flatnonzero(np.diff(figure.contacts[:, k].astype(int), prepend=0, append=0)).reshape(-1, 2)
        steps = np.concatenate((steps, *[ground[start:stop, j].mean(0, keepdims=True) for start, stop in edges]))
        colours += [figure.colours[j]] * len(edges)
    marks = np.concatenate((path, steps))
    middle, span = (marks.min(0) + marks.max(0)) / 2, np.maximum(np.ptp(marks, axis=0), 0.6 * figure.size)
    scale = min((width - 16 * UNIT) / span[0], (height - 36 * UNIT) / span[1])
    flip, centre = np.array([scale, -scale]), np.array([left + width / 2, top + (height - 24 * UNIT) / 2])
    for spot, colour in zip((centre + (steps - middle) * flip).tolist(), colours, strict=True):
        canvas.dot(spot, 2.4 * UNIT, draw.tint(colour, 0.75))
    points = (centre + (path - middle) * flip)[np.linspace(0, len(path) - 1, 600).astype(int)].tolist()
    canvas.pen.line([tuple(p) for p in points], draw.TRUNK, 3 * draw.OVERSAMPLE)
    canvas.dot(points[0], 3.6 * UNIT, draw.WHITE, draw.TRUNK, 3 * draw.OVERSAMPLE)
    canvas.dot(points[-1], 2.6 * UNIT, draw.TRUNK)
    bar, x, y = draw.round_length(0.45 * width / scale), left + width / 2, top + height
    canvas.pen.line((x - bar * scale / 2, y, x + bar * scale / 2, y), draw.GREY, UNIT)
    canvas.text((x, y - 3 * UNIT), f"{bar:g} m", 11 * UNIT, draw.GREY, "md")
