"""The stages of curation: pure functions from a clip to clips, and to rejects of what is left out.

In the order in which they run: :func:`check`, :func:`cut`, :func:`resample`, :func:`segment`, :func:`travel`,
:func:`judge`.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import clip_traits, contact, ground, rotation
from ..data.corpus import Clip
from ..motion import Motion
from . import CurateConfig, Reject, gates

MAX_SPEED = 20.0  # body heights a second that a root may travel: a galloping dog has 15
MAX_TURN = math.radians(60)  # of the root in a thirtieth of a second: more is a cut in the take
T_POSE = math.radians(4)  # mean over joints: a frame nearer to the pose with all rotations zero is the T-pose
HELD = 0.25  # seconds of frames that are the same to the last digit: a gap that was filled by holding
WINDOW = 1.0  # seconds on both sides of a change of activity
HEIGHTS = (0.05, 12.0)  # metres that a body may be tall

Outcome = tuple[list[Clip], list[Reject]]
Stage = Callable[[Clip, CurateConfig], Outcome]


def check(clip: Clip, config: CurateConfig) -> Outcome:
    """Leave out what holds no sound numbers or is of no body's size."""
    motion, s = clip.motion, clip.motion.skeleton
    if not bool(motion.rotations.isfinite().all() and motion.positions.isfinite().all()):
        return [], [_reject(clip, "numbers", "holds numbers that are not finite")]
    if not HEIGHTS[0] <= s.height <= HEIGHTS[1]:
        return [], [_reject(clip, "size", f"a body of {s.height:.3g} m, expected {HEIGHTS[0]:g} to {HEIGHTS[1]:g}")]
    return [clip], []


def cut(clip: Clip, config: CurateConfig) -> Outcome:
    """Cut at T-poses, at gaps that were filled by holding a frame, and where the root jumps or spins in a frame."""
    motion, rejects = clip.motion, []
    bad = {"t-pose": t_poses(motion), "gap": held(motion)}
    jumps = root_jumps(motion)
    keep = ~(bad["t-pose"] | bad["gap"])
    for reason, frames in bad.items():
        for start, stop in contact.runs(frames):
            rejects.append(_reject(clip, reason, f"{stop - start} frames", start, stop))
    parts = [part for start, stop in contact.runs(keep) for part in _split(start, stop, jumps)]
    clips = [_part(clip, a, b) for a, b in parts if (b - a) * motion.frame_time >= config.shortest]
    for a, b in parts:
        if (b - a) * motion.frame_time < config.shortest:
            why = "jump" if len(parts) > 1 else "short"
            found = (
                f"{(b - a) * motion.frame_time:.2f} s between two cuts" if why == "jump" else f"{motion.seconds:.2f} s"
            )
            rejects.append(_reject(clip, why, f"{found}, at least {config.shortest:g}", a, b))
    return clips, rejects


def _split(start: int, stop: int, jumps: Bool[Tensor, "t"]) -> list[tuple[int, int]]:
    """Frames between two jumps; ``jumps`` says whether a frame is far from the one before."""
    edges = [start, *(start + 1 + jumps[start + 1 : stop].nonzero()[:, 0]).tolist(), stop]
    return [(a, b) for a, b in zip(edges, edges[1:], strict=False) if b > a]


def t_poses(motion: Motion) -> Bool[Tensor, "t"]:
    """Return which frames at either end show the pose with all rotations zero (of the joints below the root)."""
    s = motion.skeleton
    joints = [j for j in s.subtree(s.root)[1:] if not s.end[j]]
    found = torch.zeros(len(motion), dtype=torch.bool)
    if len(joints) < 4:
        return found
    q = motion.rotations[:, joints]
    near = rotation.geodesic(q, rotation.identity(1, len(joints), like=q)).mean(-1) < T_POSE
    for start, stop in contact.runs(near):
        if (start == 0 or stop == len(motion)) and stop - start < len(motion):
            found[start:stop] = True
    return found


def held(motion: Motion) -> Bool[Tensor, "t"]:
    """Return which frames belong to a stretch of ``HELD`` seconds that are all the same, in a clip that else moves."""
    q, p = motion.rotations.flatten(1), motion.positions.flatten(1)
    same = torch.cat((q, p), 1).diff(dim=0).abs().amax(1) == 0
    found, shortest = torch.zeros(len(motion), dtype=torch.bool), max(round(HELD / motion.frame_time), 2)
    if not len(same) or bool(same.all()):
        return found
    for start, stop in contact.runs(same):
        if stop - start >= shortest:
            found[start + 1 : stop + 1] = True
    return found


def root_jumps(motion: Motion) -> Bool[Tensor, "t"]:
    """Return which frames the root gets to faster than any body can."""
    q, p, _ = motion.root_and_feet
    found = torch.zeros(len(motion), dtype=torch.bool)
    limit = MAX_SPEED * motion.skeleton.height * max(motion.frame_time, 1 / 60)
    turn = MAX_TURN * max(motion.frame_time * 30, 0.5)
    found[1:] = (p.diff(dim=0).norm(dim=-1) > limit) | (rotation.geodesic(q[1:], q[:-1]) > turn)
    return found


