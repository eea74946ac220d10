"""Stick figures of any rig, and the canvas that they are drawn on.

Drawn with Pillow at twice the size, then shrunk: left limbs blue, right ones orange, the trunk dark, contacts green.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from .. import contact, ground
from ..errors import MotifError
from ..motion import Motion
from ..skeleton import Skeleton

Colour = tuple[int, int, int]
Point = Sequence[float]
LEFT, RIGHT, TRUNK, CONTACT, GREY = (37, 99, 235), (234, 88, 12), (31, 41, 55), (22, 163, 74), (148, 156, 168)
WHITE = (255, 255, 255)
OVERSAMPLE = 2  # everything is drawn this many times larger, and shrunk; lengths below are in these fine pixels
AZIMUTH = math.radians(55)  # of the camera, to the body's right of where it faces: who walks ahead walks to the right
GROUND = np.array([1.0, 0.0, 1.0])  # a position times this is its projection to the floor


@dataclass(frozen=True, eq=False)
class Figure:
    """A motion as plain arrays: metres, floor at height 0."""

    motion: Motion
    name: str
    size: float  # body height, less for a body longer than tall
    root: int
    joints: tuple[int, ...]  # those that are drawn
    world: Float[np.ndarray, "t j 3"]
    bones: Int[np.ndarray, "b 2"]  # parent and child
    colours: tuple[Colour, ...]  # per joint
    widths: tuple[float, ...]  # per bone
    contacts: Bool[np.ndarray, "t c"]
    head: tuple[int, int] | None  # the bone with the ball
    axes: Float[np.ndarray, "3 3"]  # rows: the camera's directions to the right, up and into the picture


def figures(motions: Sequence[Motion] | Motion) -> list[Figure]:
    """Return what is drawn of each motion."""
    motions = [motions] if isinstance(motions, Motion) else motions
    if not len(motions):
        raise MotifError("nothing to draw; give at least one motion")
    return [_figure(m, m.name or f"motion {n}") for n, m in enumerate(motions, 1)]


def _figure(motion: Motion, name: str) -> Figure:
    s, positions = motion.skeleton, motion.world()[1]
    if not bool(positions.isfinite().all()):
        raise MotifError(f"cannot draw {name!r}: some positions are not finite numbers; look at how it was made")
    world = positions.double().numpy() - np.array([0.0, motion.floor(), 0.0])
    body = list(s.subtree(s.root))
    bones = np.array([(s.parents[j], j) for j in body[1:] if j not in _fillers(s)], int).reshape(-1, 2)
    length = np.linalg.norm(world[:, bones[:, 0]] - world[:, bones[:, 1]], axis=-1)
    bones = bones[np.ptp(length, axis=0) < 0.25 * s.height]  # what stretches more is a control, not a bone
    colours = [TRUNK] * len(s)
    for j in body[1:]:
        colours[j] = colours[s.parents[j]] if s.mirror[j] == j else LEFT if j in s.left else RIGHT
    widths = [(0.026 if colours[j] == TRUNK else 0.021) / (1 + (s.chain_length[p] < 0.12 * s.height)) for p, j in bones]
    tall = float(np.ptp(s.rest_positions[body, 1].numpy()))
    size = math.sqrt(s.height * min(max(tall, s.height / 4), s.height))
    joints = tuple(sorted({s.root, *bones.flatten().tolist()}))
    _, root, feet = motion.root_and_feet
    if ground.is_uneven(motion):
        contacts = ground.resting(feet, root[:, 1], s, motion.frame_time).numpy()
    else:
        contacts = contact.labels(feet, s, motion.frame_time).numpy()
    looks = (tuple(colours), tuple(size * w for w in widths), contacts, _head(s), _camera_axes(motion, world[:, body]))
    return Figure(motion, name, size, s.root, joints, world, bones, *looks)


@functools.cache
def _fillers(s: Skeleton) -> frozenset[int]:
    """End sites that only repeat the bone above, as exporters write them on every limb where they know no tip."""
    ends = [j for j in range(1, len(s)) if s.end[j]]
    pairs = [(math.hypot(*s.offsets[j]), math.hypot(*s.offsets[s.parents[j]])) for j in ends]
    same = len(ends) > 1 and all(abs(a - b) < 1e-3 * s.height and a > 0 for a, b in pairs)
    return frozenset(ends if same else ())


def _head(s: Skeleton) -> tuple[int, int] | None:
    """The topmost bone of an upright trunk, small ones joined; None on rigs without two sides."""
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


def _camera_axes(motion: Motion, body: Float[np.ndarray, "t j 3"]) -> Float[np.ndarray, "3 3"]:
    """The camera's axes: at three quarters of the mean heading, from higher above a body that is low and broad."""
    spread, turn = body - body.mean(1, keepdims=True), np.exp(1j * motion.heading().double().numpy())
    azimuth = float(np.angle(turn.mean() if abs(turn.mean()) > 0.5 else turn[0])) - AZIMUTH
    covariance = np.einsum("tji,tjk->tik", spread, spread)[:, ::2, ::2]
    if not motion.skeleton.left:  # no sides, no heading: the long axis of the body lies across the picture
        axis = np.linalg.eigh(covariance.sum(0))[1][:, -1]
        axis = axis if axis @ (body[-1] - body[0]).mean(0)[::2] >= 0 else -axis
        azimuth = math.atan2(*axis) - math.radians(80)
    broad = np.linalg.eigvalsh(covariance)[:, 0].mean()
    elevation = math.radians(14 if (spread[..., 1] ** 2).sum(1).mean() > broad else 32)
    back, up = np.array([math.sin(azimuth), 0.0, math.cos(azimuth)]), np.array([0.0, 1.0, 0.0])
    tilted = math.cos(elevation) * up - math.sin(elevation) * back
    return np.stack((np.cross(up, back), tilted, -math.cos(elevation) * back - math.sin(elevation) * up))


