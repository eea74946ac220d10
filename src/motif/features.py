"""Features: a motion as vectors and back. This is the one file that knows which channel is which.

``Features`` is motif's own layout for one rig: heading-free, so that a step to the north and one to the east are the
same motion, with velocities per second, so that they are right at every level of a pyramid. ``PaperFeatures`` is the
layout of GANimator, SinMDM and the 2024 paper, for their baselines and scores.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from . import contact, rotation
from .errors import MotifError
from .motion import FileStyle, Motion, heading
from .skeleton import PAPER_RIGS, Skeleton, short_name

STRIDE = 0.3
"""Seconds over which a difference in speed counts as a difference in place, in distances between features."""


@dataclass(frozen=True)
class Start:
    """Where a motion begins: what heading-free features leave out. Numbers, or one per motion of a batch."""

    x: float | Float[Tensor, "*b"] = 0.0
    z: float | Float[Tensor, "*b"] = 0.0
    heading: float | Float[Tensor, "*b"] = 0.0


@dataclass(frozen=True, eq=False)
class Features:
    """The layout for one rig: which joints move, what the others hold, and the named slices of a frame.

    Slices: ``root_height`` [1] m; ``root_velocity`` [2] x and z in the heading frame of the frame before, m/s;
    ``root_turn`` [1] rad/s; ``root_tilt`` [6] world rotation of the root with its heading taken out;
    ``rotations`` [6 R] local rotations; ``positions`` [3 S] local translations, m; ``contacts`` [C] in 0..1.
    """

    skeleton: Skeleton
    rotating: tuple[int, ...]
    """Joints other than the root whose local rotation changes."""
    sliding: tuple[int, ...]
    """Joints other than the root whose local translation changes."""
    base_rotations: Float[Tensor, "j 4"]
    """What the other joints hold."""
    base_positions: Float[Tensor, "j 3"]
    style: FileStyle = FileStyle()  # noqa: RUF009  (frozen)

    @staticmethod
    def of(motions: Sequence[Motion]) -> "Features":
        """The layout that holds these motions of one rig."""
        first = motions[0]
        s = first.skeleton
        for other in motions[1:]:
            difference = s.same_rig(other.skeleton)
            if difference:
                raise MotifError(
                    f"{first.name!r} and {other.name!r} are not the same rig: {difference}; give clips of one rig"
                )
        base_q, base_p = first.rotations[0], first.positions[0]
        turning = torch.zeros(len(s), dtype=torch.bool)
        moving = torch.zeros(len(s), dtype=torch.bool)
        for m in motions:
            turning |= rotation.geodesic(m.rotations, base_q).amax(0) > 1e-4
            moving |= (m.positions - base_p).abs().amax((0, 2)) > 1e-4 * s.height
        fixed = set(s.ancestors(s.root))
        pick = [j for j in range(len(s)) if j not in fixed]
        rotating, sliding = tuple(j for j in pick if turning[j]), tuple(j for j in pick if moving[j])
        return Features(s, rotating, sliding, base_q, base_p, first.style)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each named part lies in a frame."""
        widths = {
            "root_height": 1,
            "root_velocity": 2,
            "root_turn": 1,
            "root_tilt": 6,
            "rotations": 6 * len(self.rotating),
            "positions": 3 * len(self.sliding),
            "contacts": len(self.skeleton.contacts),
        }
        ends = torch.tensor(list(widths.values())).cumsum(0).tolist()
        return {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)}

    @property
    def width(self) -> int:
        """D, the number of channels."""
        return self.slices["contacts"].stop

    def encode(self, motion: Motion) -> Float[Tensor, "t d"]:
        """The features of a motion of this rig. Frame 0 takes its velocities from frame 1."""
        s, dt = self.skeleton, motion.frame_time
        world_q, world_p = s.fk(motion.rotations, motion.positions)
        root_q, root_p = world_q[:, s.root], world_p[:, s.root]
        facing = heading(root_q, s, dt)
        level = rotation.about("y", -facing)
        step = rotation.rotate(level[:-1], root_p.diff(dim=0))[:, (0, 2)] / dt
        turn = facing.diff()[:, None] / dt
        first = slice(0, 1) if len(motion) > 1 else slice(0, 0)
        velocity = torch.cat((step[first] if len(step) else step.new_zeros(1, 2), step))
        turning = torch.cat((turn[first] if len(turn) else turn.new_zeros(1, 1), turn))
        columns = (
            root_p[:, 1:2],
            velocity,
            turning,
            rotation.to_sixd(rotation.mul(level, root_q)),
            rotation.to_sixd(motion.rotations[:, list(self.rotating)]).flatten(1),
            motion.positions[:, list(self.sliding)].flatten(1),
            contact.labels(world_p, s, dt).to(root_p.dtype),
        )
        return torch.cat(columns, -1)

    def start(self, motion: Motion) -> Start:
        """Where this motion begins."""
        p = motion.world()[1][0, self.skeleton.root]
        return Start(float(p[0]), float(p[2]), float(motion.heading()[0]))

    def trajectory(
        self, x: Float[Tensor, "*b t d"], frame_time: float, start: Start = Start()
    ) -> tuple[Float[Tensor, "*b t"], Float[Tensor, "*b t 3"]]:
        """Heading (radians) and path of the root (metres, world), in float64: velocities summed up from ``start``."""
        at = self.slices
        turn = x[..., at["root_turn"]][..., 0].double() * frame_time
        turn[..., 0] = torch.as_tensor(start.heading).to(turn)
        facing = turn.cumsum(-1)
        flat = x[..., 1:, at["root_velocity"]].double() * frame_time
        flat = torch.stack((flat[..., 0], torch.zeros_like(flat[..., 0]), flat[..., 1]), -1)
        step = rotation.rotate(rotation.about("y", facing[..., :-1]), flat)
        begin = [torch.as_tensor(v).to(turn).expand(turn.shape[:-1]) for v in (start.x, 0.0, start.z)]
        path = torch.cat((torch.stack(begin, -1)[..., None, :], step), -2).cumsum(-2)
        path[..., 1] = x[..., at["root_height"]][..., 0]
        return facing, path

    def decode(
        self,
        x: Float[Tensor, "*b t d"],
        frame_time: float,
        start: Start = Start(),
        joints: Collection[int] | None = None,
    ) -> tuple[Float[Tensor, "*b t j 4"], Float[Tensor, "*b t j 3"]]:
        """Local rotations and translations of features at any rate; only of ``joints`` if given."""
        s, at = self.skeleton, self.slices
        lead = x.shape[:-1]
        facing, path = self.trajectory(x, frame_time, start)
        root_p = path.to(x.dtype)
        root_q = rotation.mul(rotation.about("y", facing.to(x.dtype)), rotation.from_sixd(x[..., at["root_tilt"]]))

        rotations = self.base_rotations.to(x).expand(*lead, -1, -1).clone()
        positions = self.base_positions.to(x).expand(*lead, -1, -1).clone()
        turning = [k for k, j in enumerate(self.rotating) if joints is None or j in joints]
        if turning:
            sixd = x[..., at["rotations"]].unflatten(-1, (-1, 6))
            sixd = sixd if len(turning) == len(self.rotating) else sixd[..., turning, :]
            rotations[..., [self.rotating[k] for k in turning], :] = rotation.from_sixd(sixd)
        if self.sliding:
            positions[..., list(self.sliding), :] = x[..., at["positions"]].unflatten(-1, (-1, 3))
        return place_root(s, rotations, positions, root_q, root_p)

    def motion(self, x: Float[Tensor, "t d"], frame_time: float, start: Start = Start(), name: str = "") -> Motion:
        """One decoded motion, in the file style of the clips that the layout was made from."""
        rotations, positions = self.decode(x, frame_time, start)
        return Motion(self.skeleton, rotations, positions, frame_time, name, self.style)

    def channels(self, joints: Collection[int], moving: bool = True) -> Bool[Tensor, "d"]:
        """The channels that describe these joints, those of the root's velocities only if ``moving``."""
        s, at = self.skeleton, self.slices
        mask = torch.zeros(self.width, dtype=torch.bool)
        for name, owners, width in (
            ("rotations", self.rotating, 6),
            ("positions", self.sliding, 3),
            ("contacts", s.contacts, 1),
        ):
            mask[at[name]] = torch.tensor([j in joints for j in owners], dtype=torch.bool).repeat_interleave(width)
        if s.root in joints:
            mask[: at["root_tilt"].stop] = True
            mask[at["root_velocity"]] = mask[at["root_turn"]] = moving
        return mask

    def weights(self, parts: Mapping[str, float] | None = None) -> Float[Tensor, "d"]:
        """Per channel a factor that turns differences into metres, so that distances mean what the eye sees.

        A joint's rotation counts by how far it can move what hangs below it; speeds count by the way made in
        ``STRIDE`` seconds. ``parts`` multiplies joints or body parts by name.
        """
        s, at = self.skeleton, self.slices
        joint = torch.ones(len(s))
        for name, factor in (parts or {}).items():
            if factor < 0:
                raise MotifError(f"weight of {name!r} is {factor}; weights are at least 0")
            joint[list(s.select([name]))] *= factor
        reach = torch.tensor(s.reach)
        w = torch.ones(self.width)
        w[at["root_velocity"]] = STRIDE * joint[s.root]
        w[at["root_turn"]] = STRIDE * 0.5 * s.height * joint[s.root]
        w[at["root_height"]] = joint[s.root]
        w[at["root_tilt"]] = reach[s.root] * joint[s.root]
        w[at["rotations"]] = (reach * joint)[list(self.rotating)].repeat_interleave(6)
        w[at["positions"]] = joint[list(self.sliding)].repeat_interleave(3)
        w[at["contacts"]] = 0.03 * s.height
        return w


