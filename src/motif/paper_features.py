"""PaperFeatures: the channels of GANimator, SinMDM and the 2024 paper, for their baselines and scores."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from . import contact, rotation
from .errors import MotifError
from .motion import Motion
from .skeleton import Skeleton, index_tensor, levels, strip_namespace

MIXAMO_24 = (
    "Hips",
    *(side + bone for side in ("Left", "Right") for bone in ("UpLeg", "Leg", "Foot", "ToeBase", "Toe_End")),
    *("Spine", "Spine1", "Spine2", "Neck", "Head"),
    *(side + bone for side in ("Left", "Right") for bone in ("Shoulder", "Arm", "ForeArm", "Hand")),
)
PAPER_RIGS: dict[str, tuple[tuple[str, ...] | None, tuple[str, ...]]] = {
    # rig -> (joints in the papers' order, or None for every joint; contact joints in the papers' order)
    "mixamo": (MIXAMO_24, ("LeftToe_End", "RightToe_End", "LeftToeBase", "RightToeBase")),
    "xia": (None, ("LeftToeBase", "RightToeBase")),
}


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
        """Return the papers' rig within ``skeleton``; ``rig`` names it, else the first whose joints are all there."""
        plain = [strip_namespace(n) for n in skeleton.names]
        for known, (joints, contacts) in PAPER_RIGS.items():
            wanted = joints or tuple(n for n, tip in zip(plain, skeleton.end, strict=True) if not tip)
            if (rig or known) == known and set(wanted) | set(contacts) <= set(plain):
                source = tuple(plain.index(n) for n in wanted)
                stand = tuple(wanted.index(n) for n in contacts)
                return PaperFeatures(replace(skeleton.subset(source), names=wanted, contacts=stand), source)
        raise MotifError(
            f"the papers' features exist for {', '.join(PAPER_RIGS)}; this rig of {len(skeleton)} joints lacks "
            f"some of their joints; use motif's own features"
        )

    @property
    def width(self) -> int:
        """C, the number of channels."""
        return 6 * (len(self.skeleton) + len(self.skeleton.contacts) + 1)

    @cached_property
    def contact_features(self) -> "PaperFeatures":
        """The same for the contact joints and all that they hang from alone."""
        small, kept = self.skeleton.contact_rig
        return PaperFeatures(small, tuple(self.source[j] for j in kept))

    @cached_property
    def contact_channels(self) -> tuple[int, ...]:
        """Which channels are those of :attr:`contact_features`."""
        joints = [6 * j + k for j in self.skeleton.contact_rig[1] for k in range(6)]
        return (*joints, *range(6 * len(self.skeleton), self.width))

    def encode(self, motion: Motion) -> Float[Tensor, "t c"]:
        """Return the papers' features of a motion of the full rig, which must run at 30 fps: nothing is scaled."""
        s, source = self.skeleton, index_tensor(self.source, motion.rotations.device)
        q, p = motion.rotations.index_select(1, source), motion.positions.index_select(1, source)
        feet = s.fk(q, p)[1].index_select(1, index_tensor(s.contacts, q.device))
        rows = rotation.to_matrix(q)[..., :2, :].flatten(1)
        label = feet.diff(dim=0).norm(dim=-1) < self.SPEED
        label = torch.cat((torch.zeros_like(label[:1]), label)).to(rows.dtype)
        nodes = torch.nn.functional.pad(label[..., None], (0, 5)).flatten(1)
        velocity = p[:, 0].diff(dim=0)
        velocity = torch.cat((velocity[:1], velocity))
        root = torch.stack((velocity[:, 0], p[:, 0, 1], velocity[:, 2]), -1)
        return torch.cat((rows, nodes, root, torch.zeros_like(root)), -1)

    def pose(
        self, x: Float[Tensor, "*b t c"], x0: float = 0.0, z0: float = 0.0
    ) -> tuple[Float[Tensor, "*b t j 4"], Float[Tensor, "*b t j 3"]]:
        """Return local rotations and translations of the reduced rig, with gradients.

        The first velocity is replaced by the place where the root starts, as in the papers' code.
        """
        rest = self.skeleton.offset_tensor(x).expand(*x.shape[:-1], -1, -1)
        path = self._path(x, x0, z0)
        return rotation.from_matrix(self._matrices(x)), torch.cat((path[..., None, :], rest[..., 1:, :]), -2)

    def _matrices(self, x: Float[Tensor, "*b t c"]) -> Float[Tensor, "*b t j 3 3"]:
        """Return local rotations."""
        rows = x[..., : 6 * len(self.skeleton)].unflatten(-1, (-1, 2, 3))
        first = rotation.unit(rows[..., 0, :], rotation.constant((1.0, 0.0, 0.0), x.dtype, x.device))
        third = torch.linalg.cross(first, rows[..., 1, :], dim=-1)
        third = rotation.unit(third, rotation.constant((0.0, 0.0, 1.0), x.dtype, x.device))
        return torch.stack((first, torch.linalg.cross(third, first, dim=-1), third), -2)

    def _path(self, x: Float[Tensor, "*b t c"], x0: float, z0: float) -> Float[Tensor, "*b t 3"]:
        """Return where the root is."""
        begin = torch.stack([torch.full_like(x[..., :1, 0], place) for place in (x0, z0)], -1)
        flat = torch.cat((begin, x[..., 1:, -6:-3:2]), -2).cumsum(-2)
        return torch.stack((flat[..., 0], x[..., -5], flat[..., 1]), -1)

    def contact_positions(self, x: Float[Tensor, "*b t c"]) -> Float[Tensor, "*b t k 3"]:
        """Return where the contact joints are in the world, with gradients.

        Rotation matrices all the way: a tenth of the operations of :meth:`pose` and quaternions.
        """
        s = self.skeleton
        tree, local, offsets = levels(s.parents, x.device), self._matrices(x), s.offset_tensor(x)[..., None]
        turn, place = local.index_select(-3, tree.joints[0]), [self._path(x, 0.0, 0.0)[..., None, :]]
        for joints, above in zip(tree.joints[1:], tree.above, strict=True):
            turn, before = turn.index_select(-3, above), place[-1].index_select(-2, above)
            place.append(before + (turn @ offsets.index_select(0, joints)).squeeze(-1))
            turn = turn @ local.index_select(-3, joints)
        contacts = index_tensor(s.contacts, x.device)
        return torch.cat(place, -2).index_select(-2, tree.order.index_select(0, contacts))

    def decode(self, x: Float[Tensor, "t c"], x0: float = 0.0, z0: float = 0.0, frame_time: float = 1 / 30) -> Motion:
        """Return a motion of the reduced rig."""
        return Motion(self.skeleton, *self.pose(x, x0, z0), frame_time)

    def contact_labels(self, x: Float[Tensor, "t c"]) -> Bool[Tensor, "t k"]:
        """Return which contact joints stand, without gaps and runs of one or two frames."""
        return contact.without_short(x[:, 6 * len(self.skeleton) : -6 : 6] > 0.5, 3)

    def expand(
        self, rotations: Float[Tensor, "t j 4"], positions: Float[Tensor, "t j 3"], like: Motion, name: str = ""
    ) -> Motion:
        """Return a motion of the whole rig at the rate of ``like`` from a pose sequence of the reduced one at 30 Hz.

        Joints that the papers leave out (fingers) hold the first pose of ``like``.
        """
        q, p = (t[:1].repeat(len(rotations), 1, 1) for t in (like.rotations, like.positions))
        q[:, list(self.source)] = rotations
        p[:, self.source[0]] = positions[:, 0]
        whole = Motion(like.skeleton, q, p, 1 / self.RATE, name, like.file_format)
        return replace(whole.resample(like.fps), frame_time=like.frame_time)
