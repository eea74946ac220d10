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
