"""MotionMillion's vector: to a motion and back to the same numbers."""

import random

import numpy as np
import pytest
import torch

import motif
from motif import rotation
from motif.errors import MotifError
from motif.io import npy
from motif.motion import Motion
from motif.skeleton import Skeleton

OFFSETS = torch.randn(22, 3, generator=torch.Generator().manual_seed(1)) * 0.15
OFFSETS[0] = 0


def walk(frames=40):
    """A body of random bones that turns, goes and bends."""
    g = torch.Generator().manual_seed(0)
    t = torch.linspace(0, 1, frames)[:, None, None]
    a, b = torch.randn(2, 1, 22, 3, generator=g) * 0.5
    q = rotation.exp(a * t + b * torch.sin(6 * t))
    q[:, 0] = rotation.mul(rotation.about("y", 0.4 + 2 * t[:, 0, 0]), rotation.exp(0.1 * b[:, 0] * t[:, 0]))
    p = OFFSETS.expand(frames, 22, 3).clone()
    p[:, 0] = torch.cat((t[:, 0], 1 + 0.1 * torch.sin(9 * t[:, 0]), -2 * t[:, 0] ** 2), -1)
    rig = Skeleton(npy.NAMES, npy.PARENTS, tuple(tuple(row) for row in OFFSETS.tolist()))
    return Motion(rig, q, p, 1 / 30, "walk")


def test_there_and_back(tmp_path):
    motion = walk()
    npy.write(motion, tmp_path / "a.npy")
    back = motif.load(tmp_path / "a.npy")
    npy.write(back, tmp_path / "b.npy")
    a, b = (np.load(tmp_path / name) for name in ("a.npy", "b.npy"))
    assert a.shape == (40, 272)
    assert np.abs(a - b).max() < 1e-5
    one, other = motion.world()[1], back.world()[1]
    one, other = (w - w[:1, :1] * torch.tensor([1.0, 0, 1]) for w in (one, other))
    turned = rotation.rotate(rotation.about("y", torch.tensor(-_yaw(motion))), one)
    assert (turned - turned[..., 1:2].min() * torch.tensor([0, 1.0, 0]) - other).norm(dim=-1).max() < 1e-4


def _yaw(motion):
    m = rotation.to_matrix(motion.rotations[0, 0])
    return float(torch.atan2(m[0, 2], m[2, 2]))


def test_the_layout(tmp_path):
    npy.write(walk(), tmp_path / "a.npy")
    x = np.load(tmp_path / "a.npy").astype(float)
    assert np.abs(x[0, :2]).max() == 0 and x[0, 2:8] == pytest.approx([1, 0, 0, 0, 1, 0], abs=1e-6)
    places = x[:, 8:74].reshape(40, 22, 3)
    assert np.abs(places[:, 0, [0, 2]]).max() < 1e-6 and places[..., 1].min() == pytest.approx(0, abs=1e-6)
    assert np.abs(x[1:, 74:140] - np.diff(x[:, 8:74], axis=0)).max() < 1e-6
    rows = x[:, 140:272].reshape(-1, 2, 3)
    assert np.abs(rows @ rows.transpose(0, 2, 1) - np.eye(2)).max() < 1e-5


def test_other_arrays_are_refused(tmp_path):
    path = tmp_path / "x.npy"
    for array, says in (
        (np.zeros((4, 251), np.float32), "263"),
        (np.zeros((0, 272), np.float32), "expected"),
        (np.zeros(272), "expected"),
        (np.zeros((4, 272), int), "floats"),
        (np.full((4, 272), np.nan), "not finite"),
    ):
        np.save(path, array)
        with pytest.raises(MotifError, match=says):
            motif.load(path)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(MotifError, match="no array"):
        motif.load(path)
    path.write_bytes(
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (90000000, 272), }".ljust(128) + b"\n"
    )
    with pytest.raises(MotifError, match="no array"):
        motif.load(path)
    with pytest.raises(MotifError, match="'pelvis'"):
        npy.write(motif.demo_clip(), path)


def test_broken_files_give_clear_errors(tmp_path):
    path, draw = tmp_path / "x.npy", random.Random(0)
    npy.write(walk(6), path)
    whole = path.read_bytes()
    for _ in range(300):
        raw = bytearray(whole[: draw.choice([len(whole), draw.randrange(len(whole))])])
        for _ in range(3):
            if raw:
                raw[draw.randrange(min(len(raw), 140))] = draw.randrange(256)
        path.write_bytes(raw)
        try:
            motif.load(path)
        except MotifError:
            continue