def shared_scales(drawn: Sequence[Figure], scales: Sequence[float]) -> list[float]:
    """Return the smallest scale among figures of one rig for each of them, so that they can be compared."""
    same = [[a is b or a.motion.skeleton.rig_difference(b.motion.skeleton) is None for b in drawn] for a in drawn]
    return [min(itertools.compress(scales, row)) for row in same]


class Canvas:
    """A white picture and its pen."""

    def __init__(self, width: float, height: float):
        from PIL import Image, ImageDraw

        self.image = Image.new("RGB", (round(width), round(height)), WHITE)
        self.pen: Any = ImageDraw.Draw(self.image)

    def dot(self, at: Point, radius: float, fill: Colour, edge: Colour | None = None, width: int = OVERSAMPLE) -> None:
        """Draw a disc."""
        x, y = at
        self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill, edge, width)

    def text(self, at: Point, text: str, size: float, fill: Colour, anchor: str = "la", room: float = 1e9) -> None:
        """Write one line, cut where it would be wider than ``room``."""
        font, text, dots = font_of(round(size)), " ".join(text.split()), ""
        while text and font.getlength(text + dots) > room:
            text, dots = text[:-1], "..."
        self.pen.text(at, text + dots, fill, font, anchor)


@functools.cache
def tint(colour: Colour, fraction: float) -> Colour:
    """Return ``fraction`` of a colour, the rest white."""
    r, g, b = (round(255 + fraction * (i - 255)) for i in colour)
    return r, g, b


@functools.cache
def font_of(size: int) -> Any:
    """Return Pillow's own font."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def pose(
    canvas: Canvas, figure: Figure, frame: int, points: np.ndarray, shadow: np.ndarray, depth: np.ndarray, scale: float
) -> None:
    """Draw one pose over its shadow: far bones first and paler, each rimmed white, so that crossing limbs stay apart.

    ``points`` and ``shadow`` [j, 2] are pixels, ``depth`` [j] sizes of the figure, ``scale`` pixels a metre.
    """
    bones = figure.bones.tolist()
    for (p, j), width in zip(bones, figure.widths, strict=True):
        canvas.pen.line((*shadow[p], *shadow[j]), tint(GREY, 0.3), max(round(width * scale), OVERSAMPLE))
    spots, fades = points.tolist(), np.clip(0.75 - 0.6 * depth, 0.5, 1.0).round(2).tolist()
    for b in np.argsort(-depth[figure.bones].mean(1), kind="stable").tolist():
        p, j = bones[b]
        colour, width = tint(figure.colours[j], fades[j]), max(round(figure.widths[b] * scale), OVERSAMPLE)
        canvas.pen.line((*spots[p], *spots[j]), WHITE, width + 2 * OVERSAMPLE)
        canvas.pen.line((*spots[p], *spots[j]), colour, width)
        for k in (p, j):
            canvas.dot(spots[k], width / 2 - 0.5, colour)
        if figure.head and figure.head[1] == j:  # the ball ends at the top of a bone as long as a head, or stands on it
            neck, radius = np.array(spots[figure.head[0]]), 0.06 * figure.size * scale
            bone, length = np.array(spots[j]) - neck, figure.size * scale * 0.09
            shift = (-0.75 if np.linalg.norm(bone) > length else 0.6) * radius
            canvas.dot(spots[j] + bone / max(np.linalg.norm(bone), 1.0) * shift, radius, colour, WHITE)
    if not bones:
        canvas.dot(spots[figure.root], 0.03 * figure.size * scale, TRUNK)
    few = figure.contacts.shape[1] <= 16  # of a snake everything stands
    for k in np.flatnonzero(figure.contacts[frame]).tolist():
        radius = max((0.019 if few else 0.007) * figure.size * scale, 2 * OVERSAMPLE if few else OVERSAMPLE)
        canvas.dot(spots[figure.motion.skeleton.contacts[k]], radius, CONTACT, WHITE if few else None)


def check_suffix(path: str | Path, suffixes: tuple[str, ...]) -> Path:
    """Return the path, if its ending is one of these."""
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise MotifError(f"{path}: cannot draw {path.suffix or 'no ending'!r}; end the name in {' or '.join(suffixes)}")
    return path


@functools.cache
def _palette() -> tuple[list[int], np.ndarray]:
    """The few colours of every picture: each one in steps to white; and the nearest one of each 5-bit colour."""
    steps = ((LEFT, 10), (RIGHT, 10), (TRUNK, 14), (CONTACT, 5), (GREY, 12))
    colours = np.array([WHITE, *(tint(colour, k / n) for colour, n in steps for k in range(1, n + 1))])
    cube = np.stack(np.meshgrid(*[np.arange(32) * 255 // 31] * 3, indexing="ij"), -1).reshape(-1, 3)
    nearest = ((colours**2).sum(1) - 2 * cube @ colours.T).argmin(1).astype(np.uint8)
    return colours.flatten().tolist(), nearest


def to_palette(image: Any) -> Any:
    """Return the same picture in the palette's colours, which keeps files small."""
    from PIL import Image

    colours, nearest = _palette()
    r, g, b = (np.asarray(channel).astype(np.uint16) >> 3 for channel in image.split())
    limited = Image.fromarray(nearest[(r << 10) | (g << 5) | b])
    limited.putpalette(colours)
    return limited


def round_length(most: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is at most ``most``."""
    power = 10.0 ** math.floor(math.log10(most))
    return float(f"{max(k * power for k in (1, 2, 5) if k == 1 or k * power <= most):.6g}")
