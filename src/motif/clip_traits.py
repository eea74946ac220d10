"""What a clip is like, as far as it decides what takes can be: does it repeat itself, travel, keep its heading?"""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from . import contact, ground, rotation, windows
from .features import Features
from .motion import Motion, heading

MEETS, MEETS_SECONDS = 0.1, 0.5
"""Body heights that the joints of two stretches are apart at most, on average, where takes may go from one to the
other, and how long such stretches last."""
JUDGED_SECONDS = 20.0  # a longer clip is taken to repeat itself
FACES_ONE_WAY, NO_TURN = math.radians(45), math.radians(10)
"""A clip whose heading stays within the first and ends within the second of where it began keeps its heading."""


def repeats(motion: Motion) -> float:
    """Return which share of a clip's half seconds comes again elsewhere in it; 1 for a long clip.

    Takes go from one place to another where both are alike. Of 54 clips of a dozen rigs, takes of those below .2 had a
    precision of at most .64, of the others of 2.5 s and more at least .65 (``benchmarks/wide.py``).
    """
    s, rate = motion.skeleton, motion.fps / windows.stride(motion.fps)
    if motion.seconds > JUDGED_SECONDS:
        return 1.0
    world_q, world = motion.world()
    if ground.is_uneven(motion):
        world = ground.levelled(world, s, motion.frame_time)
    facing = heading(world_q[:, s.root], s, motion.frame_time)
    poses = windows.poses(motion, world, facing, contact.floor(world, s))
    errors = windows.window_errors(windows.frame_errors(poses, poses), max(round(MEETS_SECONDS * rate), 2))
    if not len(errors):
        return 0.0
    at = torch.arange(len(errors), device=errors.device)
    errors = errors.masked_fill((at[:, None] - at).abs() <= MEETS_SECONDS * rate, torch.inf)
    return float((errors.amin(1) < MEETS * s.height).float().mean())


def is_cycle(motion: Motion) -> bool:
    """Return whether a clip ends in the pose in which it begins, so that it can be played in a circle."""
    s, (world_q, world) = motion.skeleton, motion.world()
    ends = [0, len(motion) - 1]
    local = world[ends] - world[ends][:, s.root : s.root + 1]
    facing = heading(world_q[:, s.root], s, motion.frame_time)[ends]
    first, last = rotation.rotate(rotation.about("y", -facing)[:, None], local)
    return float((first - last).norm(dim=-1).mean()) < MEETS / 2 * s.height


def heading_span(motions: Sequence[Motion]) -> float | None:
    """Return by how much the heading of clips that face one way throughout varies, radians; None where one turns."""
    facing = [m.heading() for m in motions]
    if any(f.max() - f.min() > FACES_ONE_WAY or (f[-1] - f[0]).abs() > NO_TURN for f in facing):
        return None
    return max(float(f.max() - f.min()) for f in facing)


def in_place_velocity(motion: Motion) -> Float[Tensor, "2"] | None:
    """Return the velocity that the feet of a clip which walks in place imply, x and z in the heading frame, m/s.

    None where a clip travels, stands, or has no feet.
    """
    s, (world_q, world) = motion.skeleton, motion.world()
    if not s.contacts or len(motion) < 3:
        return None
    feet = world[:, list(s.contacts)]
    above = feet[..., 1] - contact.floors(feet, s)
    lowest = above.argmin(-1)[1:]
    at = torch.arange(len(lowest), device=world.device)
    near = above[at + 1, lowest] < contact.HEIGHT * s.height
    facing = heading(world_q[:, s.root], s, motion.frame_time)
    step = rotation.rotate(rotation.about("y", -facing[:-1])[:, None], feet.diff(dim=0) / motion.frame_time)
    if not near.any():
        return None
    implied = -step[at, lowest][near].mean(0)[[0, 2]]
    path = world[:, s.root][:, [0, 2]].diff(dim=0).norm(dim=-1)
    travels, speed = float(path.mean()) / motion.frame_time, float(implied.norm())
    return implied if speed > contact.SPEED * s.height and travels < 0.2 * speed else None


def travelling(motion: Motion) -> Motion:
    """Return a clip that walks in place with the velocity that its feet imply, any other as it is."""
    velocity = in_place_velocity(motion)
    if velocity is None:
        return motion
    features = Features.of([motion])
    x = features.encode(motion)
    x[:, features.slices["root_velocity"]] += velocity.to(x)
    moved = features.motion(x, motion.frame_time, features.start(motion), motion.name)
    return replace(motion, rotations=moved.rotations, positions=moved.positions)
