"""Video in, measured: films of known clips through the offline default and back, in cm.

    python benchmarks/video.py [--clips 07_01 ...] [--out out/video]

The films are of benchmarks/film.py: a rounded body, 480 x 360 pixels. Two are of the clip as it is: by a camera that
stands, by one that pans after the body and sways as in a hand. The others are to be cut up or refused.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import common
import film
import imageio_ffmpeg
import numpy as np
import torch

import motif
from motif import rotation
from motif.curate import CurateConfig, gates, stages
from motif.data.corpus import Clip
from motif.motion import Motion
from motif.video import VideoConfig, environment
from motif.video.capture import capture

BVH = common.DATA / "cmu-mocap" / "bvh"
SIDES = (("left", "Left"), ("right", "Right"))
PARTS = {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot"}
PAIRS = {f"{s}_{ours}": S + theirs for s, S in SIDES for ours, theirs in PARTS.items()}
Shot = Callable[[int, np.ndarray, int], film.Camera]


def standing(k: int, root: np.ndarray, frames: int, side: float = 1.0) -> film.Camera:
    """A camera on a tripod that sees the whole path."""
    middle, reach = (root.min(0) + root.max(0)) / 2, np.linalg.norm(np.ptp(root, axis=0))
    away = (3.4 + 0.75 * reach) * np.array([0.82 * side, 0.0, 0.57])
    return film.Camera(middle * [1, 0, 1] + away + [0, 1.5, 0], middle * [1, 0, 1] + [0, 0.9, 0])


def panning(k: int, root: np.ndarray, frames: int) -> film.Camera:
    """A camera in a hand, that turns after the body."""
    from_tripod = standing(k, root, frames)
    sway = np.random.default_rng(5).normal(size=(frames + 40, 6))
    kernel = np.hanning(25) / np.hanning(25).sum()
    sway = np.stack([np.convolve(x, kernel, "same") for x in sway.T], -1)[20:]
    follow = np.stack([np.convolve(np.pad(x, 15, mode="edge"), np.ones(31) / 31, "valid") for x in root.T], -1)
    eye = from_tripod.eye + 0.04 * sway[k, :3]
    return film.Camera(eye, follow[k] * [1, 0, 1] + [0, 0.9, 0] + 0.06 * sway[k, 3:], 0.6)


def cut(k: int, root: np.ndarray, frames: int) -> film.Camera:
    """Two cameras, one after the other."""
    return standing(k, root, frames, 1.0 if k < frames // 2 else -1.0)


def pictures(motion: Motion, shot: Shot, person: bool = True) -> Iterator[np.ndarray]:
    """Yield the pictures of a film."""
    s, (q, world) = motion.skeleton, motion.world()
    head = s.index("Head")
    rest = s.fk(s.rest_tensor())[0][head]
    faces = rotation.to_matrix(rotation.mul(q[:, head], rotation.inv(rest))).numpy()
    for k, pose in enumerate(world.numpy()):
        body = film.parts(dict(zip(s.names, pose, strict=True)), faces[k].T)
        if not person:
            body = [(a + np.float32([0, 0, 500]), b + np.float32([0, 0, 500]), *rest) for a, b, *rest in body]
        yield film.render(shot(k, world[:, s.root].numpy(), len(world)), body)


def write(path: Path, shown: Iterator[np.ndarray], fps: float, noise: float = 0.0) -> None:
    """Write a film, with the grain of a sensor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    out, grain = None, np.random.default_rng(0)
    for picture in shown:
        if out is None:
            size = picture.shape[1::-1]
            out = imageio_ffmpeg.write_frames(
                str(path), size, fps=fps, quality=None, macro_block_size=2, output_params=["-crf", "18"]
            )
            out.send(None)
        out.send(np.clip(picture + grain.normal(0, noise + 1e-9, picture.shape), 0, 255).astype(np.uint8))
    if out is not None:
        out.close()


