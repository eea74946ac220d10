"""Pictures an animator can judge by: contact sheets (PNG) and side-by-side animations (GIF, MP4) of any rig.

Stick figures, projected with numpy and drawn with Pillow at twice the size, then shrunk: left limbs blue, right limbs
orange, the trunk dark, standing joints green. The camera stands at three quarters of the body's mean heading, so a
turn is seen as a turn, and moves along with the body.
"""

import contextlib
import functools
import itertools
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from . import contact
from .errors import MotifError
from .motion import Motion, heading
from .skeleton import Skeleton

Ink = tuple[int, int, int]
LEFT, RIGHT, TRUNK, STAND, QUIET = (37, 99, 235), (234, 88, 12), (31, 41, 55), (22, 163, 74), (148, 156, 168)
PAPER = (255, 255, 255)
FINE = 2
"""Everything is drawn this many times larger, and shrunk. Lengths below are in these fine pixels."""
AZIMUTH = math.radians(55)
"""The camera stands this far to the body's right of where it faces, so a body that walks ahead walks to the right."""
FLAT = np.array([1.0, 0.0, 1.0])
"""What is left of a position on the floor."""


# --- what is drawn of a motion ---------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Take:
    """A motion as plain arrays: metres, floor at height 0."""

    motion: Motion
    name: str
    size: float  # body height, less for a body longer than tall
    root: int
    joints: tuple[int, ...]  # those that are drawn
    world: Float[np.ndarray, "t j 3"]
    bones: Int[np.ndarray, "b 2"]  # parent and child
    inks: tuple[Ink, ...]  # per joint
    thick: tuple[float, ...]  # per bone
    on: Bool[np.ndarray, "t c"]  # which contact joints stand
    head: tuple[int, int] | None  # the bone with the ball
    view: Float[np.ndarray, "3 3"]  # rows: the directions to the right, up and into the picture


def _takes(motions: Sequence[Motion]) -> list[_Take]:
    motions = [motions] if isinstance(motions, Motion) else motions
    if not len(motions):
        raise MotifError("nothing to draw; give at least one motion")
    return [_take(m, m.name or f"motion {n}") for n, m in enumerate(motions, 1)]


def _take(motion: Motion, name: str) -> _Take:
    s = motion.skeleton
    turns, places = motion.world()
    if not bool(places.isfinite().all()):
        raise MotifError(f"cannot draw {name!r}: some positions are not finite numbers; look at how it was made")
    on = contact.labels(places, s, motion.frame_time).numpy() if s.contacts else np.zeros((len(motion), 0), bool)
    world = places.double().numpy() - np.array([0.0, motion.floor(), 0.0])
    body = s.subtree(s.root)
    bones = np.array([(s.parents[j], j) for j in body[1:] if j not in _fillers(s)], int).reshape(-1, 2)
    length = np.linalg.norm(world[:, bones[:, 0]] - world[:, bones[:, 1]], axis=-1)
    bones = bones[np.ptp(length, axis=0) < 0.25 * s.height]  # what stretches more is a control, not a bone
    inks = [TRUNK] * len(s)
    for j in body[1:]:
        inks[j] = inks[s.parents[j]] if s.mirror[j] == j else LEFT if j in s.left else RIGHT
    thick = [(0.026 if inks[j] == TRUNK else 0.021) / (1 + (s.chain_length[p] < 0.12 * s.height)) for p, j in bones]
    view = _view(motion, world[:, list(body)], heading(turns[:, s.root], s, motion.frame_time).double().numpy())
    joints = tuple(sorted({s.root, *bones.flatten().tolist()}))
    tall = float(np.ptp(s.rest_positions[list(body), 1].numpy()))
    size = math.sqrt(s.height * min(max(tall, s.height / 4), s.height))
    widths = tuple(size * w for w in thick)
    return _Take(motion, name, size, s.root, joints, world, bones, tuple(inks), widths, on, _head(motion), view)


