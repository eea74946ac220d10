"""Animations (GIF, MP4): draw.figures side by side at true speed, each followed by a camera."""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..config import ShowConfig
from ..errors import MotifError
from ..files import replace_file
from ..motion import Motion
from . import draw


@dataclass(frozen=True, eq=False)
class _Camera:
    """Follows one figure's body smoothly and shows it in a square of ``side`` fine pixels."""

    figure: draw.Figure
    side: int
    centre: Float[np.ndarray, "t 3"]  # where it looks
    extent: float  # the farthest joint from there, metres
    middle: float  # height of the body's middle in the picture, metres
    scale: float  # pixels a metre

    def project(self, points: Float[np.ndarray, "*n 3"], frame: int) -> Float[np.ndarray, "*n 2"]:
        """Return fine pixels in the square."""
        seen = _perspective(points - self.centre[frame], self.figure, self.extent)[..., :2] - (0.0, self.middle)
        return np.array([0.5, 0.54]) * self.side + seen * (self.scale, -self.scale)

    def render(self, frame: int, seconds: float) -> Any:
        """Return the picture of a frame, with the time written in it."""
        canvas, figure, unit = draw.Canvas(self.side, self.side), self.figure, self.side / 480
        self._floor(canvas, frame)
        self._trails(canvas, frame)
        world = figure.world[frame]
        depth = (world - self.centre[frame]) @ figure.axes[2] / figure.size
        points, shadow = self.project(world, frame), self.project(world * draw.GROUND, frame)
        draw.pose(canvas, figure, frame, points, shadow, depth, self.scale)
        canvas.text((18 * unit, 14 * unit), figure.name, 19 * unit, draw.TRUNK, room=370 * unit)
        clock = f"{min(seconds, figure.motion.seconds):.1f} s"
        canvas.text((self.side - 18 * unit, 14 * unit), clock, 19 * unit, draw.GREY, "ra")
        return canvas.image.reduce(draw.OVERSAMPLE)

    @cached_property
    def _grid(self) -> tuple[float, float, Float[np.ndarray, "l 2 3"]]:
        """The radius of the floor that is shown, the grid's cell, and its lines in halves, around the origin."""
        radius, cell = 0.56 * self.side / self.scale, draw.round_length(0.45 * self.extent)
        n = math.ceil(radius / cell) + 1
        a, b = (k.flatten() * cell for k in np.meshgrid(np.arange(-2 * n, 2 * n) / 2, np.arange(-n, n + 1)))
        o, end = np.zeros_like(a), a + cell / 2
        along = np.stack((np.stack((a, o, b), -1), np.stack((end, o, b), -1)), 1)
        return radius, cell, np.concatenate((along, along[..., ::-1]))

    def _floor(self, canvas: draw.Canvas, frame: int) -> None:
        radius, cell, lines = self._grid
        lines = lines + np.floor(self.centre[frame] / cell) * cell
        away = np.linalg.norm(lines.mean(1) - self.centre[frame], axis=-1) / radius
        near = away < 0.97
        fades = (0.75 * (1 - away[near] ** 2)).round(1).tolist()
        for ends, fade in zip(self.project(lines[near], frame).reshape(-1, 4).tolist(), fades, strict=True):
            canvas.pen.line(ends, draw.tint(draw.GREY, fade), draw.OVERSAMPLE)

    def _trails(self, canvas: draw.Canvas, frame: int) -> None:
        """Draw the last second of the contact joints' paths (of the root where there are none), fading."""
        joints = list(self.figure.motion.skeleton.contacts) or [self.figure.root]
        second = 1 / self.figure.motion.frame_time
        frames = np.unique(np.linspace(max(frame - second, 0), frame, 25).round().astype(int))
        paths = self.project(self.figure.world[frames][:, joints], frame).transpose(1, 0, 2).tolist()
        fades = (0.8 - 0.75 * (frame - frames) / second).clip(0.05).round(2).tolist()
        for j, path in zip(joints, paths, strict=True):
            for a, b, fade in zip(path, path[1:], fades, strict=False):
                canvas.pen.line((*a, *b), draw.tint(self.figure.colours[j], fade), max(self.side // 320, 1))


def _perspective(points: Float[np.ndarray, "*n 3"], figure: draw.Figure, extent: float) -> Float[np.ndarray, "*n 3"]:
    """In the camera's axes and with perspective, metres at the distance of the camera's target."""
    seen = points @ figure.axes.T
    seen[..., :2] /= 1 + seen[..., 2:] / (6 * extent)
    return seen


def _camera(figure: draw.Figure, frames: Sequence[int], side: int) -> _Camera:
    """A camera that sees all of the figure in these frames."""
    body = figure.world[:, figure.joints] * draw.GROUND
    half = min(max(round(1.2 / figure.motion.frame_time), 1), 10_000)
    weights = np.exp(-4.5 * np.linspace(-1, 1, 2 * half + 1) ** 2)
    padded = np.pad((body.min(1) + body.max(1)) / 2, ((half, half), (0, 0)), mode="edge")
    centre = np.stack([np.convolve(padded[:, a], weights / weights.sum(), "valid") for a in range(3)], -1)
    body = figure.world[frames][:, figure.joints] - centre[frames][:, None]
    extent = max(float(np.linalg.norm(body, axis=-1).max()), 0.4 * figure.size)
    seen = _perspective(body, figure, extent)
    low, high = min(float(seen[..., 1].min()), 0.0), float(seen[..., 1].max()) + 0.06 * figure.size
    across = max(float(np.abs(seen[..., 0]).max()), 0.3 * figure.size)
    scale = min(0.45 * side / across, 0.8 * side / (high - low))
    return _Camera(figure, side, centre, extent, (low + high) / 2, scale)


def animate(
    motions: Sequence[Motion] | Motion,
    path: str | Path,
    config: ShowConfig = ShowConfig(),
    progress: Callable[[float], None] = lambda fraction: None,
) -> Path:
    """Draw motions side by side (four as two by two) at true speed over a floor grid with foot trails, as GIF or MP4.

    They may be of any rigs; those of one rig are drawn at one scale. Shorter ones hold their last pose.
    """
    target = draw.check_suffix(path, (".gif", ".mp4"))
    film = target.suffix.lower() == ".mp4"
    if film:
        _ffmpeg()  # refuse before anything is drawn
    fps = config.fps or (30.0 if film else 15.0)
    if fps > 50 and not film:  # viewers slow down GIFs above
        raise MotifError(f"a GIF cannot show {fps:g} pictures a second; give at most 50, or a name that ends in .mp4")
    drawn = draw.figures(motions)
    seconds = min(config.seconds or math.inf, max(figure.motion.seconds for figure in drawn))
    times = [k / fps for k in range(max(round(seconds * fps), 1))]
    side = config.size - config.size % 2  # films need even sides
    frames = [[min(round(t * f.motion.fps), len(f.motion) - 1) for t in times] for f in drawn]
    cameras = [_camera(f, shown, side * draw.OVERSAMPLE) for f, shown in zip(drawn, frames, strict=True)]
    scales = draw.shared_scales(drawn, [camera.scale for camera in cameras])
    cameras = [replace(camera, scale=scale) for camera, scale in zip(cameras, scales, strict=True)]
    columns = len(cameras) if len(cameras) < 4 else math.ceil(len(cameras) / math.isqrt(len(cameras)))

    def pictures() -> Iterator[Any]:
        for k, when in enumerate(times):
            whole = draw.Canvas(columns * side, math.ceil(len(cameras) / columns) * side).image
            for n, camera in enumerate(cameras):
                whole.paste(camera.render(frames[n][k], when), (n % columns * side, n // columns * side))
            yield whole
            progress((k + 1) / len(times))

    edges = [*times, max(seconds, times[-1] + 0.02)]
    write = partial(_write_film, fps=fps) if film else partial(_write_gif, edges=edges)
    replace_file(target, lambda beside: write(beside, pictures()))
    return target


def _write_gif(path: Path, pictures: Iterator[Any], edges: Sequence[float]) -> None:
    """``edges``: when each picture starts, and the end, seconds; GIF counts whole hundredths, so edges are rounded."""
    waits = [10 * (round(100 * b) - round(100 * a)) for a, b in itertools.pairwise(edges)]
    rest = map(draw.to_palette, pictures)
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
    coding = {"codec": "libx264", "quality": None, "macro_block_size": 2}
    options = ["-crf", "20", "-preset", "veryfast", "-movflags", "+faststart"]
    film = _ffmpeg().write_frames(str(path), first.size, fps=fps, **coding, output_params=options)
    with contextlib.closing(film):
        film.send(None)
        for picture in itertools.chain([first], pictures):
            film.send(np.ascontiguousarray(picture))
