"""AMASS: poses as they are, Y up, and no more memory than an array may have."""

import io
import random
import zipfile

import numpy as np
import pytest
import torch

import motif
from motif import rotation
from motif.errors import MotifError
from motif.io import holds_motion, npz, smpl


def written(path, **changes):
    g = np.random.default_rng(0)
    keys = {"poses": g.normal(0, 0.3, (6, 156)), "trans": g.normal(0, 1, (6, 3)), "mocap_framerate": 120.0}
    keys |= {"betas": np.zeros(16), "gender": np.array("neutral")} | changes
    np.savez(path, **{k: v for k, v in keys.items() if v is not None})
    return path


def test_poses_are_read_with_y_up(tmp_path):
    path = written(tmp_path / "a_poses.npz")
    motion, raw = motif.load(path), np.load(path)
    assert (len(motion), motion.fps, motion.skeleton.names) == (6, pytest.approx(120), smpl.NAMES)
    x, y, z = raw["trans"].T
    assert motion.positions[:, 0].numpy() == pytest.approx(np.stack((x, z, -y), 1), abs=1e-6)
    local = rotation.exp(torch.from_numpy(raw["poses"][:, 3:66].reshape(6, 21, 3))).float()
    assert rotation.geodesic(motion.rotations[:, 1:], local).max() < 1e-3
    up = rotation.rotate(rotation.exp(torch.from_numpy(raw["poses"][:, :3])), torch.tensor([0, 1.0, 0]).double())
    here = rotation.rotate(motion.rotations[:, 0], torch.tensor([0, 1.0, 0]))
    assert here.numpy() == pytest.approx(up.numpy()[:, [0, 2, 1]] * [1, 1, -1], abs=1e-6)


def test_a_person_that_stands_upright_in_amass_stands_upright(tmp_path):
    poses = np.zeros((3, 72))
    poses[:, 0] = np.pi / 2
    motion = motif.load(written(tmp_path / "a.npz", poses=poses, trans=np.tile([0, 0, 0.98], (3, 1))))
    world, s = motion.world()[1][0], motion.skeleton
    assert world[s.index("head"), 1] > 1.4 and 0 < world[s.index("left_foot"), 1] < 0.1
    assert world[s.index("left_wrist"), 0] > 0.5 and len(s.contacts) >= 2 and len(s.left) == 8


def test_smplx_names_are_known(tmp_path):
    g = np.random.default_rng(0).normal(0, 0.3, (6, 165))
    whole = motif.load(written(tmp_path / "a.npz", poses=g, mocap_framerate=None, mocap_frame_rate=np.array(60)))
    parts = {"root_orient": g[:, :3].astype(np.float32), "pose_body": g[:, 3:66], "poses": None}
    assert torch.allclose(motif.load(written(tmp_path / "b.npz", **parts)).rotations, whole.rotations, atol=1e-6)
    assert whole.fps == pytest.approx(60)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"trans": None}, "has no 'trans'"),
        ({"mocap_framerate": None}, "has no 'mocap_framerate'"),
        ({"poses": None}, "has no 'root_orient'"),
        ({"poses": None, "trans": None}, "a body's shape alone"),
        ({"poses": np.zeros((6, 63))}, r"poses \[6, 63\]"),
        ({"trans": np.zeros((5, 3))}, r"trans \[5, 3\]"),
        ({"trans": np.full((6, 3), np.nan)}, "trans holds numbers that are not finite"),
        ({"mocap_framerate": 0.0}, "is 0; expected frames a second"),
        ({"poses": np.array([[None] * 156] * 6)}, "poses is object"),
        ({"poses": np.zeros(156)}, r"poses is float64 \[156\]"),
    ],
)
def test_faults_are_named(tmp_path, changes, says):
    with pytest.raises(MotifError, match=says):
        motif.load(written(tmp_path / "a.npz", **changes))


def _claiming(path, shape, method=zipfile.ZIP_DEFLATED):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(written(path, poses=None), "a", method) as archive:
        archive.writestr("poses.npy", header.getvalue() + b"\0" * 4096)
    return path


def test_sizes_are_checked_before_memory_is_used(tmp_path):
    with pytest.raises(MotifError, match="claims 2380 MiB, the most is 512"):
        motif.load(_claiming(tmp_path / "a.npz", (2_000_000, 156)))
    with pytest.raises(MotifError, match="ends after 4096 of"):
        motif.load(_claiming(tmp_path / "b.npz", (10_000, 156)))
    with pytest.raises(MotifError, match="by a method that numpy does not use"):
        motif.load(_claiming(tmp_path / "c.npz", (6, 156), zipfile.ZIP_LZMA))


def test_other_archives_are_no_motion(tmp_path):
    assert holds_motion(written(tmp_path / "a.npz"))
    assert not holds_motion(written(tmp_path / "shape.npz", poses=None, trans=None))
    (tmp_path / "broken.npz").write_bytes(b"PK")
    assert holds_motion(tmp_path / "broken.npz")
    with pytest.raises(MotifError, match="no readable"):
        motif.load(tmp_path / "broken.npz")


def test_broken_files_give_clear_errors(tmp_path):
    path, draw = written(tmp_path / "a.npz"), random.Random(0)
    whole = path.read_bytes()
    for _ in range(300):
        raw = bytearray(whole[: draw.choice([len(whole), draw.randrange(len(whole))])])
        for _ in range(4):
            if raw:
                raw[draw.choice([draw.randrange(len(raw)), draw.randrange(min(len(raw), 200))])] = draw.randrange(256)
        path.write_bytes(raw)
        try:
            motif.load(path)
        except MotifError:
            continue
    assert npz.LARGEST == 512 << 20
