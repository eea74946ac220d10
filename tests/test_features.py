from dataclasses import replace

import pytest
import torch

from motif import io, resample, rotation
from motif.errors import MotifError
from motif.features import Features, Start
from motif.motion import Motion
from motif.paper_features import MIXAMO_24, PAPER_RIGS, PaperFeatures
from rigs import RIGS, along_x, build, sliding, tree, under_a_node, walk


def mixamo():
    """The papers' 24 joints with a finger that they leave out."""
    s = tree()
    parents = {n: (s.names[s.parents[s.names.index(n)]] if s.parents[s.names.index(n)] >= 0 else None) for n in s.names}
    names = [*MIXAMO_24, "LeftHandIndex1"]
    index = [MIXAMO_24.index(parents[n]) if parents[n] else -1 for n in MIXAMO_24] + [MIXAMO_24.index("LeftHand")]
    offsets = [s.offsets[s.names.index(n)] for n in MIXAMO_24] + [(0.1, 0, 0)]
    return build([f"mixamorig:{n}" for n in names], index, offsets)


SPELLINGS = {
    **{name: lambda name=name: walk(RIGS[name](), 80, 30, 0) for name in RIGS},
    "under a node": lambda: under_a_node(walk(tree(), 80, 30, 0)),
    "along x": lambda: along_x(walk(tree(), 80, 30, 0)),
    "sliding under a node": lambda: under_a_node(sliding(walk(RIGS["bird"](), 80, 30, 0))),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_round_trip(name):
    motion = SPELLINGS[name]().transform(0.7, (2, 0, 1))
    features = Features.of([motion])
    x = features.encode(motion)
    assert x.shape == (80, features.width)
    back = features.motion(x, motion.frame_time, features.start(motion))
    assert torch.allclose(back.world()[1], motion.world()[1], atol=1e-4 * motion.skeleton.height)
    rotations, positions = features.decode(x.expand(2, 3, -1, -1), motion.frame_time)
    assert rotations.shape == (2, 3, 80, len(motion.skeleton), 4)
    assert positions.shape == (2, 3, 80, len(motion.skeleton), 3)
    assert torch.allclose(rotations[1, 2], features.decode(x, motion.frame_time)[0], atol=1e-6)


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("turn", [2.1, -0.4, 9.0])
def test_place_and_heading_leave_no_trace(name, turn):
    motion = SPELLINGS[name]()
    features = Features.of([motion])
    assert torch.allclose(features.encode(motion), features.encode(motion.transform(turn, (5, 0, -4))), atol=2e-3)


def test_a_batch_starts_where_it_is_told():
    motion = walk(tree(), 30, 30, 0)
    features = Features.of([motion])
    x = features.encode(motion).expand(2, -1, -1)
    start = Start(torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.0]), torch.tensor([0.0, 1.5]))
    root = features.decode(x, motion.frame_time, start)[1][:, 0, 0]
    assert root[:, [0, 2]].tolist() == [[1, 3], [-2, 0]]
    facing = features.trajectory(x, motion.frame_time, start)[0]
    assert torch.allclose(facing[1] - facing[0], torch.full((30,), 1.5, dtype=torch.float64))


def test_a_single_frame():
    motion = walk(tree(), 1, 30, 0)
    features = Features.of([motion, walk(tree(), 20, 30, 0)])
    x = features.encode(motion)
    assert float(x[:, features.slices["root_velocity"]].abs().max()) == 0
    assert torch.allclose(features.motion(x, 1 / 30, features.start(motion)).world()[1], motion.world()[1], atol=1e-5)


def test_still_joints_cost_no_channels():
    motion = walk(tree(), 60, 30, 0)
    q = motion.rotations.clone()
    still = motion.skeleton.select(["limb:LeftShoulder"])
    q[:, list(still)] = rotation.exp(torch.tensor([0.1, 0.2, 0.3]))
    held = Motion(motion.skeleton, q, motion.positions, motion.frame_time)
    features = Features.of([held])
    assert set(features.rotating) == set(range(1, 24)) - set(still)
    assert torch.allclose(features.decode(features.encode(held), 1 / 30)[0][:, list(still)], q[:, list(still)])
    both = Features.of([held, motion])
    assert set(both.rotating) == set(range(1, 24))


