"""The tools every animator expects, on rigs of all kinds."""

import math
from dataclasses import replace

import pytest
import torch

from motif import api, rotation
from motif.errors import MotifError
from motif.motion import Motion, unwrap
from motif.rig_guess import guess_rig
from rigs import RIGS, along_x, bird, build, chain, jumps, quadruped, sliding, tree, under_a_node, walk

FLIP = torch.tensor([-1.0, 1.0, 1.0])


def same(a, b, atol=1e-5):
    """The same movement of the same joints in the world."""
    qa, pa = a.world()
    qb, pb = b.world()
    close = torch.allclose(pa, pb, atol=atol) and float(rotation.geodesic(qa, qb).max()) < max(10 * atol, 1e-3)
    return len(a) == len(b) and close


def identical(a, b):
    return torch.equal(a.rotations, b.rotations) and torch.equal(a.positions, b.positions)


def largest_step(motion):
    """The largest change of place, m, and of velocity, m a frame, from one frame to the next."""
    p = motion.world()[1]
    return float(p.diff(dim=0).norm(dim=-1).max()), float(p.diff(n=2, dim=0).norm(dim=-1).max())


def seam(motion, frame):
    """The same two numbers around ``frame``, the first one after the seam."""
    return largest_step(motion.crop(frame - 2, frame + 2))


@pytest.fixture
def stroll():
    return walk(tree(), 90, 30, 0)


# --- time
def test_length(stroll):
    assert len(stroll) == 90
    assert stroll.fps == pytest.approx(30)
    assert stroll.seconds == pytest.approx(3)


def test_crop(stroll):
    assert torch.equal(stroll.crop(10, 20).positions, stroll.positions[10:20])
    assert len(stroll.crop(-5)) == 5
    assert len(stroll.crop(0, 1)) == 1
    assert stroll.crop().frame_time == stroll.frame_time
    for start, stop in ((90, None), (20, 10), (5, 5)):
        with pytest.raises(MotifError, match="leaves no frame of the 90"):
            stroll.crop(start, stop)


@pytest.mark.parametrize(
    ("frame_time", "fps", "step"),
    [(1 / 120, 30, 4), (0.0083333, 30, 4), (0.0166667, 30, 2), (0.016667, 30, 2), (0.01, 20, 5)],
)
def test_whole_frames_are_picked_where_rates_divide(stroll, frame_time, fps, step):
    fast = replace(stroll, frame_time=frame_time)
    slow = fast.resample(fps)
    assert identical(slow, stroll.select(torch.arange(0, 90, step)))
    assert slow.frame_time == frame_time * step


def test_resample_between_frames():
    m = walk(tree(), 91, 30, 0)
    slow = m.resample(24)
    assert slow.frame_time == 1 / 24
    assert len(slow) == 73  # both ends: 3 s
    assert same(slow.crop(0, 1), m.crop(0, 1))
    assert torch.allclose(slow.rotations[4], m.rotations[5], atol=1e-6)  # 4 / 24 s = 5 / 30 s
    halfway = rotation.slerp(m.rotations[2], m.rotations[3], torch.full((24,), 0.5))
    assert torch.allclose(slow.rotations[2], halfway, atol=1e-5)
    fine = m.resample(300).resample(30)
    assert same(fine, m)


def test_resample_to_its_own_rate_is_itself(stroll):
    assert stroll.resample(30) is stroll
    assert stroll.resample(30.001) is stroll
    assert len(stroll.resample(7)) == int(89 * 7 / 30) + 1
    assert len(stroll.crop(0, 1).resample(60)) == 1


def test_resample_takes_q_and_minus_q_for_the_same(stroll):
    q = stroll.rotations.clone()
    q[1::2] *= -1
    assert same(replace(stroll, rotations=q).resample(24), stroll.resample(24))


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_resample_to_nonsense(stroll, fps):
    with pytest.raises(MotifError, match="give a positive number"):
        stroll.resample(fps)


