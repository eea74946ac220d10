"""BVH in and out: any channels on any joint, names and frame time as the file spells them, every refusal with its line.

BVH has no written standard. Where programs disagree this module does what Blender does: position channels *replace*
the OFFSET of their joint. (three.js adds them; so the root is written with ``OFFSET 0 0 0``, where both agree.) Lengths
have no unit in the file; :func:`guess_unit` tells one from the size of the body.
"""

import itertools
import math
import re
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import rotation
from ..config import ReadConfig
from ..errors import MotifError
from ..files import replace_file
from ..motion import FileFormat, Motion
from ..rig_guess import guess_body_root, guess_rig, looks_z_up
from ..skeleton import Skeleton
from . import bvh_numbers
from .bvh_text import POSITIONS, ROTATIONS, BvhFile, parse, warn

CMU_UNIT = 0.056444  # metres per unit in the conversions of the CMU mocap library: an inch over its scale of 0.45


Known = dict[Hashable, tuple[float, Skeleton]]
"""By hierarchy as a file spells it: metres per unit and the rig."""


def read(path: str | Path | bytes, config: ReadConfig = ReadConfig(), known: Known | None = None) -> Motion:
    """Read a BVH file, or its text (see :func:`parse`), as a motion in metres and quaternions.

    Files whose hierarchy is in ``known`` are of that rig and unit, without another look; others are put there.
    """
    file = parse(path)
    rotations, positions = _quaternions(file), _positions(file, config.root_offset)
    if config.up == "z":
        turn = rotation.about("x", torch.tensor(-math.pi / 2, dtype=rotations.dtype))
        rotations[:, 0], positions[:, 0] = rotation.mul(turn, rotations[:, 0]), rotation.rotate(turn, positions[:, 0])
    hierarchy = (file.names, file.parents, file.offsets.tobytes(), file.end, config)
    if known is None or hierarchy not in known:
        found = _look(file, rotations, positions, config)
        known = {} if known is None else known
        known[hierarchy] = found
    unit, rig = known[hierarchy]
    rotations, positions = rotations.float(), (positions * unit).float()
    name = "motion" if file.path == "<text>" else Path(file.path).stem
    motion = Motion(rig, rotations, positions, file.frame_time, name, FileFormat(file.channels, unit))
    return motion if config.fps is None else motion.resample(config.fps)


def _look(
    file: BvhFile, rotations: Float[Tensor, "t j 4"], positions: Float[Tensor, "t j 3"], config: ReadConfig
) -> tuple[float, Skeleton]:
    """Find out the unit and the rig of a file; what looks odd about it is told."""
    raw = Skeleton(file.names, file.parents, _triples(file.offsets), file.end)
    some = torch.linspace(0, len(positions) - 1, min(len(positions), 100)).long()
    world = raw.fk(rotations[some], positions[some])[1]
    body = list(raw.subtree(guess_body_root(raw, rotations, positions)))  # without a static node above the hips
    size = float((world[:, body].amax(1) - world[:, body].amin(1)).amax(-1).median())
    if config.root_offset == "replace" and _root_offset_looks_added(file, world, size):
        offset = " ".join(f"{x:g}" for x in file.offsets[0])
        found = f"{offset} and its position channels look relative to it, so the body hangs below the floor"
        warn(f"{file.path}: the root's OFFSET is {found}; read it with --root-offset add")
    if config.up == "y" and looks_z_up(raw, world.median(0).values):
        warn(f"{file.path}: the feet are at the bottom along Z, so this file looks Z-up; read it with --up z")
    unit = guess_unit(size)[0] if config.metres_per_unit is None else config.metres_per_unit
    skeleton = replace(raw, offsets=_triples(file.offsets * unit))
    return unit, guess_rig(skeleton, rotations.float(), (positions * unit).float())