@functools.cache
def _fillers(s: Skeleton) -> frozenset[int]:
    """End sites that only repeat the bone above, as exporters write them on every limb where they know no tip."""
    ends = [j for j in range(1, len(s)) if s.end[j]]
    pairs = [(math.hypot(*s.offsets[j]), math.hypot(*s.offsets[s.parents[j]])) for j in ends]
    same = len(ends) > 1 and all(abs(a - b) < 1e-3 * s.height and a > 0 for a, b in pairs)
    return frozenset(ends if same else ())


def _head(motion: Motion) -> tuple[int, int] | None:
    """The topmost bone of an upright trunk, small ones joined; None on rigs without two sides."""
    s = motion.skeleton
    body, pose = [j for j in s.subtree(s.root) if j not in _fillers(s)], s.rest_positions
    up = (pose[:, 1] - pose[body, 1].amin()).tolist()
    tips = [j for j in body[1:] if s.mirror[j] == j and not any(s.mirror[c] == c and c in body for c in s.children[j])]
    top = max(tips, key=lambda j: up[j], default=s.root)
    if not s.left or top == s.root or up[top] < 0.8 * s.height:
        return None
    neck = s.parents[top]
    while neck != s.root and float((pose[neck] - pose[top]).norm()) < 0.04 * s.height:
        neck = s.parents[neck]
    return neck, top


def _view(motion: Motion, body: Float[np.ndarray, "t j 3"], yaw: Float[np.ndarray, "t"]) -> Float[np.ndarray, "3 3"]:
    """Where the camera looks: at three quarters of the mean heading, from higher above a body that is low and broad."""
    spread = body - body.mean(1, keepdims=True)
    turn = np.exp(1j * yaw)
    camera = float(np.angle(turn.mean() if abs(turn.mean()) > 0.5 else turn[0])) - AZIMUTH
    cover = np.einsum("tji,tjk->tik", spread, spread)[:, ::2, ::2]
    if not motion.skeleton.left:  # no sides, no heading: the long axis of the body lies across the picture
        axis = np.linalg.eigh(cover.sum(0))[1][:, -1]
        axis = axis if axis @ (body[-1] - body[0]).mean(0)[::2] >= 0 else -axis
        camera = math.atan2(*axis) - math.radians(80)
    broad = np.linalg.eigvalsh(cover)[:, 0].mean()
    lift = math.radians(14 if (spread[..., 1] ** 2).sum(1).mean() > broad else 32)
    back, up = np.array([math.sin(camera), 0.0, math.cos(camera)]), np.array([0.0, 1.0, 0.0])
    tilted = math.cos(lift) * up - math.sin(lift) * back
    return np.stack((np.cross(up, back), tilted, -math.cos(lift) * back - math.sin(lift) * up))


def _shared(takes: Sequence[_Take], scales: Sequence[float]) -> list[float]:
    """Takes of one rig are drawn at one scale, the smallest, so that they can be compared."""
    same = [[a is b or a.motion.skeleton.rig_difference(b.motion.skeleton) is None for b in takes] for a in takes]
    return [min(itertools.compress(scales, row)) for row in same]


# --- the pen ---------------------------------------------------------------------------------------------------------
def _canvas(wide: float, high: float) -> tuple[Any, Any]:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (round(wide), round(high)), PAPER)
    return image, ImageDraw.Draw(image)


@functools.cache
def _mix(ink: Ink, share: float) -> Ink:
    """``share`` of ink, the rest paper."""
    r, g, b = (round(255 + share * (i - 255)) for i in ink)
    return r, g, b


@functools.cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _text(
    pen: Any, at: tuple[float, float], words: str, size: float, ink: Ink, anchor: str = "la", room: float = 1e9
) -> None:
    font, words, dots = _font(round(size)), " ".join(words.split()), ""
    while words and font.getlength(words + dots) > room:
        words, dots = words[:-1], "..."
    pen.text(at, words + dots, ink, font, anchor)


def _dot(pen: Any, at: Sequence[float], radius: float, ink: Ink, edge: Ink | None = None, width: int = FINE) -> None:
    x, y = at
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), ink, edge, width)


