"""Ground that is not level: stairs with a landing and a way down, a slope, a box."""

from dataclasses import replace

import pytest
import torch

from motif import api, contact, ground, metrics
from motif.edit import Edit
from motif.features import Features
from rigs import RIGS, climb, walk

UP = [0.17 * k for k in range(1, 7)]
GROUNDS = {
    "stairs": UP + [UP[-1]] * 4 + UP[-2::-1] + [0.0] * 4,
    "slope": [0.07 * k for k in range(1, 13)] + [0.84 - 0.07 * k for k in range(1, 13)],
    "way up": [0.0] * 4 + UP + [UP[-1]] * 4 + [UP[-1] + y for y in UP] + [2 * UP[-1]] * 3,
    "box": [0.0] * 4 + [0.5] * 5 + [0.0] * 5,
}


@pytest.fixture(scope="module", params=GROUNDS)
def clip(request):
    return replace(climb(GROUNDS[request.param]), name=request.param)


def vertical_speeds(motion):
    """Return how fast the root rises and falls at most over a tenth of a second, m/s."""
    y, k = motion.world()[1][:, motion.skeleton.root, 1], round(0.1 / motion.frame_time)
    speed = (y[k:] - y[:-k]) / (k * motion.frame_time)
    return float(speed.max()), float(-speed.min())


def resting_wobble(motion):
    """Return by how much a resting joint's height changes while it rests, metres: the mean over all rests."""
    world, s = motion.world()[1], motion.skeleton
    feet = world[:, list(s.contacts)]
    on = ground.resting(feet, world[:, s.root, 1], s, motion.frame_time)
    found = []
    for c in range(on.shape[1]):
        edges = torch.nn.functional.pad(on[:, c].int(), (1, 1)).diff()
        for a, b in zip((edges == 1).nonzero()[:, 0], (edges == -1).nonzero()[:, 0], strict=True):
            found.append(float(feet[a:b, c, 1].max() - feet[a:b, c, 1].min()))
    assert found
    return sum(found) / len(found)


def test_what_is_uneven():
    for name, levels in GROUNDS.items():
        assert ground.is_uneven(climb(levels)), name
    assert not ground.is_uneven(climb([0.0] * 12))
    assert not ground.is_uneven(climb([0.0, 0.05] * 6)), "a kerb is level ground"
    for name, rig in RIGS.items():
        assert not ground.is_uneven(walk(rig(), 300, 30.0, 1)), name


def test_real_clips_stand_on_level_ground(clips):
    for path in clips.glob("*.bvh"):
        motion = api.load(path)
        assert not ground.is_uneven(motion), path
        assert api.info(motion)["level_ground"]
        assert Features.of([motion]).slices["ground_velocity"] == slice(4, 4)


def test_heights_are_those_of_the_stairs():
    motion = climb(GROUNDS["stairs"])
    _, root, feet = motion.root_and_feet
    height = ground.heights(feet, root[:, 1], motion.skeleton, motion.frame_time)
    assert float(height[:30].mean()) == pytest.approx(0.02, abs=0.01)
    assert float(height.max()) == pytest.approx(0.02 + UP[-1], abs=0.03)
    assert float(height[-30:].mean()) == pytest.approx(0.02, abs=0.01)


def test_features_come_back(clip):
    features = Features.of([clip])
    assert features.raised and features.uneven == (clip.name == "way up")
    back = features.motion(features.encode(clip), clip.frame_time, features.start(clip))
    assert float((back.world()[1] - clip.world()[1]).abs().max()) < 1e-3
    if not features.uneven:
        return
    x = features.encode(clip)
    at = features.slices["root_height"]
    assert float(x[:, at].max() - x[:, at].min()) < 0.35, "heights are over the ground"
    joined = features.encode(clip.transform(0.0, (0.0, 3.0, 0.0)))
    assert float((joined - x).abs().max()) < 1e-3, "and where the ground is does not matter"