def guess_unit(size: float) -> tuple[float, str]:
    """Return metres per unit, and its name, for a body of ``size`` units at its largest extent (about its height)."""
    ranges = ((6, 1.0, "metres"), (55, CMU_UNIT, "CMU units"), (1000, 0.01, "centimetres"))
    return next(((unit, name) for most, unit, name in ranges if size < most), (0.001, "millimetres"))


def _triples(rows: np.ndarray) -> tuple[tuple[float, float, float], ...]:
    return tuple((x, y, z) for x, y, z in rows.tolist())


def _columns(channels: Sequence[Sequence[str]]) -> list[dict[str, int]]:
    """Where each joint's channels stand in a row."""
    number = itertools.count()
    return [{channel: next(number) for channel in row} for row in channels]


def _axes(channels: Sequence[str]) -> str:
    """The rotation channels as an Euler order, e.g. ``"zxy"``."""
    return "".join(c[0].lower() for c in channels if c.endswith("rotation"))


def _by_order(orders: Sequence[str]) -> dict[str, list[int]]:
    """The joints of each Euler order that is not empty."""
    return {order: [j for j, o in enumerate(orders) if o == order] for order in dict.fromkeys(orders) if order}


def _quaternions(file: BvhFile) -> Float[Tensor, "t j 4"]:
    columns = _columns(file.channels)
    groups = _by_order([_axes(c) for c in file.channels])
    where = {k: [[i for c, i in columns[j].items() if c in ROTATIONS] for j in groups[k]] for k in groups}

    def quaternions(values: Tensor) -> Tensor:
        q = rotation.identity(len(values), len(file.names), like=values)
        for order, joints in groups.items():
            q[:, joints] = rotation.from_euler(torch.deg2rad(values[:, where[order]]), order)
        return q

    return rotation.by_blocks(quaternions, torch.from_numpy(file.values))


def _positions(file: BvhFile, root_offset: str) -> Float[Tensor, "t j 3"]:
    p = np.repeat(file.offsets[None], len(file.values), 0)
    for joint, columns in enumerate(_columns(file.channels)):
        for axis, channel in enumerate(POSITIONS):
            if channel in columns:
                base = file.offsets[0, axis] if joint == 0 and root_offset == "add" else 0.0
                p[:, joint, axis] = file.values[:, columns[channel]] + base
    return torch.from_numpy(p)


def _root_offset_looks_added(file: BvhFile, world: Float[Tensor, "t j 3"], size: float) -> bool:
    """True if the body, its channels taken as absolute, hangs about one root OFFSET below zero."""
    axis = int(np.abs(file.offsets[0]).argmax())
    offset = float(file.offsets[0, axis])
    if abs(offset) <= 0.1 * size or POSITIONS[axis] not in file.channels[0]:
        return False
    heights = world[..., axis] if offset > 0 else -world[..., axis]
    low, root = float(heights.amin(1).median()), float(heights[:, 0].median())
    return max(abs(root), abs(low + abs(offset))) < 0.4 * abs(offset)


def write(
    motion: Motion, path: str | Path, unit: float | None = None, channels: Sequence[Sequence[str]] | None = None
) -> Path:
    """Write a motion as BVH: whole or not at all, spelled as the file it came from unless told otherwise.

    ``unit`` is metres per unit of length in the file, ``channels`` each joint's channels in order; a joint that moves
    in ways they cannot hold gets what it needs. Missing folders are made.
    """
    unit = motion.file_format.unit if unit is None else unit
    ReadConfig(unit=unit)  # checks it
    for what, values in (("rotation", motion.rotations), ("position", motion.positions)):
        if not bool(values.isfinite().all()):
            frame, joint = (~values.isfinite()).any(-1).nonzero()[0].tolist()
            name = motion.skeleton.names[joint]
            raise MotifError(f"{path}: {what} of {name!r} at frame {frame} is not finite; not written")
    motion = _with_fixed_offsets(motion)
    plan, angles = _channel_plan(motion, _requested_channels(motion, channels))
    positions = motion.positions.detach().cpu().double().numpy() / unit
    order = sorted(range(len(plan)), key=lambda j: motion.skeleton.ancestors(j)[::-1])  # depth first, as BVH nests
    columns = []
    for j in order:
        turns = iter(angles[j].T)
        columns += [next(turns) if c in ROTATIONS else positions[:, j, "XYZ".index(c[0])] for c in plan[j]]
    values = np.stack(columns, 1)
    head = f"MOTION\nFrames: {len(motion)}\nFrame Time: {float(motion.frame_time)!r}\n"
    text = _hierarchy_text(motion.skeleton, plan, order, unit) + head + bvh_numbers.write_rows(values)
    replace_file(Path(path), lambda beside: beside.write_bytes(text.encode("utf-8", "surrogatepass")))
    return Path(path)