def test_at_holds_the_ends(stroll):
    held = stroll.interpolate(torch.tensor([-3.0, 0.0, 89.0, 1000.0]))
    assert same(held.crop(0, 1), held.crop(1, 2))
    assert same(held.crop(2, 3), stroll.crop(-1))
    assert same(held.crop(3, 4), stroll.crop(-1))


# --- left and right
MIRRORED = {
    "tree": lambda: walk(tree(), 60, 30, 0),
    "quadruped": lambda: walk(quadruped(), 60, 30, 0),
    "bird": lambda: walk(bird(), 60, 30, 0),
    "sliding": lambda: sliding(walk(tree(), 60, 30, 0), tree().index("LeftHand")),
    "turned rest": lambda: walk(turned_tree(), 60, 30, 0),
    "under a node": lambda: under_a_node(walk(tree(), 60, 30, 0)),
    "along x": lambda: along_x(walk(tree(), 60, 30, 0)),
    "along x, another": lambda: along_x(walk(tree(), 60, 30, 3)),
    "along x, under a node": lambda: under_a_node(along_x(walk(tree(), 60, 30, 4))),
    "along x, one arm raised": lambda: along_x(salute()),
}


def turned_tree():
    """A biped that looks along +X in its natural pose."""
    s = tree()
    return build(
        s.names,
        s.parents,
        rotation.rotate(rotation.about("y", torch.tensor(math.pi / 2)), torch.tensor(s.offsets)).tolist(),
    )


def salute():
    """Arms down, but the left one is raised the whole time."""
    m = walk(tree(), 60, 30, 0)
    q = m.rotations.clone()
    q[:, m.skeleton.index("LeftArm")] = rotation.about("z", torch.tensor(1.4))
    q[:, m.skeleton.index("RightArm")] = rotation.about("z", torch.tensor(1.4))
    return replace(m, rotations=q)


@pytest.mark.parametrize("name", MIRRORED)
def test_mirror_is_the_world_flipped(name):
    m = MIRRORED[name]()
    s = m.skeleton
    body = list(s.subtree(s.root))
    flipped = m.mirror().world()[1][:, list(s.mirror)] * FLIP
    assert torch.allclose(flipped[:, body], m.world()[1][:, body], atol=2e-5)


@pytest.mark.parametrize("name", MIRRORED)
def test_mirror_twice_is_nothing(name):
    m = MIRRORED[name]()
    assert same(m.mirror().mirror(), m)


def test_mirror_moves_the_left_foot_to_the_right(stroll):
    s = stroll.skeleton
    left, right = s.index("LeftToeBase"), s.index("RightToeBase")
    p, mirrored = stroll.world()[1], stroll.mirror().world()[1]
    assert torch.allclose(mirrored[:, right], p[:, left] * FLIP, atol=1e-5)
    assert not torch.allclose(mirrored[:, right], p[:, right] * FLIP, atol=0.05)
    assert torch.allclose(stroll.mirror().heading(), -stroll.heading(), atol=1e-4)


