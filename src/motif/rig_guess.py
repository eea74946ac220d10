"""What names and geometry tell about a rig: left/right pairs, ground contacts, the body root, a natural pose.

The name hints below are the only place in the package where a joint's name is written, but for the papers' rigs.
"""

import functools
import re
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from . import rotation
from .skeleton import Skeleton, strip_namespace

_FOOT = re.compile(r"foot|feet|toe|ball|paw|hoof|heel|ankle|talon", re.IGNORECASE)
_CONTROL = re.compile(r"IK|FK|(?:^|[_.\- ])(?:ik|fk|control|ctrl|target|pole)(?=[_.\- ]|$)")
_SIDES = (("Left", "Right"), ("left", "right"), ("LEFT", "RIGHT"))
_SIDE_TOKEN = re.compile(r"(?<![A-Za-z])([LRlr])(?=[A-Z_.\- ]|$)|(?<=[a-z0-9])([LR])$")
TYPICAL_FRAMES = 5000  # of a long clip: about how many its most typical frame is chosen from


def guess_rig(
    s: Skeleton, rotations: Float[Tensor, "t j 4"], positions: Float[Tensor, "t j 3"], rest_known: bool = False
) -> Skeleton:
    """Return the rig of a clip with what only a clip can tell: body root, natural pose, pairs, contacts.

    The natural pose is the one with all rotations zero, if ``rest_known`` or if the same joints are up there as in the
    clip; on rigs whose zero pose means nothing it is the clip's most typical frame.
    """
    s = replace(s, root=guess_body_root(s, rotations, positions))
    if rest_known:
        return guess_pairs_and_contacts(s)
    if guess_pairs_and_contacts(s).left:
        step = max(len(rotations) // TYPICAL_FRAMES, 1)
        some = rotations[::step]
        mean = rotation.normalise(rotation.unroll(some.transpose(0, 1)).mean(1))
        far = rotation.by_blocks(lambda q: rotation.geodesic(q, mean), some)
        far[:, : s.root + 1] = 0
        typical = step * int(far.sum(1).argmin())
        shown = s.fk(rotations[typical], positions[typical])[1]
        if _concordance(s.rest_positions[:, 1], shown[:, 1]) < 0.6:
            s = replace(s, rest=tuple(map(tuple, rotation.normalise(rotations[typical].double()).tolist())))
    some = torch.linspace(0, len(rotations) - 1, min(len(rotations), 64)).long()
    return guess_pairs_and_contacts(s, s.fk(rotations[some], positions[some])[1].quantile(0.1, dim=0))


def guess_body_root(s: Skeleton, rotations: Float[Tensor, "t j 4"], positions: Float[Tensor, "t j 3"]) -> int:
    """Return the first joint from the top that moves, going down where most of the joints hang; 0 if none does."""

    @functools.cache
    def moves(j: int) -> bool:
        q, p = rotations[:, j], positions[:, j]
        return bool((p - p[:1]).abs().amax() > 1e-4 * s.height or rotation.geodesic(q, q[:1]).amax() > 1e-4)

    root = 0
    while any(map(moves, range(len(s)))) and not moves(root):
        heir = max(s.children[root], key=lambda c: len(s.subtree(c)), default=root)
        if heir == root or 2 * len(s.subtree(heir)) <= len(s.subtree(root)) or not s.children[heir]:
            return root
        root = heir
    return root


def guess_pairs_and_contacts(s: Skeleton, pose: Float[Tensor, "j 3"] | None = None) -> Skeleton:
    """Return the same rig with left/right pairs and ground contacts found.

    Contacts are judged by world positions, e.g. each joint's low ones in a clip; by the natural pose if none are given.
    """
    mirror = _pairs_by_name(s) or _pairs_by_shape(s)
    left = [j for j in range(len(s)) if mirror[j] != j and _is_left(strip_namespace(s.names[j]))]
    if not left:  # found by shape alone: a body that faces +Z has its left on +X
        x = s.rest_positions[:, 0]
        left = [j for j in range(len(s)) if mirror[j] != j and x[j] > x[mirror[j]]]
    paired = replace(s, mirror=tuple(mirror), left=tuple(left))
    return replace(paired, contacts=_contacts(paired, paired.rest_positions if pose is None else pose))


def _concordance(a: Float[Tensor, "j"], b: Float[Tensor, "j"]) -> float:
    """Lin's concordance of two poses' heights: near 1 when the same joints are as far up and as far down in both."""
    a, b = a - a.mean(), b - b.mean()
    return float(2 * (a * b).sum() / ((a * a).sum() + (b * b).sum()).clamp_min(1e-9))


def _mirrored_names(name: str) -> list[str]:
    """What the joint on the other side could be called."""
    swap = str.maketrans("LRlr", "RLrl")
    found = [re.sub(f"{a}|{b}", lambda m, a=a, b=b: b if m[0] == a else a, name) for a, b in _SIDES]
    found.append(_SIDE_TOKEN.sub(lambda m: m[0].translate(swap), name))
    found.append(name[:1].translate(swap) + name[1:])  # lhand, rhand
    return [other for other in found if other != name]


def _is_left(name: str) -> bool:
    token = _SIDE_TOKEN.search(name)
    if "left" in name.lower() or "right" in name.lower():
        return "left" in name.lower()
    return (token[0] if token else name[:1]) in ("L", "l")


def _pairs_by_name(s: Skeleton) -> list[int] | None:
    plain = [strip_namespace(n) for n in s.names]
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
    pose, found, near = s.rest_positions, [], 0.03 * s.height
    for axis in (0, 2):
        flip = torch.ones(3)
        flip[axis] = -1
        mirror = list(range(len(s)))
        found.append(mirror)
        for parent, siblings in enumerate(s.children):
            spot = pose[list(siblings)] - pose[parent]
            alike = (spot[:, None] - spot * flip).abs().amax(-1) < near  # before the dearer look at whole subtrees
            below = [s.subtree(j) for j in siblings]
            for here, there in ((below[i], below[k]) for i, k in alike.triu(1).nonzero().tolist()):
                if mirror[here[0]] != here[0] or mirror[there[0]] != there[0] or len(here) != len(there):
                    continue
                one, other = pose[list(here)] - pose[parent], pose[list(there)] - pose[parent]
                apart = float((one - other)[:, axis].abs().max())
                if float((one - other * flip).abs().max()) < near and apart > 0.01 * s.height:
                    for m, n in zip(here, there, strict=True):
                        mirror[m], mirror[n] = n, m
    return max(found, key=lambda mirror: sum(m != j for j, m in enumerate(mirror)))


def _contacts(s: Skeleton, pose: Float[Tensor, "j 3"]) -> tuple[int, ...]:
    """Foot-like names near the ground with the tips below them; without such names the ends of legs; else the belly."""
    if len(s) == 1:
        return ()
    up = pose[:, 1] - pose[:, 1].min()
    body = [j for j in range(len(s)) if j not in s.ancestors(s.root)[1:]]
    above = (up / max(float(up[body].max()), 0.25 * s.height)).tolist()
    low = [j for j in body if not _CONTROL.search(strip_namespace(s.names[j]))]
    named = [j for j in low if not s.end[j] and _FOOT.search(strip_namespace(s.names[j])) and above[j] < 0.2]
    if named:
        tips = [j for j in low if not s.children[j] and s.parents[j] in named and s.bone_length[j] > 0.01 * s.height]
        return tuple(sorted({j for ankle in named for j in _sole(s, ankle, [*named, *tips])}))
    if not s.left:
        return tuple(j for j in low if float(up[j]) < 0.06 * s.height)
    found: set[int] = set()
    for j in (j for j in low if not s.children[j] and s.mirror[j] != j):
        leg = [k for k in s.ancestors(j) if s.mirror[k] != k]
        drop = max(above[k] for k in leg) - above[j]
        joint = s.parents[j] if s.bone_length[j] <= 1e-4 * s.height else j
        if above[joint] < 0.1 and drop > 0.1:
            found |= {joint, s.mirror[joint]}
    return tuple(sorted(found))


def looks_z_up(s: Skeleton, pose: Float[Tensor, "j 3"]) -> bool:
    """Whether foot-like joints are at the bottom of a pose along Z but not along Y: the file has Z up."""
    feet = [j for j in range(len(s)) if _FOOT.search(strip_namespace(s.names[j])) and not _CONTROL.search(s.names[j])]
    if not feet:
        return False
    low = (pose - pose.amin(0)) / (pose.amax(0) - pose.amin(0)).clamp_min(1e-9)
    share = (low[feet] < 0.2).float().mean(0).tolist()
    return share[2] > 0.9 and share[1] < 0.6


def _sole(s: Skeleton, ankle: int, candidates: list[int]) -> list[int]:
    """An ankle and what it stands on: at most two more joints, towards the tip that is farthest from it."""
    if any(k in candidates for k in s.ancestors(ankle)[1:]):
        return []
    far = max(candidates, key=lambda j: float(s.hops[ankle, j]) if ankle in s.ancestors(j) else -1.0)
    return [j for j in reversed(s.ancestors(far)) if j in candidates and ankle in s.ancestors(j)][:3]