def _figure(
    pen: Any, take: _Take, frame: int, flat: np.ndarray, shade: np.ndarray, depth: np.ndarray, scale: float
) -> None:
    """One pose over its shadow: far bones first and paler, each with a rim of paper, so that crossing limbs stay apart.

    ``flat`` and ``shade`` [j, 2]: joints and shadows in pixels; ``depth`` [j] in sizes; ``scale`` in pixels a metre.
    """
    bones = take.bones.tolist()
    for (p, j), width in zip(bones, take.thick, strict=True):
        pen.line((*shade[p], *shade[j]), _mix(QUIET, 0.3), max(round(width * scale), FINE))
    spots, fades = flat.tolist(), np.clip(0.75 - 0.6 * depth, 0.5, 1.0).round(2).tolist()
    for b in np.argsort(-depth[take.bones].mean(1), kind="stable").tolist():
        p, j = bones[b]
        ink, width = _mix(take.inks[j], fades[j]), max(round(take.thick[b] * scale), FINE)
        pen.line((*spots[p], *spots[j]), PAPER, width + 2 * FINE)
        pen.line((*spots[p], *spots[j]), ink, width)
        for k in (p, j):
            _dot(pen, spots[k], width / 2 - 0.5, ink)
        if take.head and take.head[1] == j:  # the ball ends at the top of a bone as long as a head, else stands on it
            neck, radius = np.array(spots[take.head[0]]), 0.06 * take.size * scale
            way, length = np.array(spots[j]) - neck, take.size * scale * 0.09
            shift = (-0.75 if np.linalg.norm(way) > length else 0.6) * radius
            _dot(pen, spots[j] + way / max(np.linalg.norm(way), 1.0) * shift, radius, ink, PAPER)
    if not bones:
        _dot(pen, spots[take.root], 0.03 * take.size * scale, TRUNK)
    few = take.on.shape[1] <= 16  # of a snake everything stands
    for place in np.flatnonzero(take.on[frame]).tolist():
        radius = max((0.019 if few else 0.007) * take.size * scale, 2 * FINE if few else FINE)
        _dot(pen, spots[take.motion.skeleton.contacts[place]], radius, STAND, PAPER if few else None)


# --- contact sheet ---------------------------------------------------------------------------------------------------
class _Strip(NamedTuple):
    """The evenly spaced poses of one take; metres to the right of each pose's middle and up from under its root."""

    frames: list[int]
    flat: Float[np.ndarray, "n j 2"]
    shade: Float[np.ndarray, "n j 2"]
    depth: Float[np.ndarray, "n j"]
    low: float
    high: float
    wide: float  # what two neighbours need between their middles


def _strip(take: _Take, poses: int) -> _Strip:
    frames = np.unique(np.linspace(0, len(take.motion) - 1, poses).round().astype(int))
    rel = take.world[frames] - take.world[frames][:, [take.root]] * FLAT
    seen, shade = rel @ take.view.T, (rel * FLAT) @ take.view.T
    x, y = seen[:, take.joints, 0], seen[:, take.joints, 1]
    middle = (x.min(1) + x.max(1))[:, None, None] / 2 * np.array([1.0, 0.0])
    width, rim = np.ptp(x, axis=1), 0.05 * take.size
    wide = (width[1:] + width[:-1]).max() / 2 if len(frames) > 1 else width[0]
    low, high = min(y.min(), shade[:, take.joints, 1].min()) - rim, y.max() + rim * (3 if take.head else 1)
    depth = seen[..., 2] / take.size
    return _Strip(frames.tolist(), seen[..., :2] - middle, shade[..., :2] - middle, depth, low, high, wide + rim)


