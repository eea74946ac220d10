"""Motion: a skeleton moving, as one frozen value, and the plain tools every animator expects on it.

Metres, seconds, radians; right-handed, Y up, a body of heading 0 faces +Z. Every method returns a new Motion.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from . import contact, resample, rotation
from .errors import MotifError
from .skeleton import Skeleton


@dataclass(frozen=True)
class FileFormat:
    """How a file spelled a motion, so that it is written back the same way."""

    channels: tuple[tuple[str, ...], ...] = ()
    """Per joint its channels in file order, e.g. ``("Xposition", ..., "Zrotation", ...)``; empty means motif's own."""
    unit: float = 0.01
    """Metres per unit of length in the file."""


class Pose(NamedTuple):
    """One frame of a rig with J joints."""

    rotations: Float[Tensor, "j 4"]
    """Local unit quaternions (w, x, y, z)."""
    positions: Float[Tensor, "j 3"]
    """Local translations in metres."""


@dataclass(frozen=True, eq=False)
class Motion:
    """T frames of a rig with J joints."""

    skeleton: Skeleton
    """The rig."""
    rotations: Float[Tensor, "t j 4"]
    """Local unit quaternions (w, x, y, z)."""
    positions: Float[Tensor, "t j 3"]
    """Local translations in metres; constant for all joints but the root on most rigs."""
    frame_time: float
    """Seconds per frame, exactly as given."""
    name: str = ""
    """What files and takes made from it are called after."""
    file_format: FileFormat = FileFormat()
    """How it is written back."""

    def __post_init__(self):
        q, p, j = tuple(self.rotations.shape), tuple(self.positions.shape), len(self.skeleton)
        if q != (len(self), j, 4) or p != (len(self), j, 3) or not len(self):
            raise MotifError(
                f"motion {self.name!r}: rotations {q} and positions {p} do not fit a rig of {j} joints; "
                f"expected [T, {j}, 4] and [T, {j}, 3] with T at least 1"
            )
        if not (math.isfinite(self.frame_time) and self.frame_time > 0):
            raise MotifError(f"motion {self.name!r}: frame time {self.frame_time} s; expected a positive number")

    def __repr__(self) -> str:
        return f"<Motion {self.name!r}: {len(self)} frames at {self.fps:g} fps, {len(self.skeleton)} joints>"

    def __len__(self) -> int:
        return self.rotations.shape[0]

    @property
    def fps(self) -> float:
        """Frames per second."""
        return 1 / self.frame_time

    @property
    def seconds(self) -> float:
        """Length in seconds, each frame counted as long as its frame time."""
        return len(self) * self.frame_time

    # --- world space
    def world(self) -> tuple[Float[Tensor, "t j 4"], Float[Tensor, "t j 3"]]:
        """Return world rotations and positions of all joints."""
        return self.skeleton.fk(self.rotations, self.positions)

    @functools.cached_property
    def root_and_feet(self) -> tuple[Float[Tensor, "t 4"], Float[Tensor, "t 3"], Float[Tensor, "t c 3"]]:
        """World rotation and position of the root and positions of the contact joints, of no others."""
        s, (small, kept) = self.skeleton, self.skeleton.contact_rig
        q, p = small.fk(self.rotations[:, list(kept)], self.positions[:, list(kept)])
        root = kept.index(s.root)
        return q[:, root], p[:, root], p[:, list(small.contacts)]

    def heading(self) -> Float[Tensor, "t"]:
        """Return the direction the body faces, unwrapped radians: 0 towards +Z, positive turns left (towards +X).

        The twist about the vertical of the root against its natural pose; where a body upside down has none, it is
        carried over from the frames around.
        """
        return heading(self.root_and_feet[0], self.skeleton, self.frame_time)

    def transform(self, yaw: float = 0.0, translation: Sequence[float] = (0.0, 0.0, 0.0)) -> "Motion":
        """Return the motion turned by ``yaw`` radians about the vertical through the origin, then moved (metres)."""
        q = rotation.about("y", torch.full_like(self.positions[0, 0, 0], yaw))
        rotations, positions = self.rotations.clone(), self.positions.clone()
        rotations[:, 0] = rotation.mul(q, rotations[:, 0])
        positions[:, 0] = rotation.rotate(q, positions[:, 0]) + positions.new_tensor(list(translation))
        return replace(self, rotations=rotations, positions=positions)

    def align(self, frame: int = 0) -> "Motion":
        """Return the motion turned and moved so that at ``frame`` the root is over the origin and faces +Z."""
        turned = self.transform(-float(self.heading()[frame]))
        x, _, z = turned.world()[1][frame, self.skeleton.root].tolist()
        return turned.transform(translation=(-x, 0.0, -z))

    def ground(self) -> "Motion":
        """Return the motion moved vertically so that its :meth:`floor` is at zero."""
        return self.transform(translation=(0.0, -self.floor(), 0.0))

    def floor(self) -> float:
        """Return the height of the ground, metres: where the lowest contact joint (else any joint) comes to rest."""
        return contact.floor(self.world()[1], self.skeleton)

    # --- time
    def crop(self, start: int = 0, stop: int | None = None) -> "Motion":
        """Return frames ``start`` up to, not including, ``stop``; negative numbers count from the end."""
        kept = torch.arange(len(self))[start:stop]
        if not len(kept):
            raise MotifError(f"crop {start}:{stop} leaves no frame of the {len(self)} in {self.name!r}")
        return self.select(kept)

    def select(self, frames: Tensor) -> "Motion":
        """Return the frames with these indices, in this order."""
        return replace(self, rotations=self.rotations[frames], positions=self.positions[frames])

    def resample(self, fps: float) -> "Motion":
        """Return the motion at another rate: whole frames where the rates divide (within 0.1 %), else interpolated.

        To higher rates by cubic splines, as every joint shakes where it changes its speed at a frame; else by slerp.
        """
        if not (math.isfinite(fps) and fps > 0):
            raise MotifError(f"cannot resample to {fps} frames a second; give a positive number")
        ratio = self.fps / fps
        if abs(ratio - 1) < 1e-3:
            return self
        step = round(ratio)
        if step >= 1 and abs(ratio / step - 1) < 1e-3:
            return replace(self.select(torch.arange(0, len(self), step)), frame_time=self.frame_time * step)
        when = torch.arange(int((len(self) - 1) / ratio + 1e-6) + 1, dtype=torch.float64) * ratio
        made = self._filtered(when, resample.spline_interpolate) if ratio < 1 else self.interpolate(when)
        return replace(made, frame_time=1 / fps)

    def retime(self, speed: float) -> "Motion":
        """Return the motion ``speed`` times as fast at the same rate, by a windowed sinc that keeps its sharpness."""
        if not (math.isfinite(speed) and speed > 0):
            raise MotifError(f"cannot retime to {speed} times the speed; give a positive number")
        when = torch.arange(max(round(len(self) / speed), 1), dtype=torch.float64) * speed
        return self._filtered(when, resample.sinc_interpolate)

    def _filtered(self, when: Tensor, interpolate: Callable[[Tensor, Tensor], Tensor]) -> "Motion":
        q = rotation.unroll(self.rotations.transpose(0, 1)).transpose(0, 1)
        q = rotation.normalise(interpolate(q.flatten(1), when).unflatten(1, (-1, 4)))
        p = interpolate(self.positions.flatten(1), when).unflatten(1, (-1, 3))
        return replace(self, rotations=q, positions=p)

    def interpolate(self, when: Float[Tensor, "n"]) -> "Motion":
        """Return poses at fractional frame numbers, by slerp and linear interpolation; ends are held."""
        when = when.to(self.positions.device).clamp(0, len(self) - 1)
        before = when.floor().long().clamp(max=max(len(self) - 2, 0))
        after = (before + 1).clamp(max=len(self) - 1)
        t = (when - before).to(self.positions.dtype)
        q = rotation.slerp(self.rotations[before], self.rotations[after], t[:, None].expand(-1, len(self.skeleton)))
        p = torch.lerp(self.positions[before], self.positions[after], t[:, None, None])
        return replace(self, rotations=q, positions=p)

    def mirror(self, frames: Float[Tensor, "j 3 3"] | None = None) -> "Motion":
        """Return left and right exchanged, across the plane x = 0; refused on a rig without left/right pairs.

        ``frames`` are the :func:`mirror_frames` of another motion of the rig, which need not be found out again.
        """
        s = self.skeleton
        if not s.left:
            raise MotifError(f"{self.name!r} has no left/right pairs to mirror; name them by skeleton.with_pairs(...)")
        partner = list(s.mirror)
        frames = (mirror_frames(s, self) if frames is None else frames).to(self.positions)
        world_q, world_p = self.world()
        flipped = rotation.to_matrix(world_q)[:, partner]
        flip = torch.diag(flipped.new_tensor([-1.0, 1.0, 1.0]))
        new_q = rotation.from_matrix(flip @ flipped @ frames)
        parents = [max(p, 0) for p in s.parents]
        local_q = rotation.mul(rotation.inv(new_q[:, parents]), new_q)
        local_q[:, 0] = new_q[:, 0]
        local_p = self.positions.clone()
        moved = (local_p - s.offset_tensor(local_p)).abs().amax(0).amax(-1) > 1e-4 * s.height
        for j in range(1, len(s)):
            if moved[j] or moved[partner[j]]:
                local_p[:, j] = self.positions[:, partner[j]] @ frames[parents[j]]
        if moved[s.root]:  # in the world, whatever stands still above it
            above, place = parents[s.root], world_p[:, s.root] @ flip
            arm = rotation.rotate(rotation.inv(new_q[:, above]), place - world_p[:, above])
            local_p[:, s.root] = arm if s.root else place
        return replace(self, rotations=rotation.unroll(local_q.transpose(0, 1)).transpose(0, 1), positions=local_p)

    def loop(self, seconds: float = 0.3) -> "Motion":
        """Return the motion with its last ``seconds`` bent so that the first frame follows the last without a jump.

        The pose closes; the root goes on, so a walk loops as a walk. See :meth:`repeat`.
        """
        again = _append(self, self, 0.0).crop(len(self))
        return _inertialize(again._reverse(), self._reverse(), min(seconds, self.seconds / 2))._reverse()

    def _reverse(self) -> "Motion":
        return self.select(torch.arange(len(self) - 1, -1, -1))

    def repeat(self, frames: int) -> "Motion":
        """Return ``frames`` frames of the motion over and over, each round starting where the last one stopped."""
        whole = self
        while len(whole) < frames:
            whole = _append(whole, self, 0.0)
        return whole.crop(0, frames)

    @staticmethod
    def concat(motions: "Sequence[Motion]", blend: float = 0.2) -> "Motion":
        """Return motions one after the other, each where the one before stops and facing as it does.

        The jump at a seam, pose and velocity, decays over ``blend`` seconds into the later clip (inertialisation,
        Bollo 2018), so the earlier clip is untouched. Rigs and rates must agree.
        """
        if not motions:
            raise MotifError("nothing to concatenate; give at least one motion")
        whole = motions[0]
        for later in motions[1:]:
            if difference := whole.skeleton.rig_difference(later.skeleton):
                raise MotifError(f"cannot join {whole.name!r} and {later.name!r}: {difference}")
            if abs(later.frame_time / whole.frame_time - 1) > 1e-3:
                rates = f"{whole.name!r} at {whole.fps:.3f} fps and {later.name!r} at {later.fps:.3f} fps"
                raise MotifError(f"cannot join {rates}; resample() one of them first")
            whole = _append(whole, later, blend)
        return whole


