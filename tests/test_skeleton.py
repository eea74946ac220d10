"""Rigs as data: kinematics against the obvious loop, and what names and geometry tell."""

from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from motif import rotation
from motif.errors import MotifError
from motif.rig_guess import guess_pairs_and_contacts
from motif.skeleton import Skeleton, strip_namespace
from rigs import RIGS, along_x, bird, build, chain, jumps, quadruped, sliding, star, tree, two, under_a_node, walk


def obvious_fk(s, q, p):
    """One frame, one joint after another, with matrices."""
    m = rotation.to_matrix(q)
    world_m, world_p = [m[0]], [p[0]]
    for j, parent in enumerate(s.parents[1:], 1):
        world_p.append(world_p[parent] + world_m[parent] @ p[j])
        world_m.append(world_m[parent] @ m[j])
    return torch.stack(world_m), torch.stack(world_p)


# --- kinematics
@pytest.mark.parametrize("rig", RIGS)
def test_fk_is_the_obvious_loop(rig):
    m = sliding(walk(RIGS[rig](), 20, 30, 0))
    world_q, world_p = m.world()
    for t in (0, 7, 19):
        matrices, places = obvious_fk(m.skeleton, m.rotations[t], m.positions[t])
        assert torch.allclose(world_p[t], places, atol=1e-5)
        assert torch.allclose(rotation.to_matrix(world_q[t]), matrices, atol=1e-5)


def test_fk_on_any_leading_dimensions_and_dtype():
    m = walk(tree(), 12, 30, 0)
    world_q, world_p = m.world()
    folded = m.skeleton.fk(m.rotations.unflatten(0, (2, 3, 2)), m.positions.unflatten(0, (2, 3, 2)))
    assert torch.equal(folded[0].flatten(0, 2), world_q)
    assert torch.equal(folded[1].flatten(0, 2), world_p)
    one = m.skeleton.fk(m.rotations[0].double())
    assert one[1].dtype == torch.float64
    assert torch.allclose(m.skeleton.fk(rotation.identity(24))[1], m.skeleton.rest_positions)


def test_fk_has_gradients():
    m = walk(quadruped(), 3, 30, 0)
    q = m.rotations.double().requires_grad_()
    p = m.positions.double().requires_grad_()
    assert torch.autograd.gradcheck(m.skeleton.fk, (q[:1], p[:1]))


def test_fk_stays_on_its_device_and_trains_after_inference():
    m = walk(quadruped(), 4, 30, 0)
    assert all(t.device.type == "meta" for t in m.skeleton.fk(m.rotations.to("meta")))
    with torch.inference_mode():
        tree().fk(rotation.identity(24))
    q = rotation.identity(24).requires_grad_()
    tree().fk(q)[1].square().sum().backward()
    assert q.grad is not None


# --- pairs
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("LeftFoot", "RightFoot"),
        ("mixamorig7:LeftFoot", "mixamorig7:RightFoot"),
        ("left_foot", "right_foot"),
        ("foot_left", "foot_right"),
        ("FOOT_LEFT", "FOOT_RIGHT"),
        ("L_Foot", "R_Foot"),
        ("Foot_L", "Foot_R"),
        ("foot.L", "foot.R"),
        ("foot.l", "foot.r"),
        ("foot_l", "foot_r"),
        ("footL", "footR"),
        ("lFoot", "rFoot"),
        ("LFoot", "RFoot"),
        ("lfoot", "rfoot"),
        ("rig_L_foot", "rig_R_foot"),
        ("foot-L", "foot-R"),
        ("l foot", "r foot"),
        ("Bip01 L Foot", "Bip01 R Foot"),
        ("lowerLegL", "lowerLegR"),
        ("rearLegL", "rearLegR"),
        ("lower_left", "lower_right"),
    ],
)
def test_pairs_by_name(left, right):
    s = build(["Root", right, left], [-1, 0, 0], [(0, 1, 0), (-0.1, -1, 0), (0.2, -0.5, 0.1)])  # no shapes to see
    assert s.mirror == (0, 2, 1)
    assert s.left == (2,)


@pytest.mark.parametrize("name", ["Spine", "Neck", "jaw", "Bone", "LowerBack", "root", "Left", "lip", "Tail1", "rear"])
def test_a_joint_without_a_partner_is_its_own(name):
    assert build(["Base", name, "Head"], [-1, 0, 1], [(0, 1, 0), (0, 1, 0), (0, 1, 0)]).mirror == (0, 1, 2)


def test_partners_hang_equally_deep():
    s = build(["Base", "LeftA", "Mid", "RightA"], [-1, 0, 0, 2], [(0, 0, 0), (1, 0, 0), (0, 1, 0), (-1, 0, 0)])
    assert s.left == ()


