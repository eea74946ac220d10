"""From matched features to a take: what stands is steadied, kept pieces are imposed and met, feet are locked."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from . import contact, rotation
from .edit import Edit
from .features import Features, Start
from .motion import Motion


def _impose(features: Features, edit: Edit, x: Float[Tensor, "n t d"], fade: int) -> Float[Tensor, "n t d"]:
    """Kept channels set; what stands before and after in time leans towards them over ``fade`` frames."""
    x = x.clone()
    for keep in edit.kept:
        mask = features.channels(features.skeleton.select(keep.joints)).to(x.dtype)
        target = features.encode(keep.motion)
        lean = torch.cos(torch.linspace(0, math.pi, fade + 2))[1:-1, None] / 2 + 0.5
        before, after = min(fade, keep.start), min(fade, x.shape[1] - keep.stop)
        first, last = target[0] - x[:, keep.start], target[-1] - x[:, keep.stop - 1]
        x[:, keep.start - before : keep.start] += (lean.flip(0)[fade - before :] * mask) * first[:, None]
        x[:, keep.stop : keep.stop + after] += (lean[:after] * mask) * last[:, None]
        x[:, keep.start : keep.stop] += mask * (target - x[:, keep.start : keep.stop])
    return x


def _meet(
    features: Features, edit: Edit, x: Float[Tensor, "n t d"], dt: float, start: Start
) -> tuple[Float[Tensor, "n t d"], Start]:
    """Turns and steps between kept stretches of root path bent so that each is met where and as it stands."""
    s, at = features.skeleton, features.slices
    pins = sorted((k for k in edit.kept if s.root in s.select(k.joints)), key=lambda k: k.start)
    if not pins:
        return x, start
    x = x.clone()
    begin = features.start(pins[0].motion)
    facing, _ = features.trajectory(x, dt)
    start = replace(start, heading=begin.heading - facing[:, pins[0].start])
    for before, pin in zip(pins, pins[1:]):
        facing, _ = features.trajectory(x, dt, start)
        missing = _turn(features.start(pin.motion).heading - facing[:, pin.start])
        x[:, before.stop : pin.start + 1, at["root_turn"]] += (missing[:, None] * _bump(before.stop, pin.start) / dt)[
            ..., None
        ]
    _, path = features.trajectory(x, dt, start)
    at_first = path[:, pins[0].start]
    start = replace(start, x=begin.x - at_first[:, 0] + start.x, z=begin.z - at_first[:, 2] + start.z)
    for before, pin in zip(pins, pins[1:]):
        facing, path = features.trajectory(x, dt, start)
        goal = features.start(pin.motion)
        missing = torch.tensor([goal.x, 0.0, goal.z]).double() - path[:, pin.start]
        missing[:, 1] = 0
        steps = missing[:, None] * _bump(before.stop, pin.start)[:, None] / dt
        local = rotation.rotate(rotation.about("y", -facing[:, before.stop - 1 : pin.start]), steps)
        x[:, before.stop : pin.start + 1, at["root_velocity"]] += local[..., (0, 2)].to(x.dtype)
    return x, start


def _turn(angle: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """The same turn the short way round."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def _bump(first: int, last: int) -> Float[Tensor, "t"]:
    """Weights over frames ``first`` to ``last`` (included) that rise and fall smoothly and sum to one."""
    count = last - first + 1
    weight = torch.sin(math.pi * (torch.arange(count) + 1) / (count + 1)).square()
    return weight / weight.sum()


def take(
    features: Features, edit: Edit, x: Float[Tensor, "1 t e"], dt: float, start: Start, lock: bool, name: str
) -> Motion:
    """A take from features, slides and treads: what stands steadied, kept pieces imposed and met, feet locked."""
    s = features.skeleton
    x, slides, treads = x.split((features.width, 2, 3 * len(s.contacts)), -1)
    if lock and s.contacts:
        x = x.clone()
        x[..., features.slices["root_velocity"]] += slides - slide(features, x, dt)
    x = _impose(features, edit, x, max(round(0.25 / dt), 1))
    x, start = _meet(features, edit, x, dt, start)
    rotations, positions = features.decode(x, dt, start)
    if lock and s.contacts:
        rotations = _locked(features, edit, x, treads, dt, rotations, positions)
    for keep in edit.kept:
        joints = list(s.select(keep.joints))
        rotations[:, keep.start : keep.stop, joints] = keep.motion.rotations[:, joints]
        positions[:, keep.start : keep.stop, joints] = keep.motion.positions[:, joints]
    return Motion(s, rotations[0], positions[0], dt, name, features.style)


