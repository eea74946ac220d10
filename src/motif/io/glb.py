"""glTF 2.0 in: the skeleton and one animation clip of a .glb or .gltf file.

glTF is in metres, seconds, right-handed and Y up, with quaternions (x, y, z, w). Its joints carry rest rotations; here
every joint is re-expressed in axes parallel to the world's, so that the file's rest pose has all local rotations zero:
with W the rest world rotation of a joint, its world rotation becomes ``R(t) W^-1``. World positions stay exactly as
the file has them, static node scales (even uneven or mirroring ones) included. Meshes and materials are never touched,
so a file with Draco-compressed meshes reads like any other.
"""

import base64
import binascii
import contextlib
import difflib
import json
import math
import struct
import urllib.parse
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import rotation
from ..errors import MotifError, MotifWarning
from ..motion import FileStyle, Motion
from ..skeleton import Skeleton

_JSON, _BIN = 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTH = {"translation": 3, "rotation": 4, "scale": 3}
_KINDS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
_LARGEST = 10_000_000  # joints times frames; about an hour of a detailed rig, or a broken key time


@dataclass(frozen=True, eq=False)
class _Channel:
    """The keys of one property of one node."""

    node: int
    path: str
    times: np.ndarray
    """Key times in seconds ``[k]``."""
    values: np.ndarray
    """``[k, n]``; ``[k, 3, n]`` (in-tangent, value, out-tangent) for CUBICSPLINE. Rotations are (w, x, y, z)."""
    method: str


@dataclass(frozen=True, eq=False)
class _File:
    """The JSON part of a file and the way to its buffers."""

    path: Path
    json: dict[str, Any]
    binary: bytes | None

    def fail(self, what: str) -> MotifError:
        return MotifError(f"{self.path}: {what}")

    def item(self, kind: str, index: int) -> dict[str, Any]:
        """Element ``index`` of one of the file's lists."""
        items = self.json.get(kind, [])
        if not 0 <= index < len(items):
            raise self.fail(f"refers to {kind}[{index}] but has {len(items)} of them; export the file again")
        return items[index]

    def buffer(self, index: int) -> bytes:
        """The bytes of a buffer: the GLB's own chunk, an embedded one or a file beside it."""
        uri = self.item("buffers", index).get("uri")
        if uri is None:
            if self.binary is None or index != 0:
                raise self.fail(f"buffer {index} has no data; the file is cut off or not complete, export it again")
            return self.binary
        if uri.startswith("data:"):
            try:
                return base64.b64decode(uri.partition(",")[2])
            except binascii.Error as error:
                raise self.fail(f"buffer {index} is not valid base64 ({error}); export the file again") from error
        folder = self.path.parent.resolve()
        beside = (folder / urllib.parse.unquote(uri)).resolve()
        if folder not in beside.parents or not beside.is_file():
            raise self.fail(f"needs the file {uri!r} beside it, which is missing; copy it there or export as .glb")
        return beside.read_bytes()

    def array(self, index: int) -> np.ndarray:
        """An accessor as floats ``[count, components]``; normalised integers become -1..1 or 0..1."""
        accessor = self.item("accessors", index)
        dtype, width, count = np.dtype(_COMPONENTS[accessor["componentType"]]), _KINDS[accessor["type"]], accessor["count"]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise self.fail(f"accessor {index} of the animation is sparse; export it without sparse accessors")
        view = self.item("bufferViews", accessor["bufferView"])
        if any("compression" in name for name in view.get("extensions", {})):
            raise self.fail("its animation is compressed (meshopt), which motif does not read; export without compression")
        data = self.buffer(view["buffer"])
        size, stride = dtype.itemsize * width, view.get("byteStride", dtype.itemsize * width)
        offset, start = accessor.get("byteOffset", 0), view.get("byteOffset", 0)
        end = offset + stride * (count - 1) + size
        if min(count, stride, offset + 1, start + 1) < 1 or end > view["byteLength"] or start + end > len(data):
            raise self.fail(
                f"accessor {index} ({count} x {accessor['type']}) reaches beyond its {len(data)}-byte buffer; "
                f"the file is cut off or broken, export it again"
            )
        step = (stride, dtype.itemsize)
        values = np.ndarray((count, width), dtype, data, start + offset, step).astype(np.float64)
        if not np.isfinite(values).all():
            raise self.fail(f"accessor {index} of the animation contains NaN or infinity; repair the clip and export it again")
        if accessor.get("normalized") and dtype.kind in "iu":
            values = np.maximum(values / np.iinfo(dtype).max, -1.0)
        return values


