from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch

from motif import rotation
from motif.errors import MotifError
from motif.skeleton import Skeleton, build
from rigs import RIGS, tree, walk


def slow_fk(s, q, p):
    """The obvious loop, with matrices, for one frame."""
    m = rotation.to_matrix(q).numpy()
    world_m, world_p = [], []
    for j, parent in enumerate(s.parents):
        if parent < 0:
            world_m.append(m[j])
            world_p.append(p[j].numpy())
        else:
            world_m.append(world_m[parent] @ m[j])
            world_p.append(world_p[parent] + world_m[parent] @ p[j].numpy())
    return np.stack(world_m), np.stack(world_p)


@pytest.mark.parametrize("rig", RIGS)
def test_fk_is_the_obvious_loop(rig):
    motion = walk(RIGS[rig](), 5, 30, 0)
    q, p = motion.skeleton.fk(motion.rotations.double(), motion.positions.double())
    for t in range(5):
        m, w = slow_fk(motion.skeleton, motion.rotations[t].double(), motion.positions[t].double())
        assert np.allclose(rotation.to_matrix(q[t]).numpy(), m, atol=1e-6)
        assert np.allclose(p[t].numpy(), w, atol=1e-6)
    batched = motion.skeleton.fk(motion.rotations.expand(2, 3, -1, -1, -1), motion.positions.expand(2, 3, -1, -1, -1))
    assert batched[1].shape == (2, 3, 5, len(motion.skeleton), 3)
    assert torch.allclose(batched[1][1, 2].double(), p, atol=1e-5)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("LeftArm", "RightArm"), ("left_arm", "right_arm"), ("L_Arm", "R_Arm"), ("Arm_L", "Arm_R"), ("arm.L", "arm.R"),
        ("lThigh", "rThigh"), ("LThumb", "RThumb"), ("rig:LeftArm", "rig:RightArm"), ("Bip01 L Arm", "Bip01 R Arm"),
        ("arm_l", "arm_r"),
    ],
)  # fmt: skip
def test_pairs_by_name(left, right):
    s = build(["root", left, right, "Lever"], [-1, 0, 0, 0], [(0, 1, 0), (0.3, 0, 0.1), (-0.3, 0, 0.2), (0, 0.2, 0)])
    assert s.mirror == (0, 2, 1, 3)
    assert s.left == (1,)


def test_pairs_by_shape_where_names_say_nothing():
    s = tree()
    plain = build([f"j{i}" for i in range(len(s))], s.parents, s.offsets)
    assert plain.mirror == s.mirror
    assert plain.left == s.left


def test_contacts_by_name_and_by_shape():
    s = tree()
    feet = {"LeftFoot", "LeftToeBase", "LeftToe_End", "RightFoot", "RightToeBase", "RightToe_End"}
    assert {s.names[j] for j in s.contacts} == feet
    plain = build([f"j{i}" for i in range(len(s))], s.parents, s.offsets)
    assert {s.names[j] for j in plain.contacts} == {"LeftToe_End", "RightToe_End"}
    assert {n for n in RIGS["quadruped"]().names if "paw" in n} == {
        RIGS["quadruped"]().names[j] for j in RIGS["quadruped"]().contacts
    }
    assert set(RIGS["snake"]().contacts) == set(range(12))


def test_parts_of_a_biped_and_a_beast():
    s = tree()
    names = {part: {s.names[j] for j in joints} for part, joints in s.parts.items()}
    assert set(names) == {"LeftUpLeg", "RightUpLeg", "LeftShoulder", "RightShoulder", "all", "upper", "lower", "trunk"}
    assert names["lower"] == {"Hips"} | names["LeftUpLeg"] | names["RightUpLeg"]
    assert names["upper"] == set(s.names) - names["lower"]
    assert names["trunk"] == {"Hips", "Spine", "Spine1", "Spine2", "Neck", "Head"}
    beast = RIGS["quadruped"]()
    assert {beast.names[j] for j in beast.parts["upper"]} == {"chest", "head", "tail"}
    with pytest.raises(MotifError, match="no 'upper' part"):
        RIGS["snake"]().select(["upper"])


def test_neighbours_are_bones_apart():
    s = tree()
    hips, knee = s.index("Hips"), s.index("LeftLeg")
    assert bool(s.neighbours(2)[hips, knee])
    assert not bool(s.neighbours(1)[hips, knee])
    assert float(s.hops[s.index("LeftHand"), s.index("RightHand")]) == 8
    assert torch.equal(s.hops, s.hops.T)


@pytest.mark.parametrize("rig", RIGS)
def test_pooling_halves_down_to_almost_nothing(rig):
    s = RIGS[rig]()
    for _ in range(6):
        small, group = s.pool()
        assert len(small) < len(s) or len(s) == 1
        assert sorted(set(group)) == list(range(len(small)))
        for j, p in enumerate(s.parents):
            if p >= 0:
                assert group[j] == group[p] or small.parents[group[j]] == group[p]
        assert set(small.contacts) == {group[j] for j in s.contacts}
        assert all(small.mirror[small.mirror[j]] == j for j in range(len(small)))
        s = small
    assert len(s) <= 2


def test_looking_up_helps():
    s = tree()
    assert s.index("LeftArm") == s.names.index("LeftArm")
    with pytest.raises(MotifError, match="did you mean 'LeftArm'"):
        s.index("LeftArn")
    spaced = replace(s, names=tuple(f"rig:{n}" for n in s.names))
    assert spaced.index("LeftArm") == s.index("LeftArm")
    assert s.select(["LeftShoulder"]) == s.parts["LeftShoulder"]


def test_users_may_know_better():
    s = tree().edit(contacts=["LeftHand"], pairs=[("LeftArm", "RightArm")])
    assert [s.names[j] for j in s.contacts] == ["LeftHand"]
    assert s.mirror[s.index("LeftArm")] == s.index("RightArm")
    assert s.mirror[s.index("LeftLeg")] == s.index("LeftLeg")


def test_a_skeleton_is_a_frozen_value():
    a, b = tree(), tree()
    assert a == b
    assert hash(a) == hash(b)
    with pytest.raises(FrozenInstanceError):
        a.root = 3  # type: ignore[misc]


def test_same_rig_says_what_differs():
    s = tree()
    assert s.same_rig(tree()) is None
    assert "only in the first" in str(s.same_rig(replace(s, names=("x", *s.names[1:]))))
    longer = replace(s, offsets=(*s.offsets[:-1], (0.9, 0, 0)))
    assert "a bone differs" in str(s.same_rig(longer))
    moved = replace(s, offsets=((5.0, 5.0, 5.0), *s.offsets[1:]))
    assert s.same_rig(moved) is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (((), (), ()), "joint 0"),
        ((("a", "b"), (-1, 1), ((0, 0, 0), (0, 0, 0))), "parents must come before"),
        ((("a", "a"), (-1, 0), ((0, 0, 0), (0, 0, 0))), "two joints are called 'a'"),
        ((("a", "b"), (-1, 0), ((0, 0, 0),)), "one per joint"),
    ],
)
def test_what_is_no_skeleton_is_refused(arguments, says):
    with pytest.raises(MotifError, match=says):
        Skeleton(*arguments)