def test_takes_rise_and_fall_as_the_clip_does(clip):
    own = vertical_speeds(clip)
    takes = api.fit("clip-match", [clip]).sample(3, 30.0, seed=1)
    for take in takes:
        assert all(new <= 1.2 * old for new, old in zip(vertical_speeds(take), own, strict=True))
        assert resting_wobble(take) < resting_wobble(clip) + 0.01
    report = metrics.report(takes, [clip], published=False)
    assert report.physical["rise_ratio"] < 1.2
    assert report.physical["seams"] == 0
    assert report.headline["precision"] > 0.8
    assert not any("rises or falls" in words for words in report.verdict())


def test_nobody_floats_where_the_clip_comes_down():
    clip = climb(GROUNDS["box"])
    s, takes = clip.skeleton, api.vary([clip], 6, 10.0)
    for take in takes:
        _, root, feet = take.root_and_feet
        height = ground.heights(feet, root[:, 1], s, take.frame_time)
        low, high = 0.02, 0.52
        away = torch.minimum((height - low).abs(), (height - high).abs())[~_changes(height)]
        assert float(away.max()) < 0.06, f"{take.name} stands between the floor and the box, or under or over them"


def _changes(height):
    step = torch.nn.functional.pad(height.diff().abs() > 0.004, (1, 0))
    return contact.smooth(step[:, None].float(), 8.0)[:, 0] > 0.01


def test_a_drop_is_named(clip):
    ease = torch.arange(len(clip)).sub(60).div(20).clamp(0, 1)
    fallen = clip.positions.clone()
    fallen[:, clip.skeleton.root, 1] -= 2 * ease
    report = metrics.report([replace(clip, positions=fallen, name="fallen")], [clip], published=False)
    assert report.physical["rise_ratio"] > 1.3
    named = [words for words in report.verdict() if "rises or falls" in words]
    assert named and "from 2." in named[0]


def test_what_is_kept_stays_on_its_step(clip):
    seconds = clip.seconds
    take = api.fit("clip-match", [clip]).sample(1, edit=Edit.inpaint(clip, 3.0, seconds - 3.0))[0]
    s, world, true = clip.skeleton, take.world()[1], clip.world()[1]
    assert torch.equal(take.rotations[:85], clip.rotations[:85])
    assert float((world[:85] - true[:85]).norm(dim=-1).max()) < 1e-4 * s.height
    kept = slice(len(clip) - 80, len(clip))
    assert float((world[kept, :, 1] - true[kept, :, 1]).abs().max()) < 1e-4 * s.height
    assert max(vertical_speeds(take)) < 1.5 * max(vertical_speeds(clip))


def test_learned_recipes_go_up_and_down(clip):
    from motif.recipes.clip_gan import ClipGan

    take = api.fit(ClipGan(steps=15, batch=4, width=16), [clip]).sample(1, 8.0)[0]
    assert float(take.world()[1][:, take.skeleton.root, 1].diff().abs().max()) < 0.2


def test_a_stream_goes_on_at_its_height():
    clip = climb([0.17 * k for k in range(1, 20)])
    model, previous = api.fit("clip-match", [clip]), None
    for _, pose in zip(range(600), model.stream(seed=2), strict=False):
        y = float(clip.skeleton.fk(pose.rotations[None], pose.positions[None])[1][0, clip.skeleton.root, 1])
        assert previous is None or abs(y - previous) < 0.05
        previous = y
    assert previous is not None and previous > 2.0, "stairs that only go up lead up"


def test_contacts_of_level_clips_are_as_they_were():
    motion = walk(RIGS["tree"](), 90, 30.0, 0)
    features = Features.of([motion])
    labels = contact.labels(motion.root_and_feet[2], motion.skeleton, motion.frame_time)
    assert torch.equal(features.encode(motion)[:, features.slices["contacts"]], labels.to(torch.float32))
