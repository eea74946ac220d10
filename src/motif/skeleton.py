"""Skeleton: any rig as one frozen value, and forward kinematics batched by tree depth.

A rig is data, never a class. What :mod:`motif.rig_guess` finds out about it are plain fields, so a user who knows
better replaces them: ``skeleton.with_contacts(["LeftToe"])``.
"""

import difflib
import functools
import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from . import rotation
from .errors import MotifError

LIMB = "limb:"
_LIKE = torch.zeros((), dtype=torch.float32, device="cpu")


class Levels(NamedTuple):
    """A forest by depth: what forward kinematics needs to do all joints of one depth at once."""

    joints: tuple[Int[Tensor, "n"], ...]
    """Indices of the joints of each depth, roots first."""
    above: tuple[Int[Tensor, "n"], ...]
    """For each depth from 1 where the parents of its joints stand within the depth above."""
    order: Int[Tensor, "j"]
    """For each joint its place when all depths are put one after the other."""


@dataclass(frozen=True)
class Skeleton:
    """A rig of J joints in an order where every parent stands before its children."""

    names: tuple[str, ...]
    """One distinct name per joint, kept as the file spells it."""
    parents: tuple[int, ...]
    """Index of each joint's parent; -1 for joint 0 alone."""
    offsets: tuple[tuple[float, float, float], ...]
    """Position of each joint in its parent's frame, metres, when no channel says otherwise."""
    end: tuple[bool, ...] = ()
    """True where the joint is only the tip of a bone (a BVH ``End Site``) and carries no channels."""
    rest: tuple[tuple[float, float, float, float], ...] = ()
    """Local rotations (w, x, y, z) of a natural pose of this rig, which geometry is judged by; identity by default."""
    root: int = 0
    """The joint that carries the body along its path; not joint 0 where a file puts a static node above the hips."""
    contacts: tuple[int, ...] = ()
    """Joints that stand on the ground."""
    mirror: tuple[int, ...] = ()
    """For each joint its partner on the other side; itself if it has none."""
    left: tuple[int, ...] = ()
    """The joints of the left side."""

    def __post_init__(self):
        j = len(self.names)
        defaults = {"end": (False,) * j, "rest": ((1.0, 0.0, 0.0, 0.0),) * j, "mirror": tuple(range(j))}
        for field, value in defaults.items():
            if not getattr(self, field) and j:
                object.__setattr__(self, field, value)
        if j == 0 or self.parents[:1] != (-1,):
            raise MotifError(f"a skeleton needs a joint 0 without a parent, found {j} with parents {self.parents[:3]}")
        for field in ("parents", "offsets", "end", "rest", "mirror"):
            if len(getattr(self, field)) != j:
                raise MotifError(f"skeleton: {j} names but {len(getattr(self, field))} {field}; give one per joint")
        for child, parent in enumerate(self.parents[1:], 1):
            if not 0 <= parent < child:
                joint = f"joint {child} ({self.names[child]!r})"
                raise MotifError(f"{joint} has parent {parent}; parents must come before children")
        if len(set(self.names)) != j:
            twice = next(n for i, n in enumerate(self.names) if n in self.names[:i])
            raise MotifError(f"two joints are called {twice!r}; rename one, motif finds joints by name")

    # --- names
    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Return the index of a joint by its name, with or without its namespace; a wrong name lists the nearest."""
        if (found := self._find(name)) is not None:
            return found
        near = difflib.get_close_matches(name, [*self.names, *self.parts], 3, 0.5)
        known = f"it has {', '.join(self.names[:8])} ... and the parts {', '.join(self.parts)}"
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else known
        raise MotifError(f"no joint {name!r} in this rig of {len(self)} joints; {hint}")

    def _find(self, name: str) -> int | None:
        if name in self.names:
            return self.names.index(name)
        plain = [i for i, n in enumerate(self.names) if strip_namespace(n) == name]
        return plain[0] if len(plain) == 1 else None

    def select(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the sorted indices of joints and body parts (see :attr:`parts`), end sites of the joints included."""
        chosen: set[int] = set()
        for name in names:
            joint = None if name == "all" else self._find(name)
            part = (joint,) if joint is not None else self._part(name)
            if part == ():
                raise MotifError(f"this rig has no {name!r} part: no limb stands on the ground; name joints instead")
            chosen.update(part if part is not None else (self.index(name),))
        chosen.update(j for j, p in enumerate(self.parents) if self.end[j] and p in chosen)
        return tuple(sorted(chosen))

    def _part(self, name: str) -> tuple[int, ...] | None:
        if name in self.parts or not name.startswith(LIMB):
            return self.parts.get(name)
        first = self._find(name.removeprefix(LIMB))  # a limb spelled with its namespace
        return next((limb for limb in self.limbs if limb[0] == first), None)

    def with_contacts(self, names: Iterable[str]) -> "Skeleton":
        """Return the same rig with these joints as its ground contacts."""
        return replace(self, contacts=tuple(self.index(n) for n in names))

    def with_pairs(self, pairs: Iterable[tuple[str, str]]) -> "Skeleton":
        """Return the same rig with these (left, right) pairs of joints, and no others."""
        indices = [(self.index(a), self.index(b)) for a, b in pairs]
        partner = dict(indices) | {b: a for a, b in indices}
        mirror = tuple(partner.get(j, j) for j in range(len(self)))
        return replace(self, mirror=mirror, left=tuple(a for a, _ in indices))

    def subset(self, kept: Sequence[int]) -> "Skeleton":
        """Return the bare rig of these joints, the first of them joint 0, the parent of each other one among them."""
        parents = tuple(-1 if self.parents[j] < 0 else kept.index(self.parents[j]) for j in kept)
        return Skeleton(tuple(self.names[j] for j in kept), parents, tuple(self.offsets[j] for j in kept))

    def rig_difference(self, other: "Skeleton") -> str | None:
        """Return in words what keeps motions of both rigs from being used together; None if nothing does."""
        here, there = set(self.names) - set(other.names), set(other.names) - set(self.names)
        if here or there:
            return f"joints differ: only in the first {sorted(here)[:4]}, only in the second {sorted(there)[:4]}"
        if self.names != other.names:
            return "the joints are the same but stand in another order"
        if self.parents != other.parents:
            return "the joints are the same but hang on other parents"
        bones = self.subtree(self.root)[1:]
        gap = max((math.dist(self.offsets[j], other.offsets[j]) for j in bones), default=0.0)
        if gap > 0.05 * self.height:
            return f"a bone differs by {gap:.3f} m, which is more than 5 % of the body height {self.height:.2f} m"
        return None

    # --- the tree
    @functools.cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The children of each joint."""
        return tuple(tuple(c for c, p in enumerate(self.parents) if p == j) for j in range(len(self)))

    @functools.cached_property
    def depth(self) -> tuple[int, ...]:
        """Number of bones between each joint and joint 0."""
        return depths(self.parents)

    def ancestors(self, joint: int) -> tuple[int, ...]:
        """Return the chain from ``joint`` (included) up to joint 0."""
        chain = [joint]
        while self.parents[chain[-1]] >= 0:
            chain.append(self.parents[chain[-1]])
        return tuple(chain)

    def subtree(self, joint: int) -> tuple[int, ...]:
        """Return ``joint`` and everything below it, sorted."""
        inside = {joint}
        for j in range(joint + 1, len(self)):
            if self.parents[j] in inside:
                inside.add(j)
        return tuple(sorted(inside))

    @functools.cached_property
    def hops(self) -> Float[Tensor, "j j"]:
        """Number of bones between every two joints."""
        chains = [set(self.ancestors(j)) for j in range(len(self))]
        return torch.tensor([[float(len(a ^ b)) for b in chains] for a in chains])

    def neighbours(self, k: int) -> Bool[Tensor, "j j"]:
        """Return True where two joints are at most ``k`` bones apart (skeleton-aware convolutions, Aberman 2020)."""
        return self.hops <= k

    def pool(self) -> "tuple[Skeleton, tuple[int, ...]]":
        """Return half as detailed a rig and, for each joint of this one, its joint there (Aberman 2020, section 4.2).

        Along every chain each two neighbours merge; where no chain is left, leaves merge into their parents.
        """
        chain = any(len(c) == 1 for c in self.children)
        group, open_pair, count = [-1] * len(self), [False] * len(self), 0
        for j, p in enumerate(self.parents):
            if p >= 0 and (open_pair[p] if chain else not self.children[j]):
                group[j] = group[p]
            else:
                group[j] = count
                open_pair[j] = len(self.children[j]) == 1
                count += 1
        first, pose = [group.index(g) for g in range(count)], self.rest_positions
        parents = (-1, *(group[self.parents[j]] for j in first[1:]))
        offsets = [tuple((pose[j] - pose[first[p]]).tolist()) for j, p in zip(first[1:], parents[1:], strict=True)]
        mirror = tuple(group[self.mirror[j]] for j in first)
        bare = Skeleton(tuple(self.names[j] for j in first), parents, (self.offsets[0], *offsets), mirror=mirror)
        contacts = tuple(sorted({group[j] for j in self.contacts}))
        left = tuple(sorted({group[j] for j in self.left if mirror[group[j]] != group[j]}))
        return replace(bare, root=group[self.root], contacts=contacts, left=left), tuple(group)

    # --- geometry
    @functools.cached_property
    def rest_positions(self) -> Float[Tensor, "j 3"]:
        """World positions of the natural pose, metres, joint 0 at its offset."""
        return self.fk(self.rest_tensor())[1]

    @functools.cached_property
    def height(self) -> float:
        """Body height in metres: the largest extent of the natural pose's joints (its tips, on rigs of one joint).

        Every tolerance in motif is a share of it.
        """
        body = self.subtree(self.root)
        for joints in ([j for j in body if not self.end[j]], list(body)):
            pose = self.rest_positions[joints]
            extent = float((pose.amax(0) - pose.amin(0)).max())
            if extent > 1e-6:
                return extent
        return 1.0

    @functools.cached_property
    def bone_length(self) -> tuple[float, ...]:
        """Metres from each joint's parent to the joint."""
        return tuple(math.hypot(*offset) for offset in self.offsets)

    @functools.cached_property
    def chain_length(self) -> tuple[float, ...]:
        """For each joint the length in metres of the longest chain of bones that hangs below it."""
        longest = [0.0] * len(self)
        for j in range(len(self) - 1, 0, -1):
            p = self.parents[j]
            longest[p] = max(longest[p], longest[j] + self.bone_length[j])
        return tuple(longest)

    @functools.cached_property
    def rest_heading(self) -> float:
        """Yaw of the natural pose in radians, 0 towards +Z: from right to left, turned by a quarter; 0 without pairs.

        Taken where the sides part, at hips and shoulders: hands and feet are anywhere in a clip.
        """
        pose = self.rest_positions
        gap = {j: pose[j] - pose[self.mirror[j]] for j in self.left}
        apart = {j for j in gap if float(gap[j][[0, 2]].norm()) > 1e-3 * self.height}
        first = [gap[j] for j in apart if not apart & set(self.ancestors(j)[1:])]
        if not first:
            return 0.0
        x, _, z = torch.stack(first).mean(0).tolist()  # left is +X when the body faces +Z
        return math.atan2(-z, x) if math.hypot(x, z) > 1e-3 * self.height else 0.0

    # --- body parts
    @functools.cached_property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """Body parts by name: ``all``, ``upper``, ``lower``, ``trunk`` and each limb, e.g. ``limb:LeftArm``.

        A limb is named after its first joint. Where a joint is called like a part, the name means the joint, and the
        part is ``part:trunk``; only ``all`` always means all joints. ``lower`` is the root with every limb that stands
        on the ground (as in the papers), ``upper`` is the rest; a rig on which no limb stands has neither.
        """
        plain = [strip_namespace(n) for n in self.names]
        found = {LIMB + (plain[k[0]] if plain.count(plain[k[0]]) == 1 else self.names[k[0]]): k for k in self.limbs}
        everything = tuple(range(len(self)))
        standing = [limb for limb in self.limbs if set(limb) & set(self.contacts)]
        lower = {0, *self.ancestors(self.root)}.union(*standing) if standing else set()
        words = {
            "all": everything,
            "upper": tuple(j for j in everything if j not in lower) if standing else (),
            "lower": tuple(sorted(lower)),
            "trunk": tuple(j for j in everything if not any(j in limb for limb in self.limbs)),
        }
        return found | {f"part:{w}" if w != "all" and self._find(w) is not None else w: k for w, k in words.items()}

    @functools.cached_property
    def limbs(self) -> tuple[tuple[int, ...], ...]:
        """The joints of each limb, its first joint first: what hangs on the trunk, from where the sides part.

        Branches no longer than ears and teeth (15 % of the height) are none.
        """
        paired = [self.mirror[j] != j for j in range(len(self))]
        tops = [j for j, p in enumerate(self.parents) if p >= 0 and paired[j] and not paired[p]]
        tops = [j for j in tops if self.chain_length[j] + self.bone_length[j] > 0.15 * self.height]
        return tuple(self.subtree(j) for top in tops for j in self._split(top))

    def _split(self, top: int) -> list[int]:
        """A spider's legs hang together on one joint a side: chains of at least 3 joints that all stand are limbs."""
        fork = top
        while len(self.children[fork]) == 1:
            fork = self.children[fork][0]
        chains = [c for c in self.children[fork] if len(self.subtree(c)) >= 3]
        stands = all(set(self.subtree(c)) & set(self.contacts) for c in chains)
        return chains if len(chains) >= 2 and stands else [top]

    def limb_of(self, joint: int) -> int:
        """Return the first joint of the limb that ``joint`` belongs to, or the root if it belongs to the trunk."""
        return next((limb[0] for limb in self.limbs if joint in limb), self.root)

    # --- kinematics
    def offset_tensor(self, like: Tensor = _LIKE) -> Float[Tensor, "j 3"]:
        """Return the rest offsets with the dtype and device of ``like``; shared, not to be changed in place."""
        return rotation.constant(self.offsets, like.dtype, like.device)

    def rest_tensor(self, like: Tensor = _LIKE) -> Float[Tensor, "j 4"]:
        """Return the local rotations of the natural pose, likewise."""
        return rotation.constant(self.rest, like.dtype, like.device)

    def fk(
        self, rotations: Float[Tensor, "*b j 4"], positions: Float[Tensor, "*b j 3"] | None = None
    ) -> tuple[Float[Tensor, "*b j 4"], Float[Tensor, "*b j 3"]]:
        """Return world rotations and positions of local ones (metres); the rest offsets if no positions are given."""
        if positions is None:
            positions = self.offset_tensor(rotations).expand(*rotations.shape[:-1], 3)
        return forward_kinematics(levels(self.parents, rotations.device), rotations, positions)

    @functools.cached_property
    def contact_rig(self) -> "tuple[Skeleton, tuple[int, ...]]":
        """Root, contact joints and all that they hang from as a small rig, for kinematics of feet, and its joints.

        Its contacts are in the same order.
        """
        kept = sorted({j for c in (self.root, *self.contacts) for j in self.ancestors(c)})
        return replace(self.subset(kept), contacts=tuple(kept.index(c) for c in self.contacts)), tuple(kept)