def compare(made: Motion, truth: Motion) -> dict[str, float]:
    """Return errors in cm: joints beside the hips with one turn for the clip, with a similarity a frame, and the path."""
    a = made.world()[1][:, [made.skeleton.index(n) for n in PAIRS]].double()
    b = truth.world()[1][: len(a), [truth.skeleton.index(n) for n in PAIRS.values()]].double()
    a = a[: len(b)]
    hips = [list(PAIRS).index(f"{s}_hip") for s, _ in SIDES]
    ra, rb = (x[:, hips].mean(1, keepdim=True) for x in (a, b))
    x, y = a - ra, b - rb
    yaw = torch.atan2(
        (x[..., 2] * y[..., 0] - x[..., 0] * y[..., 2]).sum(), (x[..., 0] * y[..., 0] + x[..., 2] * y[..., 2]).sum()
    )
    turn = rotation.about("y", yaw)
    x, pa = rotation.rotate(turn, x), rotation.rotate(turn, ra)
    scale = float((y.square().sum() / x.square().sum()).sqrt())
    off = (pa - rb)[:, 0]
    off = off - off.mean(0)
    walked = float((rb[-1] - rb[0]).norm())
    return {
        "joints": 100 * float((x - y).norm(dim=-1).mean()),
        "procrustes": 100 * float(procrustes(x, y)),
        "scale": scale,
        "path": 100 * float(off[:, [0, 2]].norm(dim=-1).mean()),
        "walked": 100 * walked,
        "walked, of clip": 100 * float((pa[-1] - pa[0]).norm()),
    }


def procrustes(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean distance of joints after the best similarity of each frame."""
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    u, d, v = torch.linalg.svd(x.transpose(1, 2) @ y)
    sign = torch.ones_like(d)
    sign[:, 2] = torch.linalg.det(u @ v).sign()
    size = (d * sign).sum(-1) / x.square().sum((1, 2))
    return (size[:, None, None] * x @ (u * sign[:, None]) @ v - y).norm(dim=-1).mean()


def films(motion: Motion) -> dict[str, tuple[Iterator[np.ndarray], float]]:
    """Return the films of a clip, by name, with their grain."""
    tremble = 0.12 * torch.randn(len(motion), len(motion.skeleton), 3, generator=torch.Generator().manual_seed(0))
    shaken = replace(motion, rotations=rotation.mul(motion.rotations, rotation.exp(tremble)))
    return {
        "standing": (pictures(motion, standing), 2.0),
        "panning": (pictures(motion, panning), 2.0),
        "cut": (pictures(motion, cut), 2.0),
        "jitter": (pictures(shaken, standing), 2.0),
        "empty": (pictures(motion.crop(0, 40), standing, False), 2.0),
    }


def main() -> None:
    """Make films that are not there yet, read them and print what comes out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", nargs="*", default=["07_01"])
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--out", type=Path, default=Path("out/video"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("always")
    print("environment", "is there" if environment.ready() else "is made", flush=True)
    for name in args.clips:
        truth = motif.load(BVH / f"{name}.bvh").align().ground()
        measured = gates.Measured.of(truth)
        print(f"{name}: {truth}, slip {gates.slip(measured):.3f} body heights/s")
        for kind, (shown, grain) in films(truth).items():
            if args.only and kind not in args.only:
                continue
            path = args.out / f"{name}-{kind}.mp4"
            if not path.is_file():
                write(path, shown, truth.fps, grain)
            report(path, truth, VideoConfig(fov=_fov(kind)), kind in ("standing", "panning"))


def _fov(kind: str) -> float:
    vertical, (w, h) = (0.6 if kind == "panning" else 0.75), (480, 360)
    return float(np.degrees(2 * np.arctan(np.tan(vertical / 2) * w / h)))


def report(path: Path, truth: Motion, config: VideoConfig, whole: bool) -> None:
    """Read a film and print its clips, errors and what was left out."""
    began = time.perf_counter()
    motions, left_out = capture(path, config)
    print(f"{path.stem}: {len(motions)} clips in {time.perf_counter() - began:.1f} s")
    for motion in motions:
        _, rejects = stages.run(Clip(motion.name, motion, "film", "own"), CurateConfig())
        slip = gates.slip(gates.Measured.of(motion))
        print(
            f"  {motion}, {motion.skeleton.height:.2f} m, slip {slip:.3f}; gates: {[r.reason + ' ' + r.detail for r in rejects] or 'passed'}"
        )
        if whole:
            print(
                "  "
                + ", ".join(
                    f"{k} {v:.1f}" if k != "scale" else f"{k} {v:.2f}" for k, v in compare(motion, truth).items()
                )
            )
        motif.save(motion, path.with_name(f"{path.stem}-{motion.name}.bvh"))
    for reject in left_out:
        print(f"  left out at {reject.start:.2f} s, {reject.seconds:.2f} s: {reject.reason} ({reject.detail})")


if __name__ == "__main__":
    main()
