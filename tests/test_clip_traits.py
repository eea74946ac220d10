"""What a clip is like: whether it repeats itself, keeps its heading, walks in place."""

import math
from dataclasses import replace

import pytest
import torch

from motif import api, clip_traits, rotation
from motif.edit import Edit, Trajectory
from motif.features import Features
from rigs import RIGS, walk


def in_place(motion):
    """Return a walk with its travel taken out."""
    features = Features.of([motion])
    x = features.encode(motion)
    x[:, features.slices["root_velocity"]] = 0
    return features.motion(x, motion.frame_time, name="in place")


def test_a_walk_repeats_itself_and_a_single_move_does_not(clips):
    assert clip_traits.repeats(api.load(clips / "Walk-In-Circle.bvh")) > 0.9
    salsa = api.load(clips / "Salsa-Dancing-6.bvh")
    once = salsa.crop(0, round(1.5 / salsa.frame_time))
    assert clip_traits.repeats(once) < 0.2
    assert any("comes again" in problem or "long" in problem for problem in api.info(once)["problems"])
    assert not api.takes_problems(salsa)


def test_a_walk_in_place_goes_at_the_speed_of_its_feet(clips):
    real = api.load(clips / "xia-normal.bvh")
    assert clip_traits.in_place_velocity(real) is None
    assert clip_traits.travelling(real) is real
    placed = in_place(real)
    path = real.world()[1][:, real.skeleton.root, [0, 2]]
    speed = float((path[-1] - path[0]).norm()) / (real.frame_time * (len(real) - 1))
    velocity = clip_traits.in_place_velocity(placed)
    assert velocity is not None
    assert float(velocity.norm()) == pytest.approx(speed, rel=0.25)
    assert api.info(placed)["in_place_speed"] == pytest.approx(float(velocity.norm()), abs=1e-3)
    assert api.info(real)["in_place_speed"] is None
    take = api.fit("clip-match", [placed]).sample(1, edit=Edit(trajectory=Trajectory([(0.0, 0.0), (0.0, 6.0)])))[0]
    at = take.world()[1][:, take.skeleton.root]
    assert float(at[-1, 2] - at[0, 2]) == pytest.approx(6.0, abs=0.3)
    assert take.seconds == pytest.approx(6.0 / speed, rel=0.4)


def test_takes_of_a_clip_that_faces_one_way_do(clips):
    clip = api.load(clips / "xia-normal.bvh")
    span = clip_traits.heading_span([clip])
    assert span is not None
    for take in api.fit("clip-match", [clip]).sample(3, 20.0):
        turned = take.heading() - take.heading()[0]
        assert float(turned.abs().max()) < span + math.radians(8)
    assert clip_traits.heading_span([api.load(clips / "Walk-In-Circle.bvh")]) is None


def test_a_cycle_is_told():
    motion = walk(RIGS["quadruped"](), 60, 30.0, 0)
    cycle = replace(motion.select(torch.cat((torch.arange(60), torch.zeros(1, dtype=torch.long)))))
    assert clip_traits.is_cycle(cycle)
    turned = rotation.mul(rotation.about("x", torch.tensor(1.0)), cycle.rotations[-1])
    rotations = torch.cat((cycle.rotations[:-1], turned[None]))
    assert not clip_traits.is_cycle(replace(cycle, rotations=rotations))