def sheet(motions: Sequence[Motion], path: str | Path, poses: int = 12, title: str = "") -> Path:
    """A contact sheet: per motion a strip of poses over its ground line, and its path and footsteps seen from above.

    Args:
        motions: one or more, of any rigs; those of one rig are drawn at one scale.
        path: the ``.png`` file to write; missing folders are made.
        poses: number of poses a motion, evenly spaced over its length; long bodies take two or three lines.
        title: written above.
    """
    target = _target(path, (".png",))
    _within(poses, 1, 60, "poses a motion")
    takes = _takes(motions)
    u, wide, edge, chart = 2 * FINE, 4000, 88, 600
    room = wide - 3 * edge - chart
    strips = [_strip(take, poses) for take in takes]
    lines = [math.sqrt(220 * u * poses * s.wide / room / (s.high - s.low)) for s in strips]
    lines = [min(max(int(n), 1), 3, poses) for n in _shared(takes, lines)]
    columns = [math.ceil(poses / n) for n in lines]
    tall = zip(strips, lines, columns, strict=True)
    fits = [min(room / c / s.wide, 260 * u / (s.high - s.low) / n) for s, n, c in tall]
    scales = _shared(takes, fits)
    heights = [(s.high - s.low) * scale + 24 * u for s, scale in zip(strips, scales, strict=True)]
    rows = [max(n * h + 34 * u, 160 * u) for n, h in zip(lines, heights, strict=True)]
    image, pen = _canvas(wide, 48 * u + sum(rows))
    _text(pen, (edge, 13 * u), title, 19 * u, TRUNK, room=room)
    right = wide - edge
    for word, ink in (("stands", STAND), ("trunk", TRUNK), ("right", RIGHT), ("left", LEFT)):
        _text(pen, (right, 24 * u), word, 12 * u, QUIET, "rm")
        right -= _font(12 * u).getlength(word) + 9 * u
        _dot(pen, (right, 24 * u), 4 * u, ink)
        right -= 14 * u
    y = 44.0 * u
    for take, strip, scale, high, row, count in zip(takes, strips, scales, heights, rows, columns, strict=True):
        pen.line((edge, y, wide - edge, y), _mix(QUIET, 0.35), FINE)
        _text(pen, (edge, y + 8 * u), take.name, 14 * u, TRUNK, room=room - 170 * u)
        length = f"{take.motion.seconds:.1f} s, {len(take.motion)} frames"
        _text(pen, (edge + room, y + 9 * u), length, 12 * u, QUIET, "ra")
        lines_high = math.ceil(len(strip.frames) / count) * high
        ground = y + 30 * u + max(row - 34 * u - lines_high, 0) / 2 + strip.high * scale
        _poses(pen, take, strip, (edge, ground, room / count, high), count, scale)
        _chart(pen, take, (wide - edge - chart, y + 10 * u, chart, row - 20 * u), u)
        y += row
    with _replacing(target) as beside:
        _limited(image.reduce(FINE)).save(beside, optimize=True)
    return target


def _poses(
    pen: Any, take: _Take, strip: _Strip, box: tuple[float, float, float, float], columns: int, scale: float
) -> None:
    """The strip in cells; ``box``: left edge, ground of the first line, width and height of a cell."""
    left, top, wide, high = box
    digits = 1 if take.motion.seconds > 2 else 2
    for n, frame in enumerate(strip.frames):
        column, ground = n % columns, top + n // columns * high
        if not column:
            pen.line((left, ground, left + wide * columns, ground), _mix(QUIET, 0.6), FINE)
        spot, flip = np.array([left + wide * (column + 0.5), ground]), np.array([scale, -scale])
        flat, shade = spot + strip.flat[n] * flip, spot + strip.shade[n] * flip
        _figure(pen, take, frame, flat, shade, strip.depth[n], scale)
        when = f"{frame * take.motion.frame_time:.{digits}f}" + " s" * (n == 0)
        _text(pen, (spot[0], ground - strip.low * scale + 10), when, 22 * FINE, QUIET, "ma")