def resample(clip: Clip, config: CurateConfig) -> Outcome:
    """Bring a faster clip to the corpus's rate; a slower one stays as it is."""
    if clip.motion.fps <= 1.05 * config.fps:
        return [clip], []
    motion = clip.motion.resample(config.fps)
    return [replace(clip, motion=motion)], []


def segment(clip: Clip, config: CurateConfig) -> Outcome:
    """Cut what is longer than allowed where its activity changes most."""
    longest = max(round(config.longest / clip.motion.frame_time), 2)
    shortest = max(round(config.shortest / clip.motion.frame_time), 1)
    if len(clip.motion) <= longest:
        return [clip], []
    change, start, parts = activity_change(clip.motion), 0, []
    while len(clip.motion) - start > longest:
        left = len(clip.motion) - start
        low, high = max(longest // 3, shortest), min(longest, left - shortest)
        at = start + low + int(change[start + low : start + high + 1].argmax())
        parts.append((start, at))
        start = at
    return [_part(clip, a, b) for a, b in (*parts, (start, len(clip.motion)))], []


def activity_change(motion: Motion) -> Float[Tensor, "t"]:
    """Return how much pose and speed of the second after each frame differ from those of the second before."""
    clip = gates.Measured.of(motion)
    s, dt = motion.skeleton, motion.frame_time
    joints = [s.root, *(limb[-1] for limb in s.limbs)]
    local = clip.local[:, joints].flatten(1)
    speed = torch.nn.functional.pad(clip.world[:, joints].diff(dim=0).norm(dim=-1) / dt, (0, 0, 1, 0))
    x = torch.cat((local, 0.5 * speed), 1) / clip.height
    width = max(min(round(WINDOW / dt), len(x) // 3), 1)
    total = torch.nn.functional.pad(x.double().cumsum(0), (0, 0, 1, 0))
    at = torch.arange(len(x))
    before, after = (at - width).clamp_min(0), (at + width).clamp_max(len(x))
    mean_after = (total[after] - total[at]) / (after - at)[:, None].clamp_min(1)
    mean_before = (total[at] - total[before]) / (at - before)[:, None].clamp_min(1)
    return (mean_after - mean_before).norm(dim=-1).float()


def travel(clip: Clip, config: CurateConfig) -> Outcome:
    """Let a walk in place go at the speed that its feet imply: clips of games are often made so."""
    motion = clip.motion
    return [clip if ground.is_uneven(motion) else replace(clip, motion=clip_traits.travelling(motion))], []


def judge(clip: Clip, config: CurateConfig) -> Outcome:
    """Measure the gates and leave a clip out that does not pass all of them; put it over the origin, facing +Z."""
    if clip.motion.seconds < config.shortest:
        return [], [_reject(clip, "short", f"{clip.motion.seconds:.2f} s, at least {config.shortest:g}")]
    measured = gates.Measured.of(clip.motion)
    found = {name: measure(measured) for name, (measure, _, _) in gates.GATES.items()}
    failed = gates.failures(found, config)
    if failed:
        return [], [_reject(clip, failed[0][0], "; ".join(detail for _, detail in failed))]
    motion = clip.motion.align()
    motion = motion if ground.is_uneven(motion) else motion.ground()
    return [replace(clip, motion=motion, quality=found)], []


def _part(clip: Clip, start: int, stop: int) -> Clip:
    """Frames of a clip as one of their own; captions that speak of other parts are left out."""
    motion = clip.motion
    if (start, stop) == (0, len(motion)):
        return clip
    a, b = start * motion.frame_time, stop * motion.frame_time
    spoken = []
    for caption in clip.captions:
        if caption.start is None or caption.end is None:
            spoken.append(caption)
        elif min(caption.end, b) - max(caption.start, a) > 0.5 * (caption.end - caption.start):
            spoken.append(replace(caption, start=max(caption.start - a, 0.0), end=min(caption.end, b) - a))
    name, _, at = clip.id.partition("@")
    id = f"{name}@{float(at or 0) + a:.2f}"
    return replace(clip, id=id, motion=motion.crop(start, stop), captions=tuple(spoken))


def _reject(clip: Clip, reason: str, detail: str, start: int = 0, stop: int | None = None) -> Reject:
    dt = clip.motion.frame_time
    seconds = (len(clip.motion) if stop is None else stop) * dt - start * dt
    return Reject(reason, detail, clip.id, start * dt, seconds)


STAGES: tuple[Stage, ...] = (check, cut, resample, segment, travel, judge)


def run(clip: Clip, config: CurateConfig) -> Outcome:
    """Run all stages on a clip."""
    clips, rejects = [clip], []
    for stage in STAGES:
        after: list[Clip] = []
        for one in clips:
            made, left_out = stage(one, config)
            after += made
            rejects += left_out
        clips = after
    return clips, rejects
