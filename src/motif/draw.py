"""Pictures an animator can judge by: contact sheets (PNG) and side-by-side animations (GIF, MP4) of any rig.

Everything is stick figures that we project with numpy and draw with Pillow at twice the size, then shrink: left limbs
blue, right limbs orange, the trunk dark, joints that stand green. The camera stands at three quarters of the body's
mean heading, so a turn is seen as a turn, and moves along with the root.
"""

import contextlib
import functools
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from . import contact
from .errors import MotifError
from .motion import Motion

if TYPE_CHECKING:
    from PIL import Image

Ink = tuple[int, int, int]
PAPER: Ink = (255, 255, 255)
LEFT: Ink = (37, 99, 235)
RIGHT: Ink = (234, 88, 12)
TRUNK: Ink = (31, 41, 55)
STAND: Ink = (22, 163, 74)
QUIET: Ink = (148, 156, 168)

FINE = 2
"""Everything is drawn this many times larger and shrunk."""
AZIMUTH = math.radians(55)
"""The camera stands this far to the right of where the body faces, so a body that walks ahead walks to the right."""
SHEET = (1000, 250, 150)
"""Half the contact sheet's width, the largest and the smallest height of a row's figures, in pixels before FINE."""


# --- what is drawn of a motion -----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Take:
    """A motion as plain arrays, floor at height 0."""

    motion: Motion
    name: str
    world: Float[np.ndarray, "t j 3"]
    bones: Int[np.ndarray, "b 2"]
    """Parent and child of each bone of the body."""
    inks: tuple[Ink, ...]
    """Per joint."""
    thick: tuple[float, ...]
    """Per bone: width in metres."""
    on: Bool[np.ndarray, "t c"]
    head: tuple[int, int] | None
    view: Float[np.ndarray, "3 3"]
    """Rows: the world's directions to the right, up and into the picture."""

    @property
    def size(self) -> float:
        """Body height in metres."""
        return self.motion.skeleton.height

    @property
    def joints(self) -> list[int]:
        """The joints that are drawn."""
        return sorted({self.motion.skeleton.root, *self.bones.flatten().tolist()})

    def frame(self, seconds: float) -> int:
        """The frame that is nearest in time; the last one is held."""
        return min(round(seconds / self.motion.frame_time), len(self.motion) - 1)


def _takes(motions: Sequence[Motion]) -> list[_Take]:
    if isinstance(motions, Motion):
        motions = [motions]
    if not motions:
        raise MotifError("nothing to draw; give at least one motion")
    return [_take(m, m.name or f"motion {n}") for n, m in enumerate(motions, 1)]


def _take(motion: Motion, name: str) -> _Take:
    s = motion.skeleton
    positions = motion.world()[1].detach().cpu().float()
    if not bool(positions.isfinite().all()):
        raise MotifError(f"cannot draw {name!r}: it has positions that are not numbers; look at how it was made")
    on = np.zeros((len(motion), 0), bool)
    if s.contacts:
        on = contact.labels(positions, s, motion.frame_time).numpy()
    world = positions.double().numpy()
    world[..., 1] -= motion.floor()
    body = s.subtree(s.root)[1:]
    bones = np.array([(s.parents[j], j) for j in body], int).reshape(-1, 2)
    length = np.linalg.norm(world[:, bones[:, 0]] - world[:, bones[:, 1]], axis=-1)
    real = np.ptp(length, axis=0) < 0.25 * s.height if len(bones) else []  # what stretches more is a control, no bone
    bones = bones[real] if len(bones) else bones
    inks = [TRUNK] * len(s)
    for j in range(len(s)):
        if s.mirror[j] != j:
            inks[j] = LEFT if j in s.left else RIGHT
        elif j in body:
            inks[j] = inks[s.parents[j]]
    thick = [s.height * (0.026 if inks[j] == TRUNK else 0.021) * (0.5 if s.reach[p] < 0.12 * s.height else 1) for p, j in bones]
    return _Take(motion, name, world, bones, tuple(inks), tuple(thick), on, _head(motion), _view(motion, world))


