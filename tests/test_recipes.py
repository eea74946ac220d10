"""Every engine on the shelf, on every rig. Only the demo clip is real here: it is all that every machine has."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from motif import api, matching, metrics, rotation
from motif.edit import Constraint, Edit
from motif.errors import MotifError
from motif.motion import Motion
from rigs import RIGS, walk

RECIPES = ["clip-match", "clip-gan", "clip-flow"]
"""Those that take any rig; the papers' own have their own tests."""
FEW = {
    "clip-match": {},
    "clip-gan": {"steps": 15, "batch": 4, "width": 16},
    "clip-flow": {"steps": 60, "batch": 4, "width": 32},
}
"""Dials for tests of everything but quality."""


@pytest.fixture(scope="module")
def clip():
    return api.demo_clip()


def jerk(motion):
    return motion.world()[1].diff(n=3, dim=0).norm(dim=-1).mean(-1)


@pytest.mark.parametrize("engine", RECIPES)
@pytest.mark.parametrize("rig", RIGS)
def test_takes_of_any_rig(engine, rig):
    exemplar = walk(RIGS[rig](), frames=150, fps=30, seed=0)
    takes = api.vary(exemplar, n=2, seconds=7.3, seed=1, engine=engine, **FEW[engine])
    assert [len(t) for t in takes] == [219, 219]
    for take in takes:
        assert take.skeleton is exemplar.skeleton
        assert bool(take.rotations.isfinite().all())
        assert bool(take.positions.isfinite().all())
        assert torch.allclose(take.rotations.norm(dim=-1), torch.ones(()), atol=1e-4)
        assert take.frame_time == exemplar.frame_time
        bones = (take.positions - exemplar.positions[0])[
            :, [j for j in range(len(take.skeleton)) if j != take.skeleton.root]
        ]
        assert float(bones.abs().max()) < 1e-3 * take.skeleton.height
        assert float(jerk(take).mean()) < 3 * float(jerk(exemplar).mean()) + 1e-4
    assert float((takes[0].rotations - takes[1].rotations).abs().max()) > 1e-3


@pytest.mark.parametrize("engine", RECIPES)
@pytest.mark.parametrize("rig", RIGS)
def test_kept_joints_and_frames_are_exact_on_any_rig(engine, rig):
    exemplar = walk(RIGS[rig](), frames=150, fps=30, seed=0)
    piece = exemplar.crop(30, 60)
    edit = Edit(seconds=6, constraints=(Constraint(piece, start=20), Constraint(exemplar.crop(80, 110), start=110)))
    for take in api.vary(exemplar, n=2, edit=edit, seed=3, engine=engine, **FEW[engine]):
        world, truth = take.world()[1], exemplar.world()[1]
        assert float((world[20:50] - truth[30:60]).abs().max()) < 1e-4 * take.skeleton.height
        assert float((world[110:140] - truth[80:110]).abs().max()) < 1e-4 * take.skeleton.height
        assert torch.equal(take.rotations[20:50], piece.rotations)
        assert float(world.diff(dim=0).norm(dim=-1).max()) < 4 * float(truth.diff(dim=0).norm(dim=-1).max()) + 0.02
    last = exemplar.skeleton.names[-1]
    for take in api.vary(exemplar, n=1, edit=Edit.keep(exemplar, joints=[last]), seed=3, engine=engine, **FEW[engine]):
        assert torch.equal(take.rotations[:, -1], exemplar.rotations[:, -1])


def test_the_demo_clip_as_it_ships(clip):
    takes = api.vary(clip, n=4, seed=1)
    numbers = metrics.score(takes, [clip])
    assert numbers["coverage"] > 0.98
    assert numbers["precision"] > 0.9
    assert 0.8 < numbers["jerk_ratio"] < 1.15
    assert numbers["slip_ratio"] < 1.25


@pytest.mark.parametrize("engine", RECIPES)
def test_seeds(engine, clip):
    short = clip.crop(0, 200)
    a, b, c = (api.vary(short, n=2, seconds=5, seed=s, engine=engine, **FEW[engine]) for s in (1, 1, 2))
    assert all(torch.equal(x.rotations, y.rotations) and torch.equal(x.positions, y.positions) for x, y in zip(a, b))
    assert not torch.equal(a[0].rotations, c[0].rotations)


@pytest.mark.parametrize("engine", RECIPES)
def test_a_loop_has_no_seam(engine, clip):
    for take in api.vary(clip, n=2, seconds=8, seed=2, edit=Edit(loop=True), engine=engine, **FEW[engine]):
        twice = take.repeat(2 * len(take))
        seam = slice(len(take) - 4, len(take) + 2)
        assert float(jerk(twice)[seam].max()) < 1.1 * float(jerk(clip).max())  # a landing may fall on it


