"""Crowds: no two bodies touch, at any frame, on any rig."""

import math

import pytest
import torch

from motif import api, crowd
from motif.config import CrowdConfig
from motif.errors import MotifError
from motif.seeds import take_rng
from rigs import RIGS, jumps, walk


def nearest(takes):
    """Least distance on the ground between joints of two takes in the same frame, metres."""
    flat = torch.stack([t.world()[1][..., (0, 2)] for t in takes])
    far = torch.inf
    for frame in range(flat.shape[1]):
        for k in range(len(takes) - 1):
            others = flat[k + 1 :, frame].flatten(0, 1)
            far = min(far, float(torch.cdist(flat[k, frame], others).min()))
    return far


@pytest.mark.parametrize("rig", ["tree", "quadruped", "snake"])
def test_no_two_touch_at_any_frame(rig):
    clip = walk(RIGS[rig](), 120, 30, 0)
    model = api.fit("clip-match", clip)
    takes = model.crowd(12, 3.0, seed=2, config=CrowdConfig(gap=0.05))
    assert [len(t) for t in takes] == [90] * 12
    assert nearest(takes) > 0.05 + 1.9 * crowd.FLESH * clip.skeleton.height
    again = model.crowd(12, 3.0, seed=2, config=CrowdConfig(gap=0.05))
    assert all(torch.equal(a.positions, b.positions) for a, b in zip(takes, again))
    assert len({round(float(t.heading()[0]), 3) for t in takes}) == 12


def test_capsules_hold_every_joint():
    take = walk(RIGS["bird"](), 100, 30, 1)
    flat = take.world()[1][..., (0, 2)]
    centre, radius = crowd.capsules(flat, take.frame_time, take.skeleton.height)
    block = torch.arange(100) // max(round(crowd.BLOCK_SECONDS * 30), 1)
    far = (flat - centre[block][:, None]).norm(dim=-1).amax(1)
    assert bool((far + crowd.FLESH * take.skeleton.height <= radius[block] + 1e-5).all())


def test_crowds_that_cannot_be():
    clip = walk(RIGS["tree"](), 60, 30, 0)
    with pytest.raises(MotifError, match="one length"):
        crowd.arrange([clip, clip.crop(0, 30)])
    with pytest.raises(MotifError, match="gap is -1"):
        crowd.arrange([clip, clip], gap=-1)
    with pytest.raises(MotifError, match="spread is 1"):
        CrowdConfig(spread=1)
    with pytest.raises(MotifError, match="gap is nan"):
        CrowdConfig(gap=math.nan)
    with pytest.raises(MotifError, match="0 takes asked for"):
        api.fit("clip-match", clip).crowd(0, 2.0)
    with pytest.raises(MotifError, match=r"Edit.seconds is 0"):
        api.fit("clip-match", clip).crowd(2, 0.0)


def test_a_crowd_whose_length_is_no_whole_number_of_frames():
    takes = api.fit("clip-match", jumps().crop(0, 200)).crowd(47, seconds=1.22, seed=0)
    assert [len(t) for t in takes] == [37] * 47


def test_takes_are_long_enough_for_every_speed():
    """What a member at some speed leaves of its take, by the arithmetic of Motion.retime."""
    for spread in (0.0, 0.05, 0.1, 0.3, 0.9):
        for frames in [*range(1, 400), 1801, 9973]:
            source = crowd.source_frames(frames, 1 + spread)
            assert source <= frames * (1 + spread) + 1.5 + spread
            for seed in range(8):
                assert max(round(source / crowd.member_speed(spread, seed, seed)), 1) >= frames
            assert max(round(source / (1 + spread)), 1) >= frames
    take = jumps().crop(0, 120)
    for speed in (0.91, 1.0, 1.0371, 1.1):
        assert len(take.retime(speed)) == max(round(120 / speed), 1)


def test_heading_and_speed_do_not_depend_on_each_other():
    """They were drawn from the same generator, and so told each other; as did the take's own chance."""
    draws = torch.tensor(
        [
            [float(torch.rand(1, generator=take_rng(seed, k, stream))) for stream in range(3)]
            for seed in range(20)
            for k in range(30)
        ]
    )
    assert float((torch.corrcoef(draws.T) - torch.eye(3)).abs().max()) < 0.12
    clip = jumps().crop(0, 60)
    headings = torch.stack([t.heading()[0] for t in crowd.arrange([clip] * 40)]).remainder(2 * math.pi)
    speeds = torch.tensor([crowd.member_speed(0.1, 0, k) for k in range(40)])
    assert abs(float(torch.corrcoef(torch.stack((headings, speeds)))[0, 1])) < 0.4
    assert torch.equal(torch.rand(3, generator=take_rng(5, 2)), torch.rand(3, generator=take_rng(5, 2, 0)))


def test_how_a_crowds_takes_are_sampled_can_be_set():
    model = api.fit("clip-match", walk(RIGS["tree"](), 120, 30, 0))
    (plain,), (wild,) = (model.crowd(1, 2.0, config=CrowdConfig(variety=v)) for v in (None, 1.0))
    assert not torch.equal(plain.rotations, wild.rotations)


def test_a_crowd_that_is_too_long_is_refused_before_training():
    clip = jumps().crop(0, 60)
    with pytest.raises(MotifError, match="a crowd's takes last at most 3273 s"):
        api.check_request("clip-gan", clip, 2, 3500, config=CrowdConfig())
    api.check_request("clip-gan", clip, 2, 3500, config=CrowdConfig(spread=0.0))