def from_record(values: Mapping[str, Any]) -> Skeleton:
    """Return the rig of plain values, as ``dataclasses.asdict`` and JSON give them; other fields are a KeyError."""
    known = {f.name for f in fields(Skeleton)}
    if set(values) != known:
        raise KeyError(sorted(set(values) ^ known))
    return Skeleton(**{k: tuples(v) for k, v in values.items()})


def tuples(value: Any) -> Any:
    """Return a value with tuples for all lists in it."""
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def strip_namespace(name: str) -> str:
    """Return the name without the namespace that exporters put before it (``mixamorig7:Hips`` -> ``Hips``)."""
    return name.rsplit(":", 1)[-1]


def free_name(name: str, taken: Collection[str], between: str = "_") -> str:
    """Return the name, numbered from 2 up where it is taken: ``Bone_2``."""
    numbered = (f"{name}{between}{n}" for n in itertools.count(2))
    return next(n for n in itertools.chain([name], numbered) if n not in taken)


def index_tensor(joints: tuple[int, ...], device: torch.device) -> Int[Tensor, "n"]:
    """Return indices as a tensor that is copied to a device once."""
    return rotation.constant(joints, torch.long, device)


def depths(parents: Sequence[int]) -> tuple[int, ...]:
    """Return the number of joints above each joint of a forest; ``parents`` as in :func:`levels`."""
    depth: list[int] = []
    for p in parents:
        depth.append(depth[p] + 1 if p >= 0 else 0)
    return tuple(depth)