def _with_fixed_offsets(motion: Motion) -> Motion:
    """The same motion, the OFFSET of each joint that stays in one place (the roots apart) set to that place."""
    s = motion.skeleton
    still = (motion.positions - motion.positions[:1]).abs().amax((0, 2)) <= 1e-5 * s.height
    place = motion.positions[0].tolist()
    offsets = tuple(s.offsets[j] if j in (0, s.root) or not still[j] else (*place[j],) for j in range(len(s)))
    return replace(motion, skeleton=replace(s, offsets=offsets))


def _requested_channels(motion: Motion, channels: Sequence[Sequence[str]] | None) -> list[tuple[str, ...]] | None:
    """The channels asked for, checked; None if motif is free to choose."""
    if channels is None:
        fits = len(motion.file_format.channels) == len(motion.skeleton)
        return list(motion.file_format.channels) if fits else None
    if len(channels) != len(motion.skeleton):
        rig = f"the rig has {len(motion.skeleton)}"
        raise MotifError(f"channels for {len(channels)} joints given, {rig}; give one list each")
    for name, row in zip(motion.skeleton.names, channels, strict=True):
        if len(set(row)) < len(row) or not set(row) <= {*POSITIONS, *ROTATIONS}:
            wanted = "expected distinct ones such as Xposition, Zrotation"
            raise MotifError(f"channels of {name!r} are {list(row)}; {wanted}")
    return [tuple(row) for row in channels]


def _channel_plan(
    motion: Motion, wanted: list[tuple[str, ...]] | None
) -> tuple[list[tuple[str, ...]], list[np.ndarray]]:
    """Per joint the channels to write, enough to lose nothing, and its angles in degrees in that order."""
    s = motion.skeleton
    tips = [s.end[j] and not s.children[j] for j in range(len(s))]
    plan = list(wanted or [() if tip else (POSITIONS if j == 0 else ()) + ROTATIONS for j, tip in enumerate(tips)])
    plan[0] = plan[0] if any(plan) else POSITIONS  # a file needs a channel to have frames
    added: list[str] = []
    moved = (motion.positions - s.offset_tensor(motion.positions)).abs().amax(0) > 1e-5 * s.height
    for j, axis in moved.nonzero().tolist():
        if POSITIONS[axis] not in plan[j]:
            plan[j] = tuple(p for p in POSITIONS if p not in plan[j]) + plan[j]
            added.append(f"{s.names[j]} (position)")
    q = rotation.normalise(motion.rotations.detach().cpu().double())
    angles = [np.zeros((len(motion), 3))] * len(s)
    for j, channels in enumerate(plan):
        axes = _axes(channels)
        if len(axes) == 3 or tips[j]:
            continue
        angles[j] = some = _fit_angles(q[:, j], axes)
        held = rotation.from_euler(torch.from_numpy(some), axes) if axes else rotation.identity(len(some), like=q)
        if float(rotation.geodesic(held, q[:, j]).max()) > 1e-4:
            plan[j] = channels + tuple(r for r in ROTATIONS if r not in channels)
            added.append(f"{s.names[j]} (rotation)")
    full = [order if len(order := _axes(c)) == 3 else "" for c in plan]
    for order, joints in _by_order(full).items():
        for j, a in zip(joints, _nearest_triples(rotation.to_euler(q[:, joints], order)).unbind(1), strict=True):
            angles[j] = a.numpy()
    if added and wanted is not None:
        more = f" and {len(added) - 5} more" if len(added) > 5 else ""
        warn(f"{motion.name}: the file's channels cannot hold this motion; added some to {', '.join(added[:5])}{more}")
    return plan, [np.rad2deg(np.unwrap(a, axis=0)) for a in angles]


