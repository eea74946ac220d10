"""From landmarks to a motion: gravity, a path over the ground, bones that keep their length, feet that stand.

World axes are right-handed with Y up; the camera of the first frame looks along -Z.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import contact, rotation
from ..errors import MotifError
from ..io.npy import NAMES, PARENTS
from ..motion import FileFormat, Motion
from ..post import feet
from ..skeleton import Skeleton
from . import Landmarks, VideoConfig, rig

POSE_SMOOTH, DEPTH_SMOOTH, PATH_SMOOTH = 0.05, 0.25, 0.06  # seconds (sigma) for landmarks, the camera's depth, the path
AGREE = 0.3  # seconds (sigma): slower than that the path is the camera's, faster it is that of the standing feet
SPEED_SMOOTH = 0.05  # seconds (sigma), for the speed of feet
LOOSE = (0.75, 0.55, 0.45, 0.35)
"""How fast a standing foot may seem to move, pass by pass; see :func:`stance`."""
BEND = 0.35  # radians of a knee or elbow from which on its axis is believed


def smoothed(x: Float[Tensor, "t *n"], seconds: float, fps: float) -> Float[Tensor, "t *n"]:
    """Return a Gaussian average along time."""
    return contact.smooth(x.flatten(1), seconds * fps).reshape(x.shape)


def shake(marks: Landmarks) -> float:
    """Return how far the body's landmarks tremble from frame to frame, body heights: a median, as the gate of clips."""
    world = marks.world[:, list(rig.BODY)]
    if len(world) < 5:
        return 0.0
    body = rig.joints(marks.world)
    height = float((body.middle("ankle") - body["nose"]).norm(dim=-1).median())
    return float(world.diff(n=4, dim=0).norm(dim=-1).mean(-1).median()) / 16 / height


def focal(marks: Landmarks, config: VideoConfig) -> float:
    """Return the focal length in pixels."""
    return max(marks.size) / 2 / math.tan(math.radians(config.fov) / 2)


def turns(marks: Landmarks, config: VideoConfig) -> Float[Tensor, "t 3 3"]:
    """Return the camera's turn since the first frame, from axes of the camera to those of the first.

    The background's shift is taken for panning and tilting; how a camera travels is not seen.
    """
    step = marks.flow.nan_to_num(0.0).double() / focal(marks, config)
    step = torch.where(step.abs() < 0.1 / focal(marks, config), 0.0, step)
    yaw, pitch = step.cumsum(0).unbind(-1)
    # what is right of the axis came nearer to it: the camera turned right, about its y axis, which points down
    return rotation.to_matrix(rotation.mul(rotation.about("y", -yaw), rotation.about("x", pitch))).to(marks.world)


def places(marks: Landmarks, config: VideoConfig) -> Float[Tensor, "t 3"]:
    """Return where the middle of the hips is in the camera's axes, metres, by least squares over all landmarks."""
    f, (w, h) = focal(marks, config), marks.size
    x, weight = marks.world.double(), marks.visibility.double() ** 2
    seen = (marks.image.double() - torch.tensor([w / 2, h / 2], dtype=torch.float64)) / f
    rows, right = [], []
    for axis in (0, 1):  # x + t_x = seen (z + t_z)
        row = torch.zeros(*x.shape[:2], 3, dtype=torch.float64)
        row[..., axis], row[..., 2] = 1, -seen[..., axis]
        rows.append(row * weight[..., None])
        right.append((seen[..., axis] * x[..., 2] - x[..., axis]) * weight)
    a, b = torch.cat(rows, 1), torch.cat(right, 1)
    gram = a.transpose(1, 2) @ a + 1e-6 * torch.eye(3, dtype=torch.float64)
    found = torch.linalg.solve(gram, (a.transpose(1, 2) @ b[..., None]))[..., 0]
    depth = smoothed(
        found[:, 2:].log1p() if bool((found[:, 2] > -0.9).all()) else found[:, 2:], DEPTH_SMOOTH, marks.fps
    )
    depth = depth.expm1() if bool((found[:, 2] > -0.9).all()) else depth
    aside = found[:, :2] / found[:, 2:].clamp_min(0.3)  # directions are known far better than depths
    return torch.cat((smoothed(aside, PATH_SMOOTH, marks.fps) * depth, depth), 1).to(marks.world)


