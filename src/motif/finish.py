"""From matched features to a take: what stands is steadied, kept pieces are imposed and met, the way is gone, feet are
locked.

What is kept is kept bit for bit. Beside it the take leans over with the offset and the speed that it misses there, so
that neither pose nor velocity jumps (inertialisation, Bollo 2018).
"""

import math
import warnings
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from . import contact, rotation
from .edit import Constraint, Edit, Trajectory
from .errors import MotifWarning
from .features import Features, Start
from .motion import Motion, decay_weights, unwrap
from .paper_features import PaperFeatures
from .skeleton import Skeleton

HURRY = 1.4
"""Takes are shown at most this much faster or slower than the clips, to be somewhere in time."""
SLOPE = 1 / 30
"""Seconds over which accelerations beside a kept piece are measured."""
FAR = 2.0
"""From how many times as fast or slow on there is a warning."""
STEADY = 0.5
"""Seconds: what the root does within them is how the body moves, what it does over longer is where it goes."""


def take(
    features: Features, edit: Edit, x: Float[Tensor, "1 t e"], dt: float, start: Start, lock: bool, name: str
) -> Motion:
    """A take from features, slides and treads.

    Args:
        features: the layout.
        edit: what is kept, and the way.
        x: of one take, from :func:`slide` and :func:`tread` beside the features.
        dt: seconds a frame.
        start: where it begins, if nothing else says so.
        lock: whether standing feet are held.
        name: of the take.
    """
    s = features.skeleton
    x, foot_drifts, contact_velocities = x.split((features.width, 2, 3 * len(s.contacts)), -1)
    if lock and s.contacts:
        x = x.clone()
        x[..., features.slices["root_velocity"]] += foot_drifts - foot_drift(features, x, dt)
    imposed = _impose(features, edit, x, dt) if edit.exact_constraints else x
    if edit.trajectory is not None:
        imposed, start = warp_to_trajectory(features, edit.trajectory, imposed, dt)
    elif edit.exact_constraints:
        imposed, start = _meet(features, edit, imposed, dt, start)
    rotations, positions = features.decode(imposed, dt, start)
    if lock and s.contacts:
        height_offset = _lift(features, edit, x, imposed, dt) if edit.exact_constraints else None
        rotations = _locked(features, edit, x, imposed, contact_velocities, dt, rotations, positions, height_offset)
    whole = Motion(s, rotations[0], positions[0], dt, name, features.file_format)
    if not edit.exact_constraints:
        return whole
    facing, path = features.trajectory(imposed, dt, start)
    for keep in edit.exact_constraints:
        whole = _held(whole, keep, _room(edit, s, keep, len(whole)), float(facing[0, keep.start]), path[0, keep.start])
    return whole


# --- kept pieces -----------------------------------------------------------------------------------------------------
def _room(edit: Edit, s: Skeleton, keep: Constraint, frames: int) -> tuple[int, int]:
    """Frames before and after a kept piece that may lean towards it: no more than half the way to the next one."""
    joints = set(s.select(keep.joints))
    others = [k for k in edit.exact_constraints if k is not keep and joints & set(s.select(k.joints))]
    passed = max((k.stop for k in others if k.stop <= keep.start), default=None)
    coming = min((k.start for k in others if k.start >= keep.stop), default=None)
    fade = max(round(keep.blend / keep.motion.frame_time), 1)
    before = keep.start if passed is None else (keep.start - passed) // 2
    after = frames - keep.stop if coming is None else (coming - keep.stop) // 2
    return min(fade, before), min(fade, after)


