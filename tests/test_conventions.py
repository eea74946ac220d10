"""docs/conventions.md, line by line."""

import math

import pytest
import torch

from motif import rotation
from motif.features import Features
from motif.motion import FileStyle, Motion
from rigs import tree, walk


@pytest.fixture(scope="module")
def still():
    s = tree()
    return Motion(s, rotation.identity(30, len(s)), s.offset_tensor().expand(30, -1, -1).clone(), 1 / 30)


def test_units_are_metres_and_seconds_inside_and_the_files_outside(still, tmp_path):
    from dataclasses import replace

    path = replace(still, style=FileStyle(unit=0.01)).save(tmp_path / "a.bvh")
    assert "100.000000" in path.read_text()  # hips at 1 m
    assert float(Motion.load(path).positions[0, 0, 1]) == pytest.approx(1.0)
    assert still.seconds == pytest.approx(1.0)


def test_axes_are_right_handed_and_y_is_up(still):
    x, y, z = torch.eye(3)
    assert torch.allclose(torch.linalg.cross(x, y), z)
    turned = rotation.rotate(rotation.about("x", torch.tensor(math.pi / 2)), y)
    assert torch.allclose(turned, z, atol=1e-6)
    assert float(still.world()[1][0, still.skeleton.index("Head"), 1]) > 1.4


def test_heading_0_faces_z_and_positive_turns_to_the_left(still):
    s = still.skeleton
    assert float(still.heading()[0]) == pytest.approx(0.0, abs=1e-6)
    assert float(s.rest_positions[s.index("LeftArm"), 0]) > 0
    left = still.place(math.pi / 2)
    assert float(left.heading()[0]) == pytest.approx(math.pi / 2, abs=1e-5)
    toe = left.world()[1][0, s.index("LeftToe_End")] - left.world()[1][0, s.index("LeftFoot")]
    assert float(toe[0]) > 0.1  # what pointed to +Z points to +X


def test_rotations_are_local(still):
    q = still.rotations.clone()
    q[:, still.skeleton.index("LeftArm")] = rotation.about("z", torch.tensor(0.5))
    from dataclasses import replace

    world = replace(still, rotations=q).world()[0]
    assert torch.allclose(world[0, still.skeleton.index("LeftHand")], rotation.about("z", torch.tensor(0.5)), atol=1e-6)


def test_quaternions_are_wxyz():
    q = rotation.exp(torch.tensor([0.0, 0.4, 0.0]))
    assert torch.allclose(q, torch.tensor([math.cos(0.2), 0.0, math.sin(0.2), 0.0]))


def test_matrices_act_on_columns():
    q, v = rotation.exp(torch.tensor([0.1, 0.4, -0.2])), torch.tensor([1.0, 2.0, 3.0])
    assert torch.allclose(rotation.to_matrix(q) @ v, rotation.rotate(q, v), atol=1e-6)


def test_sixd_is_the_first_two_columns():
    m = rotation.to_matrix(rotation.exp(torch.tensor([0.1, 0.4, -0.2])))
    assert torch.allclose(rotation.to_sixd(rotation.from_matrix(m)), torch.cat((m[:, 0], m[:, 1])), atol=1e-6)


def test_euler_orders_are_intrinsic():
    a = torch.tensor([0.1, 0.2, 0.3])
    m = [rotation.to_matrix(rotation.about(axis, angle)) for axis, angle in zip("zxy", a)]
    assert torch.allclose(rotation.to_matrix(rotation.from_euler(a, "zxy")), m[0] @ m[1] @ m[2], atol=1e-6)


def test_velocities_are_per_second_in_the_heading_frame():
    motion = walk(tree(), 60, 30, 0)
    features = Features.of([motion])
    x = features.encode(motion)
    path, facing = motion.world()[1][:, motion.skeleton.root], motion.heading()
    step = (path[10] - path[9]) * 30
    local = rotation.rotate(rotation.about("y", -facing[9]), step)
    assert torch.allclose(x[10, features.slices["root_velocity"]], local[[0, 2]], atol=1e-4)
    assert float(x[10, features.slices["root_turn"]]) == pytest.approx(float(facing[10] - facing[9]) * 30, abs=1e-3)