def upright(points: Float[Tensor, "t n 3"], path: Float[Tensor, "t 3"]) -> Float[Tensor, "3 3"]:
    """Return the rotation that puts a body on level ground: by the way it stands, then by where its feet come down.

    The camera is taken to be held level at first, as nearly all are: a body stands on one leg more often.
    """
    body = rig.joints(points)
    axis = torch.nn.functional.normalize(body.middle("shoulder") - body.middle("ankle"), dim=-1).median(0).values
    first = _to_up(torch.nn.functional.normalize(axis * torch.tensor([0.0, 1.0, 1.0]), dim=0))
    feet = torch.stack([body[f"{s}_{p}"] for s in rig.SIDES for p in ("heel", "foot_index")], 1) + path[:, None]
    feet = feet @ first.T
    lowest = feet[torch.arange(len(feet)), feet[..., 1].argmin(1)]
    ground = lowest - lowest.mean(0)
    plane, spread = ground[:, [0, 2]], 0.7**2 * len(ground)  # a floor that is seen over less than 0.7 m is a guess
    slope = torch.linalg.solve(plane.T @ plane + spread * torch.eye(2), plane.T @ ground[:, 1:])[:, 0]
    normal = torch.nn.functional.normalize(torch.tensor([-float(slope[0]), 1.0, -float(slope[1])]), dim=0)
    return _to_up(normal) @ first


def _to_up(axis: Float[Tensor, "3"]) -> Float[Tensor, "3 3"]:
    return rotation.to_matrix(_arc(axis, torch.tensor([0.0, 1.0, 0.0])))