# --- the public two --------------------------------------------------------------------------------------------------
def clips(path: str | Path) -> dict[str, float]:
    """The names of the animation clips in a file, each with its length in seconds (0 for a single pose)."""
    file = _open(Path(path))
    with _checked(file):
        spans = [_span(file, animation) for animation in file.json.get("animations", [])]
        return dict(zip(_clip_names(file), (last - first for first, last in spans), strict=True))


def read(path: str | Path, clip: str | int | None = None, fps: float = 30.0) -> Motion:
    """One clip of a glTF file.

    The rig is the first skin's joints with whatever nodes join them to one tree; without a skin, the nodes the clip
    moves. What stands above the first joint is folded into it.

    Args:
        path: a ``.glb``, or a ``.gltf`` with its buffers embedded or beside it.
        clip: the clip's name or number; the longest one if not given. See :func:`clips`.
        fps: frames per second to sample the clip at; frame 0 is its earliest key.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise MotifError(f"{path}: cannot sample at {fps} frames a second; give a positive number")
    file = _open(Path(path))
    with _checked(file):
        number, name = _choose(file, clip)
        animation = file.json["animations"][number]
        first, last = _span(file, animation)
        parents, order = _hierarchy(file)
        channels = _channels(file, animation)
        skins = file.json.get("skins", [])
        wanted = skins[0]["joints"] if skins else sorted({c.node for c in channels})
        joints, above = _tree(file, parents, order, wanted)
        plain = [_transform(file, node) for node in (*file.json["nodes"], {})]
        names = _unique(str(file.json["nodes"][j].get("name") or f"node{j}") if j < len(plain) - 1 else "root" for j in joints)
    count = (last - first) * fps + 1e-6
    if count * len(joints) > _LARGEST:
        raise file.fail(f"clip {name!r} lasts {last - first:g} s; at {fps:g} fps that is too long to read, lower fps")
    moving = [c for c in channels if c.node in above or c.node in joints]
    if not moving:
        raise file.fail(f"clip {name!r} moves none of the skeleton's {len(joints)} joints; choose another clip")
    times = first + np.arange(int(count) + 1) / fps
    rest, posed = _pose(file, plain, moving, times)
    chain = [j for j in order if j in above or j in joints]
    world, still = _worlds(chain, parents, posed), _worlds(chain, parents, rest)
    up = [-1, *(joints.index(parents[j]) for j in joints[1:])]
    motion = _motion(world[joints], still[joints], up, names)
    title = name if len(file.json["animations"]) == 1 else f"{file.path.stem}-{name}"
    return Motion(*motion, 1 / fps, title, FileStyle(unit=0.01)).rigged()


# --- the file --------------------------------------------------------------------------------------------------------
def _open(path: Path) -> _File:
    """Header and chunks of a GLB, or the whole of a .gltf."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MotifError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    text, binary = data, None
    if data[:4] == b"glTF":
        version, length = struct.unpack_from("<II", data, 4) if len(data) >= 12 else (2, len(data) + 1)
        if version != 2:
            raise MotifError(f"{path}: is binary glTF version {version}; motif reads version 2, export it again as glTF 2.0")
        chunks, at = {}, 12
        while at + 8 <= min(length, len(data)):
            size, kind = struct.unpack_from("<II", data, at)
            chunks.setdefault(kind, data[at + 8 : at + 8 + size])
            at += 8 + size
        if length > len(data) or at > len(data) or _JSON not in chunks:
            raise MotifError(f"{path}: is cut off after {len(data)} bytes; copy or export the file again")
        text, binary = chunks[_JSON], chunks.get(_BIN)
    elif path.suffix.lower() != ".gltf":
        raise MotifError(f"{path}: is not a binary glTF file (it starts with {data[:4]!r}); export it as glTF 2.0 (.glb)")
    try:
        content = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise MotifError(f"{path}: its JSON part cannot be read ({error}); export the file again") from error
    if not isinstance(content, dict) or not isinstance(content.get("asset"), dict):
        raise MotifError(f"{path}: is JSON but not glTF (no 'asset' entry); export it as glTF 2.0")
    if not str(content["asset"].get("version", "2")).startswith("2"):
        raise MotifError(f"{path}: is glTF {content['asset']['version']}; motif reads 2.0, export it again as glTF 2.0")
    return _File(path, content, binary)