def test_joints_that_slide_are_kept():
    motion = walk(tree(), 60, 30, 0)
    positions = motion.positions.clone()
    positions[:, 8, 1] += 0.1 * torch.sin(torch.arange(60) / 5)
    sliding = Motion(motion.skeleton, motion.rotations, positions, motion.frame_time)
    features = Features.of([sliding])
    assert features.translating == (8,)
    back = features.motion(features.encode(sliding), 1 / 30, features.start(sliding))
    assert torch.allclose(back.world()[1], sliding.world()[1], atol=1e-4)


def test_slices_cover_every_channel_once():
    features = Features.of([walk(tree(), 60, 30, 0)])
    covered = [c for part in features.slices.values() for c in range(part.start, part.stop)]
    assert covered == list(range(features.width))
    assert features.channel_weights().shape == (features.width,)
    assert bool((features.channel_weights() >= 0).all())
    arm = features.channel_weights({"upper": 0.0})
    assert float(arm.sum()) < float(features.channel_weights().sum())


def test_velocities_are_right_at_every_level():
    motion = walk(tree(), 240, 30, 0)
    features = Features.of([motion])
    x = features.encode(motion)
    truth = motion.world()[1][-1, 0] - motion.world()[1][0, 0]
    for frames in (160, 120, 60):
        coarse = resample.resize(x, frames)
        _, path = features.trajectory(coarse, motion.frame_time * 240 / frames, features.start(motion))
        gone = (path[-1] - path[0]).float()
        assert float((gone - truth)[[0, 2]].norm()) < 0.05 * float(truth[[0, 2]].norm())


def test_path_length_stays_at_half_the_rate():
    motion = walk(tree(), 240, 30, 0)
    features = Features.of([motion])

    def length(m):
        x = features.encode(m)
        return float(features.trajectory(x, m.frame_time)[1][:, [0, 2]].diff(dim=0).norm(dim=-1).sum()) / m.seconds

    assert length(motion.resample(15)) == pytest.approx(length(motion), rel=0.03)


def test_weights_turn_channels_into_metres():
    s = tree()
    features = Features.of([walk(s, 60, 30, 0)])
    at, w = features.slices, features.channel_weights()
    turned = w[at["rotations"]].unflatten(0, (-1, 6))[:, 0]
    shoulder, hand = (features.rotating.index(s.index(n)) for n in ("LeftArm", "LeftHand"))
    assert float(turned[shoulder]) == pytest.approx(0.28 + 0.25)  # what hangs below it
    assert float(turned[hand]) == 0
    assert float(w[at["root_velocity"]][0]) == pytest.approx(0.3)
    double = features.channel_weights({"limb:LeftShoulder": 2.0, "LeftForeArm": 3.0})[at["rotations"]].unflatten(
        0, (-1, 6)
    )[:, 0]
    assert float(double[shoulder]) == pytest.approx(2 * float(turned[shoulder]))
    fore = features.rotating.index(s.index("LeftForeArm"))
    assert float(double[fore]) == pytest.approx(6 * float(turned[fore]))
    with pytest.raises(MotifError, match="weights are at least 0"):
        features.channel_weights({"upper": -1.0})
    with pytest.raises(MotifError, match="did you mean 'upper'"):
        features.channel_weights({"uper": 1.0})


@pytest.mark.parametrize("name", SPELLINGS)
def test_nothing_is_mixed_from_two_devices(name):
    motion = SPELLINGS[name]()
    features = Features.of([motion])
    there = replace(motion, rotations=motion.rotations.to("meta"), positions=motion.positions.to("meta"))
    x = features.encode(there)
    assert x.device.type == "meta"
    assert all(t.device.type == "meta" for t in features.decode(x.expand(2, -1, -1), 1 / 30, Start(1.0, 0.0, 2.0)))
    assert there.heading().device.type == there.resample(24).rotations.device.type == "meta"


