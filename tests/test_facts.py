"""What is measured in a motion: mirrored, turned and slowed down as the motion is, and right for real clips."""

import importlib
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motif import MotifError, api, rotation
from motif.curate import root_facts
from motif.curate.facts import Facts, directions, facts, lean
from motif.motion import Motion
from rigs import RIGS, along_x, climb, jumps, standing_on, tree, under_a_node, walk

REAL = ("Walk-In-Circle.bvh", "xia-normal.bvh", "xia-proud.bvh", "Baseball-Milling-Idle.bvh", "Salsa-Dancing-6.bvh")


def near(a: Facts, b: Facts, rate: float = 1.0, loose: float = 1e-3) -> list[str]:
    """What differs between facts, speeds and rates of the second scaled."""
    wrong = []
    for name, scale in (("seconds", 1 / rate), ("distance", 1), ("speed", rate), ("step_rate", rate), ("climbed", 1)):
        x, y = getattr(a, name) * scale, getattr(b, name)
        if abs(x - y) > loose * max(1.0, abs(x)):
            wrong.append(f"{name}: {x} {y}")
    for name in ("turn", "turned_left", "turned_right"):
        if abs(getattr(a, name) - getattr(b, name)) > 100 * loose:
            wrong.append(f"{name}: {getattr(a, name)} {getattr(b, name)}")
    words = (
        "activity",
        "direction",
        "path",
        "jumps",
        "crouches",
        "bows",
        "steps",
        "busy",
        "arms",
        "legs",
        "start",
        "end",
    )
    wrong += [f"{n}: {getattr(a, n)} {getattr(b, n)}" for n in words if getattr(a, n) != getattr(b, n)]
    for x, y in zip(a.limbs, b.limbs, strict=True):
        said = ("name", "side", "raised", "raises")
        if abs(x.repeats - y.repeats) > 10 * loose * x.repeats:  # exact but for rigs that are not quite symmetric
            wrong.append(f"{x.name} repeats: {x.repeats} {y.repeats}")
        wrong += [f"{x.name} {n}: {getattr(x, n)} {getattr(y, n)}" for n in said if getattr(x, n) != getattr(y, n)]
        if abs(x.way - y.way) > loose * max(1.0, x.way) or abs(x.rate * rate - y.rate) > loose * max(1.0, y.rate):
            wrong.append(f"{x.name}: way {x.way} {y.way}, rate {x.rate * rate} {y.rate}")
    return wrong


def still(rig, seconds: float = 4.0) -> Motion:
    frames = round(30 * seconds)
    q = torch.zeros(frames, len(rig), 4)
    q[..., 0] = 1
    return Motion(rig, q, rig.offset_tensor().expand(frames, -1, -1).clone(), 1 / 30, "still")


def waving(side: str, times: int) -> Motion:
    """The biped raises an arm, waves the forearm, and lowers it again."""
    motion = still(tree(), 6.0)
    t = torch.arange(len(motion)) / 30
    sign = 1.0 if side == "Left" else -1.0
    up = torch.minimum((t / 1.0).clamp(0, 1), ((6.0 - t) / 1.0).clamp(0, 1))
    waves = ((t > 1.5) & (t < 4.5)) * torch.sin(2 * math.pi * times / 3 * (t - 1.5))
    q, rig = motion.rotations.clone(), motion.skeleton
    other = "Right" if side == "Left" else "Left"
    q[:, rig.index(f"{side}Arm")] = rotation.about("z", sign * (-1.4 + up * 2.6))
    q[:, rig.index(f"{side}ForeArm")] = rotation.about("z", sign * 0.5 * waves)
    q[:, rig.index(f"{other}Arm")] = rotation.about("z", torch.full_like(t, sign * 1.4))
    return replace(motion, rotations=q)