def _head(motion: Motion) -> tuple[int, int] | None:
    """The topmost bone of an upright trunk, which is drawn with a ball; None on rigs without two sides."""
    s = motion.skeleton
    up = s.rest_positions[:, 1] - s.rest_positions[list(s.subtree(s.root)), 1].amin()
    tops = [j for j in s.subtree(s.root)[1:] if s.mirror[j] == j and not any(s.mirror[c] == c for c in s.children[j])]
    best = max(tops, key=lambda j: float(up[j]), default=0)
    return (s.parents[best], best) if s.left and best and float(up[best]) > 0.8 * s.height else None


def _view(motion: Motion, world: Float[np.ndarray, "t j 3"]) -> Float[np.ndarray, "3 3"]:
    """Where the camera looks: at three quarters of the mean heading, from higher above the flatter the body is."""
    s = motion.skeleton
    body = world[:, list(s.subtree(s.root))]
    spread = body - body.mean(1, keepdims=True)
    turn = np.exp(1j * motion.heading().double().numpy())
    yaw = float(np.angle(turn.mean() if abs(turn.mean()) > 0.5 else turn[0])) - AZIMUTH
    if not s.left:  # no sides, no heading: the long axis of the body lies across the picture
        flat = spread[..., [0, 2]].reshape(-1, 2)
        axis = np.linalg.eigh(flat.T @ flat)[1][:, -1]
        way = body.mean(1)[-1, [0, 2]] - body.mean(1)[0, [0, 2]]
        axis = axis if axis @ way >= 0 else -axis
        yaw = math.atan2(*axis) - math.radians(80)
    tall, wide = np.ptp(body[..., 1], axis=1).mean(), np.ptp(body[..., [0, 2]], axis=1).max(-1).mean()
    lift = math.radians(14 if tall > 0.5 * wide else 32)
    # the camera stands to the body's right of its heading, so that a body walking ahead walks to the right
    back = np.array([math.sin(yaw), 0.0, math.cos(yaw)])
    right = np.array([math.cos(yaw), 0.0, -math.sin(yaw)])
    up = np.array([0.0, math.cos(lift), 0.0]) - math.sin(lift) * back
    return np.stack((right, up, -math.cos(lift) * back - np.array([0.0, math.sin(lift), 0.0])))


def _shared(takes: Sequence[_Take], scales: Sequence[float]) -> list[float]:
    """Takes of one rig are drawn at one scale, the smallest, so that they can be compared."""
    same = [[a is b or a.motion.skeleton.same_rig(b.motion.skeleton) is None for b in takes] for a in takes]
    return [min(scale for scale, alike in zip(scales, row, strict=True) if alike) for row in same]


# --- the pen -----------------------------------------------------------------------------------------------------------
def _mix(ink: Ink, share: float) -> Ink:
    """``share`` of ink, the rest paper."""
    return tuple(round(p + share * (i - p)) for i, p in zip(ink, PAPER, strict=True))  # type: ignore[return-value]


