"""Edits as files: what is written comes back, and what is wrong is named."""

import json
import math

import pytest
import torch

from motif import api, edit_file
from motif.edit import Constraint, Edit, Trajectory
from motif.errors import MotifError
from rigs import jumps


@pytest.fixture(scope="module")
def clip():
    return jumps()


def test_round_trip(clip, tmp_path):
    pose = clip.crop(200, 201)
    edit = Edit(
        12.5,
        False,
        (
            Constraint(clip.crop(30, 75), ("lower",), 15, 0.25),
            Constraint(pose, start=100, world_space=False),
            Constraint(clip.crop(0, 40), ("upper",), 200, cutoff=3.0),
        ),
        {"upper": 2.0},
        Trajectory(((0.0, 0.0), (1.0, 0.5)), (0.0, 3.0), (0.0, math.pi / 2)),
        ((0.0, (1.0,)), (4.0, (0.5,))),
    )
    again = edit_file.read(edit_file.write(edit, tmp_path / "edit.json"))
    assert (again.seconds, again.loop, again.joint_weights, again.clip_weights) == (
        edit.seconds,
        edit.loop,
        edit.joint_weights,
        edit.clip_weights,
    )
    assert again.trajectory is not None and edit.trajectory is not None
    assert (again.trajectory.points, again.trajectory.times) == (edit.trajectory.points, edit.trajectory.times)
    assert again.trajectory.facing == pytest.approx(edit.trajectory.facing)
    for a, b in zip(again.constraints, edit.constraints, strict=True):
        assert (a.joints, a.start, a.blend, a.world_space, a.cutoff) == (
            b.joints,
            b.start,
            b.blend,
            b.world_space,
            b.cutoff,
        )
        assert len(a.motion) == len(b.motion)
        assert torch.allclose(a.motion.world()[1], b.motion.world()[1], atol=1e-4)
    plain = edit_file.read(edit_file.write(Edit(3.0), tmp_path / "plain.json"))
    assert (plain.features, plain.seconds) == ((), 3.0)


def test_a_hand_written_file(clip, tmp_path):
    api.save(clip, tmp_path / "clip.bvh")
    text = {
        "constraints": [
            {"motion": "clip.bvh", "from": 2, "to": 4, "at": 1},
            {"motion": "clip.bvh", "from": 6, "to": 6, "at": 5},
        ]
    }
    (tmp_path / "e.json").write_text(json.dumps(text | {"seconds": 7}))
    edit = edit_file.read(tmp_path / "e.json")
    assert [(len(k.motion), k.start) for k in edit.constraints] == [(60, 30), (1, 150)]
    take = api.vary(clip, 1, edit=edit)[0]
    assert torch.allclose(take.world()[1][30:90], clip.world()[1][60:120], atol=1e-3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1", "is not JSON"),
        ("[1]", r"the file holds \[1\]; expected an object"),
        (
            '{"secnods": 3}',
            "secnods is not a field of an edit; here there are clip_weights, constraints, joint_weights, loop",
        ),
        ('{"seconds": "3"}', 'seconds is "3"; give a number'),
        ('{"seconds": NaN}', "seconds is NaN; give a number"),
        ('{"loop": 1}', "loop is 1; give true or false"),
        ('{"constraints": {}}', "constraints is {}; give a list"),
        ('{"constraints": [3]}', r"constraints\[0\] holds 3; expected an object"),
        ('{"constraints": [{}]}', r"constraints\[0\].motion is missing; give the name"),
        ('{"constraints": [{"motion": "gone.bvh"}]}', "gone.bvh"),
        ('{"constraints": [{"motion": "clip.bvh", "joint": "lower"}]}', r"constraints\[0\].joint is not a field"),
        ('{"constraints": [{"motion": "clip.bvh", "from": 4, "to": 2}]}', r"constraints\[0\].from and to: 4 to 2 s"),
        (
            '{"trajectory": {"points": [[0, 0], [1]]}}',
            r"trajectory.points is \[\[0, 0\], \[1\]\]; give a list of pairs",
        ),
        ('{"trajectory": {"points": [[0, 0]]}}', "at least two points"),
        ("{}", "asks for nothing; give at least one of clip_weights, constraints"),
        ('{"clip_weights": [{"at": 1}]}', r"clip_weights\[0\].weights is missing"),
        ('{"joint_weights": {"upper": "much"}}', "joint_weights is"),
        ('{"keep": [{"motion": "clip.bvh"}]}', "keep is now called constraints; rename"),
        ('{"weights": {"upper": 2}}', "weights is now called joint_weights"),
        ('{"mix": [], "seconds": 3}', "mix is now called clip_weights"),
        ('{"way": {"points": [[0, 0], [1, 0]]}}', "way is now called trajectory"),
        ('{"constraints": [{"motion": "clip.bvh", "rate": 3}]}', r"constraints\[0\].rate is now called cutoff"),
        (
            '{"constraints": [{"motion": "clip.bvh", "anchored": true}]}',
            r"constraints\[0\].anchored is now called world_space",
        ),
    ],
)
def test_what_is_wrong_is_named(clip, tmp_path, text, says):
    api.save(clip.crop(0, 150), tmp_path / "clip.bvh")
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(MotifError, match=says) as caught:
        edit_file.read(tmp_path / "e.json")
    assert "e.json" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MotifError, match="cannot be read"):
        edit_file.read(tmp_path / "none.json")