@pytest.mark.parametrize("name", ["tree", "quadruped", "bird"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_mirrored_motion_has_the_mirrored_facts(name, seed):
    motion = walk(RIGS[name](), 150, 30.0, seed)
    assert not near(facts(motion).mirrored(), facts(motion.mirror()))


@pytest.mark.parametrize("name", REAL)
def test_a_mirrored_clip_has_the_mirrored_facts(clips, name):
    motion = api.load(clips / name)
    found = facts(motion)
    assert not near(found.mirrored(), facts(motion.mirror()), loose=0.03)
    assert not near(found, found.mirrored().mirrored(), loose=1e-6)


@pytest.mark.parametrize("name", sorted(RIGS))
def test_a_turned_motion_has_the_same_facts_on_any_rig(name):
    motion = walk(RIGS[name](), 120, 30.0, 2)
    assert not near(facts(motion), facts(motion.transform(2.1, (3.0, 0.0, -5.0))), loose=2e-3)


def test_other_spellings_and_rates_have_the_same_facts(clips):
    motion = api.load(clips / "Walk-In-Circle.bvh")
    assert not near(facts(motion), facts(motion.resample(30.0)), loose=0.05)
    biped = waving("Left", 5)
    for other in (under_a_node(biped), along_x(biped)):
        there = facts(other)
        arm = there.limb("left arm")
        assert (there.activity, there.arms, arm.repeats, arm.raised) == ("stands", "left", 5, "above the head")


@pytest.mark.parametrize("name", ["Walk-In-Circle.bvh", "xia-normal.bvh"])
@pytest.mark.parametrize("speed", [0.6, 1.4])
def test_a_retimed_clip_has_scaled_rates(clips, name, speed):
    motion = api.load(clips / name)
    before, after = facts(motion), facts(motion.retime(speed))
    assert after.seconds == pytest.approx(before.seconds / speed, rel=0.02)
    assert (after.activity, after.direction, after.steps) == (before.activity, before.direction, before.steps)
    assert after.path == before.path
    assert after.distance == pytest.approx(before.distance, rel=0.05)
    assert after.speed == pytest.approx(before.speed * speed, rel=0.07)
    assert after.step_rate == pytest.approx(before.step_rate * speed, rel=0.1)
    assert after.turn == pytest.approx(before.turn, abs=6.0)


@pytest.mark.parametrize(("side", "times"), [("Left", 4), ("Right", 4), ("Right", 7)])
def test_waves_are_counted_on_their_side(side, times):
    found = facts(waving(side, times))
    arm = found.limb(f"{side.lower()} arm")
    assert (found.activity, found.arms, arm.repeats, arm.raised) == ("stands", side.lower(), times, "above the head")
    assert arm.period == pytest.approx(3 / times, rel=0.15)
    assert found.limb(f"{'right' if side == 'Left' else 'left'} arm").raised == ""


def moved(direction: float, turn: float = 0.0) -> Motion:
    """The biped slides 3 m where it is told, seen from its body, turning on its way."""
    motion = still(tree())
    u = torch.linspace(0, 1, len(motion))
    yaw = u * turn
    course = yaw + direction
    step = torch.stack((course.sin(), torch.zeros_like(u), course.cos()), -1) * 3 / len(u)
    p, q = motion.positions.clone(), motion.rotations.clone()
    p[:, 0] += step.cumsum(0)
    q[:, 0] = rotation.about("y", yaw)
    return replace(motion, positions=p, rotations=q)


@pytest.mark.parametrize(
    ("degrees", "said"),
    [(0, "forward"), (90, "left"), (-90, "right"), (180, "backward"), (40, "forward left"), (-140, "backward right")],
)
def test_directions_are_seen_from_the_body(degrees, said):
    found = facts(moved(math.radians(degrees)).transform(0.8))
    assert (found.activity, found.direction, found.path) == ("travels", said, "straight")
    assert found.distance == pytest.approx(3.0, abs=0.3)
    assert found.body_heights == pytest.approx(found.distance / found.height)
    assert directions(found) == (said,)
    assert found.gait == "" and found.steps == 0  # it slides


@pytest.mark.parametrize(("degrees", "path"), [(90, "curve left"), (-90, "curve right"), (-400, "circle right")])
def test_turns_and_paths(degrees, path):
    found = facts(moved(0.0, math.radians(degrees)))
    assert found.turn == pytest.approx(degrees, abs=4) and found.path == path
    assert found.turn_side == path.split()[1]
    assert max(found.turned_left, found.turned_right) == pytest.approx(abs(degrees), abs=4)


def test_still_things_stand_and_odd_rigs_have_no_limbs():
    for name in RIGS:
        found = facts(still(RIGS[name]()))
        assert (found.activity, found.direction, found.path, found.jumps, found.steps) == ("stands", "", "", 0, 0), name
        assert found.busy == () and found.turn_side == "" and (found.arms, found.legs) == ("", "")
    assert facts(still(RIGS["snake"]())).limbs == ()
    names = {limb.name for limb in facts(still(RIGS["quadruped"]())).limbs}
    assert names >= {"front left leg", "back right leg", "head", "tail"}
    assert facts(still(RIGS["tree"]()).crop(0, 1)).activity == "stands"


def test_steps_and_climbs_are_counted():
    found = facts(climb([0.2, 0.4, 0.6, 0.8]))
    assert found.climbed == pytest.approx(0.8, abs=0.12) and found.descended == 0
    assert found.jumps == 0 and found.direction == "forward"
    level = facts(climb([0.0] * 6))
    assert level.climbed == 0 and level.steps == 7 and level.step_rate == pytest.approx(1 / 0.6, rel=0.1)


def test_jumps_of_a_real_clip():
    found = facts(jumps())
    assert 8 <= found.jumps <= 12 and found.start == "standing"


def test_postures_and_bows():
    rig, frames = tree(), 90
    u = (torch.linspace(-1, 1, frames).abs() * 2 - 0.5).clamp(0, 1)  # down and up again
    hips = torch.stack((torch.zeros(frames), 0.55 + 0.42 * u, torch.zeros(frames)), -1)
    feet = torch.tensor([[0.1, 0.1, 0.0], [-0.1, 0.1, 0.0]])[:, None].expand(2, frames, 3)
    squat = standing_on(rig, hips, feet, 30.0)
    assert facts(squat).crouches == 1
    assert (facts(squat).start, facts(squat.crop(0, 45)).end) == ("standing", "crouching")
    bow = still(rig, 3.0)
    q = bow.rotations.clone()
    q[:, rig.index("Spine")] = rotation.about("x", 1.2 * torch.sin(torch.linspace(0, math.pi, len(bow))))
    assert facts(replace(bow, rotations=q)).bows == 1
    assert float(lean(root_facts.Track.of(replace(bow, rotations=q))).max()) > 35
    lying = still(rig)
    q, p = lying.rotations.clone(), lying.positions.clone()
    q[:, 0], p[:, 0, 1] = rotation.about("x", torch.tensor(-math.pi / 2)), 0.15
    up = still(rig, 2.0)
    both = replace(lying, rotations=torch.cat((up.rotations, q)), positions=torch.cat((up.positions, p)))
    assert (facts(both).start, facts(both).end) == ("standing", "lying")


def test_zigzag_finds_extremes():
    assert root_facts.swings([0, 1, 5, 4, 5, 0, 1, 6], 3) == [5, -5, 6]
    assert root_facts.swings([0.0, 0.5, 0.2], 1) == []
    values = [0, 1, 5, 4, 5, 0, 1, 6]
    assert root_facts.swings([-v for v in values], 3) == [-5, 5, -6]


def test_a_frame_that_is_not_finite_is_refused():
    motion = still(tree())
    motion.positions[3, 0, 0] = math.nan
    with pytest.raises(MotifError, match="frame 3"):
        facts(motion)


def test_labels_by_name_agree_with_what_is_measured(corpora):
    root = Path(__file__).parents[1]
    rows = json.loads((root / "tests" / "cases" / "caption_labels.json").read_text())
    assert len(rows) == 100 and len({r["clip"] for r in rows}) == 100
    here = [r for r in rows if (corpora / r["clip"]).exists()]
    if len(here) < 100:
        pytest.skip("needs bandai-namco and cmu-mocap unpacked into .data")
    sys.path.insert(0, str(root / "benchmarks"))
    try:
        bench = importlib.import_module("captions")
    finally:
        sys.path.pop(0)
    good = 0
    for row in here:
        found = facts(api.load(corpora / row["clip"]))
        labels = [(what, label) for what, label in row.items() if what != "clip"]
        good += all(bench.agrees(what, label, bench.measured(found, what)) for what, label in labels)
    assert good >= 95