@contextlib.contextmanager
def _checked(file: _File) -> Iterator[None]:
    """Entries that are missing or of the wrong type, anywhere in the JSON, as one plain message."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise file.fail(f"breaks the glTF 2.0 rules ({type(error).__name__}: {error}); export the file again") from error


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names, repeated ones numbered: ``Bone``, ``Bone_2``."""
    taken: dict[str, None] = {}
    for name in names:
        fresh, n = name, 1
        while fresh in taken:
            n += 1
            fresh = f"{name}_{n}"
        taken[fresh] = None
    return tuple(taken)


def _clip_names(file: _File) -> tuple[str, ...]:
    return _unique(str(a.get("name") or f"clip{i}") for i, a in enumerate(file.json.get("animations", [])))


def _choose(file: _File, clip: str | int | None) -> tuple[int, str]:
    """Number and name of the clip that was asked for."""
    names = _clip_names(file)
    if not names:
        raise file.fail("has no animation; export the clip with it (in Blender: tick Animation in the glTF export)")
    if clip is None:
        spans = [_span(file, animation) for animation in file.json["animations"]]
        clip = max(range(len(names)), key=lambda i: spans[i][1] - spans[i][0])
    if isinstance(clip, str) and clip in names:
        return names.index(clip), clip
    if isinstance(clip, int) and 0 <= clip < len(names):
        return clip, names[clip]
    near = difflib.get_close_matches(str(clip), names, 3, 0.5)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise file.fail(f"no clip {clip!r}{hint} It has {len(names)}: {', '.join(names)}")


# --- the scene -------------------------------------------------------------------------------------------------------
def _targets(animation: dict[str, Any]) -> list[dict[str, Any]]:
    """The channels that place a node; morph weights and extensions are left out."""
    return [c for c in animation["channels"] if c["target"].get("path") in _WIDTH and "node" in c["target"]]


def _span(file: _File, animation: dict[str, Any]) -> tuple[float, float]:
    """Earliest and latest key of a clip in seconds."""
    inputs = {animation["samplers"][c["sampler"]]["input"] for c in _targets(animation)}
    ends = [(float(times.min()), float(times.max())) for times in map(file.array, inputs)]
    return (min(a for a, _ in ends), max(b for _, b in ends)) if ends else (0.0, 0.0)


def _channels(file: _File, animation: dict[str, Any]) -> list[_Channel]:
    """The keys of a clip, read and checked."""
    found = []
    for channel in _targets(animation):
        node, path = channel["target"]["node"], channel["target"]["path"]
        sampler = animation["samplers"][channel["sampler"]]
        times, values = file.array(sampler["input"])[:, 0], file.array(sampler["output"])
        method = sampler.get("interpolation", "LINEAR")
        cubic = method == "CUBICSPLINE"
        if values.shape != ((3 if cubic else 1) * len(times), _WIDTH[path]) or (np.diff(times) < 0).any():
            raise file.fail(f"the {path} keys of node {node} do not fit their key times; export the file again")
        values = values.reshape(len(times), 3, -1) if cubic else values
        found.append(_Channel(node, path, times, values[..., [3, 0, 1, 2]] if path == "rotation" else values, method))
    return found