def _chart(pen: Any, take: _Take, box: tuple[float, float, float, float], u: int) -> None:
    """The root's path from above, from the hollow to the full dot, with each footstep and a measure."""
    left, top, wide, high = box
    into = take.view[2, ::2] / np.linalg.norm(take.view[2, ::2])
    ground = take.world[..., ::2] @ np.stack((take.view[0, ::2], into), -1)
    path, steps, inks = ground[:, take.root], np.zeros((0, 2)), []
    for place, j in enumerate(take.motion.skeleton.contacts):
        edges = np.flatnonzero(np.diff(take.on[:, place].astype(int), prepend=0, append=0)).reshape(-1, 2)
        steps = np.concatenate((steps, *[ground[start:stop, j].mean(0, keepdims=True) for start, stop in edges]))
        inks += [take.inks[j]] * len(edges)
    marks = np.concatenate((path, steps))
    middle, span = (marks.min(0) + marks.max(0)) / 2, np.maximum(np.ptp(marks, axis=0), 0.6 * take.size)
    scale = min((wide - 16 * u) / span[0], (high - 36 * u) / span[1])
    flip, centre = np.array([scale, -scale]), np.array([left + wide / 2, top + (high - 24 * u) / 2])
    for spot, ink in zip((centre + (steps - middle) * flip).tolist(), inks, strict=True):
        _dot(pen, spot, 2.4 * u, _mix(ink, 0.75))
    points = (centre + (path - middle) * flip)[np.linspace(0, len(path) - 1, 600).astype(int)].tolist()
    pen.line([tuple(p) for p in points], TRUNK, 3 * FINE)
    _dot(pen, points[0], 3.6 * u, PAPER, TRUNK, 3 * FINE)
    _dot(pen, points[-1], 2.6 * u, TRUNK)
    bar, x, y = _round_number(0.45 * wide / scale), left + wide / 2, top + high
    pen.line((x - bar * scale / 2, y, x + bar * scale / 2, y), QUIET, u)
    _text(pen, (x, y - 3 * u), f"{bar:g} m", 11 * u, QUIET, "md")