def heading(world_q: Float[Tensor, "*b t 4"], skeleton: Skeleton, frame_time: float) -> Float[Tensor, "*b t"]:
    """Return the heading of the root's world rotations (:meth:`Motion.heading`); turning the world adds the turn."""
    rest = skeleton.fk(skeleton.rest_tensor(world_q))[0][skeleton.root]
    return heading_from_rest(world_q, rest, skeleton.rest_heading, frame_time)


def heading_from_rest(
    world_q: Float[Tensor, "*b t 4"], rest: Float[Tensor, "*r 4"], rest_heading: float | Tensor, frame_time: float
) -> Float[Tensor, "*b t"]:
    """Return the heading of root rotations, given that of the natural pose as a rotation and as an angle."""
    q = rotation.mul(world_q, rotation.inv(rest))
    w, y = q[..., 0], q[..., 2]
    z = torch.stack((w * w - y * y, 2 * w * y), -1)  # (w + iy)^2: the yaw as a direction, its length the certainty
    radius = max(1, round(0.1 / frame_time))
    z = z + (0.3 - rotation.length(z)[..., None]).clamp_min(0) * _box_smooth(z, 4 * radius)
    return unwrap(torch.atan2(z[..., 1], z[..., 0]) + rest_heading)


def unwrap(angle: Float[Tensor, "*b t"]) -> Float[Tensor, "*b t"]:
    """Return angles without jumps of more than pi along the last dimension."""
    step = angle.diff(dim=-1)
    turns = torch.round(step / (2 * math.pi)) * (2 * math.pi)
    return torch.cat((angle[..., :1], angle[..., :1] + (step - turns).cumsum(-1)), -1)


