import math
from dataclasses import replace

import pytest
import torch

from motif import api, rotation
from motif.errors import MotifError
from motif.motion import Motion
from motif.skeleton import Skeleton
from rigs import RIGS, tree, walk

PAIRED = [name for name, rig in RIGS.items() if rig().left]


def places(motion):
    return motion.world()[1]


def under_a_node(motion):
    """The same motion below a static node at the origin, as some exporters write it."""
    s = motion.skeleton
    raised = Skeleton(
        ("Node", *s.names), (-1, *(p + 1 for p in s.parents)), ((0.0, 0.0, 0.0), *s.offsets), (False, *s.end)
    )
    still = rotation.identity(len(motion), 1)
    rotations = torch.cat((still, motion.rotations), 1)
    positions = torch.cat((torch.zeros(len(motion), 1, 3), motion.positions), 1)
    return Motion(raised, rotations, positions, motion.frame_time).rigged()


def along_x(motion):
    """The same motion on a rig whose bones all lie along x at zero rotation; right bones point to -x."""
    s = motion.skeleton
    rest = s.rest_positions
    turns = []
    for j in range(len(s)):
        child = next(iter(s.children[j]), None)
        bone = rest[child] - rest[j] if child is not None else torch.tensor([1.0, 0.0, 0.0])
        side = -1.0 if "Right" in s.names[j] else 1.0
        turns.append(rotation.between(torch.tensor([side, 0.0, 0.0]), bone))
    turn = torch.stack(turns)  # world rotation of each joint in the old zero pose
    above = torch.stack([turn[p] if p >= 0 else rotation.identity() for p in s.parents])
    rotations = rotation.mul(rotation.inv(above), rotation.mul(motion.rotations, turn))
    positions = rotation.rotate(rotation.inv(above), motion.positions)
    offsets = rotation.rotate(rotation.inv(above), s.offset_tensor())
    odd = Skeleton(s.names, s.parents, tuple((*map(float, o),) for o in offsets))
    return Motion(odd, rotations, positions, motion.frame_time).rigged()


def test_crop_and_length():
    m = walk(tree(), 90, 30, 0)
    assert m.seconds == pytest.approx(3.0)
    assert torch.equal(places(m.crop(10, 20)), places(m)[10:20])
    assert len(m.crop(-5)) == 5
    with pytest.raises(MotifError, match="leaves no frame"):
        m.crop(95)


def test_resample_takes_whole_frames_where_rates_divide():
    m = replace(walk(tree(), 121, 120, 0), frame_time=1 / 120)
    assert torch.equal(m.resample(30).rotations, m.rotations[::4])
    literal = replace(m, frame_time=0.0166667)
    assert torch.equal(literal.resample(30).rotations, m.rotations[::2])
    assert literal.resample(60) is literal


@pytest.mark.parametrize("rig", RIGS)
def test_resample_between_frames_follows_the_motion(rig):
    m = walk(RIGS[rig](), 91, 30, 0)
    slow = m.resample(24)
    assert len(slow) == 73
    assert slow.fps == pytest.approx(24)
    t = torch.arange(73) / 24
    exact = torch.stack([places(m)[round(float(x) * 30)] for x in t[::4]])
    assert torch.allclose(places(slow)[::4], exact, atol=1e-3)
    assert torch.allclose(places(m.resample(60))[::2], places(m), atol=1e-4)


@pytest.mark.parametrize("rig", PAIRED)
def test_mirror_is_the_world_flipped(rig):
    m = walk(RIGS[rig](), 40, 30, 0)
    flipped = places(m)[:, list(m.skeleton.mirror)] * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.allclose(places(m.mirror()), flipped, atol=1e-4)
    assert torch.allclose(places(m.mirror().mirror()), places(m), atol=1e-4)


def test_mirror_on_rigs_with_axes_of_their_own():
    m = walk(tree(), 60, 30, 0)
    flipped = places(m)[:, list(m.skeleton.mirror)] * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.allclose(places(along_x(m)), places(m), atol=1e-4)
    assert torch.allclose(places(along_x(m).mirror()), flipped, atol=1e-3)
    assert torch.allclose(places(under_a_node(m).mirror())[:, 1:], flipped, atol=1e-4)
    with pytest.raises(MotifError, match="no left/right pairs"):
        walk(RIGS["snake"](), 30, 30, 0).mirror()