def test_pairs_of_the_biped():
    s = tree()
    assert {(s.names[j], s.names[s.mirror[j]]) for j in s.left} == {
        (n, n.replace("Left", "Right")) for n in s.names if "Left" in n
    }
    assert [s.mirror[m] for m in s.mirror] == list(range(24))


@pytest.mark.parametrize("rig", [tree, quadruped, bird])
def test_pairs_by_shape_alone(rig):
    s = rig()
    names = tuple(f"b{j}" for j in range(len(s)))
    nameless = guess_pairs_and_contacts(replace(s, names=names, mirror=tuple(range(len(s))), left=()))
    assert nameless.mirror == s.mirror
    assert nameless.left == s.left


def test_end_sites_follow_their_bones():
    names = ["Root", "LeftLeg", "a", "RightLeg", "b"]
    offsets = [(0, 1, 0), (0.1, 0, 0), (0, -1, 0), (-0.1, 0, 0), (0, -1, 0)]
    s = build(names, [-1, 0, 1, 0, 3], offsets, [False, False, True, False, True])
    assert s.mirror == (0, 3, 4, 1, 2)
    assert set(s.left) | {s.mirror[j] for j in s.left} >= {1, 3}


# --- contacts
def test_contacts():
    names = lambda s: {s.names[j] for j in s.contacts}  # noqa: E731
    assert names(tree()) == {f"{side}{b}" for side in ("Left", "Right") for b in ("Foot", "ToeBase", "Toe_End")}
    assert names(quadruped()) == {f"{end}_paw_{side}" for end in ("front", "back") for side in "LR"}
    assert names(bird()) == {f"{b}.{side}" for b in ("foot", "toes") for side in "LR"}
    assert RIGS["snake"]().contacts == tuple(range(12))
    assert build(["one"], [-1], [(0, 0, 0)]).contacts == ()


def test_contacts_without_foot_names_are_the_ends_of_legs():
    s = tree()
    plain = [n.replace("Foot", "Tarsal").replace("ToeBase", "Tip").replace("Toe_End", "Nub") for n in s.names]
    found = build(plain, s.parents, s.offsets).contacts
    assert {s.names[j] for j in found} <= {f"{a}{b}" for a in ("Left", "Right") for b in ("Foot", "ToeBase", "Toe_End")}
    assert len(found) >= 2


def test_control_joints_do_not_stand():
    s = tree()
    names = [*s.names, "LeftFootIK", "foot_ctrl", "eyeball"]  # nor does what is called like a foot but is high up
    offsets = [*s.offsets, (0.1, -0.95, 0), (-0.1, -0.95, 0), (0, 0.1, 0.1)]
    grown = build(names, [*s.parents, 0, 0, s.index("Head")], offsets)
    assert grown.contacts == s.contacts


# --- size, side and parts
def test_height_and_reach():
    assert chain(4).height == pytest.approx(0.9)
    assert chain(4).chain_length == pytest.approx((0.9, 0.6, 0.3, 0.0))
    assert two().height == pytest.approx(1.0)
    assert build(["one"], [-1], [(0, 5, 0)]).height == 1.0


@pytest.mark.parametrize("yaw", [0.0, 0.5, 3.0, -1.57])
def test_facing_of_a_rig_built_turned(yaw):
    s = tree()
    turned = rotation.rotate(rotation.about("y", torch.tensor(yaw)), torch.tensor(s.offsets)).tolist()
    assert build(s.names, s.parents, turned).rest_heading == pytest.approx(yaw, abs=1e-5)


def test_facing_is_that_of_hips_and_shoulders_not_of_hands():
    s = tree()
    reach = rotation.identity(24)
    for name in ("LeftArm", "RightArm"):
        reach[s.index(name)] = rotation.about("y", torch.tensor(-1.5))
    assert replace(s, rest=tuple(map(tuple, reach.tolist()))).rest_heading == pytest.approx(0, abs=1e-6)


def test_parts():
    s = tree()
    part = {name: {s.names[j] for j in joints} for name, joints in s.parts.items()}
    legs = {n for n in s.names if "Leg" in n or "Foot" in n or "Toe" in n}
    assert part["lower"] == legs | {"Hips"}
    assert part["upper"] == set(s.names) - part["lower"]
    assert part["limb:LeftShoulder"] == {"LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"}
    assert part["trunk"] == {"Hips", "Spine", "Spine1", "Spine2", "Neck", "Head"}
    assert part["all"] == set(s.names)
    assert s.names[s.limb_of(s.index("LeftToeBase"))] == "LeftUpLeg"
    assert s.limb_of(s.index("Neck")) == s.root
    assert {"limb:front_thigh_L", "limb:back_thigh_R"} <= set(quadruped().parts)


