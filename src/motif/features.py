"""Features: a motion of one rig as vectors and back. This is the one file that knows which of their channels is which.

They are heading-free, so that a step to the north and one to the east are the same motion, with velocities per second,
so that they are right at every level of a pyramid.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from . import contact, ground, rotation
from .errors import MotifError
from .motion import FileFormat, Motion, heading
from .skeleton import Skeleton, index_tensor

VELOCITY_SECONDS = 0.3
"""Seconds over which a difference in speed counts as a difference in place, in distances between features."""


@dataclass(frozen=True)
class Start:
    """Where a motion begins: what heading-free features leave out. Numbers, or one per motion of a batch."""

    x: float | Float[Tensor, "*b"] = 0.0
    z: float | Float[Tensor, "*b"] = 0.0
    heading: float | Float[Tensor, "*b"] = 0.0
    ground: float | Float[Tensor, "*b"] = 0.0
    """Height of the ground, where that is not level."""


@dataclass(frozen=True, eq=False)
class Features:
    """The layout for one rig: which joints move, what the others hold, and the named slices of a frame.

    Slices: ``root_height`` [1] m, over the ground; ``root_velocity`` [2] x and z in the heading frame of the frame
    before, m/s; ``root_turn`` [1] rad/s; ``ground_velocity`` [0 or 1] how fast the ground rises, m/s; ``root_tilt``
    [6] world rotation of the root with its heading taken out; ``rotations`` [6 R] local rotations; ``positions`` [3 S]
    local translations, m; ``contacts`` [C] in 0..1.
    """

    skeleton: Skeleton
    rotating: tuple[int, ...]
    """Joints other than the root whose local rotation changes."""
    translating: tuple[int, ...]
    """Joints other than the root whose local translation changes."""
    base_rotations: Float[Tensor, "j 4"]
    """What the other joints hold."""
    base_positions: Float[Tensor, "j 3"]
    file_format: FileFormat = FileFormat()  # noqa: RUF009  (frozen)
    climb: tuple[float, float] | None = None
    """How fast the root falls (less than 0) and rises at most, m/s, where the ground is not level; None where it is."""
    comes_back: bool = False
    """Whether clips end on the ground that they began on: heights are then the world's, and takes come down, too."""
    _made: dict = field(default_factory=dict, init=False, repr=False)

    @staticmethod
    def of(motions: Sequence[Motion]) -> "Features":
        """Return the layout that holds these motions of one rig."""
        first, s = motions[0], motions[0].skeleton
        base_q, base_p = first.rotations[0], first.positions[0]
        turning = moving = torch.zeros(len(s), dtype=torch.bool)
        for m in motions:
            if difference := s.rig_difference(m.skeleton):
                names = f"{first.name!r} and {m.name!r}"
                raise MotifError(f"{names} are not the same rig: {difference}; give clips of one rig")
            far = rotation.by_blocks(lambda q: rotation.geodesic(q, base_q).amax(0)[None], m.rotations)
            turning = turning | (far.amax(0) > 1e-4)
            moving = moving | ((m.positions - base_p).abs().amax((0, 2)) > 1e-4 * s.height)
        turning[[*s.ancestors(s.root)]] = moving[[*s.ancestors(s.root)]] = False
        rotating, translating = (tuple(some.nonzero()[:, 0].tolist()) for some in (turning, moving))
        climb, uneven = None, [m for m in motions if ground.is_uneven(m)]
        if uneven:
            speeds = torch.cat([ground.climb(m.root_and_feet[1][:, 1], m.frame_time) for m in motions])
            climb = float(speeds.min()), float(speeds.max())
        back = bool(uneven) and all(map(ground.comes_back, uneven))
        return Features(s, rotating, translating, base_q, base_p, first.file_format, climb, back)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each named part lies in a frame."""
        widths = {"root_height": 1, "root_velocity": 2, "root_turn": 1, "ground_velocity": int(self.uneven)}
        widths |= {"root_tilt": 6}
        widths |= {"rotations": 6 * len(self.rotating), "positions": 3 * len(self.translating)}
        widths |= {"contacts": len(self.skeleton.contacts)}
        ends = accumulate(widths.values())
        return {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)}

    @property
    def uneven(self) -> bool:
        """Whether heights are over the ground under the feet, whose own height is summed up."""
        return self.raised and not self.comes_back

    @property
    def raised(self) -> bool:
        """Whether feet rest at any height (:mod:`motif.ground`)."""
        return self.climb is not None

    @property
    def velocities(self) -> list[slice]:
        """The slices that are summed up along time."""
        return [self.slices[name] for name in ("root_velocity", "root_turn", "ground_velocity")]

    @property
    def width(self) -> int:
        """D, the number of channels."""
        return self.slices["contacts"].stop

    def encode(self, motion: Motion) -> Float[Tensor, "t d"]:
        """Return the features of a motion of this rig. Frame 0 takes its velocities from frame 1."""
        s, dt = self.skeleton, motion.frame_time
        root_q, root_p, feet = motion.root_and_feet
        root = root_channels(root_q, root_p, heading(root_q, s, dt), dt)
        stands = ground.resting(feet, root_p[:, 1], s, dt) if self.raised else contact.labels(feet, s, dt)
        if self.uneven:
            height = ground.heights(feet, root_p[:, 1], s, dt)
            rise = torch.nn.functional.pad(height.diff(), (1, 0)) / dt
            rise[:1] = rise[1:2] if len(rise) > 1 else 0.0
            root = torch.cat((root[:, :1] - height[:, None], root[:, 1:4], rise[:, None], root[:, 4:]), -1)
        turns = rotation.to_sixd(_pick(motion.rotations, self.rotating)).flatten(1)
        moves = _pick(motion.positions, self.translating).flatten(1)
        return torch.cat((root, turns, moves, stands.to(root_p)), -1)

    def start(self, motion: Motion) -> Start:
        """Return where a motion begins."""
        height = 0.0
        if self.uneven:
            _, root, feet = motion.root_and_feet
            height = float(ground.heights(feet, root[:, 1], self.skeleton, motion.frame_time)[0])
        motion = motion.crop(0, max(round(1 / motion.frame_time), 2))  # no later frame tells how it faces at first
        x, _, z = motion.world()[1][0, self.skeleton.root].tolist()
        return Start(x, z, float(motion.heading()[0]), height)

    def trajectory(
        self, x: Float[Tensor, "*b t d"], frame_time: float, start: Start = Start()
    ) -> tuple[Float[Tensor, "*b t"], Float[Tensor, "*b t 3"]]:
        """Return heading (radians) and root path (metres, world), in float64: velocities summed up from ``start``."""
        facing, path = root_path(x[..., : self.slices["root_turn"].stop], frame_time, start)
        if self.uneven:
            rise = x[..., self.slices["ground_velocity"].start].double() * frame_time
            rise[..., 0] = _scalar(start.ground, rise)
            path[..., 1] += rise.cumsum(-1)
        return facing, path

    def decode(
        self,
        x: Float[Tensor, "*b t d"],
        frame_time: float,
        start: Start = Start(),
        joints: Collection[int] | None = None,
    ) -> tuple[Float[Tensor, "*b t j 4"], Float[Tensor, "*b t j 3"]]:
        """Return local rotations and translations of features at any rate; right for ``joints`` alone, if given."""
        s, at = self.skeleton, self.slices
        facing, path = self.trajectory(x, frame_time, start)
        root_q = rotation.mul(rotation.about("y", facing.to(x.dtype)), rotation.from_sixd(x[..., at["root_tilt"]]))
        rotations, positions = (t.expand(*x.shape[:-1], -1, -1).clone() for t in self._held(x))
        turning = tuple(k for k, j in enumerate(self.rotating) if joints is None or j in joints)
        if turning:
            sixd = x[..., at["rotations"]].unflatten(-1, (-1, 6))
            sixd = sixd if len(turning) == len(self.rotating) else _pick(sixd, turning)
            index = index_tensor(tuple(self.rotating[k] for k in turning), x.device)
            rotations[..., index, :] = rotation.from_sixd(sixd)
        if self.translating:
            index = index_tensor(self.translating, x.device)
            positions[..., index, :] = x[..., at["positions"]].unflatten(-1, (-1, 3))
        root_p, above = path.to(x.dtype), s.ancestors(s.root)[:0:-1]
        if above:  # what stands above the root stays put
            above_q, above_p = rotation.identity(*root_q.shape[:-1], like=root_q), torch.zeros_like(root_p)
            for j in above:
                above_p = above_p + rotation.rotate(above_q, positions[..., j, :])
                above_q = rotation.mul(above_q, rotations[..., j, :])
            up = rotation.inv(above_q)
            root_q, root_p = rotation.mul(up, root_q), rotation.rotate(up, root_p - above_p)
        rotations[..., s.root, :], positions[..., s.root, :] = root_q, root_p
        return rotations, positions

    def _held(self, like: Tensor) -> tuple[Float[Tensor, "j 4"], Float[Tensor, "j 3"]]:
        """``base_rotations`` and ``base_positions`` with the dtype and device of ``like``, copied there once."""
        key = like.dtype, like.device
        if key not in self._made:
            self._made[key] = self.base_rotations.to(like), self.base_positions.to(like)
        return self._made[key]

    def motion(self, x: Float[Tensor, "t d"], frame_time: float, start: Start = Start(), name: str = "") -> Motion:
        """Return one decoded motion, in the file format of the clips that the layout was made from."""
        rotations, positions = self.decode(x, frame_time, start)
        return Motion(self.skeleton, rotations, positions, frame_time, name, self.file_format)

    def channel_mask(self, joints: Collection[int], moving: bool = True) -> Bool[Tensor, "d"]:
        """Return True for the channels of these joints, for those of the root's velocities only if ``moving``."""
        s, at = self.skeleton, self.slices
        mask = torch.zeros(self.width, dtype=torch.bool)
        owned = (("rotations", self.rotating, 6), ("positions", self.translating, 3), ("contacts", s.contacts, 1))
        for name, owners, width in owned:
            mask[at[name]] = torch.tensor([j in joints for j in owners], dtype=torch.bool).repeat_interleave(width)
        if s.root in joints:
            mask[: at["root_tilt"].stop] = True
            for part in self.velocities:
                mask[part] = moving
        return mask

    def channel_weights(self, parts: Mapping[str, float] | None = None) -> Float[Tensor, "d"]:
        """Return per channel a factor that turns differences into metres, so that distances mean what the eye sees.

        A joint's rotation counts by how far it can move what hangs below it; speeds count by the way made in
        ``VELOCITY_SECONDS``. ``parts`` multiplies joints or body parts by name.
        """
        s, at = self.skeleton, self.slices
        joint = torch.ones(len(s))
        for name, factor in (parts or {}).items():
            if factor < 0:
                raise MotifError(f"weight of {name!r} is {factor}; weights are at least 0")
            joint[list(s.select([name]))] *= factor
        length = torch.tensor(s.chain_length)
        w = torch.ones(self.width)
        w[at["root_velocity"]] = w[at["ground_velocity"]] = VELOCITY_SECONDS * joint[s.root]
        w[at["root_turn"]] = VELOCITY_SECONDS * 0.5 * s.height * joint[s.root]
        w[at["root_height"]] = joint[s.root]
        w[at["root_tilt"]] = length[s.root] * joint[s.root]
        w[at["rotations"]] = (length * joint)[list(self.rotating)].repeat_interleave(6)
        w[at["positions"]] = joint[list(self.translating)].repeat_interleave(3)
        w[at["contacts"]] = 0.03 * s.height
        return w


