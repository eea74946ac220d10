import math
from dataclasses import replace

import pytest
import torch

from motif import api, contact, metrics, rotation
from motif.errors import MotifError
from motif.metrics import physical, realism


@pytest.fixture(scope="module")
def clip():
    return api.demo_clip()


def slid(motion, speed):
    """The motion with its root drifting sideways at ``speed`` m/s."""
    shift = torch.arange(len(motion))[:, None] * motion.frame_time * torch.tensor([speed, 0.0, 0.0])
    positions = motion.positions.clone()
    positions[:, 0] += shift
    return replace(motion, positions=positions)


def shaken(motion, radians, seed=0):
    """The motion with noise on every joint."""
    noise = torch.randn(motion.rotations.shape[:2] + (3,), generator=torch.Generator().manual_seed(seed))
    return replace(motion, rotations=rotation.mul(motion.rotations, rotation.exp(noise * radians)))


def test_a_copy_is_perfect_and_not_new(clip):
    numbers = metrics.score([clip], [clip])
    assert numbers == {"slip_ratio": 1.0, "jerk_ratio": 1.0, "coverage": 1.0, "precision": 1.0, "novelty": 0.0}


@pytest.mark.parametrize(
    ("degrade", "amounts", "key", "rising"),
    [
        (slid, (0.1, 0.3, 1.0), "slip_ratio", True),
        (shaken, (0.01, 0.03, 0.1), "jerk_ratio", True),
        (shaken, (0.1, 0.3, 1.0), "precision", False),
        (shaken, (0.1, 0.3, 1.0), "coverage", False),
    ],
)
def test_each_measure_moves_with_its_own_fault(clip, degrade, amounts, key, rising):
    values = [metrics.score([clip], [clip])[key]] + [metrics.score([degrade(clip, a)], [clip])[key] for a in amounts]
    assert values == sorted(values, reverse=not rising)
    assert abs(values[-1] - values[0]) > 0.3


def test_scores_do_not_depend_on_place_heading_or_order(clip):
    a, b = clip.crop(0, 300), clip.crop(200, 600)
    here = metrics.score([a, b], [clip])
    there = metrics.score([b.place(2.0, (3, 0, -1)), a.place(-1.0)], [clip])
    assert here == pytest.approx(there, abs=0.02)


def test_slip_of_a_sliding_foot_is_its_speed(clip):
    still = clip.take(torch.zeros(60, dtype=torch.long))
    level = contact.floors(clip.world()[1], clip.skeleton)
    speed, supported = physical.slip(slid(still, 0.5), level)
    assert bool(supported.all())
    assert speed.mean().item() == pytest.approx(0.5, rel=1e-3)


def test_jerk_of_a_cubic(clip):
    still = clip.take(torch.zeros(50, dtype=torch.long))
    t = torch.arange(50) * still.frame_time
    positions = still.positions.double()
    positions[:, 0, 0] += t.double() ** 3
    motion = replace(still, positions=positions, rotations=still.rotations.double())
    assert physical.jerk(motion).mean().item() == pytest.approx(6.0, rel=1e-3)


def test_window_errors_are_the_definition():
    errors = torch.rand(20, 15, generator=torch.Generator().manual_seed(0))
    fast = realism.window_errors(errors, 6)
    slow = torch.tensor([[sum(errors[i + s, k + s] for s in range(6)) / 6 for k in range(10)] for i in range(15)])
    assert torch.allclose(fast, slow, atol=1e-6)


def test_frame_errors_are_mean_joint_errors_plus_travel():
    a, b = torch.rand(4, 3, 3), torch.rand(5, 3, 3)
    fast = realism.frame_errors(a, b)
    for i in range(4):
        for k in range(5):
            joint = sum(math.dist(a[i, j].tolist(), b[k, j].tolist()) for j in range(2)) / 2
            assert float(fast[i, k]) == pytest.approx(joint + math.dist(a[i, 2].tolist(), b[k, 2].tolist()), abs=1e-5)


def test_what_cannot_be_scored_says_why(clip):
    with pytest.raises(MotifError, match="nothing to score: 0 takes"):
        metrics.score([], [clip])
    with pytest.raises(MotifError, match="resample"):
        metrics.score([clip.resample(24)], [clip])
    small = replace(clip.skeleton, names=tuple(f"x{n}" for n in clip.skeleton.names))
    with pytest.raises(MotifError, match="joints differ"):
        metrics.score([replace(clip, skeleton=small)], [clip])


def test_short_clips_score_nan_not_nonsense(clip):
    numbers = metrics.score([clip.crop(0, 2)], [clip])
    assert math.isnan(numbers["precision"])
    assert math.isnan(numbers["novelty"])
    assert math.isnan(numbers["jerk_ratio"])