def test_a_joint_and_a_limb_of_one_name():
    s = tree()
    assert s.select(["LeftShoulder"]) == (s.index("LeftShoulder"),)
    limb = s.select(["limb:LeftShoulder"])
    assert [s.names[j] for j in limb] == ["LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"]
    assert s.select(["LeftShoulder", "limb:LeftShoulder"]) == limb
    clip = jumps().skeleton  # its joint has an end site of its own nowhere, its limb nine joints
    assert [clip.names[j] for j in clip.select(["LeftShoulder"])] == ["LeftShoulder"]
    assert len(clip.select(["limb:LeftShoulder"])) == 9
    with pytest.raises(MotifError, match="did you mean 'limb:LeftShoulder'"):
        s.select(["limb:LeftSholder"])
    with pytest.raises(MotifError, match="no joint 'limb:LeftHand'"):  # a limb is called by its first joint
        s.select(["limb:LeftHand"])


def test_limbs_with_a_namespace_and_joints_called_like_parts():
    s = tree()
    spaced = build([f"mixamorig:{n}" for n in s.names], s.parents, s.offsets)
    assert "limb:LeftShoulder" in spaced.parts
    assert spaced.select(["limb:LeftShoulder"]) == spaced.select(["limb:mixamorig:LeftShoulder"])
    assert len(spaced.select(["limb:LeftShoulder"])) == 4
    names = [{"Spine": "trunk", "Spine1": "all"}.get(n, n) for n in s.names]
    odd = build(names, s.parents, s.offsets)
    assert odd.select(["trunk"]) == (odd.index("trunk"),)
    assert odd.select(["part:trunk"]) == s.select(["trunk"])
    assert odd.select(["all"]) == tuple(range(24))


def test_neighbours_count_bones():
    s = chain(5)
    assert s.hops[0].tolist() == [0, 1, 2, 3, 4]
    assert s.neighbours(1)[2].tolist() == [False, True, True, True, False]
    ray = star()
    assert bool(ray.neighbours(2).all())
    assert int(ray.neighbours(1).sum()) == 7 + 12
    assert torch.equal(tree().hops, tree().hops.T)


def test_tree_walks():
    s = tree()
    assert [s.names[j] for j in s.ancestors(s.index("LeftFoot"))] == ["LeftFoot", "LeftLeg", "LeftUpLeg", "Hips"]
    assert len(s.subtree(s.index("LeftUpLeg"))) == 5
    assert s.subtree(0) == tuple(range(24))


# --- pooling
@pytest.mark.parametrize("rig", RIGS)
def test_pool_down_to_next_to_nothing(rig):
    s = RIGS[rig]()
    for _ in range(12):
        pooled, group = s.pool()
        assert sorted(set(group)) == list(range(len(pooled)))
        for j, p in enumerate(s.parents):  # a group is connected and hangs where its joints hang
            if p >= 0 and group[p] != group[j]:
                assert pooled.parents[group[j]] == group[p]
        assert set(pooled.contacts) == {group[j] for j in s.contacts}
        assert [pooled.mirror[m] for m in pooled.mirror] == list(range(len(pooled)))
        assert all(pooled.mirror[j] != j for j in pooled.left)
        if len(s) > 1:
            assert len(pooled) < len(s)
        if len(s) == 1:
            break
        s = pooled
    assert len(s) <= 2


def test_pool_keeps_the_body_root():
    s = build(["node", "prop", "hips", "a", "b"], [-1, 0, 0, 2, 2], [(0, 0, 0), *[(0.3, 1, 0)] * 4])
    pooled, group = replace(s, root=2).pool()
    assert pooled.root == group[2] != 0


def test_pool_halves_a_chain_and_keeps_a_biped_a_biped():
    assert len(chain(8).pool()[0]) == 4
    pooled, _ = tree().pool()
    assert 12 <= len(pooled) <= 16
    assert len(pooled.left) >= 4
    assert len(pooled.contacts) >= 2
    assert pooled.height == pytest.approx(tree().height, rel=0.15)


# --- what users ask and get wrong
def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(MotifError, match=r"no joint 'LeftFot' in this rig of 24 joints; did you mean 'LeftFoot'"):
        tree().index("LeftFot")
    with pytest.raises(MotifError, match=r"it has Hips, LeftUpLeg"):
        tree().index("xyzzy")
    with pytest.raises(MotifError, match=r"did you mean 'upper'"):
        tree().select(["uper"])


