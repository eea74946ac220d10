"""Crowds: no two bodies touch, at any frame, on any rig."""

import pytest
import torch

from motif import api, crowd
from motif.errors import MotifError
from rigs import RIGS, walk


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
    takes = model.crowd(12, 3.0, seed=2, gap=0.05)
    assert [len(t) for t in takes] == [90] * 12
    assert nearest(takes) > 0.05 + 1.9 * crowd.FLESH * clip.skeleton.height
    again = model.crowd(12, 3.0, seed=2, gap=0.05)
    assert all(torch.equal(a.positions, b.positions) for a, b in zip(takes, again))
    assert len({round(float(t.heading()[0]), 3) for t in takes}) == 12


def test_capsules_hold_every_joint():
    take = walk(RIGS["bird"](), 100, 30, 1)
    flat = take.world()[1][..., (0, 2)]
    centre, reach = crowd.capsules(flat, take.frame_time, take.skeleton.height)
    block = torch.arange(100) // max(round(crowd.BLOCK * 30), 1)
    far = (flat - centre[block][:, None]).norm(dim=-1).amax(1)
    assert bool((far + crowd.FLESH * take.skeleton.height <= reach[block] + 1e-5).all())


def test_crowds_that_cannot_be():
    clip = walk(RIGS["tree"](), 60, 30, 0)
    with pytest.raises(MotifError, match="one length"):
        crowd.arrange([clip, clip.crop(0, 30)])
    with pytest.raises(MotifError, match="gap is -1"):
        crowd.arrange([clip, clip], gap=-1)
    with pytest.raises(MotifError, match="spread is 1"):
        api.fit("clip-match", clip).crowd(2, 2.0, spread=1)