class _Pen:
    """An image and the few shapes that a picture is made of; all lengths in its own, fine pixels."""

    def __init__(self, wide: int, high: int):
        from PIL import Image, ImageDraw

        self.image = Image.new("RGB", (wide, high), PAPER)
        self.on = ImageDraw.Draw(self.image)

    def line(self, points: Sequence[tuple[float, float]], ink: Ink, width: float) -> None:
        self.on.line(points, ink, max(round(width), 1))

    def dot(self, at: Sequence[float], radius: float, ink: Ink, edge: Ink | None = None, width: float = 1) -> None:
        x, y = at
        self.on.ellipse((x - radius, y - radius, x + radius, y + radius), ink, edge, max(round(width), 1))

    def text(self, at: tuple[float, float], words: str, size: float, ink: Ink, anchor: str = "la", room: float = 1e9) -> None:
        font = _font(round(size))
        words = " ".join(words.split())
        if font.getlength(words) > room:
            while words and font.getlength(words + "...") > room:
                words = words[:-1]
            words += "..."
        self.on.text(at, words, ink, font, anchor)

    def figure(
        self, take: _Take, frame: int, flat: Float[np.ndarray, "j 2"], depth: Float[np.ndarray, "j"], scale: float
    ) -> None:
        """One pose: far bones first and paler, each with a rim of paper, so that limbs which cross stay apart.

        ``depth`` in body heights, ``scale`` in pixels a metre.
        """
        fade = np.clip(0.72 - 0.55 * depth, 0.5, 1.0)
        flats, fades = [tuple(p) for p in flat.tolist()], fade.tolist()
        order = np.argsort(-depth[take.bones].mean(1)).tolist() if len(take.bones) else []
        bones = take.bones.tolist()
        for b in order:
            p, j = bones[b]
            ink, width = _mix(take.inks[j], (fades[p] + fades[j]) / 2), max(take.thick[b] * scale, 1.2 * FINE)
            self.line((flats[p], flats[j]), PAPER, width + 2 * FINE)
            self.line((flats[p], flats[j]), ink, width)
            for k in (p, j):
                self.dot(flats[k], width / 2 - 0.5, ink)
            if take.head == (p, j):
                self.head(flats[p], flats[j], 0.062 * take.size * scale, ink)
        if not bones:
            self.dot(flats[take.motion.skeleton.root], 0.03 * take.size * scale, TRUNK)
        for place in np.flatnonzero(take.on[frame]).tolist():
            radius = max(0.02 * take.size * scale, 2 * FINE)
            self.dot(flats[take.motion.skeleton.contacts[place]], radius, STAND, PAPER, FINE * 0.75)

    def head(self, neck: tuple[float, float], top: tuple[float, float], radius: float, ink: Ink) -> None:
        """A ball that ends at ``top`` where the bone is as long as a head, else stands on it."""
        length = math.dist(neck, top)
        way = (0.0, -1.0) if length < 1 else ((top[0] - neck[0]) / length, (top[1] - neck[1]) / length)
        shift = -radius if length > 1.5 * radius else 0.6 * radius
        self.dot((top[0] + shift * way[0], top[1] + shift * way[1]), radius, ink, PAPER, FINE * 0.75)

    def shadow(self, take: _Take, flat: Float[np.ndarray, "j 2"], scale: float) -> None:
        """The pose's shadow at noon, from its joints projected onto the floor."""
        points = [tuple(p) for p in flat.tolist()]
        for (p, j), width in zip(take.bones.tolist(), take.thick, strict=True):
            self.line((points[p], points[j]), _mix(QUIET, 0.4), max(width * scale, FINE))

    def shrunk(self) -> "Image.Image":
        return self.image.reduce(FINE)


@functools.cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


# --- contact sheet -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Strip:
    """The evenly spaced poses of one take in the picture's plane."""

    frames: Int[np.ndarray, "n"]
    flat: Float[np.ndarray, "n j 2"]
    """Metres to the right of the middle of the pose, and up from the floor under the root."""
    ground: Float[np.ndarray, "n j 2"]
    """The same for the joints' shadows."""
    depth: Float[np.ndarray, "n j"]
    """Body heights behind the root."""
    low: float
    high: float
    wide: float
    """What two neighbours need between their middles, metres."""


def _strip(take: _Take, poses: int) -> _Strip:
    frames = np.unique(np.linspace(0, len(take.motion) - 1, poses).round().astype(int))
    rel = take.world[frames]
    rel = rel - rel[:, [take.motion.skeleton.root]] * np.array([1.0, 0.0, 1.0])
    seen, shade = rel @ take.view.T, (rel * np.array([1.0, 0.0, 1.0])) @ take.view.T
    x, y = seen[:, take.joints, 0], seen[:, take.joints, 1]
    middle = (x.min(1) + x.max(1))[:, None, None] / 2 * np.array([1.0, 0.0])
    width = np.ptp(x, axis=1)
    need = ((width[1:] + width[:-1]) / 2).max() if len(frames) > 1 else width[0]
    rim = 0.06 * take.size
    low, high = min(y.min(), shade[:, take.joints, 1].min()) - rim, y.max() + rim * (3 if take.head else 1)
    return _Strip(
        frames, seen[..., :2] - middle, shade[..., :2] - middle, seen[..., 2] / take.size, low, high, need + 2 * rim
    )


