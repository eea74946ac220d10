"""From matched features to a take: feet are steadied, constraints met, the trajectory followed, feet locked."""

import math
from dataclasses import replace

from jaxtyping import Bool, Float
from torch import Tensor

from .. import contact, ground
from ..edit import Edit
from ..features import Features, Start
from ..motion import Motion
from . import constraints, feet, trajectory


def within_climb(
    features: Features, x: Float[Tensor, "1 t d"], dt: float, fixed: Bool[Tensor, "t"] | None = None
) -> Float[Tensor, "1 t d"]:
    """Return features whose root rises and falls no faster than the clips do, where the ground is not level.

    Frames that are ``fixed`` stay as high as they are where heights are the world's.
    """
    if features.climb is None or x.shape[1] < 2:
        return x
    x, part = x.clone(), features.slices["ground_velocity"]
    if features.comes_back:
        height = x[0, :, features.slices["root_height"].start]
        height.copy_(height.new_tensor(_limited(height.tolist(), features.climb, dt, fixed)))
        return x
    for _ in range(2):  # what is taken off is smooth, so a little is left the first time
        speed = ground.climb(features.trajectory(x, dt)[1][..., 1], dt)
        x[..., part] -= (speed - speed.clamp(*features.climb))[..., None].to(x.dtype)
    return x


def _limited(
    height: list[float], climb: tuple[float, float], dt: float, fixed: Bool[Tensor, "t"] | None
) -> list[float]:
    """Return heights that follow these as closely forwards as backwards, and never change faster than ``climb``."""
    least, most = climb[0] * dt, climb[1] * dt

    def follow(goal: list[float], least: float, most: float) -> list[float]:
        found = goal[:1]
        for value in goal[1:]:
            found.append(min(max(value, found[-1] + least), found[-1] + most))
        return found

    if fixed is not None:  # first of all, whatever can be reached from there, or from where it is reached
        for step, low, high in ((1, least, most), (-1, -most, -least)):
            below, above = -math.inf, math.inf
            for t in range(len(height))[::step]:
                height[t] = min(max(height[t], below + low), above + high)
                below, above = (height[t], height[t]) if fixed[t] else (below + low, above + high)
    back = follow(height[::-1], -most, -least)[::-1]
    return [(a + b) / 2 for a, b in zip(follow(height, least, most), back, strict=True)]


def finalize_take(
    features: Features, edit: Edit, x: Float[Tensor, "1 t e"], dt: float, start: Start, foot_lock: bool, name: str
) -> Motion:
    """Return the take that matched features stand for, with the exact constraints and the trajectory of an edit.

    ``x`` are features of one take, its :func:`feet.foot_drift` and :func:`feet.contact_velocity`; ``start`` is where it
    begins if the edit does not say; ``dt`` seconds a frame.
    """
    s = features.skeleton
    x, drift, velocity = x.split((features.width, 2 + features.uneven, 3 * len(s.contacts)), -1)
    foot_lock, aside = foot_lock and bool(s.contacts), None
    if foot_lock:
        x = x.clone()
        own, aside = feet.held_drift(features, x, dt)
        slide = contact.smooth(drift - own, feet.SLIDE_SECONDS / dt)
        x[..., features.slices["root_velocity"]] += slide[..., :2]
        x[..., features.slices["ground_velocity"]] += slide[..., 2:]
    x = within_climb(features, x, dt)
    edited = constraints.impose(features, edit, x, dt) if edit.exact_constraints else x
    if edit.exact_constraints and features.comes_back:
        edited = within_climb(features, edited, dt, edit.mask(s, x.shape[1])[:, s.root])
    if edit.trajectory is not None:
        edited, begin = trajectory.warp_to_trajectory(features, edit.trajectory, edited, dt)
        start = replace(begin, ground=start.ground)
    elif edit.exact_constraints:
        edited, start = constraints.meet_in_world(features, edit, edited, dt, start)
    rotations, positions = features.decode(edited, dt, start)
    if foot_lock:
        rotations = feet.lock_take(features, edit, (x, edited), velocity, dt, (rotations, positions), aside)
    take = Motion(s, rotations[0], positions[0], dt, name, features.file_format)
    if not edit.exact_constraints:
        return take
    heading, path = features.trajectory(edited, dt, start)
    for c in edit.exact_constraints:
        room = constraints.blend_room(edit, s, c, len(take))
        take = constraints.copy_exactly(take, c, room, float(heading[0, c.start]), path[0, c.start], features.uneven)
    return take
