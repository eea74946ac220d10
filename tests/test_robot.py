"""Rows of robots: by their own list of joints, or the one that is known."""

import contextlib
import json
import random

import numpy as np
import pytest

import motif
from motif.errors import MotifError
from motif.io import holds_motion

LEG = {
    "fps": 50,
    "quaternion": "wxyz",
    "joints": [
        {"name": "base"},
        {"name": "knee", "parent": "base", "offset": [0, 0.1, -0.4], "axis": [0, 2, 0]},
        {"name": "toe", "parent": "knee", "offset": [0, 0, -0.4]},
    ],
}


def written(folder, rows, joints=None):
    np.savetxt(folder / "a.csv", rows, "%.6f", ",")
    if joints is not None:
        (folder / "joints.json").write_text(json.dumps(joints))
    return folder / "a.csv"


def test_a_list_of_joints_beside_the_rows(tmp_path):
    turned = np.sqrt(0.5)  # about Z, a quarter to the left
    rows = [[1, 2, 0.8, turned, 0, 0, turned, a] for a in (0, np.pi / 2)]
    motion = motif.load(written(tmp_path, rows, LEG))
    world, s = motion.world()[1], motion.skeleton
    assert (motion.fps, s.names, s.end) == (pytest.approx(50), ("base", "knee", "toe"), (False, False, True))
    # the robot's X, Y, Z are Z, X, Y here; it faces its Y, its left is minus its X
    assert world[0].tolist() == [pytest.approx(v, abs=1e-6) for v in ([2, 0.8, 1], [2, 0.4, 0.9], [2, 0, 0.9])]
    assert world[1, 2].tolist() == pytest.approx([1.6, 0.4, 0.9], abs=1e-6)  # its pitch swings the shank back


def test_the_known_robot_stands(tmp_path):
    motion = motif.load(written(tmp_path, [[0, 0, 0.79, 0, 0, 0, 1, *[0.0] * 29]] * 4))
    s, world = motion.skeleton, motion.world()[1][0]
    assert len(s) == 35 and sum(s.end) == 5 and motion.fps == pytest.approx(30)
    assert abs(world[s.index("left_toe"), 1]) < 0.03 and world[s.index("left_toe"), 2] > 0.1
    assert world[s.index("left_wrist_yaw"), 0] > 0 and len(s.left) == 15 and len(s.contacts) >= 4


def test_real_rows_stand_on_the_ground(corpora):
    files = sorted((corpora / "motion-extra" / "g1-moves").glob("*.csv"))[:4]
    assert files and all(map(holds_motion, files))
    for path in files:
        assert abs(motif.load(path).floor()) < 0.05


@pytest.mark.parametrize(
    ("rows", "joints", "says"),
    [
        ([[0.0] * 19], None, "rows of 19 numbers; expected 36, a Unitree G1, or a list of joints"),
        ([[0.0] * 9], LEG, "9 numbers a row; joints.json says 8"),
        ([[0.0] * 8], LEG, "no quaternion wxyz"),
        ([[0, 0, 0, 1, 0, 0, 0, float("nan")]], LEG, "finite"),
        ([[0.0] * 3], None, "7 for the root"),
        ([[0, 0, 0, 1, 0, 0, 0, 0.0]], {"joints": []}, "a skeleton needs"),
        ([[0.0] * 8], {"joints": [{"name": "a"}, {"name": "b", "parent": "c"}]}, "'c' is not in list"),
        ([[0.0] * 8], {"joints": [{"name": "a"}, {"name": "b", "parent": "a", "offset": [0, 1]}]}, "no three"),
        ([[0.0] * 8], LEG | {"quaternion": "xyz"}, "quaternion 'xyz'"),
        ([[0.0] * 8], ["joints"], "TypeError"),
    ],
)
def test_faults_are_named(tmp_path, rows, joints, says):
    with pytest.raises(MotifError, match=says):
        motif.load(written(tmp_path, rows, joints))


def test_tables_are_no_motion(tmp_path):
    for name, text in (("a", "id,text\n1,walks"), ("b", "1,2,3\n"), ("c", ""), ("d", "\xff\x00,,")):
        (tmp_path / f"{name}.csv").write_text(text)
        assert not holds_motion(tmp_path / f"{name}.csv")
        with pytest.raises(MotifError):
            motif.load(tmp_path / f"{name}.csv")
    assert holds_motion(written(tmp_path, [[0.0] * 36]))


def test_broken_files_give_clear_errors(tmp_path):
    path, draw = written(tmp_path, [[0, 0, 0.8, 1, 0, 0, 0, 0.1]] * 3, LEG), random.Random(0)
    whole, joints = path.read_text(), json.dumps(LEG)
    for k in range(300):
        text, file = (whole, path) if k % 2 else (joints, tmp_path / "joints.json")
        at = draw.randrange(len(text))
        file.write_text(
            text[:at] + draw.choice(["", "[", "1e999", "null", '"', ",", "\n"]) + text[at + draw.randrange(9) :]
        )
        with contextlib.suppress(MotifError):
            motif.load(path)
        file.write_text(text)