def sheet(motions: Sequence[Motion], path: str | Path, poses: int = 12, title: str = "") -> Path:
    """A contact sheet: per motion a strip of poses over its ground line, and its path and footsteps seen from above.

    Args:
        motions: one or more, of any rigs; those of one rig are drawn at one scale.
        path: the ``.png`` file to write; missing folders are made.
        poses: number of poses a motion, evenly spaced over its length.
        title: written above.
    """
    target = _target(path, (".png",))
    if poses < 1:
        raise MotifError(f"cannot draw {poses} poses a motion; give a number of at least 1")
    takes = _takes(motions)
    u, (half, most, least) = 2 * FINE, SHEET
    edge, chart = 22, 150
    room = half - 3 * edge - chart
    strips = [_strip(t, poses) for t in takes]
    fits = [min(room / poses / s.wide, most / (s.high - s.low)) for s in strips]
    scales = _shared(takes, fits)
    heights = [max((s.high - s.low) * scale, least) for s, scale in zip(strips, scales, strict=True)]
    top = 46
    pen = _Pen(half * u, round((top + sum(h + 62 for h in heights) + 6) * u))
    if title:
        pen.text((edge * u, 14 * u), title, 19 * u, TRUNK, room=room * u)
    _legend(pen, (half - edge) * u, 24 * u, u)
    y = float(top)
    for take, strip, scale, high in zip(takes, strips, scales, heights, strict=True):
        pen.line(((edge * u, y * u), ((half - edge) * u, y * u)), _mix(QUIET, 0.35), u / 2)
        length = f"{take.motion.seconds:.1f} s, {len(take.motion)} frames"
        pen.text((edge * u, (y + 8) * u), take.name, 14 * u, TRUNK, room=(room - 170) * u)
        pen.text(((edge + room) * u, (y + 9) * u), length, 12 * u, QUIET, "ra")
        ground = y + 30 + high + strip.low * scale
        _poses(pen, take, strip, edge * u, ground * u, room * u / poses, scale * u)
        _chart(pen, take, ((half - edge - chart) * u, (y + 10) * u, chart * u, (high + 44) * u), u)
        y += high + 62
    with _replacing(target) as beside:
        _limited(pen.shrunk()).save(beside, optimize=True)
    return target


def _legend(pen: _Pen, right: float, y: float, u: float) -> None:
    for word, ink in (("stands", STAND), ("trunk", TRUNK), ("right", RIGHT), ("left", LEFT)):
        pen.text((right, y), word, 12 * u, QUIET, "rm")
        right -= _font(round(12 * u)).getlength(word) + 9 * u
        pen.dot((right, y), 4 * u, ink)
        right -= 14 * u


def _poses(pen: _Pen, take: _Take, strip: _Strip, left: float, ground: float, cell: float, scale: float) -> None:
    """The strip with the floor's level under the root at ``ground``."""
    n = len(strip.frames)
    u = 2 * FINE
    digits = 1 if take.motion.seconds > 2 else 2
    pen.line(((left, ground), (left + cell * n, ground)), _mix(QUIET, 0.6), u / 2)
    spots = [np.array([left + cell * (k + 0.5), ground]) for k in range(n)]
    flip = np.array([scale, -scale])
    for k in range(n):
        pen.shadow(take, spots[k] + strip.ground[k] * flip, scale)
    for k, frame in enumerate(strip.frames.tolist()):
        pen.figure(take, frame, spots[k] + strip.flat[k] * flip, strip.depth[k], scale)
        when = f"{frame * take.motion.frame_time:.{digits}f}" + " s" * (k == 0)
        pen.text((spots[k][0], ground - strip.low * scale + 6 * u), when, 11 * u, QUIET, "ma")


