"""Feet: what drifts is steadied, and what stands is locked by inverse kinematics of its limb."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import contact, rotation
from ..edit import Edit
from ..features import Features
from ..skeleton import Skeleton
from .constraints import blend_room

Encoded = Float[Tensor, "n t d"]
Pose = tuple[Float[Tensor, "*b t j 4"], Float[Tensor, "*b t j 3"]]
Points = Float[Tensor, "b t c 3"]
Parts = dict[int, rotation.Components]
LIFT = 0.03  # body heights by which a foot is lifted that must step aside
SLIDE_SECONDS = 0.08  # sigma over which what the root's velocity is corrected by is smoothed: less makes the body jump
LIKELY = 0.2  # share of the clips by which a foot stands from which it is taken to, where no foot does by more
APART = 0.1  # body heights a second that standing feet differ by from their mean where one of them must give way
EASE = 0.15  # seconds over which a correction comes and goes
MAX_PULL = 0.15  # a foot is pulled at most about this fraction of its limb's length
DAMPING = 0.08  # damping of the inverse kinematics as a fraction of the limb's length


# --- features of feet ------------------------------------------------------------------------------------------------
def foot_drift(
    features: Features, x: Float[Tensor, "*b t d"], dt: float, world: Float[Tensor, "*b t c 3"] | None = None
) -> Float[Tensor, "*b t e"]:
    """Return how fast standing feet slide, x and z in the heading frame of the frame before, m/s; y, too, where the
    ground is not level.

    Averages of patches agree on poses better than on the path, so takes slide more than the clips; the difference,
    taken off the root's velocity, is most of what a foot lock would otherwise have to bend legs for. ``world`` is where
    contact joints are, if known.
    """
    s, at = features.skeleton, features.slices
    if not contact_limbs(s):
        return x.new_zeros(*x.shape[:-1], 2 + features.uneven)
    on = contact.without_short(labelled(x[..., at["contacts"]]), round(contact.SHORTEST / dt))
    drift = contact.drift(_feet(features, x, dt) if world is None else world, on, dt)
    drift = rotation.rotate(rotation.inv(_heading_before(features, x, dt)), drift)
    return drift[..., (0, 2, 1) if features.uneven else (0, 2)]


def held_drift(
    features: Features, x: Float[Tensor, "1 t d"], dt: float
) -> tuple[Float[Tensor, "1 t e"], Float[Tensor, "1 t c"]]:
    """Return the :func:`foot_drift` of a take, of one foot alone where feet that stand slide apart, and who gives way.

    Where a take changes from one place of its clips to another, feet stand in both, but elsewhere: the mean of both
    slides them over the ground together. One who moves stays on one foot, which is the one that slides least, and
    takes a step with the other: that foot's contacts give way, 0 to 1.
    """
    s, at = features.skeleton, features.slices
    drift, limbs = foot_drift(features, x, dt), contact_limbs(s)
    aside = x.new_zeros(*x.shape[:2], len(s.contacts))
    if len(limbs) != 2 or x.shape[1] < 2:  # on three feet and more the mean holds
        return drift, aside
    world = _feet(features, x, dt)
    on = contact.without_short(labelled(x[..., at["contacts"]]), round(contact.SHORTEST / dt))
    step = world.diff(dim=1)[0] / dt
    step = torch.cat((step[:1], step)) * step.new_tensor([1.0, float(features.uneven), 1.0])
    stands = torch.stack([on[0, :, own].any(-1) for _, own in limbs], -1)
    moves = [
        (step[:, own] * on[0, :, own, None]).sum(1) / on[0, :, own].sum(1).clamp_min(1)[:, None] for _, own in limbs
    ]
    moves = contact.smooth(torch.stack(moves, 1).flatten(1), contact.SMOOTH / dt).unflatten(1, (-1, 3))
    mean = (moves * stands[..., None]).sum(1) / stands.sum(1).clamp_min(1)[:, None]
    apart = ((moves - mean[:, None]).norm(dim=-1) * stands).amax(1)
    before = _heading_before(features, x, dt)
    for a, b in contact.runs(apart > APART * s.height):
        still, move = stands[a:b].sum(0), moves[a:b]
        way = (move.norm(dim=-1) * stands[a:b]).sum(0) / still.clamp_min(1)
        stay = int(way.masked_fill(2 * still < b - a, torch.inf).argmin())
        local = rotation.rotate(rotation.inv(before[0, a:b]), move[:, stay])
        local = local[:, (0, 2, 1) if features.uneven else (0, 2)]
        drift[0, a:b] = torch.where(stands[a:b, stay, None], local, drift[0, a:b])
        for k, (_, own) in enumerate(limbs):
            off = (move[:, k] - move[:, stay]).norm(dim=-1)[stands[a:b, k]]
            if k != stay and len(off) and float(off.mean()) > APART * s.height:
                aside[0, a:b, own] = torch.sin(torch.linspace(0, math.pi, b - a + 2)[1:-1]).to(x)[:, None]
    return drift, aside


def with_feet(features: Features, x: Float[Tensor, "*b t d"], dt: float) -> Float[Tensor, "*b t e"]:
    """Return features, their :func:`foot_drift` and :func:`contact_velocity`."""
    world = _feet(features, x, dt)
    return torch.cat((x, foot_drift(features, x, dt, world), contact_velocity(features, x, dt, world)), -1)


def contact_velocity(
    features: Features, x: Float[Tensor, "*b t d"], dt: float, world: Float[Tensor, "*b t c 3"]
) -> Float[Tensor, "*b t e"]:
    """Return the velocity of contact joints, x, y and z in the heading frame of the frame before, m/s."""
    step = world.diff(dim=-3) / dt
    step = torch.cat((step[..., :1, :, :], step), -3) if step.shape[-3] else torch.zeros_like(world)
    return rotation.rotate(rotation.inv(_heading_before(features, x, dt))[..., None, :], step).flatten(-2)


def _feet(features: Features, x: Float[Tensor, "*b t d"], dt: float) -> Float[Tensor, "*b t c 3"]:
    """Return where contact joints are, metres, from a start at the origin."""
    s = features.skeleton
    return contact.feet(s, *features.decode(x, dt, joints=s.contact_rig[1]))


def _heading_before(features: Features, x: Float[Tensor, "*b t d"], dt: float) -> Float[Tensor, "*b t 4"]:
    """Return the heading of the frame before each as a rotation: the frame that velocities are given in."""
    heading, _ = features.trajectory(x, dt)
    return rotation.about("y", torch.cat((heading[..., :1], heading[..., :-1]), -1).to(x.dtype))


def labelled(x: Float[Tensor, "*b t c"]) -> Bool[Tensor, "*b t c"]:
    """Return which contacts a blend of labels calls standing: above half, else the largest if it is no accident."""
    most = x.amax(-1, keepdim=True)
    return (x > 0.5) | ((most <= 0.5) & (x >= most) & (x > LIKELY))


# --- the lock of a take ----------------------------------------------------------------------------------------------
def lock_take(
    features: Features,
    edit: Edit,
    both: tuple[Encoded, Encoded],
    velocity: Float[Tensor, "n t e"],
    dt: float,
    pose: Pose,
    aside: Float[Tensor, "n t c"] | None = None,
) -> Float[Tensor, "n t j 4"]:
    """Return the local rotations of a ``pose`` with feet locked where the contacts say so.

    ``both`` are features as they were matched, and those of ``pose``, which meet constraints and trajectory (the same
    if there are none); ``velocity`` is the :func:`contact_velocity` of the first; ``aside`` says which feet step aside
    (:func:`held_drift`).
    """
    (x, edited), s, frames = both, features.skeleton, both[0].shape[1]
    around = min(round(2 / dt), frames) if edit.loop else 0
    index = torch.arange(-around, frames + around, device=x.device) % frames
    wide = edited[:, index]
    q, p = own = features.decode(wide, dt) if around else pose
    if edited is not x:  # feet that stood still stand where the edit moves them
        own = features.decode(x[:, index], dt, joints=s.contact_rig[1])
    slow = contact.speed(contact.feet(s, *own), dt) < 1.5 * contact.SPEED * s.height  # nothing fast is locked
    on = contact.without_short(labelled(wide[..., features.slices["contacts"]]) & slow, round(contact.SHORTEST / dt))
    turn = _heading_before(features, wide, dt)[:, :, None]
    steps = rotation.rotate(turn, velocity[:, index].unflatten(-1, (-1, 3))) * dt
    fixed = raised = None
    if edit.exact_constraints:
        fixed = edit.mask(s, frames).to(x.device)[index].expand(len(x), -1, -1)
        raised = height_offset(features, edit, x, edited, dt)[:, index]
    if aside is not None and aside.any():
        on = on & (aside[:, index] == 0)
        raised = (0.0 if raised is None else raised) + LIFT * s.height * aside[:, index]
    locked = lock(s, (q, p), on, dt, fixed, steps, raised)[:, around : around + frames]
    above = list(s.ancestors(s.root))
    locked[:, :, above] = pose[0][:, :, above]
    return locked


def height_offset(features: Features, edit: Edit, x: Encoded, edited: Encoded, dt: float) -> Float[Tensor, "n t c"]:
    """Return how far a constrained trunk has sunk new limbs below it, metres: feet should be as high as was matched."""
    s, frames = features.skeleton, x.shape[1]
    carried = torch.zeros(frames, len(s.contacts), dtype=torch.bool)
    for c in edit.exact_constraints:
        joints, (before, after) = set(s.select(c.joints)), blend_room(edit, s, c, frames)
        free = torch.tensor([s.root in joints and j not in joints for j in s.contacts], dtype=torch.bool)
        carried[c.start - before : c.stop + after] |= free
    if not carried.any():
        return x.new_zeros(*x.shape[:2], len(s.contacts))
    poses = (features.decode(y, dt, joints=s.contact_rig[1]) for y in (x, edited))
    matched, present = (contact.feet(s, *pose)[..., 1] for pose in poses)
    return torch.where(carried.to(x.device), matched - present, 0.0)


# --- the lock --------------------------------------------------------------------------------------------------------
def contact_limbs(skeleton: Skeleton) -> list[tuple[list[int], list[int]]]:
    """Return for each limb that stands on the ground the joints that move its contacts, and these as indices.

    The trunk has nothing to bend and is left out. Indices are into ``skeleton.contacts``.
    """
    found: dict[int, list[int]] = {}
    for index, joint in enumerate(skeleton.contacts):
        found.setdefault(skeleton.limb_of(joint), []).append(index)
    found.pop(skeleton.root, None)
    limbs = []
    for top, indices in found.items():
        lines = [skeleton.ancestors(skeleton.contacts[index]) for index in indices]
        if chain := sorted({j for line in lines for j in line[1 : line.index(top) + 1]}):
            limbs.append((chain, indices))
    return limbs


def lock(
    skeleton: Skeleton,
    pose: Pose,
    on: Bool[Tensor, "*b t c"],
    frame_time: float,
    fixed: Bool[Tensor, "*b t j"] | None = None,
    steps: Float[Tensor, "*b t c 3"] | None = None,
    height_offset: Float[Tensor, "*b t c"] | None = None,
) -> Float[Tensor, "*b t j 4"]:
    """Return local rotations with every standing contact joint (``on``) held where it stands.

    Each run of contact is pulled to its mean position; before and after it the pull dies out, starting with its own
    speed, so no frame pops. Frames that no run reaches come back bit for bit, and so does a limb in a frame in which a
    joint of it is ``fixed``. ``steps`` of each contact joint about its mean position, metres from frame to frame, let a
    foot roll as in the clip; ``height_offset`` is how many metres higher each should be, standing or not.
    """
    shape = pose[0].shape
    q, p = pose[0].reshape(-1, *shape[-3:]).clone(), pose[1].reshape(-1, *shape[-3:-1], 3)
    flags = on.reshape(len(q), *on.shape[-2:])
    exact = flags.new_zeros(q.shape[:3]) if fixed is None else fixed.reshape(q.shape[:3])
    feet = contact.feet(skeleton, q, p)
    raised = torch.zeros_like(feet)
    if height_offset is not None:
        raised[..., 1] = height_offset.reshape(raised.shape[:-1])
    path = torch.zeros_like(feet) if steps is None else steps.reshape(feet.shape).cumsum(1)
    margin, sigma = max(round(EASE / frame_time), 1), contact.SMOOTH / frame_time
    for chain, own in contact_limbs(skeleton):
        still, up = exact[:, :, chain].any(-1), raised[:, :, own]
        pull = _pulls(feet[:, :, own] + up, flags[:, :, own], still, path[:, :, own], margin)
        pull = _smoothed(up + pull, still, sigma, MAX_PULL * skeleton.chain_length[chain[0]])
        take, frame = ((pull.abs().amax((-1, -2)) > 0) & ~still).nonzero(as_tuple=True)
        if len(take):
            goal, joints = feet[take, frame][:, own] + pull[take, frame], [skeleton.contacts[c] for c in own]
            q[take, frame] = _solve(skeleton, (q[take, frame], p[take, frame]), chain, joints, goal)
    return q.reshape(shape)


def _pulls(p: Points, on: Bool[Tensor, "b t c"], exact: Bool[Tensor, "b t"], path: Points, margin: int) -> Points:
    """Return the offset that holds each contact within its runs, fading over ``margin`` frames before and after.

    Contacts that do not stand move along with those of their limb that do, so that the foot stays a foot.
    """
    b, t, c = on.shape
    runs, stays = ((on & by[..., None]).transpose(1, 2).reshape(b * c, t) for by in (~exact, exact))
    p, path = (x.transpose(1, 2).reshape(b * c * t, 3) for x in (p, path))
    edge = torch.nn.functional.pad(runs.int(), (1, 1)).diff(dim=1)
    row, start = (edge == 1).nonzero(as_tuple=True)
    stop = (edge == -1).nonzero(as_tuple=True)[1]
    first, last = row * t + start, row * t + stop - 1
    inside, length = runs.flatten().nonzero().flatten(), stop - start
    run = torch.repeat_interleave(torch.arange(len(row), device=p.device), length)
    loose = path[inside] - p[inside]  # about its mean position each contact moves as it should
    mean = p.new_zeros(len(row), 3).index_add_(0, run, loose) / length[:, None]
    offset = torch.zeros_like(p)
    offset[inside] = loose - mean[run]
    stays = torch.nn.functional.pad(stays, (1, 1))
    for n in (stays[row, start] | stays[row, stop + 1]).nonzero().flatten().tolist():  # runs that begin or end exactly
        span, before, after = slice(first[n], last[n] + 1), stays[row[n], start[n]], stays[row[n], stop[n] + 1]
        left, right = p[first[n] - 1 if before else last[n] + 1], p[last[n] + 1 if after else first[n] - 1]
        fraction = torch.linspace(0, 1, int(length[n]), device=p.device)[:, None]
        offset[span] = torch.lerp(left, right, fraction) - p[span]
    pull, strength = offset.clone(), runs.flatten().to(p.dtype)
    longer, room = (length > 1)[:, None], _room(exact, row, start, stop, c)
    for edges, inner, space, sign in ((last, last - 1, room[1], 1), (first, first + 1, room[0], -1)):
        speed = torch.where(longer, offset[edges] - offset[inner.clamp(0, max(len(offset) - 1, 0))], 0.0)
        n, step = (torch.arange(margin, device=p.device) < space.clamp(max=margin)[:, None]).nonzero(as_tuple=True)
        count = space.clamp(max=margin)[n]
        u = ((step + 1) / (count + 1))[:, None]
        onward = u * (1 + 3 * u) * (count + 1)[:, None]  # begins with the pull's own speed
        at = edges[n] + sign * (step + 1)
        pull[at] += (1 - u) ** 3 * ((1 + 3 * u + 6 * u * u) * offset[edges[n]] + onward * speed[n])
        strength[at] = torch.maximum(strength[at], (1 - u * u * (3 - 2 * u))[:, 0])
    pull, own = pull.reshape(b, c, t, 3).transpose(1, 2), strength.reshape(b, c, t, 1).transpose(1, 2)
    common = (pull * own).sum(-2, keepdim=True) / own.sum(-2, keepdim=True).clamp_min(1e-6)
    return own * pull + (1 - own) * common * own.amax(-2, keepdim=True)


def _room(exact: Bool[Tensor, "b t"], row: Tensor, start: Tensor, stop: Tensor, contacts: int) -> tuple[Tensor, Tensor]:
    """Return the frames before and after each run of contact up to the next run or exact frame."""
    t, few = exact.shape[1], min(len(row), 1)
    walls = torch.where(exact, torch.arange(t, device=exact.device), t).repeat_interleave(contacts, 0)
    coming = torch.nn.functional.pad(walls.flip(1).cummin(1).values.flip(1), (0, 1), value=t)
    passed = torch.nn.functional.pad(torch.where(walls < t, walls, -1).cummax(1).values, (1, 0), value=-1)
    same = row[1:] == row[:-1]
    following = torch.cat((torch.where(same, start[1:], t), start.new_full((few,), t)))
    preceding = torch.cat((start.new_zeros(few), torch.where(same, stop[:-1], 0)))
    before = start - torch.maximum(preceding, passed[row, start] + 1)
    return before, torch.minimum(following, coming[row, stop]) - stop


def _smoothed(pull: Points, exact: Bool[Tensor, "b t"], sigma: float, most: float) -> Points:
    """Return pulls without corners: smoothed in time, softly limited to ``most`` metres, zero next to exact frames."""
    pull = contact.smooth(pull.flatten(-2), sigma).unflatten(-1, pull.shape[-2:])
    pull = pull / (1 + (pull.norm(dim=-1, keepdim=True) / most) ** 2).sqrt()
    if exact.any():
        near = contact.smooth(exact[..., None].to(pull.dtype), sigma)[..., None]
        pull = pull * (1 - 2 * near).clamp_min(0)
    return torch.where(pull.abs() < 1e-6, torch.zeros_like(pull), pull)


# --- inverse kinematics ----------------------------------------------------------------------------------------------
def _solve(
    s: Skeleton, pose: tuple[Tensor, Tensor], chain: list[int], joints: list[int], goal: Float[Tensor, "n c 3"]
) -> Float[Tensor, "n j 4"]:
    """Return rotations with the smallest turns of a chain that bring joints to ``goal``, by damped least squares."""
    q, top = pose[0].clone(), s.parents[chain[0]]
    below = torch.tensor([[float(c in s.subtree(j)[1:]) for j in chain] for c in joints], device=q.device)[..., None]
    damping = torch.eye(3 * len(joints), device=q.device) * (DAMPING * max(s.chain_length[chain[0]], 1e-6)) ** 2
    above, moved = s.ancestors(top)[::-1], sorted({*chain, *joints})  # parents come first
    axes = torch.eye(3, device=q.device)[:, None]
    local, along = ({j: rotation.components(x[:, j]) for j in (*above, *moved)} for x in pose)
    hip = _forward(s, local, along, above[1:], {above[0]: (local[above[0]], along[above[0]])})[top]
    for _ in range(2):  # more do not bring feet nearer: pulls are small, and what is left is the damping
        world = _forward(s, local, along, moved, {top: hip})
        tips, pivots = (torch.stack([torch.stack(world[j][1], -1) for j in some], 1) for some in (joints, chain))
        arms = (tips[:, :, None] - pivots[:, None]) * below
        jacobian = torch.linalg.cross(arms[:, :, None], axes[None, None], dim=-1)
        jacobian = jacobian.reshape(len(q), 3 * len(joints), 3 * len(chain))
        transposed, error = jacobian.transpose(1, 2), (goal - tips).reshape(len(q), -1, 1)
        step = torch.cholesky_solve(error, torch.linalg.cholesky(jacobian @ transposed + damping))
        turn = (transposed @ step).reshape(len(q), len(chain), 3)
        turn = turn * (0.5 / rotation.length(turn)[..., None].clamp_min(0.5))
        for i, j in enumerate(chain):
            w, x, y, z = world[s.parents[j]][0]
            vx, vy, vz = rotation.rotate_components((w, -x, -y, -z), rotation.components(turn[:, i]))
            angle = (vx * vx + vy * vy + vz * vz).sqrt()
            sinc = torch.sinc(angle / (2 * math.pi)) / 2
            bent = rotation.mul_components((torch.cos(angle / 2), vx * sinc, vy * sinc, vz * sinc), local[j])
            size = torch.stack(bent).square().sum(0).rsqrt()
            local[j] = tuple(x * size for x in bent)
    for j in chain:
        q[:, j] = torch.stack(local[j], -1)
    return q


def _forward(s: Skeleton, local: Parts, along: Parts, joints: Sequence[int], world: dict[int, Any]) -> dict[int, Any]:
    """Add world rotations and positions of ``joints``, parents first, to those of joints above them."""
    for j in joints:
        q, p = world[s.parents[j]]
        step = rotation.rotate_components(q, along[j])
        world[j] = rotation.mul_components(q, local[j]), tuple(a + b for a, b in zip(p, step, strict=True))
    return world
