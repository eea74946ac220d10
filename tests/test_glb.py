"""glTF reading: small files built here, every way in which one can be broken, and the creatures on disk."""

import base64
import json
import math
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from motif import io, rotation
from motif.errors import MotifError, MotifWarning
from motif.io import ReadConfig, glb

CREATURES = Path(__file__).parents[1] / ".data" / "creatures"
FILES = sorted(CREATURES.rglob("*.glb"))
HALF = 0.5**0.5
TURN = {"x": [HALF, 0, 0, HALF], "y": [0, HALF, 0, HALF], "z": [0, 0, HALF, HALF]}  # 90 degrees, (x, y, z, w)


# --- files made here -------------------------------------------------------------------------------------------------
class Scene:
    """A glTF file in the making."""

    def __init__(self, nodes, joints=None):
        below = {c for n in nodes for c in n.get("children", ())}
        self.binary = b""
        self.json = {
            "asset": {"version": "2.0"},
            "scenes": [{"nodes": [i for i in range(len(nodes)) if i not in below]}],
            "nodes": nodes,
            "accessors": [],
            "bufferViews": [],
            "animations": [],
        }
        if joints is not None:
            self.json["skins"] = [{"joints": joints}]

    def accessor(self, values, dtype="<f4", kind=5126, **extra):
        values = np.asarray(values, dtype=dtype)
        self.json["bufferViews"].append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": values.nbytes})
        self.binary += values.tobytes() + b"\0" * (-values.nbytes % 4)
        shape = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[1 if values.ndim == 1 else values.shape[1]]
        accessor = {"bufferView": len(self.json["bufferViews"]) - 1, "componentType": kind, "count": len(values)}
        self.json["accessors"].append(accessor | {"type": shape} | extra)
        return len(self.json["accessors"]) - 1

    def clip(self, name, *channels):
        """Each channel is (node, path, times, values) or with a fifth entry, the interpolation."""
        animation = {"channels": [], "samplers": []}
        if name is not None:
            animation["name"] = name
        for node, path, times, values, *method in channels:
            output = values if isinstance(values, int) else self.accessor(values)
            sampler = {"input": self.accessor(times), "output": output}
            target = {"node": node, "path": path}
            animation["channels"].append({"sampler": len(animation["samplers"]), "target": target})
            animation["samplers"].append(sampler | ({"interpolation": method[0]} if method else {}))
        self.json["animations"].append(animation)
        return self

    def bytes(self):
        self.json["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.json).encode()
        text += b" " * (-len(text) % 4)
        body = struct.pack("<II", len(text), 0x4E4F534A) + text
        body += struct.pack("<II", len(self.binary), 0x004E4942) + self.binary
        return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body

    def save(self, path):
        path.write_bytes(self.bytes())
        return path


def arm(**root):
    """Hips - elbow - hand under an armature, each bone 1 m long."""
    return [
        {"name": "Armature", "children": [1], **root},
        {"name": "Hips", "children": [2], "translation": [0, 1, 0], "rotation": TURN["x"]},
        {"name": "Elbow", "children": [3], "translation": [0, 1, 0], "rotation": TURN["z"]},
        {"name": "Hand", "translation": [0, 1, 0]},
    ]


def bend(scene, name="bend"):
    return scene.clip(
        name,
        (1, "translation", [0, 1], [[0, 1, 0], [0, 1, 2]]),
        (1, "rotation", [0, 1], [TURN["x"], TURN["y"]]),
        (2, "rotation", [0, 0.5, 1], [TURN["z"], TURN["x"], TURN["z"]]),
    )


def refused(path, match, **options):
    with pytest.raises(MotifError, match=match) as caught:
        glb.read(path, ReadConfig(**options))
    assert str(path) in str(caught.value)


# --- a second evaluation, straight from the file ---------------------------------------------------------------------
def raw(path):
    data = Path(path).read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def values_of(content, binary, index):
    a = content["accessors"][index]
    view = content["bufferViews"][a["bufferView"]]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[a["type"]]
    start = view.get("byteOffset", 0) + a.get("byteOffset", 0)
    return np.frombuffer(binary, "<f4", a["count"] * width, start).reshape(-1, width).astype(float)


def at(times, values, method, path, when):
    """One key-framed property at one time."""
    if when <= times[0] or len(times) == 1:
        return values[0]
    if when >= times[-1]:
        return values[-1]
    k = int(np.searchsorted(times, when, side="right")) - 1
    if method == "STEP":
        return values[k]
    a, b, u = values[k], values[k + 1], (when - times[k]) / (times[k + 1] - times[k])
    if path != "rotation":
        return a + u * (b - a)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    b = -b if a @ b < 0 else b
    angle = np.arccos(min(a @ b, 1.0))
    if angle < 1e-4:
        return a + u * (b - a)
    return (np.sin((1 - u) * angle) * a + np.sin(u * angle) * b) / np.sin(angle)


def matrix(t, q, s):
    x, y, z, w = np.asarray(q) / np.linalg.norm(q)
    m = np.eye(4)
    m[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    m[:3, :3] *= s
    m[:3, 3] = t
    return m


def direct(path, clip, seconds):
    """World positions of all nodes by name at some seconds after the first key: plain matrices, no scale tracks."""
    content, binary = raw(path)
    animation = next(a for a in content["animations"] if a.get("name") == clip)
    tracks, first = {}, np.inf
    for c in animation["channels"]:
        sampler = animation["samplers"][c["sampler"]]
        times = values_of(content, binary, sampler["input"])[:, 0]
        first = min(first, times[0])
        if c["target"]["path"] != "scale":
            keys = values_of(content, binary, sampler["output"])
            tracks[c["target"]["node"], c["target"]["path"]] = times, keys, sampler.get("interpolation", "LINEAR")
    nodes = content["nodes"]
    parent = {c: i for i, n in enumerate(nodes) for c in n.get("children", ())}

    def world(i, when):
        rest = {"translation": [0, 0, 0], "rotation": [0, 0, 0, 1], "scale": [1, 1, 1]} | nodes[i]
        t, q = (at(*tracks[i, p], p, when) if (i, p) in tracks else rest[p] for p in ("translation", "rotation"))
        m = np.array(rest["matrix"]).reshape(4, 4).T if "matrix" in rest else matrix(t, q, rest["scale"])
        return world(parent[i], when) @ m if i in parent else m

    return [{n.get("name"): world(i, first + s)[:3, 3] for i, n in enumerate(nodes)} for s in seconds]


def assert_same_places(path, clip, frames, motion, tolerance=1e-5):
    want = direct(path, clip, [f * motion.frame_time for f in frames])
    got = motion.skeleton.fk(motion.rotations[frames], motion.positions[frames])[1].double().numpy()
    for row, places in zip(got, want, strict=True):
        expected = np.array([places[n] for n in motion.skeleton.names])
        np.testing.assert_allclose(row, expected, rtol=0, atol=tolerance)


# --- reading ---------------------------------------------------------------------------------------------------------
def test_joints_times_and_places(tmp_path):
    path = bend(Scene(arm(), [3, 1, 2])).save(tmp_path / "a.glb")
    motion = glb.read(path)
    assert motion.skeleton.names == ("Hips", "Elbow", "Hand") and motion.skeleton.parents == (-1, 0, 1)
    assert (
        len(motion) == 31 and motion.frame_time == 1 / 30 and motion.name == "bend" and motion.file_format.unit == 0.01
    )
    assert_same_places(path, "bend", [0, 7, 15, 23, 30], motion)
    assert motion.rotations.dtype == torch.float32
    assert len(glb.read(path, ReadConfig(fps=10))) == 11


def test_fps_samples_the_keys_themselves(tmp_path):
    scene, times = Scene(arm(), [1, 2, 3]), np.arange(121) / 120
    half = np.sin(2 * math.pi * 12 * times) / 4  # an elbow that swings twelve times a second
    turns = np.stack((0 * half, 0 * half, np.sin(half), np.cos(half)), 1)
    path = scene.clip("c", (2, "rotation", times, turns)).save(tmp_path / "a.glb")
    fast = io.load(path, ReadConfig(fps=120))
    assert len(fast) == 121
    assert fast.frame_time == 1 / 120
    assert_same_places(path, "c", list(range(0, 121, 3)), fast)
    plain = io.load(path)
    assert torch.equal(plain.rotations, io.load(path, ReadConfig(fps=30)).rotations)
    assert torch.allclose(fast.select(torch.arange(0, 121, 4)).rotations, plain.rotations, atol=1e-6)
    lost = rotation.geodesic(plain.resample(120).rotations[:, 1], fast.rotations[:, 1])
    assert math.degrees(float(lost.max())) > 5  # what frames at 30 Hz cannot tell


def test_rest_pose_has_no_rotations(tmp_path):
    scene = Scene(arm(rotation=TURN["y"]), [1, 2, 3])
    scene.clip("rest", (1, "rotation", [0], [TURN["x"]]), (2, "rotation", [0], [TURN["z"]]))
    motion = glb.read(scene.save(tmp_path / "a.glb"))
    assert len(motion) == 1
    identity = torch.tensor([1.0, 0, 0, 0]).expand_as(motion.rotations)
    torch.testing.assert_close(motion.rotations, identity, atol=1e-6, rtol=0)
    torch.testing.assert_close(motion.positions[0], motion.skeleton.offset_tensor(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("scale", [[0.01] * 3, [2, 1, 0.5], [-1, 1, 1], [-1, -1, -1]])
def test_static_scales_are_in_the_lengths(tmp_path, scale):
    nodes = arm(scale=scale, rotation=TURN["z"], translation=[3, 2, 1])
    nodes[2]["scale"] = [2, 2, 2]
    path = bend(Scene(nodes, [1, 2, 3])).save(tmp_path / "a.glb")
    assert_same_places(path, "bend", [0, 11, 15, 30], glb.read(path))


def test_matrix_nodes(tmp_path):
    nodes = arm()
    nodes[0] |= {"matrix": matrix([1, 2, 3], TURN["z"], [0.5, 0.5, 0.5]).T.ravel().tolist()}
    path = bend(Scene(nodes, [1, 2, 3])).save(tmp_path / "a.glb")
    assert_same_places(path, "bend", [0, 20], glb.read(path))


def test_moving_nodes_above_the_root_are_folded_into_it(tmp_path):
    scene = Scene(arm(), [1, 2, 3])
    scene.clip("c", (0, "rotation", [0, 1], [TURN["y"], TURN["z"]]), (2, "rotation", [0, 1], [TURN["y"], TURN["x"]]))
    path = scene.save(tmp_path / "a.glb")
    motion = glb.read(path)
    assert motion.skeleton.names[0] == "Hips"
    assert_same_places(path, "c", [0, 9, 30], motion)


def test_several_trees_take_their_common_ancestor(tmp_path):
    nodes = arm() + [{"name": "Tail", "translation": [1, 0, 0]}]
    nodes[0]["children"].append(4)
    path = bend(Scene(nodes, [4, 1, 2, 3])).save(tmp_path / "a.glb")
    motion = glb.read(path)
    assert motion.skeleton.names == ("Armature", "Hips", "Elbow", "Hand", "Tail")
    assert_same_places(path, "bend", [0, 13], motion)
    nodes[0]["children"] = [1]  # the tail is now a tree of its own, joined only by the scene
    motion = glb.read(bend(Scene(nodes, [4, 1, 2, 3])).save(path))
    assert motion.skeleton.names == ("root", "Armature", "Hips", "Elbow", "Hand", "Tail")
    assert motion.skeleton.parents == (-1, 0, 1, 2, 3, 0)
    assert_same_places_without_root(path, motion)


def assert_same_places_without_root(path, motion):
    places = direct(path, "bend", [0.5])[0]
    for j, name in enumerate(motion.skeleton.names[1:], 1):
        np.testing.assert_allclose(motion.world()[1][15, j], places[name], atol=1e-5)


def test_nodes_between_joints_are_kept(tmp_path):
    path = bend(Scene(arm(), [1, 3])).save(tmp_path / "a.glb")
    assert glb.read(path).skeleton.names == ("Hips", "Elbow", "Hand")


def test_without_skin_the_moved_nodes(tmp_path):
    path = bend(Scene(arm() + [{"name": "Lamp"}])).save(tmp_path / "a.glb")
    motion = glb.read(path)
    assert motion.skeleton.names == ("Hips", "Elbow")
    assert_same_places(path, "bend", [0, 10], motion)


def test_names_become_unique(tmp_path):
    nodes = arm()
    nodes[2]["name"] = nodes[3]["name"] = "Hips"
    del nodes[1]["name"]
    motion = glb.read(bend(Scene(nodes, [1, 2, 3])).save(tmp_path / "a.glb"))
    assert motion.skeleton.names == ("node1", "Hips", "Hips_2")


# --- sampling --------------------------------------------------------------------------------------------------------
def place(path, **options):
    return glb.read(path, ReadConfig(fps=4, **options)).positions[:, 0, 0].tolist()


def test_step_holds_the_key(tmp_path):
    scene = Scene([{"name": "a"}]).clip("c", (0, "translation", [0, 0.5, 1], [[0, 0, 0], [1, 0, 0], [5, 0, 0]], "STEP"))
    assert place(scene.save(tmp_path / "a.glb")) == [0, 0, 1, 1, 5]


def test_cubic_spline(tmp_path):
    keys = [[[0, 0, 0], [0, 0, 0], [2, 0, 0]], [[-4, 0, 0], [1, 0, 0], [0, 0, 0]]]  # in-tangent, value, out-tangent
    scene = Scene([{"name": "a"}]).clip("c", (0, "translation", [1, 3], np.reshape(keys, (6, 3)), "CUBICSPLINE"))
    u = np.arange(9) / 8  # the segment lasts 2 s and tangents are per second
    want = 2 * (u**3 - 2 * u**2 + u) * 2 + (3 * u**2 - 2 * u**3) + 2 * (u**3 - u**2) * -4
    np.testing.assert_allclose(place(scene.save(tmp_path / "a.glb")), want, atol=1e-6)


def test_cubic_spline_rotation_is_unit(tmp_path):
    zero = [0, 0, 0, 0]
    keys = [zero, TURN["x"], zero, zero, TURN["y"], zero]
    scene = Scene(arm(), [1, 2, 3]).clip("c", (1, "rotation", [0, 1], keys, "CUBICSPLINE"))
    motion = glb.read(scene.save(tmp_path / "a.glb"))
    torch.testing.assert_close(motion.rotations.norm(dim=-1), torch.ones(31, 3))
    end = torch.tensor(direct_rotation(TURN["y"]) @ direct_rotation(TURN["x"]).T).float()
    torch.testing.assert_close(rotation.to_matrix(motion.rotations[-1, 0]), end, atol=1e-6, rtol=0)


def direct_rotation(q):
    return matrix([0, 0, 0], q, [1, 1, 1])[:3, :3]


def test_keys_that_start_late_and_unequal_ranges(tmp_path):
    scene = Scene([{"name": "a", "children": [1]}, {"name": "b"}])
    late = (1, "translation", [10.5, 12], [[1, 0, 0], [4, 0, 0]])
    scene.clip("c", (0, "translation", [10, 11], [[0, 0, 0], [4, 0, 0]]), late)
    path = scene.save(tmp_path / "a.glb")
    assert place(path) == [0, 1, 2, 3, 4, 4, 4, 4, 4]
    np.testing.assert_allclose(glb.read(path, ReadConfig(fps=4)).positions[:, 1, 0], [1, 1, 1, 1.5, 2, 2.5, 3, 3.5, 4])
    assert glb.clip_lengths(path) == {"c": 2.0}


def test_normalised_integers(tmp_path):
    scene = Scene(arm(), [1, 2, 3])
    ints = np.round(np.array([TURN["x"], TURN["y"]]) * 32767)
    scene.clip("c", (1, "rotation", [0, 1], scene.accessor(ints, "<i2", 5122, normalized=True)))
    motion = glb.read(scene.save(tmp_path / "a.glb"))
    torch.testing.assert_close(motion.rotations[0, 0], torch.tensor([1.0, 0, 0, 0]), atol=1e-4, rtol=0)


def test_interleaved_keys(tmp_path):
    scene = Scene([{"name": "a"}])
    both = scene.accessor([[0.0, 1, 2, 3], [1, 5, 6, 7]])
    view = scene.json["bufferViews"][scene.json["accessors"][both]["bufferView"]]
    view["byteStride"] = 16
    a = scene.json["accessors"][both]
    scene.json["accessors"] += [a | {"type": "SCALAR"}, a | {"type": "VEC3", "byteOffset": 4}]
    channel = {"sampler": 0, "target": {"node": 0, "path": "translation"}}
    scene.json["animations"] = [{"samplers": [{"input": 1, "output": 2}], "channels": [channel]}]
    assert place(scene.save(tmp_path / "a.glb")) == [1, 2, 3, 4, 5]


def test_scale_tracks(tmp_path):
    path = tmp_path / "a.glb"
    pulse = (2, "scale", [0, 1], [[1, 1, 1], [1.5, 1.5, 1.5]])
    bend(Scene(arm(), [1, 2, 3])).save(path)
    plain = glb.read(path)
    scene = bend(Scene(arm(), [1, 2, 3]))
    for key in ("channels", "samplers"):
        shift = len(scene.json["animations"][0]["samplers"])
        more = Scene.clip(scene, "x", pulse).json["animations"].pop()[key]
        if key == "channels":
            more[0]["sampler"] = shift
        scene.json["animations"][0][key] += more
    with pytest.warns(MotifWarning, match="Elbow"):
        pulsing = glb.read(scene.save(path))
    torch.testing.assert_close(pulsing.positions, plain.positions)
    small = (0, "scale", [0, 1], [[0.01] * 3, [0.01001] * 3])  # a constant one is the armature's unit
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        motion = glb.read(Scene(arm(), [1, 2, 3]).clip("c", small).save(path))
    assert len(motion) == 31
    assert motion.positions[0, 1].norm() == pytest.approx(0.01, rel=1e-3)


# --- clips -----------------------------------------------------------------------------------------------------------
def test_choosing_a_clip(tmp_path):
    scene = bend(Scene(arm(), [1, 2, 3]), "Walk")
    scene.clip("Run", (1, "rotation", [0, 2], [TURN["x"], TURN["y"]]))
    scene.clip(None, (1, "rotation", [0], [TURN["x"]]))
    scene.clip("Walk", (1, "rotation", [0, 0.5], [TURN["x"], TURN["y"]]))
    path = scene.save(tmp_path / "a.glb")
    assert glb.clip_lengths(path) == {"Walk": 1, "Run": 2, "clip2": 0, "Walk_2": 0.5}
    assert glb.read(path).name == "a-Run"
    assert glb.read(path, ReadConfig(clip="Walk")).name == glb.read(path, ReadConfig(clip=0)).name == "a-Walk"
    assert len(glb.read(path, ReadConfig(clip="clip2"))) == 1
    refused(path, "no clip 'walk'; did you mean 'Walk'.*It has 4: Walk, Run", clip="walk")
    refused(path, "no clip 7", clip=7)
    with pytest.raises(MotifError, match=r"fps|frames a second"):
        ReadConfig(fps=0)


def test_embedded_and_external_buffers(tmp_path):
    scene = bend(Scene(arm(), [1, 2, 3]))
    want = glb.read(scene.save(tmp_path / "a.glb"))
    path = tmp_path / "b.gltf"
    embedded = "data:application/octet-stream;base64," + base64.b64encode(scene.binary).decode()
    for uri in (embedded, "keys%201.bin"):
        (tmp_path / "keys 1.bin").write_bytes(scene.binary)
        path.write_text(json.dumps(scene.json | {"buffers": [{"byteLength": len(scene.binary), "uri": uri}]}))
        torch.testing.assert_close(glb.read(path).rotations, want.rotations)
    (tmp_path / "keys 1.bin").unlink()
    refused(path, "keys%201.bin.*missing")
    for uri in ("../../etc/hostname", "data:;base64,abcde", "https://example.org/a.bin"):
        path.write_text(json.dumps(scene.json | {"buffers": [{"byteLength": 4, "uri": uri}]}))
        refused(path, "missing|base64|padding|characters")


def test_compressed_meshes_do_not_matter(tmp_path):
    scene = bend(Scene(arm(), [1, 2, 3]))
    scene.json["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    assert len(glb.read(scene.save(tmp_path / "a.glb"))) == 31


# --- broken files ----------------------------------------------------------------------------------------------------
def test_not_a_glb(tmp_path):
    path = tmp_path / "a.glb"
    refused(path, "cannot be read")
    for data in (b"", b"glTF", b"HIERARCHY"):
        path.write_bytes(data)
        refused(path, "not binary glTF")
    path.write_bytes(struct.pack("<4sII", b"glTF", 1, 20) + b"\0" * 8)
    refused(path, "version 1")
    other = tmp_path / "a.gltf"
    for text, match in (("{", "JSON"), ("[]", "rules"), ('{"asset": {"version": "1.0"}}', "glTF 1.0"), ("{}", "asset")):
        other.write_text(text)
        refused(other, match)


def test_every_truncation_is_refused(tmp_path):
    whole = bend(Scene(arm(), [1, 2, 3])).bytes()
    path = tmp_path / "a.glb"
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        refused(path, "cut off|not binary")
        with pytest.raises(MotifError):
            glb.clip_lengths(path)


def test_damaged_bytes_never_crash(tmp_path):
    whole = bytearray(bend(Scene(arm(), [1, 2, 3])).bytes())
    path, noise = tmp_path / "a.glb", np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole)
        for at_ in noise.integers(0, len(whole), 4):
            damaged[at_] = noise.integers(0, 256)
        path.write_bytes(damaged)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                glb.read(path)
        except MotifError as error:
            assert str(path) in str(error)


DAMAGE = [
    (lambda g: g["accessors"][1].update(count=1000), "out of range"),
    (lambda g: g["accessors"][1].update(byteOffset=-4), "out of range"),
    (lambda g: g["accessors"][1].update(count="2"), "rules"),
    (lambda g: g["accessors"][0].update(bufferView=99), "rules"),
    (lambda g: g["accessors"][0].update(sparse={}), "compressed"),
    (lambda g: g["bufferViews"][0].update(extensions={"EXT_meshopt_compression": {}}), "compressed"),
    (lambda g: g["animations"].clear(), "no animation"),
    (lambda g: g.pop("animations"), "no animation"),
    (lambda g: g["animations"][0]["samplers"][0].pop("input"), "input"),
    (lambda g: g["animations"][0]["samplers"][0].update(output=3), "do not fit"),
    (lambda g: g["animations"][0].update(channels=[]), "moves none"),
    (lambda g: (g["animations"][0].update(channels=[]), g.pop("skins")), "no skeleton"),
    (lambda g: g["skins"][0].update(joints=[]), "no skeleton"),
    (lambda g: g["skins"][0].update(joints=[77]), "rules"),
    (lambda g: g["nodes"][3].update(children=[1]), "two parents"),
    (lambda g: g["nodes"][3].update(children=[0]), "rules|two parents"),
    (lambda g: g["nodes"][2].update(translation=[0, float("nan"), 0]), "NaN"),
    (lambda g: g["nodes"][2].update(rotation=[0, 0]), "broken"),
    (lambda g: g["nodes"][2].update(scale="big"), "rules"),
    (lambda g: g.update(nodes="none"), "rules"),
]


@pytest.mark.parametrize("case", range(len(DAMAGE)))
def test_broken_entries(tmp_path, case):
    damage, match = DAMAGE[case]
    scene = bend(Scene(arm(), [1, 2, 3]))
    damage(scene.json)
    refused(scene.save(tmp_path / "a.glb"), match)


def test_broken_keys(tmp_path):
    path = tmp_path / "a.glb"
    for times, values, match in (
        ([0, np.nan], [[0, 0, 0], [1, 0, 0]], "NaN"),
        ([0, 1], [[0, 0, 0], [np.inf, 0, 0]], "NaN or infinity"),
        ([1, 0], [[0, 0, 0], [1, 0, 0]], "do not fit"),
        ([0, 1], [[0, 0, 0]], "do not fit"),
        ([0, 1e30], [[0, 0, 0], [1, 0, 0]], "too long"),
    ):
        refused(Scene([{"name": "a"}]).clip("c", (0, "translation", times, values)).save(path), match)


# --- the creatures ---------------------------------------------------------------------------------------------------
@pytest.mark.skipif(not FILES, reason="no creature files; they are not part of the repository")
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore::motif.errors.MotifWarning")
def test_creatures(path):
    clips = glb.clip_lengths(path)
    if not clips:
        refused(path, "no animation")
        return
    longest = max(clips, key=clips.__getitem__)
    for clip in {longest, *list(clips)[:: max(1, len(clips) // 3)]}:
        motion = glb.read(path, ReadConfig(clip=clip))
        assert abs((len(motion) - 1) / 30 - clips[clip]) < 1 / 30 + 1e-6
        assert_same_places(path, clip, [0, len(motion) // 3, len(motion) // 2, len(motion) - 1], motion, 1e-5)