def test_decoding_trains_after_inference():
    motion = walk(tree(), 20, 30, 0)
    features = Features.of([motion])
    with torch.inference_mode():
        x = features.encode(motion)
        features.decode(x, 1 / 30)
    x = x.clone().requires_grad_()
    motion.skeleton.fk(*features.decode(x, 1 / 30))[1].square().sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_rigs_must_be_one():
    with pytest.raises(MotifError, match="not the same rig"):
        Features.of([walk(tree(), 30, 30, 0), walk(RIGS["star"](), 30, 30, 0)])


# --- the papers' layout ----------------------------------------------------------------------------------------------
def test_paper_layout_is_the_papers():
    motion = walk(mixamo(), 50, 30, 0)
    paper = PaperFeatures.of(motion.skeleton)
    x = paper.encode(motion)
    assert x.shape == (50, 174)
    assert paper.skeleton.names == MIXAMO_24
    t, j = 7, 13
    rows = rotation.to_matrix(motion.rotations[t, j])[:2].flatten()
    assert torch.allclose(x[t, 6 * j : 6 * j + 6], rows)
    toes = [MIXAMO_24.index(n) for n in PAPER_RIGS["mixamo"][1]]
    step = (motion.world()[1][t, toes] - motion.world()[1][t - 1, toes]).norm(dim=-1)
    assert x[t, 144:168:6].tolist() == (step < 0.018).float().tolist()
    assert float(x[:, [c for c in range(144, 168) if (c - 144) % 6]].abs().max()) == 0
    path = motion.positions[:, 0]
    expected = torch.stack((path[t, 0] - path[t - 1, 0], path[t, 1], path[t, 2] - path[t - 1, 2]))
    assert torch.allclose(x[t, 168:171], expected, atol=1e-6)
    assert torch.equal(x[0, [168, 170]], x[1, [168, 170]])
    assert float(x[:, 171:].abs().max()) == 0
    back = paper.decode(x, float(path[0, 0]), float(path[0, 2]))
    assert torch.allclose(back.world()[1], motion.world()[1][:, :24], atol=1e-4)


def test_the_papers_pose_stays_on_its_device_and_comes_back_to_the_whole_rig():
    motion = walk(mixamo(), 50, 30, 0)
    paper = PaperFeatures.of(motion.skeleton)
    x = paper.encode(motion)
    there = replace(motion, rotations=motion.rotations.to("meta"), positions=motion.positions.to("meta"))
    assert all(t.device.type == "meta" for t in paper.pose(paper.encode(there)))
    assert paper.contact_labels(x).shape == (50, 4)
    whole = paper.expand(*paper.pose(x), like=motion)
    assert whole.skeleton is motion.skeleton
    assert torch.allclose(whole.rotations[:, :24].abs(), motion.rotations[:, :24].abs(), atol=1e-4)
    assert torch.equal(whole.rotations[:, 24:], motion.rotations[:1, 24:].expand(50, -1, -1))


def test_paper_layout_refuses_other_rigs():
    with pytest.raises(MotifError, match="use motif's own features"):
        PaperFeatures.of(RIGS["quadruped"]())


def test_paper_numbers_of_the_salsa(clips):
    motion = io.load(clips / "Salsa-Dancing-6.bvh").resample(30)
    x = PaperFeatures.of(motion.skeleton).encode(motion)
    assert x.shape == (648, 174)
    assert [round(v, 2) for v in x[:, 144:168:6].mean(0).tolist()] == [0.64, 0.58, 0.65, 0.60]
    amplitudes, before = [], None
    for frames in resample.level_lengths(648):
        level = resample.resize(x, frames, antialias=False)
        up = 0 if before is None else resample.resize(before, frames, antialias=False)
        amplitudes.append(float((level - up).square().mean().sqrt()))
        before = level
    assert [round(a, 4) for a in amplitudes] == [0.5430, 0.0503, 0.0363, 0.0274, 0.0201, 0.0149, 0.0157]
