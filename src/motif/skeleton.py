"""Skeleton: any rig as one frozen value, and forward kinematics batched by tree depth.

A rig is data, never a class: joint names, parents, rest offsets, and what can be found out about it from names and
geometry alone (end sites, the joint that carries the body, ground contacts, left/right pairs). Everything found is a
plain field, so a user who knows better replaces it: ``skeleton.with_contacts(["LeftToe", "RightToe"])``.

End sites (the tips of the last bones, which carry no channels in BVH) are ordinary joints here with ``end[j]`` set, so
that kinematics, contacts and drawing need no special case.

The name hints below are the only place in the package where a joint's name is written.
"""

import functools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from . import rotation
from .errors import MotifError

# --- name hints ------------------------------------------------------------------------------------------------------
_FOOT = re.compile(r"foot|feet|toe|ball|paw|hoof|heel|ankle|talon", re.IGNORECASE)
_CONTROL = re.compile(r"IK|FK|(?:^|[_.\- ])(?:ik|fk|control|ctrl|target|pole)(?=[_.\- ]|$)")
_SIDES = (("Left", "Right"), ("left", "right"), ("LEFT", "RIGHT"))
_SIDE_TOKEN = re.compile(r"(?<![A-Za-z])([LRlr])(?=[A-Z_.\- ]|$)|(?<=[a-z0-9])([LR])$")

MIXAMO_24 = (
    "Hips",
    *(side + bone for side in ("Left", "Right") for bone in ("UpLeg", "Leg", "Foot", "ToeBase", "Toe_End")),
    *("Spine", "Spine1", "Spine2", "Neck", "Head"),
    *(side + bone for side in ("Left", "Right") for bone in ("Shoulder", "Arm", "ForeArm", "Hand")),
)
XIA_31 = ("LeftToeBase", "RightToeBase")
PAPER_RIGS: dict[str, tuple[tuple[str, ...] | None, tuple[str, ...]]] = {
    # rig -> (joints in the papers' order, or None for every joint; contact joints in the papers' order)
    "mixamo": (MIXAMO_24, ("LeftToe_End", "RightToe_End", "LeftToeBase", "RightToeBase")),
    "xia": (None, XIA_31),
}


def short_name(name: str) -> str:
    """The name without the namespace that exporters put before it (``mixamorig7:Hips`` -> ``Hips``)."""
    return name.rsplit(":", 1)[-1]


def _mirrored_names(name: str) -> list[str]:
    """What the joint on the other side could be called."""
    found = []
    for a, b in _SIDES:
        if a in name or b in name:
            found.append(re.sub(f"{a}|{b}", lambda m, a=a, b=b: b if m[0] == a else a, name))
    swap = str.maketrans("LRlr", "RLrl")
    if _SIDE_TOKEN.search(name):
        found.append(_SIDE_TOKEN.sub(lambda m: m[0].translate(swap), name))
    found.append(name[:1].translate(swap) + name[1:])  # lhand, rhand
    return [other for other in found if other != name]


def _is_left(name: str) -> bool:
    token = _SIDE_TOKEN.search(name)
    if "left" in name.lower() or "right" in name.lower():
        return "left" in name.lower()
    return (token[0] if token else name[:1]) in ("L", "l")