def _impose(features: Features, edit: Edit, x: Float[Tensor, "n t d"], dt: float) -> Float[Tensor, "n t d"]:
    """Kept channels set, and what stands before and after in time leaning towards them."""
    s, x, places = features.skeleton, x.clone(), torch.ones(features.width)
    for name in ("root_velocity", "root_turn", "contacts"):  # velocities have no accelerations to go on with
        places[features.slices[name]] = 0
    for keep in edit.exact_constraints:
        one = len(keep.motion) == 1
        mask = features.channel_mask(s.select(keep.joints), moving=not one).to(x.dtype)
        target, (before, after) = features.encode(keep.motion), _room(edit, s, keep, x.shape[1])
        for edge, sign, count in ((keep.start, -1, before), (keep.stop - 1, 1, after)):
            if not count:
                continue
            here, near = edge - keep.start, edge + sign * torch.arange(1, count + 1)
            missing = [target[here] - x[:, edge], torch.zeros_like(x[:, edge]), torch.zeros_like(x[:, edge])]
            missing[0][:, features.slices["contacts"]] = 0  # what stands beside it still does
            if not one:
                missing[1] = (target[here] - target[here - sign]) - (x[:, edge + sign] - x[:, edge])
            step = sign * min(max(round(SLOPE / dt), 1), (len(target) - 1) // 2, count // 2)
            if step:  # accelerations over a few frames: of single ones they are mostly noise
                a, b, c = target[here], target[here - step], target[here - 2 * step]
                p, q, r = x[:, edge], x[:, edge + step], x[:, edge + 2 * step]
                bent, bend = (a - 2 * b + c) / step**2, (p - 2 * q + r) / step**2
                missing[2] = (bent - bend) * places
            weight = decay_weights(count + 1, count + 1)[1:].to(x.dtype)
            x[:, near] += mask * torch.einsum("tw,wnd->ntd", weight, torch.stack(missing))
        x[:, keep.start : keep.stop] += mask * (target - x[:, keep.start : keep.stop])
    return x


def _held(whole: Motion, keep: Constraint, room: tuple[int, int], facing: float, place: Float[Tensor, "3"]) -> Motion:
    """The kept joints copied, fingers that nothing learns included, and what jumps beside them bent to follow."""
    s, piece, one = whole.skeleton, keep.motion, len(keep.motion) == 1
    joints = list(s.select(keep.joints))
    if not keep.world_space and s.root in joints:
        piece = piece.transform(facing - float(piece.heading()[0]))
        gap = place.to(piece.positions) - piece.world()[1][0, s.root]
        piece = piece.transform(0.0, (float(gap[0]), 0.0, float(gap[2])))
    q, p = whole.rotations.clone(), whole.positions.clone()
    kept_q, kept_p = piece.rotations[:, joints], piece.positions[:, joints]
    for edge, sign, count in ((keep.start, -1, room[0]), (keep.stop - 1, 1, room[1])):
        if not count:
            continue
        here, near = edge - keep.start, edge + sign * torch.arange(1, count + 1)
        own_q, own_p = whole.rotations[:, joints], whole.positions[:, joints]
        turn = _between(own_q[edge], kept_q[here])
        step = kept_p[here] - own_p[edge]
        turning, moving = torch.zeros_like(turn), torch.zeros_like(step)
        if not one:
            turning = _between(kept_q[here - sign], kept_q[here]) - _between(own_q[edge], own_q[edge + sign])
            moving = (kept_p[here] - kept_p[here - sign]) - (own_p[edge + sign] - own_p[edge])
        weight = decay_weights(count + 1, count + 1)[1:].to(q.dtype)[:, :, None, None]
        bend = rotation.exp(weight[:, 0] * turn + weight[:, 1] * turning)
        q[near[:, None], joints] = rotation.mul(bend, own_q[near])
        p[near[:, None], joints] = own_p[near] + weight[:, 0] * step + weight[:, 1] * moving
    q[keep.start : keep.stop, joints], p[keep.start : keep.stop, joints] = kept_q, kept_p
    return replace(whole, rotations=q, positions=p)


def _between(a: Float[Tensor, "*b 4"], b: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3"]:
    """The turn that takes one rotation to another."""
    return rotation.log(rotation.mul(b, rotation.inv(a)))


def _lift(
    features: Features, edit: Edit, x: Float[Tensor, "n t d"], imposed: Float[Tensor, "n t d"], dt: float
) -> Float[Tensor, "n t c"] | None:
    """How far a kept trunk has sunk the new limbs below it: contacts should be as high as they were matched."""
    s = features.skeleton
    carried = torch.zeros(x.shape[1], len(s.contacts), dtype=torch.bool)
    for keep in edit.exact_constraints:
        joints = set(s.select(keep.joints))
        free = torch.tensor([s.root in joints and c not in joints for c in s.contacts], dtype=torch.bool)
        before, after = _room(edit, s, keep, x.shape[1])
        carried[keep.start - before : keep.stop + after] |= free
    if not carried.any():
        return None
    was, now = (contact.feet(s, *features.decode(y, dt, joints=s.contact_rig[1]))[..., 1] for y in (x, imposed))
    return torch.where(carried, was - now, 0.0)


def _meet(
    features: Features, edit: Edit, x: Float[Tensor, "n t d"], dt: float, start: Start
) -> tuple[Float[Tensor, "n t d"], Start]:
    """Turns and steps between kept stretches of root path bent so that each is met where and as it stands."""
    s, at = features.skeleton, features.slices
    pins = sorted(
        (k for k in edit.exact_constraints if k.world_space and s.root in s.select(k.joints)), key=lambda k: k.start
    )
    if not pins:
        return x, start
    x = x.clone()
    begin = features.start(pins[0].motion)
    facing, _ = features.trajectory(x, dt)
    start = replace(start, heading=begin.heading - facing[:, pins[0].start])
    for before, pin in zip(pins, pins[1:]):
        facing, _ = features.trajectory(x, dt, start)
        missing = _turn(features.start(pin.motion).heading - facing[:, pin.start])
        x[:, before.stop : pin.start + 1, at["root_turn"]] += (
            missing[:, None] * bump_window(before.stop, pin.start) / dt
        )[..., None]
    _, path = features.trajectory(x, dt, start)
    at_first = path[:, pins[0].start]
    start = replace(start, x=begin.x - at_first[:, 0] + start.x, z=begin.z - at_first[:, 2] + start.z)
    for before, pin in zip(pins, pins[1:]):
        facing, path = features.trajectory(x, dt, start)
        goal = features.start(pin.motion)
        missing = torch.tensor([goal.x, 0.0, goal.z]).double() - path[:, pin.start]
        missing[:, 1] = 0
        steps = missing[:, None] * bump_window(before.stop, pin.start)[:, None] / dt
        local = rotation.rotate(rotation.about("y", -facing[:, before.stop - 1 : pin.start]), steps)
        x[:, before.stop : pin.start + 1, at["root_velocity"]] += local[..., (0, 2)].to(x.dtype)
    return x, start


def _turn(angle: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """The same turn the short way round."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def bump_window(first: int, last: int) -> Float[Tensor, "t"]:
    """Weights over frames ``first`` to ``last`` (included) that rise and fall smoothly and sum to one."""
    count = last - first + 1
    weight = torch.sin(math.pi * (torch.arange(count) + 1) / (count + 1)).square()
    return weight / weight.sum()


# --- the way ---------------------------------------------------------------------------------------------------------
def sample_trajectory(
    way: Trajectory, pace: Float[Tensor, "t"] | None, frames: int, dt: float
) -> tuple[Float[Tensor, "t 2"], Float[Tensor, "t"] | None]:
    """Where the root is in every frame (x, z, metres), and its heading where the way says so, float64.

    Args:
        way: with times, they count, and what is left of the take is spent at its end.
        pace: without times, how fast the take goes in each frame, in any unit; evenly if not given.
        frames: of the take.
        dt: seconds a frame.
    """
    points = torch.tensor(way.points, dtype=torch.float64)
    legs = torch.cat((torch.zeros(1).double(), points.diff(dim=0).norm(dim=1).cumsum(0)))
    if way.times is not None:
        knots, at = torch.tensor(way.times, dtype=torch.float64), torch.arange(frames).double() * dt
    else:
        gone = torch.ones(frames).double() if pace is None else pace.double().clamp_min(1e-9)
        gone = gone.cumsum(0) - gone[0]
        knots, at = legs, legs[-1] * gone / gone[-1].clamp_min(1e-9)
    before = (torch.searchsorted(knots, at, right=True) - 1).clamp(0, len(knots) - 2)
    share = ((at - knots[before]) / (knots[before + 1] - knots[before]).clamp_min(1e-9)).clamp(0, 1)
    place = torch.lerp(points[before], points[before + 1], share[:, None])
    if way.facing is None:
        return place, None
    facing = unwrap(torch.tensor(way.facing, dtype=torch.float64))
    return place, smoothed_path(torch.lerp(facing[before], facing[before + 1], share)[:, None], 0.2, dt)[:, 0]


def travel_direction(step: Float[Tensor, "t 2"], dt: float) -> Float[Tensor, "t"]:
    """Direction of travel (as headings) of steps along x and z; where nothing goes, that of the time around."""
    z = contact.smooth(step, STEADY / dt)
    for wider in (4, 16):
        z = z + 0.05 / wider * contact.smooth(step, wider * STEADY / dt)
    return unwrap(torch.atan2(z[:, 0], z[:, 1]))


def trajectory_velocities(
    features: Features, way: Trajectory, frames: int, dt: float, ahead: float, pace: float = 1.0
) -> tuple[Float[Tensor, "t 2"], Float[Tensor, "t 1"]]:
    """Root velocity and turn, as the features have them, of a body that goes the way evenly.

    ``ahead`` is the direction in which the clips go, seen from the heading, radians; ``pace`` how much faster frames
    will be shown.
    """
    place, facing = sample_trajectory(way, None, frames, dt / pace)
    step = _steps(smoothed_path(place, STEADY / 2, dt))
    going = smoothed_path(travel_direction(step, dt)[:, None], STEADY / 2, dt)[:, 0]
    facing = going - ahead if facing is None else facing
    return to_local_frame(step, facing) / dt, _steps(facing[:, None]) / dt


def speed_ratio(features: Features, way: Trajectory, x: Float[Tensor, "t d"], dt: float) -> float:
    """How much faster than they do features would have to go to be at the end of the way in time."""
    path = features.trajectory(x[None], dt)[1][0][:, (0, 2)]
    own = float(_steps(smoothed_path(path, STEADY, dt))[1:].norm(dim=1).sum())
    wanted = way.length / max(own, 1e-9)
    if not 1 / FAR < wanted < FAR:
        warnings.warn(
            f"the way asks to go {wanted:.2g} times as fast as the clips do there ({own / (len(x) * dt):.2g} m/s): "
            f"feet will slide; give it about {wanted * len(x) * dt:.3g} s, or clips that go at its speed",
            MotifWarning,
            stacklevel=2,
        )
    return min(max(wanted, 1 / HURRY), HURRY)


def warp_to_trajectory(
    features: Features, way: Trajectory, x: Float[Tensor, "1 t d"], dt: float
) -> tuple[Float[Tensor, "1 t d"], Start]:
    """Turns and steps bent so that the root goes the way; how the body sways about it stays as it was."""
    at, frames = features.slices, x.shape[1]
    facing, path = features.trajectory(x[0], dt)
    path = path[:, (0, 2)]
    course = smoothed_path(path, STEADY, dt)
    step = _steps(course)
    place, wanted = sample_trajectory(way, step.norm(dim=1), frames, dt)
    place = smoothed_path(place, STEADY / 2, dt)
    if wanted is None:
        going = smoothed_path(travel_direction(_steps(place), dt)[:, None], STEADY / 2, dt)[
            :, 0
        ]  # who turns back takes a moment
        turned = facing - travel_direction(step, dt) + going
    else:
        turned = facing - smoothed_path(facing[:, None], STEADY, dt)[:, 0] + wanted
    sway = to_local_frame(path - course, facing)
    place = place + to_local_frame(sway, -turned)
    x = x.clone()
    x[0, :, at["root_turn"]] = (_steps(turned[:, None]) / dt).to(x.dtype)
    x[0, :, at["root_velocity"]] = (to_local_frame(_steps(place), torch.cat((turned[:1], turned[:-1]))) / dt).to(
        x.dtype
    )
    return x, Start(float(place[0, 0]), float(place[0, 1]), float(turned[0]))


def smoothed_path(x: Float[Tensor, "t n"], seconds: float, dt: float) -> Float[Tensor, "t n"]:
    """Places smoothed over some seconds, such that what goes at an end goes on there."""
    radius = min(max(math.ceil(3 * seconds / dt), 1), len(x) - 1)
    before, after = 2 * x[:1] - x[1 : radius + 1].flip(0), 2 * x[-1:] - x[-radius - 1 : -1].flip(0)
    return contact.smooth(torch.cat((before, x, after)), seconds / dt)[radius : radius + len(x)]


def _steps(x: Float[Tensor, "t n"]) -> Float[Tensor, "t n"]:
    """Differences to the frame before; the first is the second."""
    step = x.diff(dim=0)
    return torch.cat((step[:1], step)) if len(step) else torch.zeros_like(x)


def to_local_frame(step: Float[Tensor, "t 2"], facing: Float[Tensor, "t"]) -> Float[Tensor, "t 2"]:
    """Steps along x and z as seen by who faces so."""
    c, s = torch.cos(facing), torch.sin(facing)
    return torch.stack((c * step[:, 0] - s * step[:, 1], s * step[:, 0] + c * step[:, 1]), 1)


# --- feet ------------------------------------------------------------------------------------------------------------
def foot_drift(features: Features, x: Float[Tensor, "*b t d"], dt: float) -> Float[Tensor, "*b t 2"]:
    """How fast what stands slides, x and z in the heading frame of the frame before, m/s.

    Averages of stretches agree on poses better than on the path, so takes slide more than their exemplar does; the
    difference, taken off the root's velocity, is most of what a foot lock would otherwise have to bend legs for.
    """
    s, at = features.skeleton, features.slices
    if not contact.limbs(s):
        return torch.zeros_like(x[..., at["root_velocity"]])
    on = contact.without_short(x[..., at["contacts"]] > 0.5, round(contact.SHORTEST / dt))
    world = contact.drift(contact.feet(s, *features.decode(x, dt, joints=s.contact_rig[1])), on, dt)
    return rotation.rotate(rotation.inv(_before(features, x, dt)), world)[..., (0, 2)]


def contact_velocity(features: Features, x: Float[Tensor, "*b t d"], dt: float) -> Float[Tensor, "*b t e"]:
    """Velocity of every contact joint in the heading frame of the frame before, m/s."""
    s = features.skeleton
    world = contact.feet(s, *features.decode(x, dt, joints=s.contact_rig[1]))
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
    imposed: Float[Tensor, "n t d"],
    contact_velocity: Float[Tensor, "n t e"],
    dt: float,
    rotations: Float[Tensor, "n t j 4"],
    positions: Float[Tensor, "n t j 3"],
    height_offset: Float[Tensor, "n t c"] | None = None,
) -> Float[Tensor, "n t j 4"]:
    """Feet locked where the matched contact labels say so; a loop is locked with its neighbouring rounds around it."""
    s, frames = features.skeleton, x.shape[1]
    around = min(round(2 / dt), frames) if edit.loop else 0
    index = torch.arange(-around, frames + around) % frames
    q, p = features.decode(imposed[:, index], dt) if around else (rotations, positions)
    if imposed is not x:  # by what is asked feet move that stood, and shall
        q_was, p_was = features.decode(x[:, index], dt, joints=s.contact_rig[1])
    else:
        q_was, p_was = q, p
    slow = contact.speed(contact.feet(s, q_was, p_was), dt) < 1.5 * contact.SPEED * s.height  # what moves is not held
    on = (imposed[:, index, features.slices["contacts"]] > 0.5) & slow
    on = contact.without_short(on, round(contact.SHORTEST / dt))
    fixed = edit.mask(s, frames)[index].expand(len(x), -1, -1)
    world = rotation.rotate(
        _before(features, imposed[:, index], dt)[:, :, None], contact_velocity[:, index].unflatten(-1, (-1, 3))
    )
    if height_offset is not None:
        height_offset = height_offset[:, index]
    locked = contact.lock(s, q, p, on, dt, fixed=fixed, contact_velocity=world * dt, height_offset=height_offset)[
        :, around : around + frames
    ]
    above = list(s.ancestors(s.root))
    locked[:, :, above] = rotations[:, :, above]
    return locked


# --- streams ---------------------------------------------------------------------------------------------------------
def finalize_paper_take(
    features: PaperFeatures, x: Float[Tensor, "t c"], like: Motion, foot_lock: bool = True, name: str = ""
) -> Motion:
    """Return the papers' channels as a motion of the whole rig, at the rate of ``like``; feet locked if asked."""
    q, p = features.pose(x)
    if foot_lock:
        q = contact.lock(features.skeleton, q, p, features.contact_labels(x), 1 / features.RATE)
    return features.expand(q, p, like, name)


def following(last: Motion, take: Motion, first: int, fade: int) -> Motion:
    """The take placed so that its frame ``first`` lies on the first one of ``last``, and faded in from there."""
    s = take.skeleton
    take = take.transform(float(last.heading()[0] - take.heading()[first]))
    gap = last.world()[1][0, s.root] - take.world()[1][first, s.root]
    take = take.transform(0.0, (float(gap[0]), 0.0, float(gap[2])))
    rotations, positions = take.rotations.clone(), take.positions.clone()
    share = contact.smoothstep(fade)
    span = slice(first, first + fade)
    rotations[span] = rotation.slerp(last.rotations, rotations[span], share[:, None].expand(-1, len(s)))
    positions[span] = torch.lerp(last.positions, positions[span], share[:, None, None])
    return replace(take, rotations=rotations, positions=positions)
