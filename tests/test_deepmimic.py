"""DeepMimic's JSON: a clip, or a clear error."""

import json
import random

import pytest

import motif
from motif import io
from motif.errors import MotifError

STAND = [0.05, 1.0, 0.9, -2.0, 1, 0, 0, 0, *[1, 0, 0, 0] * 2, *([1, 0, 0, 0, -0.5, *[1, 0, 0, 0] * 2, 0.3] * 2)]


def written(folder, frames):
    path = folder / "clip.txt"
    path.write_text(json.dumps({"Loop": "none", "Frames": frames}))
    return path


def test_a_clip_is_read(tmp_path):
    motion = motif.load(written(tmp_path, [STAND] * 5))
    s = motion.skeleton
    world = motion.world()[1][0]
    assert (len(motion), motion.fps) == (5, pytest.approx(20))
    assert world[s.root].tolist() == pytest.approx([1.0, 0.9, -2.0])
    knee, ankle = world[s.index("right_knee")], world[s.index("right_ankle")]
    assert knee.tolist() == pytest.approx([1.0, 0.9 - 0.421546, -2.0 + 0.084887], abs=1e-5)
    assert ankle[0] < knee[0] and float((ankle - knee).norm()) == pytest.approx(0.40987, abs=1e-5)  # bent backwards
    assert len(s.left) and {s.names[j] for j in s.contacts} >= {"left_ankle", "right_ankle"}


def test_the_dog_is_told_by_its_length(tmp_path):
    leg, spine = [1, 0, 0, 0, 0.0, *[1, 0, 0, 0] * 2], [1, 0, 0, 0] * 4
    motion = motif.load(written(tmp_path, [[0.02, 0.0, 0.6, 0.0, 1, 0, 0, 0, *spine, *leg * 4, *[1, 0, 0, 0] * 2]] * 3))
    s, world = motion.skeleton, motion.world()[1][0]
    assert len(s.names) == 29 and len(s.left) == 10
    assert world[s.index("left_finger")].tolist() == pytest.approx([0.541574, -0.012483, -0.106071], abs=1e-5)
    assert world[s.index("right_toe")].tolist() == pytest.approx([-0.074803, -0.055825, 0.05986], abs=1e-5)
    assert {s.names[c] for c in s.contacts} >= {"left_finger_end", "right_finger_end", "left_toe_end", "right_toe_end"}


def test_the_real_dog_stands_on_its_paws(corpora):
    for path in (corpora / "deepmimic" / "data" / "motions").glob("dog3d_*.txt"):
        assert abs(motif.load(path).floor()) < 0.04


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        ([], "no frames"),
        ([STAND[:-1]], "43 numbers a frame, expected 44"),
        ([STAND, STAND[:-1]], "not rows of equally many"),
        ([[0, *STAND[1:]]], "lasts 0 s"),
        ([[float("nan"), *STAND[1:]]], "finite"),
        ([["x", *STAND[1:]]], "finite"),
    ],
)
def test_faults_are_named(tmp_path, frames, says):
    with pytest.raises(MotifError, match=says):
        motif.load(written(tmp_path, frames))


def test_broken_files_give_clear_errors(tmp_path):
    path, draw = written(tmp_path, [STAND] * 3), random.Random(0)
    whole = path.read_text()
    for _ in range(300):
        at = draw.randrange(len(whole))
        path.write_text(
            whole[:at] + draw.choice(["", "[", "}", "1e999", "null", '"']) + whole[at + draw.choice([0, 1, 9]) :]
        )
        try:
            motif.load(path)
        except MotifError:
            continue


def test_other_text_is_no_motion(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "labels.json").write_text('{"label": "walk"}')
    assert not io.holds_motion(tmp_path / "notes.txt") and not io.holds_motion(tmp_path / "labels.json")
    assert io.holds_motion(written(tmp_path, [STAND]))
    with pytest.raises(MotifError, match="is no JSON"):
        motif.load(tmp_path / "notes.txt")