def _round_number(most: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is at most ``most``."""
    power = 10.0 ** math.floor(math.log10(most))
    return float(f"{max(k * power for k in (1, 2, 5) if k == 1 or k * power <= most):.6g}")


# --- animation -------------------------------------------------------------------------------------------------------
class _Scene:
    """One take seen by a camera that follows its body smoothly, in a square of ``side`` fine pixels."""

    def __init__(self, take: _Take, frames: list[int], side: int):
        self.take, self.frames, self.side = take, frames, side
        body = take.world[:, take.joints] * FLAT
        reach = min(max(round(1.2 / take.motion.frame_time), 1), 10_000)
        weights = np.exp(-4.5 * np.linspace(-1, 1, 2 * reach + 1) ** 2)
        held = np.pad((body.min(1) + body.max(1)) / 2, ((reach, reach), (0, 0)), mode="edge")
        self.centre = np.stack([np.convolve(held[:, a], weights / weights.sum(), "valid") for a in range(3)], -1)
        body = take.world[frames][:, take.joints] - self.centre[frames][:, None]
        self.extent = max(float(np.linalg.norm(body, axis=-1).max()), 0.4 * take.size)
        seen = self.to_local_frame(body)
        self.low, self.high = min(float(seen[..., 1].min()), 0.0), float(seen[..., 1].max()) + 0.06 * take.size
        across = max(float(np.abs(seen[..., 0]).max()), 0.3 * take.size)
        self.scale = min(0.45 * side / across, 0.8 * side / (self.high - self.low))

    def to_local_frame(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """In the camera's axes and with perspective, metres at the distance of the camera's target."""
        seen = points @ self.take.view.T
        seen[..., :2] /= 1 + seen[..., 2:] / (6 * self.extent)
        return seen

    def project(self, points: Float[np.ndarray, "*n 3"], frame: int) -> Float[np.ndarray, "*n 2"]:
        """Fine pixels in the square."""
        middle = np.array([0.0, (self.low + self.high) / 2])
        seen = self.to_local_frame(points - self.centre[frame])[..., :2] - middle
        return np.array([0.5, 0.54]) * self.side + seen * np.array([self.scale, -self.scale])

    def draw(self, k: int, seconds: float) -> Any:
        """Picture ``k``, at ``seconds``."""
        (image, pen), take, frame = _canvas(self.side, self.side), self.take, self.frames[k]
        self._floor(pen, frame)
        self._trails(pen, frame)
        world = take.world[frame]
        depth = (world - self.centre[frame]) @ take.view[2] / take.size
        _figure(pen, take, frame, self.project(world, frame), self.project(world * FLAT, frame), depth, self.scale)
        unit = self.side / 480
        clock = f"{min(seconds, take.motion.seconds):.1f} s"
        _text(pen, (18 * unit, 14 * unit), take.name, 19 * unit, TRUNK, room=370 * unit)
        _text(pen, (self.side - 18 * unit, 14 * unit), clock, 19 * unit, QUIET, "ra")
        return image.reduce(FINE)

    @functools.cached_property
    def _grid(self) -> tuple[float, float, Float[np.ndarray, "l 2 3"]]:
        """The radius of the floor that is shown, the grid's cell, and its lines in halves, around the origin."""
        radius, cell = 0.56 * self.side / self.scale, _round_number(0.45 * self.extent)
        n = math.ceil(radius / cell) + 1
        a, b = (k.flatten() * cell for k in np.meshgrid(np.arange(-2 * n, 2 * n) / 2, np.arange(-n, n + 1)))
        o, end = np.zeros_like(a), a + cell / 2
        along = np.stack((np.stack((a, o, b), -1), np.stack((end, o, b), -1)), 1)
        return radius, cell, np.concatenate((along, along[..., ::-1]))

    def _floor(self, pen: Any, frame: int) -> None:
        radius, cell, lines = self._grid
        lines = lines + np.floor(self.centre[frame] / cell) * cell
        away = np.linalg.norm(lines.mean(1) - self.centre[frame], axis=-1) / radius
        kept = away < 0.97
        shares = (0.75 * (1 - away[kept] ** 2)).round(1).tolist()
        for ends, share in zip(self.project(lines[kept], frame).reshape(-1, 4).tolist(), shares, strict=True):
            pen.line(ends, _mix(QUIET, share), FINE)

    def _trails(self, pen: Any, frame: int) -> None:
        """The last second of the contact joints' paths (of the root where there are none), fading."""
        joints = list(self.take.motion.skeleton.contacts) or [self.take.root]
        second = 1 / self.take.motion.frame_time
        picks = np.unique(np.linspace(max(frame - second, 0), frame, 25).round().astype(int))
        paths = self.project(self.take.world[picks][:, joints], frame).transpose(1, 0, 2).tolist()
        shares = (0.8 - 0.75 * (frame - picks) / second).clip(0.05).round(2).tolist()
        for j, path in zip(joints, paths, strict=True):
            for a, b, share in zip(path, path[1:], shares, strict=False):
                pen.line((*a, *b), _mix(self.take.inks[j], share), max(self.side // 320, 1))


def animate(
    motions: Sequence[Motion],
    path: str | Path,
    fps: float | None = None,
    seconds: float | None = None,
    size: int = 480,
    progress: Callable[[float], None] = lambda done: None,
) -> Path:
    """An animation at true speed, the motions side by side (four as two by two) over a floor grid with foot trails.

    Args:
        motions: one or more, of any rigs; those of one rig are drawn at one scale. Shorter ones hold their last pose.
        path: the ``.gif`` or ``.mp4`` file to write; missing folders are made.
        fps: pictures a second; 15 for a GIF, 30 for an MP4 if not given.
        seconds: how much to show; the longest motion's length if not given, and at most that.
        size: side of one motion's square in pixels.
        progress: hears the share done.
    """
    target = _target(path, (".gif", ".mp4"))
    film = target.suffix.lower() == ".mp4"
    if film:
        _ffmpeg()
    fps = fps or (30.0 if film else 15.0)
    _within(fps, 0.1, 240 if film else 50, "pictures a second")  # viewers slow down GIFs above 50
    _within(size, 64, 2048, "pixels a motion")
    takes = _takes(motions)
    longest = max(t.motion.seconds for t in takes)
    seconds = longest if seconds is None else min(seconds, longest)
    _within(seconds, 1e-3, 36_000, "seconds")
    times = [k / fps for k in range(max(round(seconds * fps), 1))]
    side = size - size % 2  # films need even sides
    scenes = [_Scene(t, [min(round(w * t.motion.fps), len(t.motion) - 1) for w in times], side * FINE) for t in takes]
    for scene, scale in zip(scenes, _shared(takes, [s.scale for s in scenes]), strict=True):
        scene.scale = scale
    pictures = _pictures(scenes, times, side, progress)
    with _replacing(target) as beside:
        if film:
            _write_film(beside, pictures, fps)
        else:
            _write_gif(beside, pictures, [*times, max(seconds, times[-1] + 0.02)])
    return target


def _pictures(
    scenes: list[_Scene], times: Sequence[float], side: int, progress: Callable[[float], None]
) -> Iterator[Any]:
    n = len(scenes)
    columns = n if n < 4 else math.ceil(n / math.isqrt(n))
    for k, seconds in enumerate(times):
        whole, _ = _canvas(columns * side, math.ceil(n / columns) * side)
        for place, scene in enumerate(scenes):
            whole.paste(scene.draw(k, seconds), (place % columns * side, place // columns * side))
        yield whole
        progress((k + 1) / len(times))


def show(motions: Sequence[Motion], path: str | Path, **options: Any) -> Path:
    """A picture by the file's suffix: :func:`sheet` for ``.png``, :func:`animate` for ``.gif`` and ``.mp4``."""
    still = _target(path, (".png", ".gif", ".mp4")).suffix.lower() == ".png"
    return (sheet if still else animate)(motions, path, **options)


# --- files -----------------------------------------------------------------------------------------------------------
def _within(value: float, low: float, high: float, what: str) -> None:
    if not low <= value <= high:
        raise MotifError(f"cannot draw {value:g} {what}; give a number from {low:g} to {high:g}")


def _target(path: str | Path, suffixes: tuple[str, ...]) -> Path:
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise MotifError(f"{path}: cannot draw {path.suffix or 'no ending'!r}; end the name in {' or '.join(suffixes)}")
    return path


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write to, which takes its place when all went well."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent) as folder:
            beside = Path(folder) / f"picture{path.suffix.lower()}"
            yield beside
            os.replace(beside, path)
    except OSError as error:
        words = f"{path}: cannot be written ({error.strerror or error}); check the folder, its permissions and space"
        raise MotifError(words) from error


@functools.cache
def _palette() -> tuple[list[int], np.ndarray]:
    """The few colours of every picture: each ink in steps to paper; and the nearest one of each 5-bit colour."""
    inks = ((LEFT, 10), (RIGHT, 10), (TRUNK, 14), (STAND, 5), (QUIET, 12))
    colours = np.array([PAPER, *(_mix(ink, k / n) for ink, n in inks for k in range(1, n + 1))])
    cube = np.stack(np.meshgrid(*[np.arange(32) * 255 // 31] * 3, indexing="ij"), -1).reshape(-1, 3)
    nearest = ((colours**2).sum(1) - 2 * cube @ colours.T).argmin(1).astype(np.uint8)
    return colours.flatten().tolist(), nearest


def _limited(picture: Any) -> Any:
    """The same picture in the palette's colours, which keeps files small."""
    from PIL import Image

    colours, nearest = _palette()
    r, g, b = (np.asarray(channel).astype(np.uint16) >> 3 for channel in picture.split())
    limited = Image.fromarray(nearest[(r << 10) | (g << 5) | b])
    limited.putpalette(colours)
    return limited


def _write_gif(path: Path, pictures: Iterator[Any], edges: Sequence[float]) -> None:
    """``edges``: when each picture starts, and the end, seconds; GIF counts whole hundredths, so edges are rounded."""
    waits = [10 * (round(100 * b) - round(100 * a)) for a, b in itertools.pairwise(edges)]
    rest = map(_limited, pictures)
    next(rest).save(path, save_all=True, append_images=rest, duration=waits, loop=0, disposal=1, optimize=False)


def _ffmpeg() -> Any:
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise MotifError("MP4 needs ffmpeg: run pip install motif[video], or give a name that ends in .gif") from error
    return imageio_ffmpeg


def _write_film(path: Path, pictures: Iterator[Any], fps: float) -> None:
    first = next(pictures)
    options = ["-crf", "20", "-preset", "veryfast", "-movflags", "+faststart"]
    film = _ffmpeg().write_frames(
        str(path), first.size, fps=fps, codec="libx264", quality=None, macro_block_size=2, output_params=options
    )
    film.send(None)
    for picture in itertools.chain([first], pictures):
        film.send(np.ascontiguousarray(picture))
    film.close()
