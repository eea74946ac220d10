"""Exact constraints: constrained joints are copied bit for bit, and the frames beside them bent to fit.

Frames before and after a constraint take over the offset, the velocity and the acceleration that they lack there, which
then decay, so that neither pose nor velocity jumps (inertialisation, Bollo 2018).
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from .. import rotation
from ..edit import Constraint, Edit
from ..features import Features, Start
from ..motion import Motion, decay_weights
from ..skeleton import Skeleton

ACCELERATION_SPAN = 1 / 30  # seconds over which accelerations beside a constraint are measured


def blend_room(edit: Edit, skeleton: Skeleton, constraint: Constraint, frames: int) -> tuple[int, int]:
    """Return the frames before and after a constraint that may bend: no more than half of those to the next one."""
    joints, start, stop = set(skeleton.select(constraint.joints)), constraint.start, constraint.stop
    others = [c for c in edit.exact_constraints if c is not constraint and joints & set(skeleton.select(c.joints))]
    before = min(((start - c.stop) // 2 for c in others if c.stop <= start), default=start)
    after = min(((c.start - stop) // 2 for c in others if c.start >= stop), default=frames - stop)
    fade = max(round(constraint.blend / constraint.motion.frame_time), 1)
    return min(fade, before), min(fade, after)


def _edges(constraint: Constraint, room: tuple[int, int]) -> list[tuple[int, int, Tensor]]:
    """Return the frames at which the ends of a constraint are, the direction away from it, and the frames that bend."""
    edges = (constraint.start, -1, room[0]), (constraint.stop - 1, 1, room[1])
    return [(edge, sign, edge + sign * torch.arange(1, count + 1)) for edge, sign, count in edges if count]


def impose(features: Features, edit: Edit, x: Float[Tensor, "n t d"], dt: float) -> Float[Tensor, "n t d"]:
    """Set constrained channels, and bend the frames before and after to fit."""
    s, x, bendable = features.skeleton, x.clone(), x.new_ones(features.width)
    for part in (*features.velocities, features.slices["contacts"]):  # a velocity has no acceleration to take over
        bendable[part] = 0
    for c in edit.exact_constraints:
        moving = len(c.motion) > 1
        mask, target = features.channel_mask(s.select(c.joints), moving).to(x), features.encode(c.motion)
        for edge, sign, near in _edges(c, blend_room(edit, s, c, x.shape[1])):
            here, count = edge - c.start, len(near)
            offset = target[here] - x[:, edge]
            velocity = acceleration = torch.zeros_like(offset)
            offset[:, features.slices["contacts"]] = 0  # feet beside it stand as they did
            if moving:
                velocity = (target[here] - target[here - sign]) - (x[:, edge + sign] - x[:, edge])
            step = sign * min(max(round(ACCELERATION_SPAN / dt), 1), (len(target) - 1) // 2, count // 2)
            if step:  # over a few frames: from one frame to the next accelerations are mostly noise
                wanted = (target[here] - 2 * target[here - step] + target[here - 2 * step]) / step**2
                present = (x[:, edge] - 2 * x[:, edge + step] + x[:, edge + 2 * step]) / step**2
                acceleration = (wanted - present) * bendable
            weight = decay_weights(count + 1, count + 1)[1:].to(x)
            x[:, near] += mask * torch.einsum("tw,wnd->ntd", weight, torch.stack((offset, velocity, acceleration)))
        x[:, c.start : c.stop] += mask * (target - x[:, c.start : c.stop])
    return x


def copy_exactly(
    take: Motion,
    constraint: Constraint,
    room: tuple[int, int],
    heading: float,
    position: Float[Tensor, "3"],
    uneven: bool = False,
) -> Motion:
    """Copy constrained joints, those that no layout holds included, and bend what jumps in ``room`` frames beside them.

    A constraint that is not in world space is placed where the take is: at a heading (radians) and root position, of
    which the height counts on ``uneven`` ground.
    """
    s, piece, moving = take.skeleton, constraint.motion, len(constraint.motion) > 1
    joints = list(s.select(constraint.joints))
    if not constraint.world_space and s.root in joints:
        piece = piece.transform(heading - float(piece.heading()[0]))
        gap = position.to(piece.positions) - piece.world()[1][0, s.root]
        piece = piece.transform(0.0, (float(gap[0]), float(gap[1]) if uneven else 0.0, float(gap[2])))
    q, p = take.rotations.clone(), take.positions.clone()
    exact_q, exact_p = piece.rotations[:, joints], piece.positions[:, joints]
    own_q, own_p = take.rotations[:, joints], take.positions[:, joints]
    for edge, sign, near in _edges(constraint, room):
        here = edge - constraint.start
        turn, shift = _turn(own_q[edge], exact_q[here]), exact_p[here] - own_p[edge]
        spin = velocity = torch.zeros_like(shift)
        if moving:
            spin = _turn(exact_q[here - sign], exact_q[here]) - _turn(own_q[edge], own_q[edge + sign])
            velocity = (exact_p[here] - exact_p[here - sign]) - (own_p[edge + sign] - own_p[edge])
        weight = decay_weights(len(near) + 1, len(near) + 1)[1:].to(q)[:, :, None, None]
        bend = rotation.exp(weight[:, 0] * turn + weight[:, 1] * spin)
        q[near[:, None], joints] = rotation.mul(bend, own_q[near])
        p[near[:, None], joints] = own_p[near] + weight[:, 0] * shift + weight[:, 1] * velocity
    span = slice(constraint.start, constraint.stop)
    q[span, joints], p[span, joints] = exact_q, exact_p
    return replace(take, rotations=q, positions=p)


def _turn(a: Float[Tensor, "*b 4"], b: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3"]:
    """Return the rotation vector from one rotation to another."""
    return rotation.log(rotation.mul(b, rotation.inv(a)))


def meet_in_world(
    features: Features, edit: Edit, x: Float[Tensor, "n t d"], dt: float, start: Start
) -> tuple[Float[Tensor, "n t d"], Start]:
    """Bend turns and steps between constraints of the root in world space so that each is met; return a start, too."""
    s, at = features.skeleton, features.slices
    pins = [c for c in edit.exact_constraints if c.world_space and s.root in s.select(c.joints)]
    if not pins:
        return x, start
    x, pins = x.clone(), sorted(pins, key=lambda c: c.start)
    first = features.start(pins[0].motion)
    heading, _ = features.trajectory(x, dt)
    start = replace(start, heading=first.heading - heading[:, pins[0].start])
    for before, pin in zip(pins, pins[1:]):
        heading, _ = features.trajectory(x, dt, start)
        missing = features.start(pin.motion).heading - heading[:, pin.start]
        missing = torch.remainder(missing + math.pi, 2 * math.pi) - math.pi
        bump = bump_window(before.stop, pin.start, x)
        x[:, before.stop : pin.start + 1, at["root_turn"]] += (missing[:, None] * bump / dt)[..., None]
    _, path = features.trajectory(x, dt, start)
    offset = path[:, pins[0].start]
    start = replace(start, x=first.x - offset[:, 0] + start.x, z=first.z - offset[:, 2] + start.z)
    if features.uneven:
        start = replace(start, ground=first.ground - _ground(x, at, dt, start)[:, pins[0].start] + start.ground)
    for before, pin in zip(pins, pins[1:]):
        heading, path = features.trajectory(x, dt, start)
        goal, bump = features.start(pin.motion), bump_window(before.stop, pin.start, x)
        missing = (path.new_tensor([goal.x, 0.0, goal.z]) - path[:, pin.start]) * path.new_tensor([1.0, 0.0, 1.0])
        steps = missing[:, None] * bump[:, None] / dt
        local = rotation.rotate(rotation.about("y", -heading[:, before.stop - 1 : pin.start]), steps)
        x[:, before.stop : pin.start + 1, at["root_velocity"]] += local[..., (0, 2)].to(x.dtype)
        if features.uneven:
            rise = goal.ground - _ground(x, at, dt, start)[:, pin.start]
            x[:, before.stop : pin.start + 1, at["ground_velocity"]] += (rise[:, None] * bump / dt)[..., None]
    return x, start


def _ground(x: Float[Tensor, "n t d"], at: dict[str, slice], dt: float, start: Start) -> Float[Tensor, "n t"]:
    """Return the height of the ground under takes, metres."""
    rise = x[..., at["ground_velocity"].start] * dt
    rise[..., 0] = start.ground
    return rise.cumsum(-1)


def bump_window(first: int, last: int, like: Tensor) -> Float[Tensor, "t"]:
    """Return weights of the frames from ``first`` to ``last``, that included, which rise and fall and sum to one."""
    count = last - first + 1
    weight = torch.sin(math.pi * (torch.arange(count, device=like.device) + 1) / (count + 1)).square()
    return weight / weight.sum()