def place_root(
    s: Skeleton,
    rotations: Float[Tensor, "*b j 4"],
    positions: Float[Tensor, "*b j 3"],
    root_q: Float[Tensor, "*b 4"],
    root_p: Float[Tensor, "*b 3"],
) -> tuple[Float[Tensor, "*b j 4"], Float[Tensor, "*b j 3"]]:
    """Local values, changed in place, with the root at a world rotation and place; joints above the root stay put."""
    chain = s.ancestors(s.root)[1:]
    if not chain:
        rotations[..., s.root, :], positions[..., s.root, :] = root_q, root_p
        return rotations, positions
    above_q, above_p = rotation.identity(*root_q.shape[:-1], like=root_q), torch.zeros_like(root_p)
    for j in reversed(chain):
        above_p = above_p + rotation.rotate(above_q, positions[..., j, :])
        above_q = rotation.mul(above_q, rotations[..., j, :])
    up = rotation.inv(above_q)
    rotations[..., s.root, :] = rotation.mul(up, root_q)
    positions[..., s.root, :] = rotation.rotate(up, root_p - above_p)
    return rotations, positions


# --- the papers' layout ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class PaperFeatures:
    """C = 6 (J + K + 1) channels a frame, as in GANimator's code: 174 on the 24-joint Mixamo rig.

    J local rotations (the root's in the world) as the first two *rows* of the matrix; K contact nodes, each a label
    and five zeros; then x velocity, height and z velocity of the root in world axes, per frame, and three zeros.
    """

    skeleton: Skeleton
    """The papers' reduced rig."""
    source: tuple[int, ...]
    """For each of its joints the joint of the full rig."""
    SPEED = 0.018
    """Metres a frame at 30 fps below which the papers call a joint in contact."""
    RATE = 30.0
    """The papers' frames a second."""

    @staticmethod
    def of(skeleton: Skeleton, rig: str | None = None) -> "PaperFeatures":
        """The papers' rig within ``skeleton``; ``rig`` names it, else the first whose joints are all there."""
        plain = [short_name(n) for n in skeleton.names]
        for known, (joints, contacts) in PAPER_RIGS.items():
            wanted = joints or tuple(n for n, tip in zip(plain, skeleton.end, strict=True) if not tip)
            if (rig or known) == known and set(wanted) | set(contacts) <= set(plain):
                return PaperFeatures._reduce(skeleton, [plain.index(n) for n in wanted], contacts)
        raise MotifError(
            f"the papers' features exist for {', '.join(PAPER_RIGS)}; this rig of {len(skeleton)} joints lacks "
            f"some of their joints; use motif's own features"
        )

    @staticmethod
    def _reduce(s: Skeleton, kept: list[int], contacts: Sequence[str]) -> "PaperFeatures":
        parents = tuple(-1 if s.parents[j] < 0 else kept.index(s.parents[j]) for j in kept)
        small = Skeleton(tuple(short_name(s.names[j]) for j in kept), parents, tuple(s.offsets[j] for j in kept))
        return PaperFeatures(replace(small, contacts=tuple(small.names.index(n) for n in contacts)), tuple(kept))

    @property
    def width(self) -> int:
        """C, the number of channels."""
        return 6 * (len(self.skeleton) + len(self.skeleton.contacts) + 1)

    def encode(self, motion: Motion) -> Float[Tensor, "t c"]:
        """The papers' features of a motion of the full rig. Give it at 30 fps, as the papers do: nothing is scaled."""
        s = self.skeleton
        q = motion.rotations[:, list(self.source)]
        p = motion.positions[:, list(self.source)]
        world = s.fk(q, p)[1]
        rows = rotation.to_matrix(q)[..., :2, :].flatten(1)
        label = world[:, list(s.contacts)].diff(dim=0).norm(dim=-1) < self.SPEED
        label = torch.cat((torch.zeros_like(label[:1]), label)).to(rows.dtype)
        nodes = torch.nn.functional.pad(label[..., None], (0, 5)).flatten(1)
        velocity = p[:, 0].diff(dim=0)
        velocity = torch.cat((velocity[:1], velocity))
        root = torch.stack((velocity[:, 0], p[:, 0, 1], velocity[:, 2]), -1)
        return torch.cat((rows, nodes, root, torch.zeros_like(root)), -1)

    def decode(self, x: Float[Tensor, "t c"], x0: float = 0.0, z0: float = 0.0, frame_time: float = 1 / 30) -> Motion:
        """A motion of the reduced rig; the first velocity is replaced by the start, as in the papers' code."""
        return Motion(self.skeleton, *self.pose(x, x0, z0), frame_time)

    def motion(self, x: Float[Tensor, "t c"], like: Motion, lock: bool = True, name: str = "") -> Motion:
        """Features at the papers' 30 Hz as a motion of the whole rig, at the rate of ``like``; feet locked if asked.

        Joints that the papers leave out (fingers) hold the first pose of ``like``.
        """
        small, rate = self.skeleton, self.RATE
        q, p = self.pose(x)
        if lock:
            on = x[:, 6 * len(small) : -6 : 6] > 0.5
            from .post import feet

            q = feet.lock(small, (q, p), contact.without_short(on, 3), 1 / rate)
        rotations, positions = (t[:1].repeat(len(x), 1, 1) for t in (like.rotations, like.positions))
        rotations[:, list(self.source)] = q
        positions[:, self.source[0]] = p[:, 0]
        whole = Motion(like.skeleton, rotations, positions, 1 / rate, name, like.style)
        return replace(whole.resample(like.fps), frame_time=like.frame_time)

    def pose(
        self, x: Float[Tensor, "*b t c"], x0: float = 0.0, z0: float = 0.0
    ) -> tuple[Float[Tensor, "*b t j 4"], Float[Tensor, "*b t j 3"]]:
        """Local rotations and translations of the reduced rig, with gradients."""
        s = self.skeleton
        rows = x[..., : 6 * len(s)].unflatten(-1, (-1, 2, 3))
        first = rotation.unit(rows[..., 0, :], rows.new_tensor([1.0, 0, 0]).expand_as(rows[..., 0, :]))
        third = torch.linalg.cross(first, rows[..., 1, :], dim=-1)
        third = rotation.unit(third, rows.new_tensor([0, 0, 1.0]).expand_as(third))
        matrix = torch.stack((first, torch.linalg.cross(third, first, dim=-1), third), -2)
        begin = x.new_tensor([x0, z0]).expand(*x.shape[:-2], 1, 2)
        flat = torch.cat((begin, x[..., 1:, (-6, -4)]), -2).cumsum(-2)
        path = torch.stack((flat[..., 0], x[..., -5], flat[..., 1]), -1)
        rest = s.offset_tensor(x).expand(*x.shape[:-1], -1, -1)
        return rotation.from_matrix(matrix), torch.cat((path[..., None, :], rest[..., 1:, :]), -2)