@functools.lru_cache(maxsize=1024)
def levels(parents: tuple[int, ...], device: torch.device) -> Levels:
    """Return the joints of a forest by depth; ``parents`` are -1 for roots and stand before their children."""
    depth = depths(parents)
    flat = sorted(range(len(parents)), key=depth.__getitem__)
    by_depth = [list(level) for _, level in itertools.groupby(flat, depth.__getitem__)]
    place = {j: i for level in by_depth for i, j in enumerate(level)}
    above = [[place[parents[j]] for j in level] for level in by_depth[1:]]
    joints, above = (tuple(index_tensor(tuple(some), device) for some in rows) for rows in (by_depth, above))
    order = sorted(range(len(flat)), key=flat.__getitem__)  # the inverse permutation
    return Levels(joints, above, index_tensor(tuple(order), device))


def forward_kinematics(
    tree: Levels, rotations: Float[Tensor, "*b j 4"], positions: Float[Tensor, "*b j 3"]
) -> tuple[Float[Tensor, "*b j 4"], Float[Tensor, "*b j 3"]]:
    """Return world rotations and positions of local ones, all joints of one depth at once."""
    first = tree.joints[0]
    world_q, world_p = [rotations.index_select(-2, first)], [positions.index_select(-2, first)]
    for joints, above in zip(tree.joints[1:], tree.above, strict=True):
        parent_q, parent_p = world_q[-1].index_select(-2, above), world_p[-1].index_select(-2, above)
        world_p.append(parent_p + rotation.rotate(parent_q, positions.index_select(-2, joints)))
        world_q.append(rotation.mul(parent_q, rotations.index_select(-2, joints)))
    return torch.cat(world_q, -2).index_select(-2, tree.order), torch.cat(world_p, -2).index_select(-2, tree.order)