def _arc(a: Float[Tensor, "*b 3"], b: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4"]:
    """The smallest rotation that turns one direction into another."""
    return rotation.normalise(torch.cat((1 + (a * b).sum(-1, keepdim=True), torch.linalg.cross(a, b)), -1))


def rotations(body: rig.Joints) -> Float[Tensor, "t j 4"]:
    """Return local rotations of the rig that point its bones as the landmarks lie."""
    world: dict[str, Tensor] = {}
    up = body.middle("shoulder") - body.middle("hip")
    hips, chest = (rig.frame(up, body.across(part), (1, 0)) for part in ("hip", "shoulder"))
    low, high = rotation.from_matrix(hips), rotation.from_matrix(chest)
    for n, name in enumerate(("spine1", "spine2", "spine3")):
        world[name] = rotation.to_matrix(rotation.slerp(low, high, torch.full((len(up),), (n + 1) / 3)))
    world[NAMES[0]] = hips
    nod = body["nose"] - body.middle("ear")
    crown = body.middle("ear") - body.middle("shoulder")
    world[NAMES[rig.NECK]] = rig.frame(crown, body.across("shoulder"), (1, 0))
    flat = torch.linalg.cross(nod, body.across("ear"))  # the nose is a little below the ears
    world[NAMES[rig.HEAD]] = rig.frame(body.across("ear"), flat + 0.3 * flat.norm(dim=-1, keepdim=True) * crown, (0, 1))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        world[f"{side}_collar"] = chest
        thigh, shin = (body[f"{side}_{b}"] - body[f"{side}_{a}"] for a, b in (("hip", "knee"), ("knee", "ankle")))
        hinge = _hinge(torch.linalg.cross(thigh, shin), thigh, shin, hips[..., 0])
        world[f"{side}_hip"], world[f"{side}_knee"] = (rig.frame(-bone, hinge, (1, 0)) for bone in (thigh, shin))
        toe = body[f"{side}_foot_index"] - body[f"{side}_heel"]
        world[f"{side}_ankle"] = world[f"{side}_foot"] = rig.frame(toe, -shin, (2, 1))
        upper, fore = (
            body[f"{side}_{b}"] - body[f"{side}_{a}"] for a, b in (("shoulder", "elbow"), ("elbow", "wrist"))
        )
        hinge = _hinge(torch.linalg.cross(upper, fore) * -sign, upper, fore, _raised(chest, sign, upper))
        for name, bone in (("shoulder", upper), ("elbow", fore), ("wrist", fore)):
            world[f"{side}_{name}"] = rig.frame(sign * bone, hinge, (0, 1))
    matrices = [world[name] for name in NAMES]
    local = [m if p < 0 else matrices[p].transpose(1, 2) @ m for m, p in zip(matrices, PARENTS, strict=True)]
    q = rotation.from_matrix(torch.stack(local, 1))
    return rotation.unroll(q.transpose(0, 1)).transpose(0, 1)


def _raised(chest: Float[Tensor, "t 3 3"], sign: float, arm: Float[Tensor, "t 3"]) -> Float[Tensor, "t 3"]:
    """Where an arm's upper side is when it is not twisted against the chest."""
    arc = _arc(sign * chest[..., 0], torch.nn.functional.normalize(arm, dim=-1))
    return rotation.rotate(arc, chest[..., 1])


def _hinge(seen: Tensor, upper: Tensor, lower: Tensor, usual: Float[Tensor, "t 3"]) -> Float[Tensor, "t 3"]:
    """Return the axis that a limb bends about: as seen where it is bent, else as the trunk has it."""
    bend = torch.atan2(seen.norm(dim=-1), (upper * lower).sum(-1))[:, None]
    share = (bend / BEND).clamp(0, 1) ** 2
    seen = torch.nn.functional.normalize(seen, dim=-1)
    seen = torch.where((seen * usual).sum(-1, keepdim=True) < -0.3, usual, seen)  # knees do not bend forwards
    return share * seen + (1 - share) * usual


def stance(
    s: Skeleton, at: Float[Tensor, "t c 3"], path: Float[Tensor, "t 3"], fps: float, share: float
) -> Bool[Tensor, "t c"]:
    """Return which contact joints stand: low, and of all that are low not much faster than the slowest one.

    A standing foot may seem to move by ``share`` of the body's own speed and half a body height a second: far more
    than elsewhere, as a path from landmarks drifts and trembles, and the faster the more.
    """
    own = smoothed(contact.speed(path[:, None], 1 / fps), AGREE, fps) / s.height
    loose = share * (0.5 + own)
    low = at[..., 1] - contact.floors(at, s) < 1.5 * contact.HEIGHT * s.height
    speed = smoothed(contact.speed(at, 1 / fps), SPEED_SMOOTH, fps) / s.height
    slowest = speed.masked_fill(~low, torch.inf).amin(1, keepdim=True)
    on = low & (speed < loose) & (speed < slowest + 0.3 * loose)
    return contact.without_short(on, max(round(contact.SHORTEST * fps), 1))


def travel(s: Skeleton, q: Float[Tensor, "t j 4"], path: Float[Tensor, "t 3"], fps: float) -> Float[Tensor, "t 3"]:
    """Return the root's path, such that feet that stand do not move and come down to one level."""
    offsets = s.offset_tensor(q).expand(len(q), -1, 3).clone()
    offsets[:, 0] = 0
    local = contact.feet(s, q, offsets)
    for loose in LOOSE:
        on = stance(s, local + path[:, None], path, fps, loose).to(q.dtype)[..., None]
        both = on[1:] * on[:-1]
        of_feet = -(local.diff(dim=0) * both).sum(1) / both.sum(1).clamp_min(1)
        stands = (both.sum(1) > 0).to(q.dtype)
        step = stands * of_feet + (1 - stands) * path.diff(dim=0)
        walked = torch.cat((path[:1], path[:1] + step.cumsum(0)))
        path = walked + smoothed(path - walked, AGREE, fps)
    low = (local[..., 1] + path[:, None, 1] - contact.floors(local + path[:, None], s)).amin(1, keepdim=True)
    near = (low.abs() < 0.08 * s.height).to(q.dtype)
    lift = smoothed(low * near, 0.3, fps) / smoothed(near, 0.3, fps).clamp_min(0.05)
    path = path - lift * torch.tensor([0.0, 1.0, 0.0])
    return smoothed(path, 0.03, fps)


def lift(marks: Landmarks, name: str, config: VideoConfig = VideoConfig()) -> Motion:
    """Return the motion of landmarks without gaps, over level ground, on a rig of SMPL's 22 joints."""
    if not bool(marks.world.isfinite().all()):
        raise MotifError(f"{name}: landmarks have gaps; give stretches in which the body is seen in every frame")
    turned = turns(marks, config) * torch.tensor([[1.0], [-1.0], [-1.0]])  # Y up, the camera looks along -Z
    path = (turned @ places(marks, config)[..., None])[..., 0]
    points = torch.einsum("tab,tnb->tna", turned, smoothed(marks.world, POSE_SMOOTH, marks.fps))
    stand = upright(points, path)
    points, path = points @ stand.T, path @ stand.T
    body = rig.joints(points)
    if config.height is not None:
        tall = (body["nose"][:, 1] - torch.minimum(body["left_heel"], body["right_heel"])[:, 1]).quantile(0.9)
        points, path = points * (config.height / tall), path * (config.height / tall)
        body = rig.joints(points)
    s, q = rig.skeleton(body), rotations(body)
    path = travel(s, q, path, marks.fps)
    positions = s.offset_tensor(q).expand(len(q), -1, 3).clone()
    positions[:, 0] = path
    on = stance(s, contact.feet(s, q, positions), path, marks.fps, LOOSE[-1])
    q = feet.lock(s, (q, positions), on, 1 / marks.fps)
    return Motion(s, q, positions, 1 / marks.fps, name, FileFormat(unit=0.01)).align().ground()
