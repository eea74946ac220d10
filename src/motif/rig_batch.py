"""RigBatch: several rigs side by side, padded to the largest, for kinematics and features in one call.

Every joint of every rig has the same 14 channels a frame, so that one network may read any rig:

- ``rotation`` (6): its local rotation; at the body root the root's world rotation with its heading taken out;
- ``position`` (3): its local translation, metres; zero at the body root, whose place is in the next;
- ``root`` (4): at the body root its height (m), its velocity along x and z in the heading frame of the frame before
  (m/s) and its turn (rad/s), as in :class:`motif.features.Features`; zero at all other joints;
- ``contact`` (1): whether it stands on the ground, in 0..1; zero at joints that are no contact joints.

Padding is zero in features, identity and zero in poses, and nothing that stands there is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from . import contact, rotation
from .features import Start, root_channels, root_path
from .motion import heading_from_rest
from .skeleton import Levels, Skeleton, forward_kinematics, index_tensor, levels

CHANNELS = {"rotation": slice(0, 6), "position": slice(6, 9), "root": slice(9, 13), "contact": slice(13, 14)}
WIDTH = 14


@dataclass(frozen=True, eq=False)
class RigBatch:
    """B rigs of at most J joints."""

    rigs: tuple[Skeleton, ...]
    offsets: Float[Tensor, "b j 3"]
    """Rest offsets in metres."""
    mask: Bool[Tensor, "b j"]
    """True where a rig has a joint, False for padding."""
    is_root: Bool[Tensor, "b j"]
    """True at the joint that carries the body."""
    levels: Levels
    """The joints of all rigs by depth, numbered rig after rig."""
    above: tuple[Int[Tensor, "b"], ...]
    """The joints from the first down to the one above the body root; J where a rig has none left."""
    rest: Float[Tensor, "b 4"]
    """World rotation of the body root in the natural pose."""
    rest_heading: Float[Tensor, "b"]
    """Yaw of the natural pose, radians."""

    @staticmethod
    def of(rigs: Sequence[Skeleton], device: torch.device | str = "cpu") -> "RigBatch":
        """Return rigs as a batch on a device."""
        device, widest = torch.device(device), max(map(len, rigs))
        pad = [widest - len(s) for s in rigs]
        rows = ([*s.parents, *[-1] * n] for s, n in zip(rigs, pad, strict=True))
        parents = tuple(k * widest + p if p >= 0 else -1 for k, row in enumerate(rows) for p in row)
        chains = [s.ancestors(s.root)[:0:-1] for s in rigs]
        above = [[c[d] if d < len(c) else widest for c in chains] for d in range(max(map(len, chains)))]
        return RigBatch(
            tuple(rigs),
            torch.tensor([[*s.offsets, *[(0.0, 0.0, 0.0)] * n] for s, n in zip(rigs, pad, strict=True)], device=device),
            torch.tensor([[j < len(s) for j in range(widest)] for s in rigs], device=device),
            torch.tensor([[j == s.root for j in range(widest)] for s in rigs], device=device),
            levels(parents, device),
            tuple(torch.tensor(row, device=device) for row in above),
            torch.stack([s.fk(s.rest_tensor())[0][s.root] for s in rigs]).to(device),
            torch.tensor([s.rest_heading for s in rigs], device=device),
        )

    def pad(self, values: Sequence[Float[Tensor, "t _ n"]]) -> Float[Tensor, "b t j n"]:
        """Return what the rigs have per frame and joint, equally many frames each, as one tensor."""
        widest = self.mask.shape[1]
        return torch.stack([torch.nn.functional.pad(v, (0, 0, 0, widest - v.shape[1])) for v in values])

    def unpad(self, x: Float[Tensor, "b t j n"]) -> list[Float[Tensor, "t _ n"]]:
        """Return the values of each rig's own joints."""
        return [row[:, : len(s)] for row, s in zip(x, self.rigs, strict=True)]

    def fk(
        self, rotations: Float[Tensor, "b t j 4"], positions: Float[Tensor, "b t j 3"] | None = None
    ) -> tuple[Float[Tensor, "b t j 4"], Float[Tensor, "b t j 3"]]:
        """Return world rotations and positions of local ones; the rest offsets where no positions are given."""
        if positions is None:
            positions = self.offsets.to(rotations.dtype)[:, None].expand(*rotations.shape[:-1], 3)
        flat = (x.transpose(0, 1).flatten(1, 2) for x in (rotations, positions))
        world = forward_kinematics(self.levels, *flat)
        q, p = (x.unflatten(1, self.mask.shape).transpose(0, 1) for x in world)
        return self._mask(q, rotation.identity(like=q)), self._mask(p)

    def encode(
        self, rotations: Float[Tensor, "b t j 4"], positions: Float[Tensor, "b t j 3"], frame_time: float
    ) -> Float[Tensor, "b t j 14"]:
        """Return the features of poses, see the top of this file. Frame 0 takes its velocities from frame 1."""
        rotations, positions = self._mask(rotations, rotation.identity(like=rotations)), self._mask(positions)
        world_q, world_p = self.fk(rotations, positions)
        q, p = self._at_root(world_q), self._at_root(world_p)
        rest, rest_heading = self.rest.to(q.dtype)[:, None], self.rest_heading.to(q.dtype)[:, None]
        root = root_channels(q, p, heading_from_rest(q, rest, rest_heading, frame_time), frame_time)[:, :, None]
        stands = torch.zeros_like(positions[..., :1])
        for k, s in enumerate(self.rigs):
            if s.contacts:
                joints = index_tensor(s.contacts, p.device)
                stands[k, :, joints, 0] = contact.labels(world_p[k, :, joints], s, frame_time).to(p)
        at_root = self.is_root[:, None, :, None]
        turns = torch.where(at_root, root[..., 4:], rotation.to_sixd(rotations))
        places = torch.where(at_root, 0.0, positions)
        return self._mask(torch.cat((turns, places, torch.where(at_root, root[..., :4], 0.0), stands), -1))

    def decode(
        self, x: Float[Tensor, "b t j 14"], frame_time: float, start: Start = Start()
    ) -> tuple[Float[Tensor, "b t j 4"], Float[Tensor, "b t j 3"]]:
        """Return local rotations and translations of features; ``start`` may hold one number for each rig."""
        x = self._mask(x)
        facing, path = root_path(self._at_root(x[..., CHANNELS["root"]]), frame_time, start)
        rotations, positions = rotation.from_sixd(x[..., CHANNELS["rotation"]]), x[..., CHANNELS["position"]]
        root_q = rotation.mul(rotation.about("y", facing.to(x.dtype)), self._at_root(rotations))
        above_q, above_p = rotation.identity(*x.shape[:2], like=x), torch.zeros_like(root_q[..., 1:])
        rig = torch.arange(len(x), device=x.device)
        more_q = torch.cat((rotations, rotation.identity(*x.shape[:2], 1, like=x)), 2)
        more_p = torch.nn.functional.pad(positions, (0, 0, 0, 1))
        for joint in self.above:
            above_p = above_p + rotation.rotate(above_q, more_p[rig, :, joint])
            above_q = rotation.mul(above_q, more_q[rig, :, joint])
        up, at_root = rotation.inv(above_q), self.is_root[:, None, :, None]
        local_q, local_p = rotation.mul(up, root_q), rotation.rotate(up, path.to(x.dtype) - above_p)
        rotations = torch.where(at_root, local_q[:, :, None], rotations)
        positions = torch.where(at_root, local_p[:, :, None], positions)
        return self._mask(rotations, rotation.identity(like=rotations)), self._mask(positions)

    def _mask(self, x: Float[Tensor, "b t j n"], padding: Float[Tensor, "n"] | float = 0.0) -> Float[Tensor, "b t j n"]:
        return torch.where(self.mask[:, None, :, None], x, padding)

    def _at_root(self, x: Float[Tensor, "b t j n"]) -> Float[Tensor, "b t n"]:
        rig = torch.arange(len(x), device=x.device)
        return x[rig, :, self.is_root.int().argmax(1)]