# --- the value -------------------------------------------------------------------------------------------------------
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
        defaults = {
            "end": (False,) * j,
            "rest": ((1.0, 0.0, 0.0, 0.0),) * j,
            "mirror": tuple(range(j)),
        }
        for field, value in defaults.items():
            if not getattr(self, field) and j:
                object.__setattr__(self, field, value)
        if j == 0 or self.parents[:1] != (-1,):
            raise MotifError(
                f"a skeleton needs a joint 0 without a parent, found {j} joints, parents {self.parents[:3]}"
            )
        for field in ("parents", "offsets", "end", "rest", "mirror"):
            if len(getattr(self, field)) != j:
                raise MotifError(f"skeleton: {j} names but {len(getattr(self, field))} {field}; give one per joint")
        for child, parent in enumerate(self.parents[1:], 1):
            if not 0 <= parent < child:
                raise MotifError(
                    f"joint {child} ({self.names[child]!r}) has parent {parent}; parents must come before children"
                )
        if len(set(self.names)) != j:
            twice = next(n for i, n in enumerate(self.names) if n in self.names[:i])
            raise MotifError(f"two joints are called {twice!r}; rename one, motif finds joints by name")

    # --- looking things up
    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Index of a joint by its name, with or without its namespace; a wrong name lists the nearest ones."""
        if name in self.names:
            return self.names.index(name)
        plain = [i for i, n in enumerate(self.names) if short_name(n) == name]
        if len(plain) == 1:
            return plain[0]
        import difflib

        near = difflib.get_close_matches(name, [*self.names, *self.parts], 3, 0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {', '.join(self.names[:8])} ..."
        raise MotifError(f"no joint {name!r} in this rig of {len(self)} joints; {hint}")

    def select(self, names: Iterable[str]) -> tuple[int, ...]:
        """Indices of joints and body parts by name, sorted, end sites of the named joints included."""
        chosen: set[int] = set()
        for name in names:
            if self.parts.get(name) == ():
                raise MotifError(
                    f"this rig has no {name!r} part: none of its limbs stands on the ground; name joints instead"
                )
            chosen.update(self.parts[name] if name in self.parts else (self.index(name),))
        chosen.update(j for j, p in enumerate(self.parents) if self.end[j] and p in chosen)
        return tuple(sorted(chosen))

    def edit(
        self, *, contacts: Iterable[str] | None = None, pairs: Iterable[tuple[str, str]] | None = None
    ) -> "Skeleton":
        """The same rig with the ground contacts or the (left, right) pairs that the user names."""
        changes: dict[str, object] = {}
        if contacts is not None:
            changes["contacts"] = tuple(self.index(n) for n in contacts)
        if pairs is not None:
            indices = [(self.index(a), self.index(b)) for a, b in pairs]
            mirror = list(range(len(self)))
            for a, b in indices:
                mirror[a], mirror[b] = b, a
            changes |= {"mirror": tuple(mirror), "left": tuple(a for a, _ in indices)}
        return replace(self, **changes)  # type: ignore[arg-type]

    def rig_difference(self, other: "Skeleton") -> str | None:
        """None if motions of both can be used together, else what differs in words."""
        if self.names != other.names:
            here, there = set(self.names) - set(other.names), set(other.names) - set(self.names)
            if here or there:
                return f"joints differ: only in the first {sorted(here)[:4]}, only in the second {sorted(there)[:4]}"
            return "the joints are the same but stand in another order"
        if self.parents != other.parents:
            return "the joints are the same but hang on other parents"
        bones = self.subtree(self.root)[1:]
        gap = max((math.dist(self.offsets[j], other.offsets[j]) for j in bones), default=0.0)
        if gap > 0.05 * self.height:
            return f"a bone differs by {gap:.3f} m, which is more than 5 % of the body height {self.height:.2f} m"
        return None

    @functools.cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The children of each joint."""
        return tuple(tuple(c for c, p in enumerate(self.parents) if p == j) for j in range(len(self)))

    @functools.cached_property
    def depth(self) -> tuple[int, ...]:
        """Number of bones between each joint and joint 0."""
        depth = [0] * len(self)
        for j, p in enumerate(self.parents[1:], 1):
            depth[j] = depth[p] + 1
        return tuple(depth)

    def ancestors(self, joint: int) -> tuple[int, ...]:
        """The chain from ``joint`` (included) up to joint 0."""
        chain = [joint]
        while self.parents[chain[-1]] >= 0:
            chain.append(self.parents[chain[-1]])
        return tuple(chain)

    def subtree(self, joint: int) -> tuple[int, ...]:
        """``joint`` and everything below it, sorted."""
        inside = {joint}
        for j in range(joint + 1, len(self)):
            if self.parents[j] in inside:
                inside.add(j)
        return tuple(sorted(inside))

    # --- geometry
    @functools.cached_property
    def rest_positions(self) -> Float[Tensor, "j 3"]:
        """World positions of the natural pose, metres, joint 0 at its offset."""
        return self.fk(torch.tensor(self.rest))[1]

    @functools.cached_property
    def height(self) -> float:
        """Body height in metres: the largest extent of the natural pose's joints (its tips, on rigs of one joint).

        Every tolerance in motif is a share of it.
        """
        pose = self.rest_positions
        body = self.subtree(self.root)
        for joints in ([j for j in body if not self.end[j]], body):
            joints = list(joints)
            extent = float((pose[joints].amax(0) - pose[joints].amin(0)).max())
            if extent > 1e-6:
                return extent
        return 1.0

    @functools.cached_property
    def chain_length(self) -> tuple[float, ...]:
        """For each joint the bone length from it to the farthest joint below it, metres: what its rotation can move."""
        reach = [0.0] * len(self)
        for j in range(len(self) - 1, 0, -1):
            p = self.parents[j]
            reach[p] = max(reach[p], reach[j] + math.hypot(*self.offsets[j]))
        return tuple(reach)

    @functools.cached_property
    def rest_heading(self) -> float:
        """Yaw of the natural pose in radians, 0 towards +Z: left minus right, turned by a quarter; 0 without pairs."""
        lateral = self._lateral()
        if lateral is None:
            return 0.0
        x, _, z = lateral  # left is +X when the body faces +Z
        return math.atan2(-z, x)

    def _lateral(self) -> tuple[float, float, float] | None:
        """From right to left where the sides part, at hips and shoulders: hands and feet are anywhere in a clip."""
        pose = self.rest_positions
        gap = {j: pose[j] - pose[self.mirror[j]] for j in self.left}
        apart = {j for j in gap if float(gap[j][[0, 2]].norm()) > 1e-3 * self.height}
        first = [gap[j] for j in apart if not apart & set(self.ancestors(j)[1:])]
        if not first:
            return None
        lateral = torch.stack(first).mean(0)
        lateral[1] = 0
        return tuple(lateral.tolist()) if float(lateral.norm()) > 1e-3 * self.height else None

    @functools.cached_property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """Body parts derived from the tree: ``all``, ``upper``, ``lower``, ``trunk`` and each limb by its first joint.

        A limb hangs on the trunk and starts where the sides part. ``lower`` is the root with every limb that stands
        on the ground (the papers, too, count the root to the lower body), ``upper`` is the rest; a rig on which no
        limb stands has neither.
        """
        limbs = {self.names[j]: self.subtree(j) for top in self._limb_tops() for j in self._split(top)}
        everything = tuple(range(len(self)))
        in_limb = {j for limb in limbs.values() for j in limb}
        standing = [limb for limb in limbs.values() if set(limb) & set(self.contacts)]
        lower = {0, *self.ancestors(self.root)}.union(*standing) if standing else set()
        return limbs | {
            "all": everything,
            "upper": tuple(j for j in everything if j not in lower) if standing else (),
            "lower": tuple(sorted(lower)),
            "trunk": tuple(j for j in everything if j not in in_limb),
        }

    def _limb_tops(self) -> list[int]:
        """Where the sides part, on branches longer than ears and teeth (15 % of the height)."""
        paired = [self.mirror[j] != j for j in range(len(self))]
        tops = [j for j, p in enumerate(self.parents) if p >= 0 and paired[j] and not paired[p]]
        return [j for j in tops if self.chain_length[j] + _bone(self, j) > 0.15 * self.height]

    def _split(self, top: int) -> list[int]:
        """A spider's legs hang together on one joint a side: chains of at least 3 joints that all stand are limbs."""
        fork = top
        while len(self.children[fork]) == 1:
            fork = self.children[fork][0]
        chains = [c for c in self.children[fork] if len(self.subtree(c)) >= 3]
        stands = all(set(self.subtree(c)) & set(self.contacts) for c in chains)
        return chains if len(chains) >= 2 and stands else [top]

    def limb_of(self, joint: int) -> int:
        """First joint of the limb that ``joint`` belongs to, or the root if it belongs to the trunk."""
        generic = ("all", "upper", "lower", "trunk")
        for name, limb in self.parts.items():
            if name not in generic and joint in limb:
                return limb[0]
        return self.root

    @functools.cached_property
    def hops(self) -> Float[Tensor, "j j"]:
        """Number of bones between every two joints."""
        chains = [set(self.ancestors(j)) for j in range(len(self))]
        return torch.tensor([[float(len(a ^ b)) for b in chains] for a in chains])

    def neighbours(self, k: int) -> Bool[Tensor, "j j"]:
        """True where two joints are at most ``k`` bones apart (Holden's and Aberman's skeleton-aware convolutions)."""
        return self.hops <= k

    def pool(self) -> "tuple[Skeleton, tuple[int, ...]]":
        """Half as detailed a rig and, for each joint of this one, its joint there (Aberman et al. 2020, section 4.2).

        Along every chain each two neighbours merge; where no chain is left, leaves merge into their parents.
        """
        chain = any(len(c) == 1 for c in self.children)
        group = [-1] * len(self)
        count = 0
        open_pair = [False] * len(self)
        for j, p in enumerate(self.parents):
            joins = p >= 0 and (open_pair[p] if chain else not self.children[j])
            if joins:
                group[j] = group[p]
            else:
                group[j] = count
                open_pair[j] = len(self.children[j]) == 1
                count += 1
        first = [group.index(g) for g in range(count)]
        pose = self.rest_positions
        names = tuple(self.names[j] for j in first)
        parents = tuple(-1 if self.parents[j] < 0 else group[self.parents[j]] for j in first)
        offsets = [self.offsets[0]]
        offsets += [tuple((pose[j] - pose[first[p]]).tolist()) for j, p in zip(first[1:], parents[1:], strict=True)]
        mirror = tuple(group[self.mirror[j]] for j in first)
        pooled = Skeleton(
            names,
            parents,
            tuple(offsets),
            root=group[self.root],
            contacts=tuple(sorted({group[j] for j in self.contacts})),
            mirror=mirror,
            left=tuple(sorted({group[j] for j in self.left if mirror[group[j]] != group[j]})),
        )
        return pooled, tuple(group)

    # --- kinematics
    def offset_tensor(self, like: Tensor | None = None) -> Float[Tensor, "j 3"]:
        """The rest offsets with the dtype and device of ``like``."""
        return _offsets(self, torch.float32 if like is None else like.dtype, "cpu" if like is None else like.device)

    def fk(
        self, rotations: Float[Tensor, "*b j 4"], positions: Float[Tensor, "*b j 3"] | None = None
    ) -> tuple[Float[Tensor, "*b j 4"], Float[Tensor, "*b j 3"]]:
        """Forward kinematics, all joints of one depth at once.

        Args:
            rotations: local unit quaternions (w, x, y, z).
            positions: local translations in metres; the rest offsets if not given.

        Returns:
            World rotations and world positions.
        """
        if positions is None:
            positions = self.offset_tensor(rotations).expand(*rotations.shape[:-1], 3)
        levels, order = _levels(self)
        world_q, world_p = [rotations[..., :1, :]], [positions[..., :1, :]]
        for joints, above in levels:
            parent_q, parent_p = world_q[-1][..., above, :], world_p[-1][..., above, :]
            world_p.append(parent_p + rotation.rotate(parent_q, positions[..., joints, :]))
            world_q.append(rotation.mul(parent_q, rotations[..., joints, :]))
        return torch.cat(world_q, -2)[..., order, :], torch.cat(world_p, -2)[..., order, :]

    @functools.cached_property
    def contact_rig(self) -> "tuple[Skeleton, tuple[int, ...]]":
        """The contact joints and all that they hang from as a small rig, for kinematics of feet alone, and its joints.

        Its contacts are in the same order. A rig without contacts is its own.
        """
        kept = sorted({j for c in self.contacts for j in self.ancestors(c)}) or list(range(len(self)))
        small = Skeleton(
            tuple(self.names[j] for j in kept),
            tuple(-1 if self.parents[j] < 0 else kept.index(self.parents[j]) for j in kept),
            tuple(self.offsets[j] for j in kept),
            contacts=tuple(kept.index(c) for c in self.contacts),
        )
        return small, tuple(kept)

    # --- what names and geometry tell
    def guess(self, pose: Float[Tensor, "j 3"] | None = None) -> "Skeleton":
        """The same rig with left/right pairs and ground contacts found.

        Args:
            pose: world positions to judge ground contact by, e.g. each joint's typical low height in a clip;
                the natural pose if not given.
        """
        mirror = _pairs_by_name(self) or _pairs_by_shape(self)
        left = [j for j in range(len(self)) if mirror[j] != j and _is_left(short_name(self.names[j]))]
        if not left:  # found by shape alone: a body that faces +Z has its left on +X
            x = self.rest_positions[:, 0]
            left = [j for j in range(len(self)) if mirror[j] != j and x[j] > x[mirror[j]]]
        paired = replace(self, mirror=tuple(mirror), left=tuple(left))
        return replace(paired, contacts=_guess_contacts(paired, self.rest_positions if pose is None else pose))