def _box_smooth(x: Float[Tensor, "*b t n"], radius: int) -> Float[Tensor, "*b t n"]:
    """Mean over a window of ``2 radius + 1`` frames, shorter at the ends."""
    total = torch.cat((torch.zeros_like(x[..., :1, :]), x.cumsum(-2)), -2)
    t = torch.arange(x.shape[-2], device=x.device)
    low, high = (t - radius).clamp_min(0), (t + radius + 1).clamp_max(x.shape[-2])
    return (total[..., high, :] - total[..., low, :]) / (high - low)[:, None].to(x.dtype)


def _append(whole: Motion, later: Motion, blend: float) -> Motion:
    """``later`` at the end of ``whole``, its first frame one step on from the last, the jump blended away."""
    root = whole.skeleton.root
    path, facing, before = whole.world()[1][:, root], whole.heading(), max(-2, -len(whole))
    step = float(facing[-1] - facing[before])
    turned = later.transform(float(facing[-1]) + step - float(later.heading()[0]))
    x, _, z = (path[-1] + (path[-1] - path[before]) - turned.world()[1][0, root]).tolist()
    placed = turned.transform(translation=(x, 0.0, z))
    bent = _inertialize(whole, placed, blend) if blend > 0 else placed
    rotations = torch.cat((whole.rotations, bent.rotations))
    return replace(whole, rotations=rotations, positions=torch.cat((whole.positions, bent.positions)))


