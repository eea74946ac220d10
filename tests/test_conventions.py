"""What docs/conventions.md states, in its order."""

import math

import torch

from motif import io, rotation
from motif.features import Features
from motif.motion import Motion
from rigs import build, tree, walk

X, Y, Z = torch.eye(3)
QUARTER = torch.tensor(math.pi / 2)


def close(a, b):
    return torch.allclose(a, b, atol=1e-6)


def test_units_are_metres_seconds_and_radians(tmp_path):
    """A BVH of a person in centimetres at 50 Hz."""
    text = """HIERARCHY
ROOT Hips
{
OFFSET 0 0 0
CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
JOINT Head
{
OFFSET 0 80 0
CHANNELS 3 Zrotation Xrotation Yrotation
}
JOINT Foot
{
OFFSET 0 -90 0
CHANNELS 3 Zrotation Xrotation Yrotation
}
}
MOTION
Frames: 2
Frame Time: 0.02
0 90 0 90 0 0 0 0 0 0 0 0
2 90 0 90 0 0 0 0 0 0 0 0
"""
    (tmp_path / "a.bvh").write_text(text)
    m = io.load(tmp_path / "a.bvh")
    assert math.isclose(m.positions[1, 0, 0], 0.02, rel_tol=1e-5)
    assert m.frame_time == 0.02
    assert close(rotation.log(m.rotations[0, 0]), Z * math.pi / 2)


def test_axes_are_right_handed_with_y_up():
    assert close(torch.linalg.cross(X, Y), Z)
    assert close(rotation.rotate(rotation.about("z", QUARTER), X), Y)
    m = walk(tree(), 10, 30, 0)
    heights = m.world()[1][..., 1]
    assert bool((heights[:, tree().index("Head")] > heights[:, tree().index("LeftFoot")]).all())


def test_heading_0_faces_z_and_turns_left_towards_x():
    m = walk(tree(), 10, 30, 0)
    still = Motion(m.skeleton, rotation.identity(1, 24), m.skeleton.offset_tensor()[None], 1 / 30)
    assert float(still.heading()[0]) == 0
    assert math.isclose(still.transform(0.3).heading()[0], 0.3, abs_tol=1e-6)
    toe, ankle = (tree().index(n) for n in ("LeftToeBase", "LeftFoot"))
    ahead = lambda m: m.world()[1][0, toe] - m.world()[1][0, ankle]  # noqa: E731
    assert float(ahead(still)[2]) > 0.1
    assert float(ahead(still.transform(math.pi / 2))[0]) > 0.1
    left = tree().index("LeftHand")
    assert float(still.world()[1][0, left, 0]) > 0.5


def test_rotations_are_local_to_the_parent():
    s = build(["a", "b", "c"], [-1, 0, 1], [(0, 0, 0), (1, 0, 0), (1, 0, 0)])
    q = rotation.about("z", QUARTER).expand(3, 4)
    world_q, world_p = s.fk(q)
    assert close(world_p, torch.stack((0 * X, Y, Y - X)))
    assert close(rotation.rotate(world_q[2], X), rotation.rotate(rotation.about("z", 3 * QUARTER), X))


def test_quaternions_are_wxyz():
    h = math.sqrt(0.5)
    assert close(rotation.about("x", QUARTER), torch.tensor([h, h, 0, 0]))
    assert close(rotation.identity(), torch.tensor([1.0, 0, 0, 0]))
    q, v = rotation.exp(torch.tensor([0.3, -0.5, 0.7])), torch.tensor([1.0, 2, 3])
    product = rotation.mul(rotation.mul(q, torch.cat((torch.zeros(1), v))), rotation.inv(q))  # v' = q v q*
    assert close(product[1:], rotation.rotate(q, v))


def test_matrices_act_on_columns():
    q, v = rotation.exp(torch.tensor([0.3, -0.5, 0.7])), torch.tensor([1.0, 2, 3])
    assert close(rotation.to_matrix(q) @ v, rotation.rotate(q, v))
    a, b = rotation.about("x", QUARTER), rotation.about("y", QUARTER)
    assert close(rotation.to_matrix(rotation.mul(a, b)), rotation.to_matrix(a) @ rotation.to_matrix(b))


def test_sixd_is_the_first_two_columns():
    q = rotation.exp(torch.tensor([0.3, -0.5, 0.7]))
    assert close(rotation.to_sixd(q), torch.cat((rotation.rotate(q, X), rotation.rotate(q, Y))))


def test_euler_orders_are_intrinsic():
    a = torch.tensor([0.3, -0.5, 0.7])
    r = [rotation.to_matrix(rotation.about(axis, a[i])) for i, axis in enumerate("zxy")]
    assert close(rotation.to_matrix(rotation.from_euler(a, "zxy")), r[0] @ r[1] @ r[2])


def test_velocities_are_per_second_in_the_heading_frame_of_the_frame_before():
    s = tree()
    turn = torch.tensor([0.5, 0.7, 1.0])
    forward = rotation.rotate(rotation.about("y", turn[:1]), Z)[0]
    left = rotation.rotate(rotation.about("y", turn[:1]), X)[0]
    q, p = rotation.identity(3, 24), s.offset_tensor().repeat(3, 1, 1)
    q[:, 0] = rotation.about("y", turn)
    p[1:, 0] += 0.03 * forward + 0.01 * left
    motion = Motion(s, q, p, 0.02)
    layout = Features.of([motion])
    x = layout.encode(motion)
    assert close(x[1, layout.slices["root_velocity"]], torch.tensor([0.5, 1.5]))  # m/s to the left and ahead
    assert close(x[1:, layout.slices["root_turn"]][:, 0], torch.tensor([10.0, 15.0]))
    assert close(x[:, layout.slices["root_height"]][:, 0], torch.full((3,), 1.0))


def test_shapes_are_frames_then_joints():
    m = walk(tree(), 10, 30, 0)
    assert m.rotations.shape == (10, 24, 4)
    assert m.positions.shape == (10, 24, 3)
    assert m.world()[1].expand(2, 5, -1, -1, -1).shape == (2, 5, 10, 24, 3)
