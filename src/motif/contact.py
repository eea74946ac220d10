"""Ground contact: who stands when, and a clean-up that keeps standing feet still.

Speeds and heights are judged relative to the body height, so a crab and a giant are treated alike (the papers' fixed
0.018 m a frame under-detects contacts on a large rig).
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from . import rotation
from .skeleton import Skeleton

SPEED = 0.25
"""A contact joint stands below this many body heights a second."""
HEIGHT = 0.04
"""... and when it is at most this share of the body height above its own resting level."""
SHORTEST = 0.1
"""Seconds; a shorter contact or gap is noise."""
SMOOTH = 0.04
"""Seconds (sigma) over which corrections are smoothed, so that they add no jerk."""


def floors(world: Float[Tensor, "*b t j 3"], skeleton: Skeleton) -> Float[Tensor, "c"]:
    """Resting level of each contact joint in metres: an ankle comes to rest higher than a toe.

    The level a joint comes down to in the clip, but no higher above the lowest one than in the natural pose: a joint
    that is held up the whole time (a raised paw, a snake's head) does not stand.
    """
    joints = list(skeleton.contacts)
    if not joints:
        return world.new_zeros(0)
    seen = world[..., joints, 1].reshape(-1, len(joints)).quantile(0.05, dim=0)
    rest = skeleton.rest_positions[joints, 1].to(seen)
    return torch.minimum(seen, seen.min() + rest - rest.min() + HEIGHT * skeleton.height)


def speeds(world: Float[Tensor, "*b t j 3"], skeleton: Skeleton, frame_time: float) -> Float[Tensor, "*b t c"]:
    """Speed of each contact joint in m/s, see :func:`speed`."""
    return speed(world[..., list(skeleton.contacts), :], frame_time)


def speed(p: Float[Tensor, "*b t c 3"], frame_time: float) -> Float[Tensor, "*b t c"]:
    """Speed of points in m/s, central differences (one-sided at the ends)."""
    if p.shape[-3] == 1:
        return torch.zeros_like(p[..., 0])
    step = p.diff(dim=-3)
    both = torch.cat((step[..., :1, :, :], (step[..., 1:, :, :] + step[..., :-1, :, :]) / 2, step[..., -1:, :, :]), -3)
    return both.norm(dim=-1) / frame_time


def labels(
    world: Float[Tensor, "*b t j 3"], skeleton: Skeleton, frame_time: float, level: Float[Tensor, "c"] | None = None
) -> Bool[Tensor, "*b t c"]:
    """True where a contact joint stands: slow and low, for at least ``SHORTEST`` seconds.

    Args:
        world: world positions in metres.
        skeleton: the rig; C is the number of its contact joints.
        frame_time: seconds a frame.
        level: resting levels (:func:`floors`) of a clip that ``world`` is judged by; its own if not given.
    """
    if not skeleton.contacts:
        return torch.zeros(*world.shape[:-2], 0, dtype=torch.bool)
    level = floors(world, skeleton) if level is None else level
    low = world[..., list(skeleton.contacts), 1] - level < HEIGHT * skeleton.height
    slow = speeds(world, skeleton, frame_time) < SPEED * skeleton.height
    frames = max(round(SHORTEST / frame_time), 1)
    return without_short(low & slow, frames)


def feet(
    skeleton: Skeleton, rotations: Float[Tensor, "*b j 4"], positions: Float[Tensor, "*b j 3"]
) -> Float[Tensor, "*b c 3"]:
    """World positions of the contact joints alone, metres: what a foot lock needs, without hands and fingers."""
    small, kept = skeleton.contact_rig
    return small.fk(rotations[..., list(kept), :], positions[..., list(kept), :])[1][..., list(small.contacts), :]


def drift(p: Float[Tensor, "*b t c 3"], on: Bool[Tensor, "*b t c"], frame_time: float) -> Float[Tensor, "*b t 3"]:
    """Horizontal velocity of what stands, m/s, smoothed: the mean over standing contacts, zero in the air."""
    if p.shape[-3] < 2:
        return torch.zeros_like(p[..., 0, :])
    step = p.diff(dim=-3) / frame_time
    stand = (on[..., 1:, :] & on[..., :-1, :]).to(p.dtype)[..., None]
    mean = (step * stand).sum(-2) / stand.sum(-2).clamp_min(1)
    mean = torch.cat((mean[..., :1, :], mean), -2) * p.new_tensor([1.0, 0.0, 1.0])
    return smooth(mean, SMOOTH / frame_time)


def smooth(x: Float[Tensor, "*b t n"], sigma: float) -> Float[Tensor, "*b t n"]:
    """Gaussian average along time, ``sigma`` in frames, cut off at three of them; ends are held."""
    radius = max(math.ceil(3 * sigma), 1)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / max(sigma, 1e-3)) ** 2).to(x.dtype)
    flat = x.transpose(-1, -2).reshape(-1, 1, x.shape[-2])
    padded = torch.nn.functional.pad(flat, (radius, radius), mode="replicate")
    out = torch.nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None])
    return out.reshape(*x.shape[:-2], x.shape[-1], x.shape[-2]).transpose(-1, -2)


def without_short(on: Bool[Tensor, "*b t c"], frames: int) -> Bool[Tensor, "*b t c"]:
    """Gaps, then runs, of fewer than ``frames`` frames removed (morphological closing, then opening)."""
    if frames < 2:
        return on
    x = on.float().transpose(-1, -2).reshape(-1, 1, on.shape[-2])

    def widest(x: Tensor, before: int, after: int) -> Tensor:
        padded = torch.nn.functional.pad(x, (before, after), mode="replicate")
        return torch.nn.functional.max_pool1d(padded, before + after + 1, 1)

    a, b = (frames - 1) // 2, frames - 1 - (frames - 1) // 2
    closed = 1 - widest(1 - widest(x, a, b), b, a)
    opened = widest(1 - widest(1 - closed, a, b), b, a)
    return (opened > 0.5).reshape(*on.shape[:-2], on.shape[-1], on.shape[-2]).transpose(-1, -2)


# --- foot lock -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Limb:
    """The joints that move one limb's contacts."""

    chain: tuple[int, ...]
    contacts: tuple[int, ...]
    """Places in ``skeleton.contacts``."""


def limbs(skeleton: Skeleton) -> list[_Limb]:
    """One entry for each limb that stands on the ground; the trunk has nothing to bend and is left out."""
    found: dict[int, list[int]] = {}
    for place, joint in enumerate(skeleton.contacts):
        top = skeleton.limb_of(joint)
        if top != skeleton.root:
            found.setdefault(top, []).append(place)
    result = []
    for top, places in found.items():
        chain: set[int] = set()
        for place in places:
            above = skeleton.ancestors(skeleton.contacts[place])
            chain.update(above[1 : above.index(top) + 1])
        if chain:
            result.append(_Limb(tuple(sorted(chain)), tuple(places)))
    return result


def lock(
    skeleton: Skeleton,
    rotations: Float[Tensor, "*b t j 4"],
    positions: Float[Tensor, "*b t j 3"],
    on: Bool[Tensor, "*b t c"],
    frame_time: float,
    ease: float = 0.15,
    fixed: Bool[Tensor, "*b t j"] | None = None,
    contact_velocity: Float[Tensor, "*b t c 3"] | None = None,
    height_offset: Float[Tensor, "*b t c"] | None = None,
) -> Float[Tensor, "*b t j 4"]:
    """Local rotations with every standing contact joint held where it stands.

    Each run of contact is pulled to its mean place, about which it moves as ``tread`` says; before and after it the
    pull dies out within ``ease`` seconds, starting with the pull's own speed, so no frame pops. Limbs are solved by
    damped least squares on the chain from the trunk to the contacts (any number of joints and contacts). Frames that
    no run reaches come back bit for bit.

    Args:
        skeleton: the rig.
        rotations: local rotations (w, x, y, z).
        positions: local translations, metres.
        on: contact labels.
        frame_time: seconds a frame.
        ease: seconds over which the correction comes and goes.
        fixed: joints that must not be turned, per frame; a limb with such a joint stays as it is in that frame, and
            its neighbours in time are pulled to where it stands.
        tread: steps of the contact joints from frame to frame in metres that are right, as a foot rolls or gives in the
            clip; none, if not given. Feet that stand perfectly still are told from real ones at once.
        lift: metres by which each contact joint should be higher, standing or not.
    """
    q = rotations.reshape(-1, *rotations.shape[-3:]).clone()
    p = positions.reshape(-1, *positions.shape[-3:])
    flags = on.reshape(len(q), *on.shape[-2:])
    still = torch.zeros(q.shape[:3], dtype=torch.bool) if fixed is None else fixed.reshape(q.shape[:3])
    world_p = feet(skeleton, q, p)
    raised = torch.zeros_like(world_p)
    if height_offset is not None:
        raised[..., 1] = height_offset.reshape(raised.shape[:-1])
    way = (
        torch.zeros(*flags.shape, 3)
        if contact_velocity is None
        else contact_velocity.reshape(*flags.shape, 3).cumsum(1)
    )
    margin = max(round(ease / frame_time), 1)
    for limb in limbs(skeleton):
        held = still[:, :, list(limb.chain)].any(-1)
        mine = list(limb.contacts)
        up = raised[:, :, mine]
        pull, strength = _pulls(world_p[:, :, mine] + up, flags[:, :, mine], held, way[:, :, mine], margin)
        pull = _gentle(
            up + _shared(pull, strength), held, SMOOTH / frame_time, 0.15 * skeleton.chain_length[limb.chain[0]]
        )
        take, frame = ((pull.abs().amax((-1, -2)) > 0) & ~held).nonzero(as_tuple=True)
        if len(take):
            goal = world_p[take, frame][:, mine] + pull[take, frame]
            q[take, frame] = _solve(skeleton, q[take, frame], p[take, frame], limb, goal)
    return q.reshape(rotations.shape)


def _pulls(
    p: Float[Tensor, "b t c 3"],
    on: Bool[Tensor, "b t c"],
    held: Bool[Tensor, "b t"],
    way: Float[Tensor, "b t c 3"],
    margin: int,
) -> tuple[Float[Tensor, "b t c 3"], Float[Tensor, "b t c"]]:
    """Per contact the offset that holds it, and how much of it is in force (1 within a run, fading over ``margin``)."""
    b, t, c = on.shape
    runs = (on & ~held[..., None]).transpose(1, 2).reshape(b * c, t)
    path, way = (x.transpose(1, 2).reshape(b * c * t, 3) for x in (p, way))
    edge = torch.nn.functional.pad(runs.int(), (1, 1)).diff(dim=1)
    row, start = (edge == 1).nonzero(as_tuple=True)
    stop = (edge == -1).nonzero(as_tuple=True)[1]
    first, last = row * t + start, row * t + stop - 1
    inside, length = runs.flatten().nonzero().flatten(), stop - start
    run = torch.repeat_interleave(torch.arange(len(row)), length)
    offset = torch.zeros_like(path)
    loose = way[inside] - path[inside]  # about its mean place each contact moves as it should
    mean = torch.zeros(len(row), 3).index_add_(0, run, loose) / length[:, None]
    offset[inside] = loose - mean[run]
    anchored = torch.nn.functional.pad((on & held[..., None]).transpose(1, 2).reshape(b * c, t), (1, 1))
    for n in (anchored[row, start] | anchored[row, stop + 1]).nonzero().flatten().tolist():
        span, before, after = slice(first[n], last[n] + 1), anchored[row[n], start[n]], anchored[row[n], stop[n] + 1]
        left, right = path[first[n] - 1 if before else last[n] + 1], path[last[n] + 1 if after else first[n] - 1]
        offset[span] = torch.lerp(left, right, torch.linspace(0, 1, int(length[n]))[:, None]) - path[span]
    pull, strength = offset.clone(), runs.flatten().to(p.dtype)
    walls = torch.where(held, torch.arange(t), t).repeat_interleave(c, 0)
    coming = torch.nn.functional.pad(walls.flip(1).cummin(1).values.flip(1), (0, 1), value=t)
    passed = torch.nn.functional.pad(torch.where(walls < t, walls, -1).cummax(1).values, (1, 0), value=-1)
    same = row[1:] == row[:-1]
    following = torch.cat((torch.where(same, start[1:], t), start.new_full((min(len(row), 1),), t)))
    preceding = torch.cat((start.new_zeros(min(len(row), 1)), torch.where(same, stop[:-1], 0)))
    room = torch.minimum(following, coming[row, stop]) - stop, start - torch.maximum(preceding, passed[row, start] + 1)
    longer = (length > 1)[:, None]
    for edges, inner, space, sign in ((last, last - 1, room[0], 1), (first, first + 1, room[1], -1)):
        speed = torch.where(longer, offset[edges] - offset[inner.clamp(0, max(len(offset) - 1, 0))], 0.0)
        n, step = (torch.arange(margin) < space.clamp(max=margin)[:, None]).nonzero(as_tuple=True)
        count = space.clamp(max=margin)[n]
        u = ((step + 1) / (count + 1))[:, None]
        keep, place = (1 - u) ** 3, edges[n] + sign * (step + 1)
        onward = u * (1 + 3 * u) * (count + 1)[:, None]  # begins with the pull's own speed
        pull[place] += keep * ((1 + 3 * u + 6 * u * u) * offset[edges[n]] + onward * speed[n])
        strength[place] = torch.maximum(strength[place], (1 - u * u * (3 - 2 * u))[:, 0])
    return pull.reshape(b, c, t, 3).transpose(1, 2), strength.reshape(b, c, t).transpose(1, 2)


@functools.lru_cache(256)
def smoothstep(count: int) -> Float[Tensor, "n"]:
    """From just above 0 to just below 1 in ``count`` steps, without a kink at either end."""
    u = (torch.arange(count) + 1) / (count + 1)
    return u * u * (3 - 2 * u)


def _shared(pull: Float[Tensor, "b t c 3"], strength: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c 3"]:
    """Contacts of a limb that do not stand themselves move along with those that do, so that the foot stays a foot."""
    total = strength.sum(-1, keepdim=True)
    common = (pull * strength[..., None]).sum(-2, keepdim=True) / total.clamp_min(1e-6)[..., None]
    share = strength[..., None]
    return share * pull + (1 - share) * common * strength.amax(-1)[..., None, None]


def _gentle(
    pull: Float[Tensor, "b t c 3"], held: Bool[Tensor, "b t"], sigma: float, most: float
) -> Float[Tensor, "b t c 3"]:
    """Pulls without corners: smoothed in time, softly limited to ``most`` metres, and silent next to held frames."""
    pull = smooth(pull.flatten(-2), sigma).unflatten(-1, pull.shape[-2:])
    pull = pull / (1 + (pull.norm(dim=-1, keepdim=True) / most) ** 2).sqrt()
    if held.any():
        near = smooth(held[..., None].to(pull.dtype), sigma)[..., None]
        pull = pull * (1 - 2 * near).clamp_min(0)
    return torch.where(pull.abs() < 1e-6, torch.zeros_like(pull), pull)


def _solve(
    s: Skeleton, q: Float[Tensor, "n j 4"], p: Float[Tensor, "n j 3"], limb: _Limb, goal: Float[Tensor, "n c 3"]
) -> Float[Tensor, "n j 4"]:
    """Damped least squares: the smallest joint rotations that bring the limb's contacts to ``goal``."""
    chain, joints = list(limb.chain), [s.contacts[c] for c in limb.contacts]
    below = [[c in s.subtree(j)[1:] for j in chain] for c in joints]
    scale = max(s.chain_length[chain[0]], 1e-6)
    damping = torch.eye(3 * len(joints)) * (0.08 * scale) ** 2
    above = s.parents[chain[0]]
    moved = sorted({*chain, *joints})  # parents come first
    local = {j: rotation.components(q[:, j]) for j in moved}
    along = {j: rotation.components(p[:, j]) for j in moved}
    world_q, world_p = _reach(q, p, s.ancestors(above)[::-1])
    hip_q, hip_p, goals, zero = world_q, world_p, rotation.components(goal), torch.zeros(len(q))
    for _ in range(2):  # more do not bring feet nearer: pulls are small, and what is left is the damping
        world_q, world_p = {above: hip_q}, {above: hip_p}
        for j in moved:
            parent = s.parents[j]
            world_p[j] = _plus(world_p[parent], rotation.rotate_components(world_q[parent], along[j]))
            world_q[j] = rotation.mul_components(world_q[parent], local[j])
        rows, errors = [], []
        for i, c in enumerate(joints):
            errors += [g[:, i] - x for g, x in zip(goals, world_p[c], strict=True)]
            arms = [[a - b for a, b in zip(world_p[c], world_p[j], strict=True)] if below[i][n] else None
                    for n, j in enumerate(chain)]  # fmt: skip
            # d tip / d turn = -[arm]x
            for axis in range(3):
                for arm in arms:
                    x, y, z = arm or (zero, zero, zero)
                    rows += ((zero, z, -y), (-z, zero, x), (y, -x, zero))[axis]
        jacobian = torch.stack(rows, -1).reshape(len(q), 3 * len(joints), 3 * len(chain))
        error = torch.stack(errors, -1)[..., None]
        step = torch.cholesky_solve(error, torch.linalg.cholesky(jacobian @ jacobian.transpose(1, 2) + damping))
        turn = (jacobian.transpose(1, 2) @ step).reshape(len(q), len(chain), 3)
        turn = turn * (0.5 / rotation.length(turn)[..., None].clamp_min(0.5))
        for i, j in enumerate(chain):
            w, x, y, z = world_q[s.parents[j]]
            vx, vy, vz = rotation.rotate_components((w, -x, -y, -z), rotation.components(turn[:, i]))
            angle = (vx * vx + vy * vy + vz * vz).sqrt()
            sinc = torch.sinc(angle / (2 * math.pi)) / 2
            bent = rotation.mul_components((torch.cos(angle / 2), vx * sinc, vy * sinc, vz * sinc), local[j])
            size = torch.stack(bent).square().sum(0).rsqrt()
            local[j] = tuple(x * size for x in bent)
    q = q.clone()
    for j in chain:
        q[:, j] = torch.stack(local[j], -1)
    return q


def _reach(
    q: Float[Tensor, "n j 4"], p: Float[Tensor, "n j 3"], chain: Sequence[int]
) -> tuple[rotation.Components, ...]:
    """World rotation and place of the last joint of a chain that begins where no joint has a parent."""
    world_q, world_p = rotation.components(q[:, chain[0]]), rotation.components(p[:, chain[0]])
    for j in chain[1:]:
        world_p = _plus(world_p, rotation.rotate_components(world_q, rotation.components(p[:, j])))
        world_q = rotation.mul_components(world_q, rotation.components(q[:, j]))
    return world_q, world_p


def _plus(a: rotation.Components, b: rotation.Components) -> rotation.Components:
    return tuple(x + y for x, y in zip(a, b, strict=True))
