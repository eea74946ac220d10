"""glTF 2.0 in: the skeleton and one animation clip of a .glb or .gltf file, whatever its meshes are compressed by.

glTF is in metres, seconds, right-handed and Y up, with quaternions (x, y, z, w). Its joints carry rest rotations; here
every joint is re-expressed in axes parallel to the world's, so that the file's rest pose has all local rotations zero:
with W the rest world rotation of a joint, its world rotation becomes ``R(t) W^-1``. World positions stay exactly as
the file has them under its static node scales, even uneven or mirroring ones.
"""

import base64
import contextlib
import difflib
import json
import math
import struct
import urllib.parse
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import rotation
from ..config import ReadConfig
from ..errors import MotifError, MotifWarning
from ..motion import FileFormat, Motion
from ..rig_guess import guess_rig
from ..skeleton import Skeleton, free_name

_JSON, _BIN = 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_KINDS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
_REST = {"translation": (0, 0, 0), "rotation": (0, 0, 0, 1), "scale": (1, 1, 1)}
_LARGEST = 10_000_000  # joints times frames: an hour of a detailed rig; more is a broken key time


class _Channel(NamedTuple):
    """Keys of one property of one node: times ``[k]``; values ``[k, n]``, for CUBICSPLINE ``[k, 3, n]``."""

    node: int
    path: str
    times: np.ndarray
    values: np.ndarray
    method: str


class _File(NamedTuple):
    """What a file holds: its JSON part and the bytes of its buffers."""

    path: Path
    json: dict[str, Any]
    buffers: list[bytes]

    def fail(self, what: str) -> MotifError:
        return MotifError(f"{self.path}: {what}")

    def array(self, index: int) -> np.ndarray:
        """An accessor as floats ``[count, components]``; normalised integers become -1..1 or 0..1."""
        it = self.json["accessors"][index]
        dtype, width, count = np.dtype(_COMPONENTS[it["componentType"]]), _KINDS[it["type"]], it["count"]
        view: dict[str, Any] = self.json["bufferViews"][it["bufferView"] if "sparse" not in it else 0]
        if "sparse" in it or any("compression" in name for name in view.get("extensions", ())):
            raise self.fail("its animation is compressed (sparse or meshopt), which motif cannot read; export without")
        data, size = self.buffers[view["buffer"]], dtype.itemsize * width
        step, start, base = view.get("byteStride", size), it.get("byteOffset", 0), view.get("byteOffset", 0)
        end = start + step * (count - 1) + size
        if min(count, step, start + 1, base + 1) < 1 or end > view["byteLength"] or base + end > len(data):
            raise self.fail(f"accessor {index} ({count} x {it['type']}) is out of range; export the file again")
        values = np.ndarray((count, width), dtype, data, base + start, (step, dtype.itemsize)).astype(np.float64)
        if not np.isfinite(values).all():
            raise self.fail(f"accessor {index} of the animation holds NaN or infinity; repair the clip, export again")
        return np.maximum(values / np.iinfo(dtype).max, -1.0) if it.get("normalized") else values


def clip_lengths(path: str | Path) -> dict[str, float]:
    """Return the names of the animation clips in a file with their lengths in seconds (0 for a single pose)."""
    with _checked(path):
        file = _open(Path(path))
        return {name: last - first for name, (first, last) in _clips(file).items()}


def read(path: str | Path, config: ReadConfig = ReadConfig()) -> Motion:
    """Read one clip of a ``.glb``, or of a ``.gltf`` with its buffers embedded or beside it.

    The rig is the first skin's joints with whatever nodes join them to one tree; without a skin, the nodes the clip
    moves. What stands above the first joint is folded into it. Frame 0 is the clip's earliest key.
    """
    fps = 30.0 if config.fps is None else config.fps
    with _checked(path):
        file = _open(Path(path))
        number, name, first, last = _choose(file, config.clip)
        channels = _channels(file, file.json["animations"][number])
        skins = file.json.get("skins")
        joints, above, parents = _tree(file, skins[0]["joints"] if skins else [c.node for c in channels])
        rest = {j: _transform(file, j) for j in (*above, *joints)}
        names = _unique("root" if j < 0 else file.json["nodes"][j].get("name") or f"node{j}" for j in joints)
        channels = [c for c in channels if c.node in rest]
    if not channels:
        raise file.fail(f"clip {name!r} moves none of the skeleton's {len(joints)} joints; choose another clip")
    if (last - first) * fps * len(joints) > _LARGEST:
        raise file.fail(f"clip {name!r} lasts {last - first:g} s, too long to read at {fps:g} fps; lower fps")
    posed = _pose(file, rest, channels, first + np.arange(int((last - first) * fps + 1e-6) + 1) / fps)
    up = [0, *(1 + joints.index(parents[j]) for j in joints[1:])]
    q, p, offsets = _in_rest_axes(_world(rest, parents, joints), _world(posed, parents, joints), up)
    skeleton = Skeleton(names, tuple(j - 1 for j in up), tuple(tuple(row) for row in offsets.tolist()))
    title = f"{file.path.stem}-{name}" if len(file.json["animations"]) > 1 else name
    return Motion(guess_rig(skeleton, q, p, rest_known=True), q, p, 1 / fps, title, FileFormat(unit=0.01))