def _chart(pen: _Pen, take: _Take, box: tuple[float, float, float, float], u: float) -> None:
    """The root's path from above, from the hollow to the full dot, with each footstep and a measure."""
    left, top, wide, high = box
    s = take.motion.skeleton
    right, into = take.view[0, [0, 2]], take.view[2, [0, 2]]
    axes = np.stack((right, into / np.linalg.norm(into)))
    path = take.world[:, s.root][:, [0, 2]] @ axes.T
    steps = []
    for place, j in enumerate(s.contacts):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], take.on[:, place].astype(int), [0]))))
        for start, stop in edges.reshape(-1, 2):
            steps.append((take.world[start:stop, j][:, [0, 2]].mean(0) @ axes.T, take.inks[j]))
    marks = np.concatenate((path, *[spot[None] for spot, _ in steps]))
    middle, span = (marks.min(0) + marks.max(0)) / 2, np.maximum(np.ptp(marks, axis=0), 0.6 * take.size)
    scale = min((wide - 16 * u) / span[0], (high - 40 * u) / span[1])
    centre = np.array([left + wide / 2, top + (high - 22 * u) / 2])

    def spot(p: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        return centre + (p - middle) * np.array([scale, -scale])

    for at, ink in steps:
        pen.dot(spot(at), 2.4 * u, _mix(ink, 0.75))
    points = spot(path[np.unique(np.linspace(0, len(path) - 1, 400).astype(int))]).tolist()
    pen.line([tuple(p) for p in points], TRUNK, 1.4 * u)
    pen.dot(points[0], 3.6 * u, PAPER, TRUNK, 1.4 * u)
    pen.dot(points[-1], 3.6 * u, TRUNK)
    bar = _round_number(0.45 * wide / scale)
    x, y = left + wide / 2, top + high - 8 * u
    pen.line(((x - bar * scale / 2, y), (x + bar * scale / 2, y)), QUIET, u)
    pen.text((x, y - 3 * u), f"{bar:g} m", 11 * u, QUIET, "md")


def _round_number(most: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is at most ``most``."""
    power = 10.0 ** math.floor(math.log10(most))
    return float(f"{max(k * power for k in (1, 2, 5) if k * power <= most * (1 + 1e-9)):.6g}")


# --- animation ---------------------------------------------------------------------------------------------------------
class _Scene:
    """One take seen by a camera that follows its root smoothly, in a square of ``size`` fine pixels."""

    def __init__(self, take: _Take, frames: Sequence[int], size: int):
        self.take, self.frames, self.size = take, list(frames), size
        root = take.world[:, take.motion.skeleton.root] * np.array([1.0, 0.0, 1.0])
        reach = max(round(1.2 / take.motion.frame_time), 1)
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (reach / 3)) ** 2)
        held = np.pad(root, ((reach, reach), (0, 0)), mode="edge")
        self.centre = np.stack([np.convolve(held[:, a], weights / weights.sum(), "valid") for a in range(3)], -1)
        seen = take.world[self.frames][:, take.joints] - self.centre[self.frames][:, None]
        self.extent = max(float(np.linalg.norm(seen, axis=-1).max()), 0.4 * take.size)
        x, y, _ = np.moveaxis(self._seen(seen), -1, 0)
        self.low, self.high = min(float(y.min()), 0.0), float(y.max()) + 0.08 * take.size
        self.fit = min(0.44 * size / max(float(np.abs(x).max()), 0.3 * take.size), 0.8 * size / (self.high - self.low))
        self.scale = self.fit
        self.cell = _round_number(0.7 * self.extent)

    def _seen(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """In the camera's axes and with perspective, metres at the distance of the camera's target."""
        seen = points @ self.take.view.T
        seen[..., :2] *= 1 / (1 + seen[..., 2:] / (6 * self.extent))
        return seen

    def project(self, points: Float[np.ndarray, "*n 3"], frame: int) -> tuple[Float[np.ndarray, "*n 2"], np.ndarray]:
        """Fine pixels in the square, and depths in body heights."""
        seen = self._seen(points - self.centre[frame])
        across = self.size / 2 + seen[..., 0] * self.scale
        down = 0.53 * self.size - (seen[..., 1] - (self.low + self.high) / 2) * self.scale
        return np.stack((across, down), -1), seen[..., 2] / self.take.size

    @functools.cached_property
    def lattice(self) -> tuple[Float[np.ndarray, "l 2 3"], Float[np.ndarray, "l 3"]]:
        """The floor's grid lines of one cell's length around the origin, and their middles."""
        n = math.ceil(0.75 * self.size / self.scale / self.cell)
        a, b = (k.flatten() for k in np.meshgrid(np.arange(-n, n + 1), np.arange(-n, n + 1)))
        o = np.zeros_like(a)
        ends = [np.stack((a, o, b), -1)] * 2, [np.stack((a + 1, o, b), -1), np.stack((a, o, b + 1), -1)]
        lines = np.stack((np.concatenate(ends[0]), np.concatenate(ends[1])), 1) * self.cell
        return lines, lines.mean(1)

    def draw(self, k: int, seconds: float) -> "Image.Image":
        """The picture ``k`` at ``seconds``, fine."""
        pen, take, frame = _Pen(self.size, self.size), self.take, self.frames[k]
        self._floor(pen, frame)
        points, depth = self.project(take.world[frame], frame)
        shade, _ = self.project(take.world[frame] * np.array([1.0, 0.0, 1.0]), frame)
        pen.shadow(take, shade, self.scale)
        self._trails(pen, frame)
        pen.figure(take, frame, points, depth, self.scale)
        unit = self.size / 480
        clock = f"{min(seconds, take.motion.seconds):.1f} s"
        pen.text((18 * unit, 14 * unit), take.name, 19 * unit, TRUNK, room=360 * unit)
        pen.text((self.size - 18 * unit, 14 * unit), clock, 19 * unit, QUIET, "ra")
        return pen.image

    def _floor(self, pen: _Pen, frame: int) -> None:
        lines, middles = self.lattice
        shift = np.floor(self.centre[frame] / self.cell) * self.cell
        away = np.linalg.norm(middles + shift - self.centre[frame], axis=-1) / (0.72 * self.size / self.scale)
        shares = 0.6 * (1 - away**2)
        kept = shares > 0.05
        flat = self.project(lines[kept] + shift, frame)[0].reshape(-1, 4).tolist()
        inks = [_mix(QUIET, n / 10) for n in range(11)]
        for ends, share in zip(flat, (shares[kept] * 10).round().astype(int).tolist(), strict=True):
            pen.on.line(ends, inks[share], FINE)

    def _trails(self, pen: _Pen, frame: int) -> None:
        """The last second of the contact joints' paths (of the root where there are none), fading."""
        s = self.take.motion.skeleton
        joints = list(s.contacts) or [s.root]
        first = max(frame - round(1 / self.take.motion.frame_time), 0)
        picks = np.unique(np.linspace(first, frame, 16).round().astype(int))
        flat = self.project(self.take.world[picks][:, joints], frame)[0].transpose(1, 0, 2).tolist()
        ages = (frame - picks) * self.take.motion.frame_time
        for j, path in zip(joints, flat, strict=True):
            for a, b, age in zip(path, path[1:], ages.tolist(), strict=False):
                pen.on.line((*a, *b), _mix(self.take.inks[j], 0.75 * (1 - age) + 0.05), max(round(self.size / 320), 1))


def animate(
    motions: Sequence[Motion],
    path: str | Path,
    fps: float | None = None,
    seconds: float | None = None,
    size: int = 480,
    progress: Callable[[float], None] | None = None,
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
    fps = (30.0 if film else 15.0) if fps is None else fps
    top = 240 if film else 50  # viewers slow a GIF down whose pictures last less than 2 hundredths
    if not 0 < fps <= top:
        raise MotifError(f"cannot draw {fps:g} pictures a second; give a number up to {top} for {target.suffix}")
    if seconds is not None and not 0 < seconds < math.inf:
        raise MotifError(f"cannot show {seconds} seconds; give a positive number")
    if not 64 <= size <= 2048:
        raise MotifError(f"cannot draw squares of {size} pixels; give 64 to 2048")
    if film:
        _ffmpeg()
    takes = _takes(motions)
    longest = max(t.motion.seconds for t in takes)
    seconds = min(seconds or longest, longest)
    times = np.arange(max(round(seconds * fps), 1)) / fps
    side = size - size % 2  # films need even sides
    scenes = [_Scene(t, [t.frame(w) for w in times], side * FINE) for t in takes]
    for scene, scale in zip(scenes, _shared(takes, [s.fit for s in scenes]), strict=True):
        scene.scale = scale
    pictures = _pictures(scenes, times.tolist(), side, progress)
    with _replacing(target) as beside:
        if film:
            _write_film(beside, pictures, fps)
        else:
            _write_gif(beside, pictures, [*times.tolist(), max(seconds, 0.02)])
    return target


def _pictures(
    scenes: Sequence[_Scene], times: Sequence[float], side: int, progress: Callable[[float], None] | None
) -> "Iterator[Image.Image]":
    from PIL import Image

    n = len(scenes)
    columns = n if n < 4 else math.ceil(n / math.isqrt(n))
    for k, seconds in enumerate(times):
        whole = Image.new("RGB", (columns * side, math.ceil(n / columns) * side), PAPER)
        for place, scene in enumerate(scenes):
            whole.paste(scene.draw(k, seconds).reduce(FINE), (place % columns * side, place // columns * side))
        yield whole
        if progress:
            progress((k + 1) / len(times))


def show(motions: Sequence[Motion], path: str | Path, **options: Any) -> Path:
    """A picture by the file's suffix: :func:`sheet` for ``.png``, :func:`animate` for ``.gif`` and ``.mp4``."""
    draw = sheet if _target(path, (".png", ".gif", ".mp4")).suffix.lower() == ".png" else animate
    return draw(motions, path, **options)


# --- files -------------------------------------------------------------------------------------------------------------
def _target(path: str | Path, suffixes: tuple[str, ...]) -> Path:
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        ending = repr(path.suffix) if path.suffix else "no ending"
        raise MotifError(f"{path}: cannot draw a picture with {ending}; give a name that ends in {' or '.join(suffixes)}")
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
        raise MotifError(f"{path}: cannot be written ({error.strerror}); check the folder and its permissions") from error


@functools.cache
def _palette() -> tuple[list[int], Any]:
    """The few colours of every picture: each ink in steps to paper; and the nearest one of each 5-bit colour."""
    inks = ((LEFT, 10), (RIGHT, 10), (TRUNK, 14), (STAND, 5), (QUIET, 12))
    colours = [PAPER, *(_mix(ink, k / n) for ink, n in inks for k in range(1, n + 1))]
    table = np.array(colours, np.float32)
    step = np.arange(32, dtype=np.float32) * 255 / 31
    cube = np.stack(np.meshgrid(step, step, step, indexing="ij"), -1).reshape(-1, 3)
    nearest = ((table**2).sum(1) - 2 * cube @ table.T).argmin(1).astype(np.uint8)
    return [int(c) for colour in colours for c in colour], nearest


def _limited(picture: "Image.Image") -> "Image.Image":
    """The same picture in the palette's colours."""
    from PIL import Image

    colours, nearest = _palette()
    r, g, b = np.moveaxis(np.asarray(picture) >> 3, -1, 0).astype(np.uint16)
    limited = Image.fromarray(nearest[(r << 10) | (g << 5) | b])
    limited.putpalette(colours)
    return limited


def _write_gif(path: Path, pictures: "Iterable[Image.Image]", edges: Sequence[float]) -> None:
    """``edges``: when each picture starts, and the end, seconds; GIF counts whole hundredths, so edges are rounded."""
    stamps = [round(100 * edge) for edge in edges]
    waits = [10 * (b - a) for a, b in zip(stamps, stamps[1:], strict=False)]
    rest = map(_limited, pictures)
    next(rest).save(path, save_all=True, append_images=rest, duration=waits, loop=0, disposal=1, optimize=False)


def _ffmpeg() -> Any:
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise MotifError("MP4 needs ffmpeg: run pip install motif[video], or give a name that ends in .gif") from error
    return imageio_ffmpeg


def _write_film(path: Path, pictures: "Iterable[Image.Image]", fps: float) -> None:
    pen = None
    for picture in pictures:
        if pen is None:
            pen = _ffmpeg().write_frames(
                str(path), picture.size, fps=fps, codec="libx264", quality=None, macro_block_size=2,
                output_params=["-crf", "20", "-preset", "veryfast", "-movflags", "+faststart"],
            )  # fmt: skip
            pen.send(None)
        pen.send(np.ascontiguousarray(picture))
    if pen is not None:
        pen.close()