def _hierarchy(file: _File) -> tuple[list[int], list[int]]:
    """Parent of every node and an order with parents first; one node more than the file has stands above all."""
    nodes = file.json.get("nodes", [])
    parents, broken = [len(nodes)] * len(nodes) + [-1], False
    for i, node in enumerate(nodes):
        for child in node.get("children", ()):
            file.item("nodes", child)
            broken |= parents[child] != len(nodes)
            parents[child] = i
    tops = [i for i, p in enumerate(parents) if p == len(nodes)]
    order, stack = [len(nodes)], tops[::-1]
    while stack and not broken:
        order.append(stack.pop())
        stack.extend(reversed(nodes[order[-1]].get("children", ())))
    if broken or len(order) != len(parents):
        raise file.fail("its nodes do not form a tree (a node has two parents or is its own); export the file again")
    return parents, order


def _tree(file: _File, parents: list[int], order: list[int], wanted: list[int]) -> tuple[list[int], set[int]]:
    """The smallest tree that holds the wanted nodes, parents first, and the nodes above its root."""
    if not wanted:
        raise file.fail("has no skeleton: no skin, and no node that the clip moves; export it with its armature")
    chains = []
    for node in wanted:
        file.item("nodes", node)
        chain = [node]
        while parents[chain[-1]] >= 0:
            chain.append(parents[chain[-1]])
        chains.append(chain[::-1])
    shared = 0
    while all(len(c) > shared and c[shared] == chains[0][shared] for c in chains):
        shared += 1
    inside = {node for chain in chains for node in chain[shared - 1 :]}
    return [node for node in order if node in inside], set(chains[0][: shared - 1])


def _transform(file: _File, node: dict[str, Any]) -> dict[str, Tensor]:
    """Translation, rotation (w, x, y, z) and scale of a node at rest, float64."""
    t, s = node.get("translation", (0, 0, 0)), node.get("scale", (1, 1, 1))
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    parts = [np.array(v, dtype=np.float64) for v in (t, (w, x, y, z), s)]
    if "matrix" in node:
        m = np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
        size = np.linalg.norm(m[:3, :3], axis=0)
        size[0] *= -1 if np.linalg.det(m[:3, :3]) < 0 else 1
        axes = torch.from_numpy(m[:3, :3] / np.where(size == 0, 1, size))
        parts = [m[:3, 3], rotation.from_matrix(axes).numpy(), size]
    if [p.shape for p in parts] != [(3,), (4,), (3,)] or not all(np.isfinite(p).all() for p in parts):
        raise file.fail(f"node {node.get('name')!r} has a broken or NaN transform; export the file again")
    t, q, s = (torch.from_numpy(p) for p in parts)
    return {"translation": t, "rotation": rotation.normalise(q), "scale": s}


# --- the pose --------------------------------------------------------------------------------------------------------
def _sample(c: _Channel, when: np.ndarray) -> Float[Tensor, "t n"]:
    """A channel at the given seconds; its ends are held."""
    after = np.searchsorted(c.times, when, side="right").clip(1, max(len(c.times) - 1, 1)).clip(max=len(c.times) - 1)
    before = np.maximum(after - 1, 0)
    step = c.times[after] - c.times[before]
    u = ((when - c.times[before]) / np.where(step > 0, step, 1)).clip(0, 1)
    if c.method == "STEP":
        return torch.from_numpy(c.values[np.where(when >= c.times[after], after, before)])
    if c.method == "CUBICSPLINE":
        u, step = u[:, None], step[:, None]
        out, a, b, into = c.values[before, 2], c.values[before, 1], c.values[after, 1], c.values[after, 0]
        smooth = u * u * (3 - 2 * u)
        x = torch.from_numpy(a + (b - a) * smooth + step * u * (1 - u) * ((1 - u) * out - u * into))
        return rotation.normalise(x) if c.path == "rotation" else x
    a, b, t = (torch.from_numpy(x) for x in (c.values[before], c.values[after], u))
    if c.path == "rotation":
        return rotation.slerp(rotation.normalise(a), rotation.normalise(b), t)
    return torch.lerp(a, b, t[:, None])