@functools.lru_cache(maxsize=256)
def _offsets(skeleton: Skeleton, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    return torch.tensor(skeleton.offsets, dtype=dtype, device=device)


@functools.lru_cache(maxsize=256)
def _levels(skeleton: Skeleton) -> tuple[list[tuple[list[int], list[int]]], list[int]]:
    """Per depth from 1: its joints and their parents' places within the level above; then the way back."""
    by_depth: list[list[int]] = [[] for _ in range(max(skeleton.depth) + 1)]
    for j, d in enumerate(skeleton.depth):
        by_depth[d].append(j)
    levels = []
    for above, joints in zip(by_depth, by_depth[1:], strict=False):
        place = {j: i for i, j in enumerate(above)}
        levels.append((joints, [place[skeleton.parents[j]] for j in joints]))
    flat = [j for level in by_depth for j in level]
    order = [0] * len(flat)
    for place_, j in enumerate(flat):
        order[j] = place_
    return levels, order


def _pairs_by_name(s: Skeleton) -> list[int] | None:
    plain = [short_name(n) for n in s.names]
    where = {n: i for i, n in enumerate(plain)}
    mirror = list(range(len(s)))
    for j, name in enumerate(plain):
        other = next((where[m] for m in _mirrored_names(name) if m in where), j)
        if s.depth[other] == s.depth[j]:
            mirror[j] = other
    mirror = [m if mirror[m] == j else j for j, m in enumerate(mirror)]
    for j, p in enumerate(s.parents):  # end sites follow their bones, whatever they are called
        if s.end[j] and p >= 0 and mirror[p] != p:
            nth = [c for c in s.children[p] if s.end[c]].index(j)
            partners = [c for c in s.children[mirror[p]] if s.end[c]]
            if nth < len(partners):
                mirror[j], mirror[partners[nth]] = partners[nth], j
    return mirror if any(m != j for j, m in enumerate(mirror)) else None


def _pairs_by_shape(s: Skeleton) -> list[int]:
    """Siblings whose subtrees are mirror images across the plane x = const (or z = const) through their parent."""
    pose, best = s.rest_positions, list(range(len(s)))
    for axis in (0, 2):
        mirror = list(range(len(s)))
        for parent, siblings in enumerate(s.children):
            spot = pose[list(siblings)] - pose[parent]
            image = spot.clone()
            image[:, axis] *= -1
            near = (spot[:, None] - image).abs().amax(-1) < 0.03 * s.height  # before the dearer look at whole subtrees
            below = [s.subtree(j) for j in siblings]
            for i, k in near.triu(1).nonzero().tolist():
                a, b = siblings[i], siblings[k]
                if mirror[a] != a or mirror[b] != b:
                    continue
                here, there = below[i], below[k]
                if len(here) != len(there):
                    continue
                gap = pose[list(here)] - pose[parent]
                other = pose[list(there)] - pose[parent]
                flipped = other.clone()
                flipped[:, axis] *= -1
                apart = float((gap - other)[:, axis].abs().max())
                if float((gap - flipped).abs().max()) < 0.03 * s.height and apart > 0.01 * s.height:
                    for m, n in zip(here, there, strict=True):
                        mirror[m], mirror[n] = n, m
        if sum(m != j for j, m in enumerate(mirror)) > sum(m != j for j, m in enumerate(best)):
            best = mirror
    return best


def _guess_contacts(s: Skeleton, pose: Float[Tensor, "j 3"]) -> tuple[int, ...]:
    """Foot-like names near the ground with the tips below them; without such names the ends of legs; else the belly."""
    if len(s) == 1:
        return ()
    up = pose[:, 1] - pose[:, 1].min()
    body = [j for j in range(len(s)) if j not in s.ancestors(s.root)[1:]]
    above = (up / max(float(up[body].max()), 0.25 * s.height)).tolist()
    low = [j for j in body if not _CONTROL.search(short_name(s.names[j]))]
    named = [j for j in low if not s.end[j] and _FOOT.search(short_name(s.names[j])) and above[j] < 0.2]
    if named:
        tips = [j for j in low if not s.children[j] and s.parents[j] in named and _bone(s, j) > 0.01 * s.height]
        return tuple(sorted({j for ankle in named for j in _sole(s, ankle, [*named, *tips])}))
    if not s.left:
        return tuple(j for j in low if float(up[j]) < 0.06 * s.height)
    found: set[int] = set()
    for j in low:
        if s.children[j] or s.mirror[j] == j:
            continue
        leg = [k for k in s.ancestors(j) if s.mirror[k] != k]
        drop = max(above[k] for k in leg) - above[j]
        joint = s.parents[j] if _bone(s, j) <= 1e-4 * s.height else j
        if above[joint] < 0.1 and drop > 0.1:
            found |= {joint, s.mirror[joint]}
    return tuple(sorted(found))


def stands_along_z(s: Skeleton, pose: Float[Tensor, "j 3"]) -> bool:
    """Whether foot-like joints are at the bottom of a pose along Z but not along Y: the file has Z up."""
    feet = [j for j in range(len(s)) if _FOOT.search(short_name(s.names[j])) and not _CONTROL.search(s.names[j])]
    if not feet:
        return False
    low = (pose - pose.amin(0)) / (pose.amax(0) - pose.amin(0)).clamp_min(1e-9)
    share = (low[feet] < 0.2).float().mean(0).tolist()
    return share[2] > 0.9 and share[1] < 0.6


def _sole(s: Skeleton, ankle: int, candidates: list[int]) -> list[int]:
    """An ankle and what it stands on: at most two more joints, on the way to the tip that is farthest from it."""
    if any(k in candidates for k in s.ancestors(ankle)[1:]):
        return []
    far = max(candidates, key=lambda j: float(s.hops[ankle, j]) if ankle in s.ancestors(j) else -1.0)
    way = [j for j in reversed(s.ancestors(far)) if j in candidates and ankle in s.ancestors(j)]
    return way[:3]


def _bone(s: Skeleton, joint: int) -> float:
    return math.hypot(*s.offsets[joint])


def build(
    names: Sequence[str], parents: Sequence[int], offsets: Sequence[Sequence[float]], end: Sequence[bool] | None = None
) -> Skeleton:
    """A skeleton from plain lists, with pairs and contacts guessed from its natural pose."""
    rows = tuple((float(x), float(y), float(z)) for x, y, z in offsets)
    return Skeleton(tuple(names), tuple(parents), rows, tuple(end) if end else ()).guess()
