"""HumanML3D's vector: from a motion and back, and the same numbers as by the formulas of the paper's tools."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

import motif
from motif import io, rotation
from motif.errors import MotifError
from motif.io import humanml, smpl
from motif.motion import Motion
from motif.skeleton import Skeleton


def walk(frames=60, fps=20.0):
    """A body that turns, goes and bends."""
    g = torch.Generator().manual_seed(0)
    t = torch.linspace(0, 1, frames)[:, None, None]
    a, b = torch.randn(2, 1, 22, 3, generator=g) * 0.3
    q = rotation.exp(a * t + b * torch.sin(6 * t))
    q[:, 0] = rotation.mul(rotation.about("y", 0.4 + 4 * t[:, 0, 0]), rotation.exp(0.1 * b[:, 0] * t[:, 0]))
    offsets = torch.tensor(smpl.OFFSETS)
    p = offsets.expand(frames, 22, 3).clone()
    p[:, 0] = torch.cat((t[:, 0], 1 + 0.1 * torch.sin(9 * t[:, 0]), -2 * t[:, 0] ** 2), -1)
    return Motion(Skeleton(smpl.NAMES, smpl.PARENTS, smpl.OFFSETS), q, p, 1 / fps, "walk")


def recovered(x):
    """Joints by path, heading and positions, [T, 22, 3], step by step."""
    angle, at, found = 0.0, np.zeros(3), []
    for t in range(len(x)):
        if t:
            angle += x[t - 1, 0]  # half of it
            c, s = np.cos(2 * angle), np.sin(2 * angle)
            at = at + np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) @ [x[t - 1, 1], 0, x[t - 1, 2]]
        c, s = np.cos(2 * angle), np.sin(2 * angle)
        beside = np.array([[0, x[t, 3], 0], *x[t, 4:67].reshape(21, 3)])
        found.append(beside @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]).T + at)
    return np.array(found)


def test_there_and_back(tmp_path):
    motion = walk()
    humanml.write(motion, tmp_path / "a.npy")
    back = motif.load(tmp_path / "a.npy")
    assert (len(back), back.fps, back.skeleton.names) == (59, pytest.approx(20), smpl.NAMES)
    one, other = motion.world()[1][:-1], back.world()[1]
    one, other = (w - w[:1, :1] for w in (one, other))
    yaw = humanml._heading(motion.world()[1][:1])
    assert (rotation.rotate(rotation.about("y", yaw), one) - other).norm(dim=-1).max() < 1e-3
    assert back.skeleton.offset_tensor().norm(dim=-1) == pytest.approx(motion.skeleton.offset_tensor().norm(dim=-1))
    x = np.load(tmp_path / "a.npy").astype(float)
    assert np.abs(recovered(x) - back.world()[1].numpy()).max() < 1e-3
    humanml.write(back, tmp_path / "b.npy")
    y = np.load(tmp_path / "b.npy").astype(float)
    assert y.shape == (58, 263)
    a, b = recovered(x)[:58], recovered(y)
    assert np.abs(a - b).max() < 1e-3  # headings are smoothed over other ends, joints are where they were


def test_a_whole_array_comes_back_where_it_faces_ahead(tmp_path):
    still = replace(walk(), rotations=walk().rotations[:1].expand(60, -1, -1).clone())
    humanml.write(still, tmp_path / "a.npy")
    humanml.write(motif.load(tmp_path / "a.npy"), tmp_path / "b.npy")
    a, b = (np.load(tmp_path / name) for name in ("a.npy", "b.npy"))
    assert np.abs(a[:58] - b).max() < 1e-4


def test_the_layout(tmp_path):
    humanml.write(walk(), tmp_path / "a.npy")
    x = np.load(tmp_path / "a.npy").astype(float)
    assert x.shape == (59, 263) and np.isfinite(x).all()
    assert x[:, 4:67].reshape(59, 21, 3)[..., 1].min() >= 0 and set(np.unique(x[:, 259:])) <= {0.0, 1.0}
    turns = x[:, 67:193].reshape(-1, 2, 3)
    assert np.abs(turns @ turns.transpose(0, 2, 1) - np.eye(2)).max() < 1e-5
    joints = recovered(x)
    step = np.diff(joints, axis=0)
    angle = 2 * np.concatenate(([0], np.cumsum(x[:-1, 0])))[:-1]
    speed = x[:-1, 193:259].reshape(58, 22, 3)
    assert np.abs(np.linalg.norm(step, axis=-1) - np.linalg.norm(speed, axis=-1)).max() < 1e-4
    chain = rotation.from_sixd(torch.from_numpy(x[:, 67:193].reshape(59, 21, 6)))
    root = rotation.about("y", torch.from_numpy(np.append(angle, 2 * x[:-1, 0].sum())))
    knee = rotation.mul(rotation.mul(root, chain[:, 0]), chain[:, 3])  # down the left leg
    bone = torch.from_numpy(joints[:, 4] - joints[:, 1])
    down = rotation.rotate(knee, torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64).expand(59, 3))
    assert (down - torch.nn.functional.normalize(bone, dim=-1)).norm(dim=-1).max() < 1e-4


def test_a_faster_clip_is_resampled_and_short_ones_refused(tmp_path):
    humanml.write(walk(60, 60.0), tmp_path / "a.npy")
    assert abs(len(np.load(tmp_path / "a.npy")) - 19) <= 1
    with pytest.raises(MotifError, match="two frames or more"):
        humanml.write(walk().crop(0, 1), tmp_path / "a.npy")
    with pytest.raises(MotifError, match="'pelvis'"):
        humanml.write(motif.demo_clip(), tmp_path / "a.npy")


def test_opposite_directions_and_no_lengths_stay_finite(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 263), np.float32))
    assert motif.load(tmp_path / "a.npy").rotations.isfinite().all()
    a = torch.eye(3, dtype=torch.float64)
    for b in (-a, a, a.roll(1, 0)):
        assert torch.allclose(rotation.rotate(humanml._between(a, b), a), b, atol=1e-9)


def test_folders_hold_means_and_other_arrays_beside_motion(tmp_path):
    for name, array in (("mean", np.zeros(263)), ("a", np.zeros((3, 4))), ("m", np.zeros((3, 263)))):
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    assert [p.stem for p in sorted(tmp_path.iterdir()) if io.holds_motion(p)] == ["broken", "m"]


def test_broken_files_give_clear_errors(tmp_path):
    path, draw = tmp_path / "x.npy", random.Random(0)
    humanml.write(walk(6), path)
    whole = path.read_bytes()
    for _ in range(200):
        raw = bytearray(whole[: draw.choice([len(whole), draw.randrange(len(whole))])])
        for _ in range(3):
            if raw:
                raw[draw.randrange(len(raw))] = draw.randrange(256)
        path.write_bytes(raw)
        try:
            motif.load(path)
        except MotifError:
            continue