@pytest.mark.parametrize("engine", RECIPES)
def test_several_clips_are_mixed_and_their_borders_are_not(engine, clip):
    first, second = clip.crop(0, 200), clip.crop(400, 600)
    takes = api.vary([first, second], n=2, seed=1, engine=engine, **FEW[engine])
    assert len(takes[0]) == 800
    assert metrics.score(takes, [first, second])["coverage"] > (0.9 if engine == "clip-match" else 0.3)
    with pytest.raises(MotifError, match="resample"):
        api.vary([first, second.resample(24)], engine=engine, **FEW[engine])
    other = replace(second, skeleton=replace(second.skeleton, names=tuple(f"x{n}" for n in second.skeleton.names)))
    with pytest.raises(MotifError, match="not the same rig"):
        api.vary([first, other], engine=engine, **FEW[engine])


def breaks(variety):
    """How often a start leaves one stretch of a clip of 55 coarse frames for another."""
    frames = matching.Matcher(variety=variety)._shuffled(torch.arange(55.0)[:, None], 110, 11, 2, 1, 0)[:, 0]
    assert len(frames) == 110
    assert set(frames.tolist()) == set(range(55))
    return int((frames.diff() != 1).sum())


def test_dials_do_what_they_say(clip):
    counts = [breaks(v) for v in (0.0, 0.4, 1.0)]
    assert counts == sorted(counts)
    assert counts[0] <= 4 < counts[2]
    part = metrics.score(api.vary(clip, n=3, seconds=11, seed=1, completeness=0.0, variety=0.9), [clip])
    whole = metrics.score(api.vary(clip, n=3, seconds=11, seed=1, completeness=1.0, variety=0.9), [clip])
    assert whole["coverage"] > part["coverage"]


def test_no_two_takes_are_alike_and_none_is_the_clip(clip):
    for variety in (0.0, 0.4):
        takes = api.vary(clip, n=4, seed=0, variety=variety)
        places = [t.world()[1][:600] for t in takes]
        assert all(float((a - b).abs().max()) > 0.1 for i, a in enumerate(places) for b in places[:i])
    novelty = [metrics.score([t], [clip])["novelty"] for t in api.vary(clip, n=6, seed=0)]
    assert min(novelty) > 0.01


def test_the_foot_lock_takes_slip_away(clip):
    locked = metrics.score(api.vary(clip, n=2, seed=1, variety=0.9), [clip])["slip_ratio"]
    free = metrics.score(api.vary(clip, n=2, seed=1, variety=0.9, foot_lock=False), [clip])["slip_ratio"]
    assert locked < free


def test_legs_kept_throughout_leave_arms_new(clip):
    edit = Edit.keep(clip, joints=["lower"])
    one, two = api.vary(clip, n=2, seed=1, edit=edit)
    lower, upper = list(clip.skeleton.parts["lower"]), list(clip.skeleton.parts["upper"])
    assert torch.equal(one.world()[1][:, lower], clip.world()[1][:, lower])
    assert float(rotation.geodesic(one.rotations[:, upper], clip.rotations[:, upper]).mean()) > 0.02
    assert float(rotation.geodesic(one.rotations[:, upper], two.rotations[:, upper]).mean()) > 0.02


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda m: Edit(seconds=-1), "Edit.seconds is -1"),
        (lambda m: Edit(joint_weights={"tail": 1}), "no joint 'tail'"),
        (lambda m: Edit(joint_weights={"upper": -1}), "at least 0"),
        (lambda m: Edit(seconds=1, constraints=(Constraint(m),)), r"Edit.constraints\[0\]: frames 0 to 688"),
        (lambda m: Edit(constraints=(Constraint(m.resample(24)),)), r"Edit.constraints\[0\].*resample"),
        (lambda m: Edit(constraints=(Constraint(m.crop(0, 9), ()),)), r"Edit.constraints\[0\]: no joints"),
        (
            lambda m: Edit(constraints=(Constraint(m.crop(0, 9)), Constraint(m.crop(0, 9), start=5))),
            r"Edit.constraints\[1\] overlaps",
        ),
        (
            lambda m: Edit(constraints=(Constraint(walk(RIGS["chain"](), 30, 30, 0)),)),
            r"Edit.constraints\[0\]: .*another rig",
        ),
    ],
)
def test_edits_that_cannot_be_met_name_the_field(clip, edit, says):
    with pytest.raises(MotifError, match=says):
        api.vary(clip, edit=edit(clip))


def test_too_short_a_clip_says_how_long(clip):
    with pytest.raises(MotifError, match=r"too short.*at least 3 frames"):
        api.vary(clip.crop(0, 2))
    assert len(api.vary(clip.crop(0, 3), n=1)[0]) == 6