def following(last: Motion, take: Motion, first: int, fade: int) -> Motion:
    """The take placed so that its frame ``first`` lies on the first one of ``last``, and faded in from there."""
    s = take.skeleton
    take = take.place(float(last.heading()[0] - take.heading()[first]))
    gap = last.world()[1][0, s.root] - take.world()[1][first, s.root]
    take = take.place(0.0, (float(gap[0]), 0.0, float(gap[2])))
    rotations, positions = take.rotations.clone(), take.positions.clone()
    share = contact.smoothstep(fade)
    span = slice(first, first + fade)
    rotations[span] = rotation.slerp(last.rotations, rotations[span], share[:, None].expand(-1, len(s)))
    positions[span] = torch.lerp(last.positions, positions[span], share[:, None, None])
    return replace(take, rotations=rotations, positions=positions)


def slide(features: Features, x: Float[Tensor, "*b t d"], dt: float) -> Float[Tensor, "*b t 2"]:
    """How fast what stands slides, x and z in the heading frame of the frame before, m/s.

    Averages of stretches agree on poses better than on the path, so takes slide more than their exemplar does; the
    difference, taken off the root's velocity, is most of what a foot lock would otherwise have to bend legs for.
    """
    s, at = features.skeleton, features.slices
    if not contact.limbs(s):
        return torch.zeros_like(x[..., at["root_velocity"]])
    on = contact.without_short(x[..., at["contacts"]] > 0.5, round(contact.SHORTEST / dt))
    world = contact.drift(contact.feet(s, *features.decode(x, dt, joints=s.standing[1])), on, dt)
    return rotation.rotate(rotation.inv(_before(features, x, dt)), world)[..., (0, 2)]


def tread(features: Features, x: Float[Tensor, "*b t d"], dt: float) -> Float[Tensor, "*b t e"]:
    """Velocity of every contact joint in the heading frame of the frame before, m/s."""
    s = features.skeleton
    world = contact.feet(s, *features.decode(x, dt, joints=s.standing[1]))
    step = world.diff(dim=-3) / dt
    step = torch.cat((step[..., :1, :, :], step), -3) if step.shape[-3] else torch.zeros_like(world)
    return rotation.rotate(rotation.inv(_before(features, x, dt))[..., None, :], step).flatten(-2)


def _before(features: Features, x: Float[Tensor, "*b t d"], dt: float) -> Float[Tensor, "*b t 4"]:
    """The heading of the frame before each as a rotation: the frame that steps are told in."""
    facing, _ = features.trajectory(x, dt)
    return rotation.about("y", torch.cat((facing[..., :1], facing[..., :-1]), -1).to(x.dtype))


def _locked(
    features: Features,
    edit: Edit,
    x: Float[Tensor, "n t d"],
    tread: Float[Tensor, "n t e"],
    dt: float,
    rotations: Float[Tensor, "n t j 4"],
    positions: Float[Tensor, "n t j 3"],
) -> Float[Tensor, "n t j 4"]:
    """Feet locked where the matched contact labels say so; a loop is locked with its neighbouring rounds around it."""
    s, frames = features.skeleton, x.shape[1]
    around = min(round(2 / dt), frames) if edit.loop else 0
    index = torch.arange(-around, frames + around) % frames
    q, p = features.decode(x[:, index], dt) if around else (rotations, positions)
    slow = (
        contact.speed(contact.feet(s, q, p), dt) < 1.5 * contact.SPEED * s.height
    )  # what still moves is not to be held
    on = (x[:, index, features.slices["contacts"]] > 0.5) & slow
    on = contact.without_short(on, round(contact.SHORTEST / dt))
    fixed = edit.mask(s, frames)[index].expand(len(x), -1, -1)
    world = rotation.rotate(_before(features, x[:, index], dt)[:, :, None], tread[:, index].unflatten(-1, (-1, 3)))
    locked = contact.lock(s, q, p, on, dt, fixed=fixed, tread=world * dt)[:, around : around + frames]
    above = list(s.ancestors(s.root))
    locked[:, :, above] = rotations[:, :, above]
    return locked