def root_channels(
    q: Float[Tensor, "*b t 4"], p: Float[Tensor, "*b t 3"], facing: Float[Tensor, "*b t"], frame_time: float
) -> Float[Tensor, "*b t 10"]:
    """Return height, velocity (2), turn and tilt (6) of a root with this rotation, place and heading in the world."""
    level = rotation.about("y", -facing)
    step = rotation.rotate(level[..., :-1, :], p.diff(dim=-2))[..., ::2]
    rates = torch.cat((step, facing.diff()[..., None]), -1) / frame_time
    rates = torch.cat((rates[..., :1, :] if p.shape[-2] > 1 else torch.zeros_like(p), rates), -2)
    return torch.cat((p[..., 1:2], rates, rotation.to_sixd(rotation.mul(level, q))), -1)


def root_path(
    x: Float[Tensor, "*b t 4"], frame_time: float, start: Start = Start()
) -> tuple[Float[Tensor, "*b t"], Float[Tensor, "*b t 3"]]:
    """Return heading (radians) and path (metres, world), in float64, of height, velocity and turn of a root."""
    turn = x[..., 3].double() * frame_time
    turn[..., 0] = _scalar(start.heading, turn)
    facing = turn.cumsum(-1)
    flat = x[..., 1:, 1:3].double() * frame_time
    flat = torch.stack((flat[..., 0], torch.zeros_like(flat[..., 0]), flat[..., 1]), -1)
    step = rotation.rotate(rotation.about("y", facing[..., :-1]), flat)
    begin = [_scalar(v, turn).expand(turn.shape[:-1]) for v in (start.x, 0.0, start.z)]
    path = torch.cat((torch.stack(begin, -1)[..., None, :], step), -2).cumsum(-2)
    path[..., 1] = x[..., 0]
    return facing, path


def _pick(x: Float[Tensor, "*b j n"], joints: tuple[int, ...]) -> Float[Tensor, "*b k n"]:
    return x.index_select(-2, index_tensor(joints, x.device))


def _scalar(value: float | Tensor, like: Tensor) -> Tensor:
    """A number (rounded to float32) or one per motion like another tensor, without a copy from the host."""
    value = value if isinstance(value, Tensor) else torch.full((), value, dtype=torch.float32, device=like.device)
    return value.to(like)