# --- the matcher's parts against their definitions -------------------------------------------------------------------
@pytest.mark.parametrize("block", [1 << 18, 300])
@pytest.mark.parametrize("kept", [1 << 26, 0])
@pytest.mark.parametrize("loop", [False, True])
def test_nearest_is_the_definition(monkeypatch, block, kept, loop):
    monkeypatch.setattr(matching, "BLOCK", block)
    monkeypatch.setattr(matching, "KEPT", kept)
    random = torch.Generator().manual_seed(1)
    x, bank = torch.randn(40, 5, generator=random), torch.randn(30, 5, generator=random)
    within = matching._within_clips([18, 12], 4)
    found = matching._nearest(x, bank, 4, within, 0.1, loop)
    rows = [[(i + s) % 40 for s in range(4)] for i in range(40 if loop else 37)]
    columns = [j for j in range(27) if not 15 <= j < 18]
    assert within.nonzero().flatten().tolist() == columns
    d = torch.tensor([[float(((x[r] - bank[j : j + 4]) ** 2).sum() / 4) for j in columns] for r in rows])
    slow = (d / (0.1 + d.amin(0))).argmin(1)
    assert found.tolist() == [columns[k] for k in slow]


@pytest.mark.parametrize("loop", [False, True])
def test_average_and_vote_of_an_unbroken_run_are_the_exemplar(loop):
    random = torch.Generator().manual_seed(0)
    table = torch.randn(60, 3, generator=random)
    places = torch.arange(20) if not loop else torch.cat((torch.arange(10), torch.arange(10)))
    voted = matching.overlap_add(table, places, 5, loop, 2, hann=True)
    if not loop:
        assert torch.allclose(voted, table[:48], atol=1e-5)
        bank = table[::2]
        assert torch.allclose(matching.overlap_add(bank, places[None], 5, False)[0], bank[:24], atol=1e-5)
    else:
        assert voted.shape == (40, 3)
        assert torch.allclose(voted[8:20], table[8:20], atol=1e-5)


def test_unevenly_long_takes_end_where_asked(clip):
    at_60 = clip.interpolate(torch.arange(2 * len(clip) - 1) / 2)
    at_60 = replace(at_60, frame_time=clip.frame_time / 2)
    for seconds in (3.0, 3.02, 3.05):
        (take,) = api.vary(at_60, n=1, seconds=seconds)
        assert len(take) == round(seconds * 60)
    assert isinstance(take, Motion)
    assert math.isclose(take.fps, 60, rel_tol=1e-6)


# --- streams ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("engine", RECIPES)
@pytest.mark.parametrize("rig", ["quadruped", "snake"])
def test_streams_never_jump_and_repeat_with_their_seed(engine, rig):
    exemplar = walk(RIGS[rig](), frames=240, fps=30, seed=0)
    model = api.fit(engine, exemplar, 1, **FEW[engine])
    poses, again, other = (list(itertools.islice(model.stream(s), 400)) for s in (3, 3, 4))
    assert all(torch.equal(a.rotations, b.rotations) for a, b in zip(poses, again))
    assert not torch.equal(poses[-1].rotations, other[-1].rotations)
    take = Motion(
        exemplar.skeleton,
        torch.stack([p.rotations for p in poses]),
        torch.stack([p.positions for p in poses]),
        exemplar.frame_time,
    )
    fastest = float(exemplar.world()[1].diff(dim=0).norm(dim=-1).max())
    assert float(take.world()[1].diff(dim=0).norm(dim=-1).max()) < 2 * fastest


def test_a_stream_is_as_good_as_a_take(clip):
    stream = api.fit("clip-match", clip).stream(1)
    poses = list(itertools.islice(stream, 900))
    take = replace(
        clip, rotations=torch.stack([p.rotations for p in poses]), positions=torch.stack([p.positions for p in poses])
    )
    numbers = metrics.score([take], [clip])
    assert numbers["precision"] > 0.8
    assert numbers["jerk_ratio"] < 1.3
    assert numbers["slip_ratio"] < 1.5


# --- dials -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("engine", RECIPES)
def test_dials_can_be_turned_after_fitting(engine, clip):
    model = api.fit(engine, clip, 1, **FEW[engine])
    near, far = (model.turned(variety=v, tempo=0.0).sample(3, seed=1) for v in (0.0, 1.0))
    assert metrics.score(far, [clip])["novelty"] > metrics.score(near, [clip])["novelty"]
    assert model.turned(variety=None, tempo=None).recipe == model.recipe
    for dial in ("variety", "tempo", "completeness"):
        with pytest.raises(MotifError, match=f"{dial} is 1.5; give a number from 0 to 1"):
            model.turned(**{dial: 1.5})
        with pytest.raises(MotifError, match=f"{dial} is -1; give a number from 0 to 1"):
            api.fit(engine, clip, **{dial: -1})
    with pytest.raises(MotifError, match="has no dial 'patches'"):
        model.turned(patches=3)


@pytest.mark.parametrize("engine", ["clip-gan", "clip-flow"])
def test_counts_that_make_no_sense_are_named(engine, clip):
    with pytest.raises(MotifError, match="steps is 0; it is at least 1"):
        api.fit(engine, clip, steps=0)
    with pytest.raises(MotifError, match="levels is -1; it is at least 0"):
        api.fit(engine, clip, levels=-1)