def decay_weights(count: int, span: float) -> Float[Tensor, "n 3"]:
    """Return weights by which an offset, a velocity and an acceleration decay smoothly to 0 within ``span`` frames."""
    u = (torch.arange(count) / max(span, 1e-6)).clamp(max=1)
    keep = (1 - u) ** 3  # quintics: at the end value, slope and curvature are 0
    velocity, acceleration = keep * u * (1 + 3 * u) * span, keep * u * u * span * span / 2
    return torch.stack((keep * (1 + 3 * u + 6 * u * u), velocity, acceleration), -1)


def _inertialize(before: Motion, after: Motion, seconds: float) -> Motion:
    """``after`` with its first frames bent so that it goes on from ``before`` without a jump in pose or velocity."""
    p, q, n = after.positions, after.rotations, min(1, len(after) - 1)
    last_p, last_q = before.positions[-1], before.rotations[-1]
    speed = spin = torch.zeros_like(last_p)
    if len(before) > 1:
        speed = last_p - before.positions[-2]
        spin = rotation.log(rotation.mul(last_q, rotation.inv(before.rotations[-2])))
    own_spin = rotation.log(rotation.mul(q[n], rotation.inv(q[0])))
    jump = rotation.log(rotation.mul(rotation.mul(rotation.exp(spin), last_q), rotation.inv(q[0])))
    offset, velocity, _ = decay_weights(len(after), seconds / after.frame_time).to(p)[..., None, None].unbind(1)
    positions = p + offset * (last_p + speed - p[0]) + velocity * (speed - (p[n] - p[0]))
    bend = offset * jump + velocity * (spin - own_spin)
    return replace(after, rotations=rotation.mul(rotation.exp(bend), q), positions=positions)