def test_what_a_clip_tells_about_its_rig():
    m = walk(tree(), 60, 30, 0)
    raised = under_a_node(m)
    assert raised.skeleton.names[raised.skeleton.root] == "Hips"
    assert raised.skeleton.height == pytest.approx(m.skeleton.height, rel=1e-3)
    odd = along_x(m)
    assert {odd.skeleton.names[j] for j in odd.skeleton.contacts} <= {m.skeleton.names[j] for j in m.skeleton.contacts}
    assert odd.skeleton.contacts
    assert odd.skeleton.height == pytest.approx(m.skeleton.height, rel=0.25)


@pytest.mark.parametrize("rig", RIGS)
def test_turning_the_world_turns_the_heading(rig):
    m = walk(RIGS[rig](), 60, 30, 0)
    turned = m.place(1.1, (3, 0, 2))
    assert torch.allclose(turned.heading() - m.heading(), torch.full((60,), 1.1), atol=1e-3)


def test_heading_through_a_somersault_stays_calm_and_turns_along():
    m = walk(tree(), 60, 30, 0)
    q = m.rotations.clone()
    q[:, 0] = rotation.exp(torch.linspace(0, 2 * math.pi, 60)[:, None] * torch.tensor([1.0, 0.05, 0.02]))
    flip = replace(m, rotations=q)
    assert bool(flip.heading().isfinite().all())
    turned = flip.place(0.7).heading() - flip.heading()
    assert torch.allclose(turned, torch.full((60,), 0.7), atol=1e-3)


@pytest.mark.parametrize("rig", RIGS)
def test_align_and_ground(rig):
    m = walk(RIGS[rig](), 60, 30, 0).place(2.0, (4, 1, -3))
    there = m.align(20)
    assert float(there.heading()[20]) == pytest.approx(0.0, abs=1e-4)
    assert torch.allclose(places(there)[20, m.skeleton.root, [0, 2]], torch.zeros(2), atol=1e-4)
    assert m.ground().floor() == pytest.approx(0.0, abs=1e-4)


def test_concat_leaves_the_first_alone_and_has_no_jump():
    clip = api.demo_clip()
    a, b = clip.crop(0, 150), clip.crop(400, 600)
    joined = Motion.concat([a, b])
    assert len(joined) == 350
    assert torch.equal(joined.rotations[:150], a.rotations)
    p = places(joined)
    step, bend = p.diff(dim=0).norm(dim=-1).mean(-1), p.diff(n=2, dim=0).norm(dim=-1).mean(-1)
    usual = places(clip).diff(n=2, dim=0).norm(dim=-1).mean(-1).quantile(0.99)
    assert float((step[149] - step[148]).abs()) < float(usual)
    hard = places(Motion.concat([a, b], blend=0)).diff(n=2, dim=0).norm(dim=-1).mean(-1)
    assert float(bend[146:152].max()) < 0.5 * float(hard[146:152].max())
    with pytest.raises(MotifError, match="resample"):
        Motion.concat([a, b.resample(24)])
    with pytest.raises(MotifError, match="cannot join"):
        Motion.concat([a, walk(tree(), 30, 30, 0)])
    with pytest.raises(MotifError, match="at least one"):
        Motion.concat([])


@pytest.mark.parametrize("rig", RIGS)
def test_loop_repeats_without_a_jump(rig):
    m = walk(RIGS[rig](), 90, 30, 0)
    twice = m.loop().continued(180)
    p = places(twice)
    bend = p.diff(n=2, dim=0).norm(dim=-1).mean(-1)
    assert torch.allclose(twice.rotations[90:, 1:], twice.rotations[:90, 1:], atol=1e-5)
    hard = places(m.continued(180)).diff(n=2, dim=0).norm(dim=-1).mean(-1)
    assert float(bend[86:93].max()) < 0.6 * float(hard[86:93].max())
    assert torch.equal(m.loop(0.3).rotations[:80], m.rotations[:80])


def test_nothing_is_changed_silently():
    clip = api.demo_clip()
    for made in (clip.crop(5, 50), clip.mirror(), clip.align(), clip.ground(), clip.loop(), clip.place(1.0)):
        assert made.frame_time == clip.frame_time
        assert made.skeleton == clip.skeleton
        assert made.style == clip.style


def test_what_is_no_motion_is_refused():
    s = tree()
    q, p = rotation.identity(5, len(s)), torch.zeros(5, len(s), 3)
    with pytest.raises(MotifError, match="do not fit a rig of 24 joints"):
        Motion(s, q[:, :3], p[:, :3], 1 / 30)
    with pytest.raises(MotifError, match="frame time"):
        Motion(s, q, p, 0.0)
    with pytest.raises(MotifError, match="resample to -1"):
        Motion(s, q, p, 1 / 30).resample(-1)