def _fit_angles(q: Float[Tensor, "t 4"], axes: str) -> np.ndarray:
    """The angles about one or two axes that come nearest to ``q``; exact where two are enough."""
    if not axes:
        return np.zeros((len(q), 0))
    if len(axes) == 1:
        return rotation.twist(q, axes)[:, None].numpy()
    e = torch.eye(3, dtype=q.dtype)
    a, b = (e["xyz".index(axis)] for axis in axes)
    turned = rotation.rotate(q, b)
    first = torch.atan2(turned @ torch.linalg.cross(a, b), turned @ b)
    second = rotation.twist(rotation.mul(rotation.inv(rotation.about(axes[0], first)), q), axes[1])
    return torch.stack((first, second), -1).numpy()


def _nearest_triples(angles: Float[Tensor, "t j 3"]) -> Float[Tensor, "t j 3"]:
    """Of the two triples (a, b, c) and (a + pi, pi - b, c + pi) of each rotation the one nearer to the frame before."""
    pi = torch.pi
    other = torch.stack((angles[..., 0] + pi, pi - angles[..., 1], angles[..., 2] + pi), -1)
    stay, swap = angles[1:] - angles[:-1], angles[1:] - other[:-1]
    gaps = [(d - 2 * pi * torch.round(d / (2 * pi))).abs().sum(-1) for d in (stay, swap)]
    swaps = torch.cat((torch.zeros_like(angles[:1, :, 0]), (gaps[1] < gaps[0]).double()))
    return torch.where((swaps.cumsum(0) % 2 > 0)[..., None], other, angles)


def _hierarchy_text(s: Skeleton, plan: Sequence[Sequence[str]], order: list[int], unit: float) -> str:
    lines, names = ["HIERARCHY"], _safe_names(s)
    for j, following in zip(order, [*order[1:], None], strict=True):
        tab = "\t" * s.depth[j]
        tip = s.end[j] and not s.children[j] and not plan[j]
        lines += [tab + ("End Site" if tip else f"{'ROOT' if j == 0 else 'JOINT'} {names[j]}"), tab + "{"]
        # Channels hold the place of the roots: with OFFSET 0 readers that add agree with those that replace.
        held = plan[j] if j in (0, s.root) else ()
        offset = [0.0 if p in held else x / unit for p, x in zip(POSITIONS, s.offsets[j], strict=True)]
        lines.append(f"{tab}\tOFFSET %.6f %.6f %.6f" % tuple(offset))
        if not tip:
            lines.append(f"{tab}\tCHANNELS {len(plan[j])} {' '.join(plan[j])}".rstrip())
        below = s.depth[following] if following is not None else 0
        lines.extend("\t" * d + "}" for d in range(s.depth[j], below - 1, -1))
    return "\n".join(lines) + "\n"


def _safe_names(s: Skeleton) -> list[str]:
    """The names as they are, but for what BVH cannot spell: braces, line breaks, blanks at the ends, nothing."""
    names: list[str] = []
    for name in s.names:
        safe = re.sub(r"[{}\x00-\x1f]", "_", name).strip() or "_"
        while safe != name and (safe in s.names or safe in names):
            safe += "_"
        if safe != name:
            warn(f"joint {name!r} is written as {safe!r}, because BVH cannot spell its name")
        names.append(safe)
    return names