def mirror_frames(s: Skeleton, motion: Motion) -> Float[Tensor, "j 3 3"]:
    """For each joint the reflection C of its own axes in ``R'_j = M R_partner C``.

    Rigs whose local axes are parallel in the natural pose have C = M; rigs made by mirroring behaviour (Maya) negate
    axes. C is a signed axis permutation. It must take the joint's bones to its partner's; what that leaves open, a
    roll about the bone, is settled by the angles to the parent in the natural pose: joint by joint, so that a clip that
    raises one arm alone does not mislead. Joints above the body root stay as they are.
    """
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    motion = replace(motion, rotations=motion.rotations.cpu(), positions=motion.positions.cpu())
    world_q, offsets, choices = motion.world()[0], s.offset_tensor(), _improper_permutations()
    facing = rotation.mul(rotation.about("y", torch.tensor(-s.rest_heading)), s.fk(s.rest_tensor())[0][s.root])
    level = rotation.mul(rotation.about("y", -motion.heading()), world_q[:, s.root])
    local = rotation.to_matrix(s.rest_tensor())
    local[s.root] = rotation.to_matrix(facing)
    if any(row != s.rest[0] for row in s.rest):  # a natural pose out of the clip is seldom symmetric: average
        local += rotation.to_matrix(motion.rotations).mean(0)
        local[s.root] = rotation.to_matrix(facing) + rotation.to_matrix(level).mean(0)
    frames = torch.zeros(len(s), 3, 3)
    for j, other in enumerate(s.mirror):
        if j in s.ancestors(s.root)[1:]:
            still = rotation.to_matrix(world_q[0, j])
            frames[j] = still.T @ flip @ still
        elif other < j:
            frames[j] = frames[other].T
        else:
            shown = local[other].T @ (flip if j == s.root else frames[s.parents[j]]) @ local[j]
            score = (choices * shown).sum((1, 2))
            bones = list(s.children[j])
            if bones:
                here, there = offsets[bones], offsets[[s.mirror[c] for c in bones]]
                fit = torch.einsum("nab,cb,ca->n", choices, here, there)
                score += 100 * fit / (here.norm(dim=-1) * there.norm(dim=-1)).sum().clamp_min(1e-6)
            if other == j:  # what swaps nothing undoes itself
                score[(choices != choices.transpose(1, 2)).flatten(1).any(1)] = -torch.inf
            frames[j] = choices[score.argmax()]
    return frames


def _improper_permutations() -> Float[Tensor, "24 3 3"]:
    """The signed permutations of the axes that change handedness."""
    axes, signs = torch.eye(3), torch.tensor(list(itertools.product((1.0, -1.0), repeat=3)))
    every = torch.cat([axes[list(order)] * signs[..., None] for order in itertools.permutations(range(3))])
    return every[torch.linalg.det(every) < 0] + 0.0  # no negative zeros