@pytest.mark.parametrize("folder", ["Bandai-Namco-Research-Motiondataset-1", "Bandai-Namco-Research-Motiondataset-2"])
def test_mirror_of_real_clips_without_a_zero_pose(corpora, folder):
    files = sorted((corpora / folder / "data").glob("*.bvh"))
    if not files:
        pytest.skip(f"needs {folder}")
    for path in files[:: max(len(files) // 6, 1)]:
        m = api.load(path).crop(0, 120)
        flipped = m.mirror().world()[1][:, list(m.skeleton.mirror)] * FLIP
        assert float((flipped - m.world()[1])[:, 1:].abs().max()) < 0.01 * m.skeleton.height, path.name


def test_mirror_needs_pairs():
    with pytest.raises(MotifError, match="no left/right pairs to mirror"):
        walk(chain(), 5, 30, 0).mirror()


# --- place
def test_place_turns_then_shifts(stroll):
    placed = stroll.transform(0.7, (1.0, 2.0, 3.0))
    turn = rotation.about("y", torch.tensor(0.7))
    expected = rotation.rotate(turn, stroll.world()[1]) + torch.tensor([1.0, 2.0, 3.0])
    assert torch.allclose(placed.world()[1], expected, atol=1e-5)
    assert same(placed.transform(translation=(-1, -2, -3)).transform(-0.7), stroll)


@pytest.mark.parametrize("name", [*RIGS, "under a node", "along x"])
@pytest.mark.parametrize("frame", [0, 31])
def test_align(name, frame):
    m = walk(RIGS[name](), 60, 30, 1) if name in RIGS else MIRRORED[name]()
    aligned = m.transform(2.0, (3.0, 0.5, -1.0)).align(frame)
    root = aligned.world()[1][frame, aligned.skeleton.root]
    assert abs(math.remainder(float(aligned.heading()[frame]), 2 * math.pi)) < 1e-3
    assert float(root[[0, 2]].abs().max()) < 1e-4
    assert torch.allclose(aligned.world()[1].diff(dim=0).norm(dim=-1), m.world()[1].diff(dim=0).norm(dim=-1), atol=1e-4)


def test_floor_and_ground(stroll):
    s = stroll.skeleton
    q, p = rotation.identity(40, 24), s.offset_tensor().repeat(40, 1, 1)
    p[:, 0, 1] += 0.5 + 0.2 * torch.linspace(-1, 1, 40).clamp(min=0)  # stands, then rises
    standing = Motion(s, q, p, 1 / 30)
    lowest = float(s.rest_positions[:, 1].min())
    assert standing.floor() == pytest.approx(lowest + 0.5, abs=1e-5)
    assert standing.ground().floor() == pytest.approx(0, abs=1e-5)
    assert same(standing.ground().transform(translation=(0, standing.floor(), 0)), standing)
    assert walk(RIGS["star"](), 20, 30, 0).ground().floor() == pytest.approx(0, abs=1e-5)  # no contacts: any joint


# --- heading
@pytest.mark.parametrize("name", [*RIGS, "under a node", "along x"])
@pytest.mark.parametrize("turn", [0.3, -2.0, math.pi, 40.0])
def test_turning_the_world_adds_the_turn(name, turn):
    m = walk(RIGS[name](), 60, 30, 1) if name in RIGS else MIRRORED[name]()
    gained = m.transform(turn).heading() - m.heading()
    assert torch.allclose(torch.cos(gained - turn), torch.ones(60), atol=1e-6)
    assert torch.allclose(gained, gained[:1].expand(60), atol=1e-3)


def test_turning_the_world_adds_the_turn_through_a_somersault():
    m = walk(tree(), 90, 30, 0)
    q = m.rotations.clone()
    q[:, 0] = rotation.mul(q[:, 0], rotation.about("x", torch.linspace(0, 2 * math.pi, 90)))
    flip = replace(m, rotations=q)
    assert float(flip.heading().diff().abs().max()) < 0.5
    for turn in (0.5, -2.5):
        gained = flip.transform(turn).heading() - flip.heading() - turn
        assert float((gained / (2 * math.pi) - (gained / (2 * math.pi)).round()).abs().max()) < 1e-3


def test_heading_of_a_rig_built_turned():
    s = turned_tree()
    still = Motion(s, rotation.identity(2, 24), s.offset_tensor().repeat(2, 1, 1), 1 / 30)
    assert still.heading().tolist() == pytest.approx([math.pi / 2] * 2, abs=1e-5)
    assert still.transform(1.0).heading().tolist() == pytest.approx([math.pi / 2 + 1] * 2, abs=1e-5)


def test_heading_counts_turns():
    s = tree()
    q, p = rotation.identity(200, 24), s.offset_tensor().repeat(200, 1, 1)
    q[:, 0] = rotation.about("y", torch.linspace(0, 15, 200))
    assert torch.allclose(Motion(s, q, p, 1 / 30).heading(), torch.linspace(0, 15, 200), atol=1e-3)
    assert unwrap(torch.tensor([3.0, -3.0, 3.0])).tolist() == pytest.approx([3.0, 2 * math.pi - 3, 3.0])


def test_bending_forward_does_not_turn():
    m = walk(tree(), 60, 30, 0)
    q = m.rotations.clone()
    q[:, 0] = rotation.about("x", torch.linspace(0, 1.4, 60))
    assert float(replace(m, rotations=q).heading().abs().max()) < 1e-4


# --- seams
@pytest.mark.parametrize("rig", RIGS)
@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_loop_has_no_jump(rig, seconds):
    m = walk(RIGS[rig](), 90, 30, 2)
    looped = m.loop(seconds)
    assert len(looped) == 90
    assert torch.allclose(looped.positions[:60], m.positions[:60], atol=1e-6)  # only the end is bent
    twice = looped.repeat(180)
    assert len(twice) == 180
    assert torch.allclose(twice.rotations[90:, 1:], twice.rotations[:90, 1:], atol=1e-5)
    step, kick = largest_step(looped)
    assert seam(twice, 90)[0] <= 1.01 * step
    assert seam(twice, 90)[1] <= 1.01 * kick
    unbent = seam(m.repeat(180), 90)
    if rig != "two":
        assert unbent[1] > 2 * seam(twice, 90)[1]  # there was something to mend


def test_a_loop_goes_on_as_a_walk(stroll):
    looped = stroll.loop()
    path = looped.repeat(270).world()[1][:, 0]
    first, second = path[90] - path[0], path[180] - path[90]
    assert math.isclose(float(first.norm()), float(second.norm()), rel_tol=1e-3)
    assert float(path[:, 1].max() - path[:, 1].min()) < 0.2  # height closes, and does not drift


@pytest.mark.parametrize("name", [*RIGS, "under a node", "along x"])
def test_concat(name):
    a = walk(RIGS[name](), 60, 30, 0) if name in RIGS else MIRRORED[name]()
    b = replace(a, rotations=a.rotations.flip(0), positions=a.positions.flip(0)).transform(1.0, (5.0, 0.0, -3.0))
    both = Motion.concat([a, b, a], blend=0.4)
    assert len(both) == 180
    assert identical(both.crop(0, 60), a)
    own = max(largest_step(a)[0], largest_step(b)[0])
    kick = max(largest_step(a)[1], largest_step(b)[1])
    for frame in (60, 120):
        assert seam(both, frame)[0] <= 1.1 * own
        assert seam(both, frame)[1] <= 1.1 * kick
    root = both.world()[1][:, a.skeleton.root]
    assert float((root[60] - root[59]).norm()) <= 1.1 * own


def test_concat_settles_into_the_later_clip(stroll):
    other = walk(tree(), 60, 30, 5)
    both = Motion.concat([stroll, other], blend=0.2)
    tail = both.crop(90 + 7)
    assert torch.allclose(tail.rotations[:, 1:].abs(), other.rotations[7:, 1:].abs(), atol=1e-4)
    assert torch.allclose(tail.heading().diff(), other.crop(7).heading().diff(), atol=1e-4)


def test_concat_of_a_real_clip_mends_the_seam():
    clip = jumps()
    a, b = clip.crop(0, 150), clip.crop(400, 600)
    joined, hard = Motion.concat([a, b]), Motion.concat([a, b], blend=0)
    assert identical(joined.crop(0, 150), a)
    assert seam(joined, 150)[1] < 0.5 * seam(hard, 150)[1]


def test_concat_refuses_what_does_not_fit(stroll):
    with pytest.raises(MotifError, match="joints differ"):
        Motion.concat([stroll, walk(quadruped(), 10, 30, 0)])
    with pytest.raises(MotifError, match=r"at 30.000 fps and 'walk' at 60.000 fps; resample\(\)"):
        Motion.concat([stroll, walk(tree(), 10, 60, 0)])
    with pytest.raises(MotifError, match="give at least one"):
        Motion.concat([])
    assert Motion.concat([stroll]) is stroll


def test_single_frames_join():
    one = walk(tree(), 1, 30, 0)
    assert len(Motion.concat([one, one, one])) == 3
    assert len(one.loop().repeat(5)) == 5
    assert bool(one.loop().rotations.isfinite().all())
    assert one.heading().shape == (1,)


# --- values
def test_motions_must_fit_their_rig(stroll):
    with pytest.raises(MotifError, match="do not fit a rig of 24 joints"):
        Motion(stroll.skeleton, stroll.rotations[:, :5], stroll.positions[:, :5], 1 / 30)
    with pytest.raises(MotifError, match="T at least 1"):
        replace(stroll, rotations=stroll.rotations[:0], positions=stroll.positions[:0])
    for frame_time in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(MotifError, match="expected a positive number"):
            replace(stroll, frame_time=frame_time)


def test_rate_rig_and_spelling_stay():
    clip = jumps()
    for made in (clip.crop(5, 50), clip.mirror(), clip.align(), clip.ground(), clip.loop(), clip.transform(1.0)):
        assert made.frame_time == clip.frame_time
        assert made.skeleton is clip.skeleton
        assert made.file_format == clip.file_format


@pytest.mark.parametrize("name", ["under a node", "along x"])
def test_other_spellings_are_the_same_motion(name):
    m = walk(tree(), 60, 30, 0)
    odd = MIRRORED[name]()
    assert torch.allclose(odd.world()[1][:, -24:], m.world()[1], atol=1e-5)
    assert odd.skeleton.height == pytest.approx(m.skeleton.height, rel=0.25)


def test_nothing_changes_in_place(stroll):
    q, p = stroll.rotations.clone(), stroll.positions.clone()
    for tool in (
        lambda: stroll.transform(1.0, (1, 1, 1)), stroll.align, stroll.ground, stroll.mirror, stroll.loop,
        lambda: stroll.resample(24), lambda: stroll.repeat(100),
        lambda: guess_rig(stroll.skeleton, stroll.rotations, stroll.positions),
        lambda: Motion.concat([stroll, stroll]),
    ):  # fmt: skip
        tool()
        assert torch.equal(stroll.rotations, q)
        assert torch.equal(stroll.positions, p)


def test_retiming_is_faster_and_as_sharp():
    clip = jumps()
    fast = clip.retime(1.25)
    assert len(fast) == round(len(clip) / 1.25)
    assert torch.allclose(fast.world()[1][::4], clip.world()[1][::5][: len(fast.world()[1][::4])], atol=2e-3)
    assert torch.equal(
        clip.retime(1.0).rotations.round(decimals=5), clip.rotations.round(decimals=5)
    ) or torch.allclose(clip.retime(1.0).world()[1], clip.world()[1], atol=1e-4)
    there_and_back = clip.retime(0.5).retime(2.0)
    assert float((there_and_back.world()[1] - clip.world()[1]).abs().max()) < 1e-2
    for speed in (0.0, -1.0, float("nan")):
        with pytest.raises(MotifError, match="positive number"):
            clip.retime(speed)


def test_upsampled_motion_does_not_shake(clips):
    clip = api.load(clips / "xia-normal.bvh")
    coarse = clip.resample(30)
    shake = {}
    for name, fine in {"spline": coarse.resample(clip.fps), "slerp": coarse.interpolate(torch.arange(357) / 4)}.items():
        assert len(fine) == 357
        assert torch.allclose(fine.world()[1], clip.world()[1][:357], atol=0.006)
        shake[name] = float(fine.world()[1].diff(n=3, dim=0).norm(dim=-1).mean())
    own = float(clip.world()[1].diff(n=3, dim=0).norm(dim=-1).mean())
    assert shake["spline"] < own < 0.2 * shake["slerp"]