def test_names_with_and_without_their_namespace():
    s = build(["mixamorig:Hips", "mixamorig:Head", "a:Twin", "b:Twin"], [-1, 0, 0, 0], [(0, 1, 0)] * 4)
    assert s.index("Head") == s.index("mixamorig:Head") == 1
    assert strip_namespace("a:b:Head") == "Head"
    with pytest.raises(MotifError, match="no joint 'Twin'"):
        s.index("Twin")


def test_select_parts_joints_and_their_tips():
    s = tree()
    assert s.select(["upper", "LeftFoot"]) == tuple(sorted({*s.parts["upper"], s.index("LeftFoot")}))
    assert s.select([]) == ()
    tipped = build(["a", "b", "tip"], [-1, 0, 1], [(0, 0, 0), (0, 1, 0), (0, 1, 0)], [False, False, True])
    assert tipped.select(["b"]) == (1, 2)
    for rig, part in ((star(), "lower"), (RIGS["snake"](), "upper")):
        with pytest.raises(MotifError, match=f"has no '{part}' part"):
            rig.select([part])


def test_a_user_replaces_what_was_guessed():
    s = tree().with_contacts(["LeftHand", "RightHand"])
    assert [s.names[j] for j in s.contacts] == ["LeftHand", "RightHand"]
    assert s.left == tree().left
    paired = chain(4).with_pairs([("link1", "link3")])
    assert paired.mirror == (0, 3, 2, 1)
    assert paired.left == (1,)
    hanging = chain(4)
    assert hanging.with_pairs([]).with_contacts(hanging.names[j] for j in hanging.contacts) == hanging
    with pytest.raises(MotifError, match="no joint"):
        chain(4).with_contacts(["foot"])


def test_same_rig():
    s = tree()
    assert s.rig_difference(tree()) is None
    assert "another order" in s.rig_difference(build(s.names[::-1], range(-1, 23), s.offsets))
    assert "only in the first ['Head'], only in the second ['Skull']" in s.rig_difference(
        build(["Skull" if n == "Head" else n for n in s.names], s.parents, s.offsets)
    )
    assert "other parents" in s.rig_difference(build(s.names, [-1, *[0] * 23], s.offsets))
    longer = [o if n != "LeftLeg" else (0, -0.6, 0) for n, o in zip(s.names, s.offsets, strict=True)]
    assert "a bone differs by 0.150 m" in s.rig_difference(build(s.names, s.parents, longer))
    moved = [(5, 5, 5), *s.offsets[1:]]
    assert s.rig_difference(build(s.names, s.parents, moved)) is None  # where the root starts is no matter of the rig


@pytest.mark.parametrize(
    ("names", "parents", "offsets", "message"),
    [
        ((), (), (), "needs a joint 0"),
        (("a", "b"), (-1, 1), ((0, 0, 0),) * 2, "parents must come before children"),
        (("a", "b"), (-1, -1), ((0, 0, 0),) * 2, "parents must come before children"),
        (("a",), (0,), ((0, 0, 0),), "needs a joint 0"),
        (("a", "a"), (-1, 0), ((0, 0, 0),) * 2, "two joints are called 'a'"),
        (("a", "b"), (-1, 0), ((0, 0, 0),), "2 names but 1 offsets"),
        (("a", "b"), (-1,), ((0, 0, 0),) * 2, "2 names but 1 parents"),
    ],
)
def test_broken_rigs_are_refused(names, parents, offsets, message):
    with pytest.raises(MotifError, match=message):
        Skeleton(names, parents, offsets)


def test_a_skeleton_is_a_value():
    s = tree()
    assert hash(s) == hash(tree())
    assert s == tree()
    assert {s: 1}[tree()] == 1
    with pytest.raises(FrozenInstanceError):
        s.root = 3  # type: ignore[misc]


# --- what only a clip tells
def test_a_node_that_stands_still_is_not_the_root():
    m = under_a_node(walk(tree(), 60, 30, 0))
    assert m.skeleton.names[m.skeleton.root] == "Hips"
    assert {m.skeleton.names[j] for j in m.skeleton.contacts} == {tree().names[j] for j in tree().contacts}


@pytest.mark.parametrize("seed", range(3))
def test_a_zero_pose_without_meaning_is_replaced_by_one_of_the_clip(seed):
    m = along_x(walk(tree(), 60, 30, seed))
    assert any(row != (1.0, 0.0, 0.0, 0.0) for row in m.skeleton.rest)
    pose = m.skeleton.rest_positions
    assert float(pose[m.skeleton.index("Head"), 1] - pose[list(m.skeleton.contacts), 1].max()) > 0.8
    assert {m.skeleton.names[j] for j in m.skeleton.contacts} == {tree().names[j] for j in tree().contacts}
    assert m.skeleton.mirror == tree().mirror