def _in_rest_axes(
    rest: tuple[Tensor, Tensor], posed: tuple[Tensor, Tensor], up: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Local rotations and positions, and offsets, in axes that are the world's at rest.

    ``up`` is each joint's parent with the world as number 0; ``rest`` and ``posed`` are axes and places in the world.
    """
    turned = rotation.from_matrix(posed[0] @ rest[0].mT)
    back = rotation.inv(torch.cat((rotation.identity(len(turned), 1, like=turned), turned), 1)[:, up])
    arms = [p - torch.cat((torch.zeros_like(p[:, :1]), p), 1)[:, up] for p in (posed[1], rest[1])]
    local = rotation.unroll(rotation.mul(back, turned).transpose(0, 1)).transpose(0, 1)
    return local.float(), rotation.rotate(back, arms[0]).float(), arms[1][0]


@contextlib.contextmanager
def _checked(path: str | Path):
    """Whatever is missing, of the wrong type or undecodable in the file as one plain message."""
    try:
        yield
    except MotifError:
        raise
    except OSError as error:
        raise MotifError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise MotifError(f"{path}: breaks the glTF 2.0 rules ({what}); export the file again") from error


def _open(path: Path) -> _File:
    """Header and chunks of a GLB, or the whole of a .gltf, with its buffers."""
    data = path.read_bytes()
    text, binary = data, None
    if data[:4] == b"glTF" and len(data) >= 12:
        version, length = struct.unpack_from("<II", data, 4)
        if version != 2:
            raise MotifError(f"{path}: is binary glTF version {version}; motif reads version 2, export it again as 2.0")
        chunks, at = {}, 12
        while at + 8 <= min(length, len(data)):
            size, kind = struct.unpack_from("<II", data, at)
            chunks.setdefault(kind, data[at + 8 : at + 8 + size])
            at += 8 + size
        if max(length, at) > len(data) or _JSON not in chunks:
            raise MotifError(f"{path}: is cut off after {len(data)} bytes; copy or export the file again")
        text, binary = chunks[_JSON], chunks.get(_BIN)
    elif path.suffix.lower() != ".gltf":
        raise MotifError(f"{path}: is not binary glTF (it starts with {data[:4]!r}); export it as glTF 2.0 (.glb)")
    content = json.loads(text.decode("utf-8-sig"))
    if not str(content["asset"]["version"]).startswith("2."):
        raise MotifError(f"{path}: is glTF {content['asset']['version']}; motif reads 2.0, export it again as glTF 2.0")
    return _File(path, content, [_buffer(path, it.get("uri"), binary) for it in content.get("buffers", ())])


def _buffer(path: Path, uri: str | None, binary: bytes | None) -> bytes:
    """The bytes of a buffer: the GLB's own chunk, an embedded one or a file in the same folder."""
    if uri is None:
        return binary or b""
    if uri.startswith("data:"):
        return base64.b64decode(uri.partition(",")[2])
    folder = path.parent.resolve()
    beside = (folder / urllib.parse.unquote(uri)).resolve()
    if folder not in beside.parents or not beside.is_file():
        raise MotifError(f"{path}: needs the file {uri!r} beside it, which is missing; copy it there or export as .glb")
    return beside.read_bytes()


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names, repeated ones numbered: ``Bone``, ``Bone_2``."""
    taken: dict[str, None] = {}
    for name in names:
        taken[free_name(str(name), taken)] = None
    return tuple(taken)


def _targets(animation: dict[str, Any]) -> list[tuple[int, str, dict[str, Any]]]:
    """Node, property and sampler of the channels that place a node; morph weights and extensions are left out."""
    channels = [c for c in animation["channels"] if c["target"].get("path") in _REST and "node" in c["target"]]
    return [(c["target"]["node"], c["target"]["path"], animation["samplers"][c["sampler"]]) for c in channels]


def _clips(file: _File) -> dict[str, tuple[float, float]]:
    """Name of every clip with its earliest and latest key in seconds."""
    spans, animations = [], file.json.get("animations", [])
    for animation in animations:
        keys = [file.array(i) for i in {sampler["input"] for _, _, sampler in _targets(animation)}]
        spans.append((float(min(k.min() for k in keys)), float(max(k.max() for k in keys))) if keys else (0.0, 0.0))
    return dict(zip(_unique(a.get("name") or f"clip{i}" for i, a in enumerate(animations)), spans, strict=True))


def _choose(file: _File, clip: str | int | None) -> tuple[int, str, float, float]:
    """Number, name, earliest and latest key of the clip that was asked for."""
    spans = _clips(file)
    names = list(spans)
    if not names:
        raise file.fail("has no animation; export the clip with it (in Blender: tick Animation in the glTF export)")
    if clip is None:
        clip = max(names, key=lambda n: spans[n][1] - spans[n][0])
    if clip in names or clip in range(len(names)):
        name = clip if isinstance(clip, str) else names[clip]
        return names.index(name), name, *spans[name]
    near = difflib.get_close_matches(str(clip), names, 3, 0.5)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    raise file.fail(f"no clip {clip!r}{hint} It has {len(names)}: {', '.join(names)}")


def _channels(file: _File, animation: dict[str, Any]) -> list[_Channel]:
    """The keys of a clip, read and checked; rotations as (w, x, y, z)."""
    found = []
    for node, path, sampler in _targets(animation):
        times, values = file.array(sampler["input"])[:, 0], file.array(sampler["output"])
        method, width = sampler.get("interpolation", "LINEAR"), len(_REST[path])
        shape = (len(times), 3, width) if method == "CUBICSPLINE" else (len(times), width)
        if values.size != math.prod(shape) or values.shape[1] != width or (np.diff(times) < 0).any():
            raise file.fail(f"the {path} keys of node {node} do not fit their key times; export the file again")
        values = values.reshape(shape)
        found.append(_Channel(node, path, times, values[..., [3, 0, 1, 2]] if width == 4 else values, method))
    return found


def _sample(c: _Channel, when: np.ndarray) -> Tensor:
    """A channel at the given seconds ``[t, n]``; its ends are held."""
    after = np.searchsorted(c.times, when, side="right").clip(min(1, len(c.times) - 1), len(c.times) - 1)
    before = np.maximum(after - 1, 0)
    step = (c.times[after] - c.times[before])[:, None]
    u = ((when - c.times[before])[:, None] / np.where(step > 0, step, 1)).clip(0, 1)
    if c.method == "STEP":
        return torch.from_numpy(c.values[np.where(when >= c.times[after], after, before)])
    if c.method == "CUBICSPLINE":
        a, out, b, into = c.values[before, 1], c.values[before, 2], c.values[after, 1], c.values[after, 0]
        return torch.from_numpy(a + (b - a) * u * u * (3 - 2 * u) + step * u * (1 - u) * ((1 - u) * out - u * into))
    a, b, t = torch.from_numpy(c.values[before]), torch.from_numpy(c.values[after]), torch.from_numpy(u)
    if c.path == "rotation":
        return rotation.slerp(rotation.normalise(a), rotation.normalise(b), t[:, 0])
    return torch.lerp(a, b, t)


def _tree(file: _File, wanted: list[int]) -> tuple[list[int], list[int], dict[int, int]]:
    """The smallest tree that holds the wanted nodes, parents first; the chain above its root; everyone's parent.

    Number -1 is a node that stands over the whole scene, in case that nothing else joins the wanted ones.
    """
    nodes = file.json.get("nodes", [])
    below = [node.get("children", ()) for node in nodes]
    tops = sorted(set(range(len(nodes))).difference(*below))
    parents, stack = {-1: -2}, [(top, -1) for top in reversed(tops)]
    while stack:
        node, parent = stack.pop()
        if node in parents:
            raise file.fail(f"its nodes form no tree, node {node} has two parents; export the file again")
        parents[node] = parent
        stack.extend((child, node) for child in reversed(below[node]))
    if not wanted:
        raise file.fail("has no skeleton: no skin, and no node that the clip moves; export it with its armature")
    chains = [[node] for node in wanted]
    for chain in chains:
        while chain[0] != -1:
            chain.insert(0, parents[chain[0]])
    shared = 1
    while all(c[shared : shared + 1] == chains[0][shared : shared + 1] != [] for c in chains):
        shared += 1
    inside = {node for chain in chains for node in chain[shared - 1 :]}
    return [node for node in parents if node in inside], chains[0][: shared - 1], parents


def _transform(file: _File, index: int) -> dict[str, Tensor]:
    """Translation, rotation (w, x, y, z) and scale of a node at rest, each ``[1, n]`` and float64."""
    node = _REST | (file.json["nodes"][index] if index >= 0 else {})
    if "matrix" in node:
        m = np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
        size = np.linalg.norm(m[:3, :3], axis=0) * (np.sign(np.linalg.det(m[:3, :3])) or 1, 1, 1)
        axes = rotation.from_matrix(torch.from_numpy(m[:3, :3] / np.where(size == 0, 1, size)))
        node |= {"translation": m[:3, 3], "rotation": axes.roll(-1).numpy(), "scale": size}
    flat = torch.from_numpy(np.concatenate([np.array(node[path], dtype=np.float64) for path in _REST]))
    if len(flat) != 10 or not torch.isfinite(flat).all():
        raise file.fail(f"node {node.get('name')!r} has a NaN or broken transform; export the file again")
    t, q, s = flat[None, :3], rotation.normalise(flat[None, [6, 3, 4, 5]]), flat[None, 7:]
    return {"translation": t, "rotation": q, "scale": s}


def _pose(file: _File, rest: dict, channels: list[_Channel], when: np.ndarray) -> dict[int, dict[str, Tensor]]:
    """Transforms of all nodes at the given seconds; scales stay fixed, the node's own or a constant track's value."""
    posed = {j: at | {"translation": at["translation"].expand(len(when), 3)} for j, at in rest.items()}
    ignored = []
    for c in channels:
        sampled, own = _sample(c, when), rest[c.node]["scale"]
        if c.path != "scale":
            posed[c.node][c.path] = rotation.normalise(sampled) if c.path == "rotation" else sampled
        elif float((sampled - own).abs().max()) > 0.01 * float(own.abs().max()):
            if float((sampled / sampled[:1] - 1).abs().nan_to_num(1).max()) <= 0.01:  # constant: the armature's unit
                rest[c.node]["scale"] = posed[c.node]["scale"] = sampled[:1]
            else:
                ignored.append(str(file.json["nodes"][c.node].get("name", c.node)))
    if ignored:
        few = ", ".join(ignored[:4])
        message = f"{file.path}: the scale of {len(ignored)} joints changes over time ({few}); read without that"
        warnings.warn(MotifWarning(message), stacklevel=3)
    return posed


def _world(local: dict, parents: dict[int, int], joints: list[int]) -> tuple[Tensor, Tensor]:
    """Orthogonal world axes ``[t, j, 3, 3]`` (reflected where scales mirror) and world positions ``[t, j, 3]``."""
    world = {parents[next(iter(local))]: (torch.eye(3).double()[None], torch.zeros(1, 3).double())}
    for j, parts in local.items():  # parents first
        m, p = world[parents[j]]
        scale = torch.where(parts["scale"].abs() < 1e-9, 1e-9, parts["scale"])  # scaled to nothing, it still has axes
        shape = m @ rotation.to_matrix(parts["rotation"]) * scale[:, None]
        world[j] = (shape, p + (m @ parts["translation"][..., None])[..., 0])
    t = max(len(p) for _, p in world.values())
    shape, position = (torch.stack([world[j][i].expand(t, *world[j][i].shape[1:]) for j in joints], 1) for i in (0, 1))
    axes = shape / shape.det().abs().pow(1 / 3)[..., None, None]
    if (axes @ axes.mT - torch.eye(3)).abs().max() > 1e-9:  # uneven scales shear: take the nearest axes
        u, _, vh = torch.linalg.svd(axes)
        axes = u @ vh
    return axes, position
