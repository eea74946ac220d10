"""Every recipe that takes any rig, on every rig. Only the demo clip is real here: it is all that every machine has."""

import itertools
import math
import os
import random
import signal
import time
from dataclasses import replace

import pytest
import torch

from motif import api, metrics, registry, rotation
from motif.config import SampleConfig
from motif.data.domain import Domain
from motif.edit import Constraint, Edit, Trajectory
from motif.errors import MotifError, Stopped
from motif.motion import Motion
from motif.recipes.clip_flow import ClipFlow
from motif.recipes.clip_gan import ClipGan
from motif.recipes.clip_match import ClipMatch
from rigs import RIGS, jumps, walk

RECIPES = {
    "clip-match": ClipMatch(),
    "clip-gan": ClipGan(steps=15, batch=4, width=16),
    "clip-flow": ClipFlow(steps=30, batch=4, width=32),
}
"""Those that take any rig, small; the papers' own have their own tests."""


@pytest.fixture(scope="module")
def clip():
    return jumps()


def jerk(motion):
    return motion.world()[1].diff(n=3, dim=0).norm(dim=-1).mean(-1)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("rig", RIGS)
def test_takes_of_any_rig(name, rig):
    exemplar = walk(RIGS[rig](), frames=150, fps=30, seed=0)
    takes = api.vary(exemplar, n=2, seconds=7.3, seed=1, recipe=RECIPES[name])
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


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("rig", RIGS)
def test_kept_joints_and_frames_are_exact_on_any_rig(name, rig):
    exemplar = walk(RIGS[rig](), frames=150, fps=30, seed=0)
    piece = exemplar.crop(30, 60)
    edit = Edit(seconds=6, constraints=(Constraint(piece, start=20), Constraint(exemplar.crop(80, 110), start=110)))
    for take in api.vary(exemplar, n=2, edit=edit, seed=3, recipe=RECIPES[name]):
        world, truth = take.world()[1], exemplar.world()[1]
        assert float((world[20:50] - truth[30:60]).abs().max()) < 1e-4 * take.skeleton.height
        assert float((world[110:140] - truth[80:110]).abs().max()) < 1e-4 * take.skeleton.height
        assert torch.equal(take.rotations[20:50], piece.rotations)
        assert float(world.diff(dim=0).norm(dim=-1).max()) < 4 * float(truth.diff(dim=0).norm(dim=-1).max()) + 0.02
    last = exemplar.skeleton.names[-1]
    for take in api.vary(exemplar, n=1, edit=Edit.keep(exemplar, joints=[last]), seed=3, recipe=RECIPES[name]):
        assert torch.equal(take.rotations[:, -1], exemplar.rotations[:, -1])


def test_the_demo_clip_as_it_ships(clip):
    takes = api.vary(clip, n=4, seed=1)
    numbers = metrics.score(takes, [clip])
    assert numbers["coverage"] > 0.98
    assert numbers["precision"] > 0.9
    assert 0.8 < numbers["jerk_ratio"] < 1.15
    assert numbers["slip_ratio"] < 1.25


@pytest.mark.parametrize("name", RECIPES)
def test_seeds(name, clip):
    short = clip.crop(0, 200)
    a, b, c = (api.vary(short, n=2, seconds=5, seed=s, recipe=RECIPES[name]) for s in (1, 1, 2))
    assert all(torch.equal(x.rotations, y.rotations) and torch.equal(x.positions, y.positions) for x, y in zip(a, b))
    assert not torch.equal(a[0].rotations, c[0].rotations)


@pytest.mark.parametrize("name", RECIPES)
def test_a_loop_has_no_seam(name, clip):
    for take in api.vary(clip, n=2, seconds=8, seed=2, edit=Edit(loop=True), recipe=RECIPES[name]):
        twice = take.repeat(2 * len(take))
        seam = slice(len(take) - 4, len(take) + 2)
        assert float(jerk(twice)[seam].max()) < 1.1 * float(jerk(clip).max())  # a landing may fall on it


@pytest.mark.parametrize("name", RECIPES)
def test_several_clips_are_mixed_and_their_borders_are_not(name, clip):
    first, second = clip.crop(0, 200), clip.crop(400, 600)
    takes = api.vary([first, second], n=2, seed=1, recipe=RECIPES[name])
    assert len(takes[0]) == 800
    assert metrics.score(takes, [first, second])["coverage"] > (0.9 if name == "clip-match" else 0.3)
    with pytest.raises(MotifError, match="resample"):
        api.vary([first, second.resample(24)], recipe=RECIPES[name])
    other = replace(second, skeleton=replace(second.skeleton, names=tuple(f"x{n}" for n in second.skeleton.names)))
    with pytest.raises(MotifError, match="not the same rig"):
        api.vary([first, other], recipe=RECIPES[name])


def test_completeness_shows_more_of_the_clip(clip):
    part, whole = (
        metrics.score(api.vary(clip, 3, 11, 1, config=SampleConfig(completeness=c, variety=0.9)), [clip])
        for c in (0.0, 1.0)
    )
    assert whole["coverage"] > part["coverage"]


def test_no_two_takes_are_alike_and_none_is_the_clip(clip):
    for variety in (0.0, 0.4):
        takes = api.vary(clip, n=4, seed=0, config=SampleConfig(variety=variety))
        places = [t.world()[1][:600] for t in takes]
        assert all(float((a - b).abs().max()) > 0.1 for i, a in enumerate(places) for b in places[:i])
    novelty = [metrics.score([t], [clip])["novelty"] for t in api.vary(clip, n=6, seed=0)]
    assert min(novelty) > 0.01


def test_the_foot_lock_takes_slip_away(clip):
    locked = metrics.score(api.vary(clip, n=2, seed=1, config=SampleConfig(variety=0.9)), [clip])["slip_ratio"]
    free = metrics.score(api.vary(clip, n=2, seed=1, config=SampleConfig(foot_lock=False, variety=0.9)), [clip])[
        "slip_ratio"
    ]
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


def test_unevenly_long_takes_end_where_asked(clip):
    at_60 = clip.interpolate(torch.arange(2 * len(clip) - 1) / 2)
    at_60 = replace(at_60, frame_time=clip.frame_time / 2)
    for seconds in (3.0, 3.02, 3.05):
        (take,) = api.vary(at_60, n=1, seconds=seconds)
        assert len(take) == round(seconds * 60)
    assert isinstance(take, Motion)
    assert math.isclose(take.fps, 60, rel_tol=1e-6)


# --- streams ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("rig", ["quadruped", "snake"])
def test_streams_never_jump_and_repeat_with_their_seed(name, rig):
    exemplar = walk(RIGS[rig](), frames=240, fps=30, seed=0)
    model = api.fit(RECIPES[name], exemplar, 1)
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


@pytest.mark.parametrize("name", RECIPES)
def test_a_state_can_be_kept_and_stepped_twice(name, clip):
    model = api.fit(RECIPES[name], clip.crop(0, 300), 1)
    state, kept, poses = model.start(5), {}, []
    for k in range(220):  # beyond the second block
        if k in (0, 7, 17, 18, 60, 107, 108, 199):
            kept[k] = state
        pose, state = model.step(state)
        poses.append(pose)
    for k, state in reversed(kept.items()):  # in another order, each for some frames
        for expected in poses[k : k + 30]:
            pose, state = model.step(state)
            assert torch.equal(pose.rotations, expected.rotations)
            assert torch.equal(pose.positions, expected.positions)
    streamed = itertools.islice(model.stream(5), 220)
    assert all(torch.equal(a.rotations, b.rotations) for a, b in zip(streamed, poses, strict=True))
    with pytest.raises(MotifError, match="takes no control"):
        model.step(model.start(5), control=(1.0, 0.0))


def test_what_cannot_stream_says_so(clip):
    for name in ("ganimator", "sinmdm"):
        model = api.Model(name, registry.recipe(name), Domain.of([clip]), None, torch.nn.Module())
        with pytest.raises(MotifError, match=f"{name} cannot stream; clip-match, clip-gan and clip-flow can"):
            model.start()
        with pytest.raises(MotifError, match=f"{name} cannot stream"):
            model.stream()


def test_who_asks_at_the_clips_rate_does_not_wait(clip):
    """Every block is made while the one before is played."""
    stream = api.fit("clip-match", clip.crop(0, 300)).stream(1)
    for _ in range(3):
        next(stream)
    waits = []
    for k in range(230):
        before = time.perf_counter()
        next(stream)
        waits.append(time.perf_counter() - before)
        if k % 10 == 0:
            time.sleep(0.1)  # ten poses in 0.1 s: three times the clip's rate
    assert sorted(waits)[-3] < 0.02


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


# --- sampling parameters and requests --------------------------------------------------------------------------------
@pytest.mark.parametrize("name", RECIPES)
def test_sampling_parameters_can_be_set_after_fitting(name, clip):
    model = api.fit(RECIPES[name], clip, 1)
    near, far = (model.sample(3, seed=1, config=SampleConfig(variety=v, tempo=0.0)) for v in (0.0, 1.0))
    assert metrics.score(far, [clip])["novelty"] > metrics.score(near, [clip])["novelty"]
    (plain,), (default,) = model.sample(seed=2), model.sample(seed=2, config=model.recipe.defaults)
    assert torch.equal(plain.rotations, default.rotations)
    for parameter in ("variety", "tempo", "completeness"):
        with pytest.raises(MotifError, match=f"{parameter} is 1.5; give a number from 0 to 1"):
            SampleConfig(**{parameter: 1.5})
        with pytest.raises(MotifError, match=f"{parameter} is -1; give a number from 0 to 1"):
            SampleConfig(**{parameter: -1})
    with pytest.raises(MotifError, match="has no parameter 'patches'"):
        registry.with_params(name, {"patches": 3})


@pytest.mark.parametrize("recipe", [ClipGan, ClipFlow])
def test_counts_that_make_no_sense_are_named(recipe):
    with pytest.raises(MotifError, match="steps is 0; it is at least 1"):
        recipe(steps=0)
    with pytest.raises(MotifError, match="levels is -1; it is at least 0"):
        recipe(levels=-1)


@pytest.mark.parametrize("name", ["clip-gan", "clip-flow"])
def test_the_same_seed_gives_the_same_model_whatever_the_clock_says(name, clip, monkeypatch):
    """Precision was a race between fp32 and bf16."""
    weights = []
    for turn in range(4):
        clock = random.Random(turn)
        for tick in ("perf_counter", "monotonic", "time"):
            monkeypatch.setattr(time, tick, lambda clock=clock: clock.uniform(0, 1e6))
        model = api.fit(RECIPES[name], clip.crop(0, 200), 1)
        monkeypatch.undo()
        weights.append((model.precision, model.net.state_dict()))
    assert all(p == weights[0][0] for p, _ in weights)
    assert all(torch.equal(w[k], weights[0][1][k]) for _, w in weights for k in w)


@pytest.mark.parametrize("name", ["clip-gan", "clip-flow"])
def test_a_run_does_not_go_on_with_other_hyper_parameters(name, clip, tmp_path):
    """The decay of the average changes what is learned, and was not part of what a run is known by."""
    short, config = clip.crop(0, 200), api.TrainConfig(precision="fp32", device="cpu")

    def stop(progress):
        if progress.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped):
        api.fit(RECIPES[name], short, 1, config, tmp_path, stop)
    for changed in (replace(RECIPES[name], ema=0.9), replace(RECIPES[name], lr=0.1)):
        with pytest.raises(MotifError, match="other clips or settings"):
            api.fit(changed, short, 1, config, tmp_path)
    for other in (clip.crop(0, 201), replace(short, frame_time=1 / 29)):
        with pytest.raises(MotifError, match="other clips or settings"):
            api.fit(RECIPES[name], other, 1, config, tmp_path)
    whole, cut = (api.fit(RECIPES[name], short, 1, config, folder) for folder in (None, tmp_path))
    assert all(torch.equal(v, cut.net.state_dict()[k]) for k, v in whole.net.state_dict().items())
    averaged = api.fit(replace(RECIPES[name], ema=0.5), short, 1, config)
    assert any(not torch.equal(v, averaged.net.state_dict()[k]) for k, v in whole.net.state_dict().items())


def test_what_a_net_was_trained_with_cannot_be_changed(clip):
    model = api.fit(RECIPES["clip-gan"], clip.crop(0, 200), 1)
    with pytest.raises(AttributeError):
        model.recipe.levels = 3
    with pytest.raises(TypeError):
        SampleConfig(levels=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", RECIPES)
def test_variety_means_one_thing_to_the_matcher(name):
    """A net's matcher kept the diversity noise of clip-match's default."""
    recipe = RECIPES[name]
    for variety in (0.0, 0.2, 0.7):
        config = recipe.match_config(SampleConfig(variety=variety))
        assert config.diversity == variety
        assert config.reorder == (variety if name == "clip-match" else 0.0)
        patch = 15 if name == "clip-match" else round(7 * 4.43 ** (1 - variety))
        assert config.patch == patch
    assert recipe.match_config(SampleConfig()).diversity == recipe.defaults.variety


def test_recipes_are_found_by_what_they_share():
    assert registry.resolve("clip-gan") == ("clip-gan", ClipGan())
    assert registry.resolve(ClipGan(steps=3))[0] == "clip-gan"
    for name, recipe in registry.RECIPES.items():
        assert registry.resolve(recipe) == (name, recipe)
    assert registry.resolve(replace(registry.recipe("sinmdm-qna"), steps=7))[0] == "sinmdm-qna"
    with pytest.raises(MotifError, match="no recipe 'other'; there is 'clip-match'"):
        registry.recipe("other")
    with pytest.raises(MotifError, match=r"Other is not among the recipes; .*RECIPES"):
        registry.resolve(type("Other", (), {})())


WRONG = [
    ({"n": 0}, "0 takes asked for; ask for at least 1"),
    ({"n": -2}, "-2 takes asked for"),
    ({"seconds": 0}, "Edit.seconds is 0"),
    ({"seconds": math.nan}, "Edit.seconds is nan"),
    ({"seconds": 1e6}, "Edit.seconds is 1e"),
    ({"edit": {"seconds": 3}}, "edit is dict"),
    ({"edit": Edit(joint_weights={"nobody": 2})}, "no joint 'nobody'"),
    ({"edit": Edit(joint_weights={"upper": -1})}, "at least 0"),
    ({"edit": Edit(clip_weights=((0.0, (1.0,)),))}, "cannot be asked for clip weights"),
    ({"edit": lambda m: Edit(seconds=2, constraints=(Constraint(m.crop(0, 9), start=80),))}, "do not lie in a take"),
    ({"edit": lambda m: Edit(constraints=(Constraint(m.crop(0, 9), start=395),))}, "do not lie in a take"),
    (
        {"edit": lambda m: Edit(trajectory=Trajectory(((0, 0), (1, 0))), constraints=(far_away(m),))},
        "do not lie in a take",
    ),
]


def far_away(clip):
    return Constraint(clip.crop(0, 9), (clip.skeleton.names[-1],), start=9000)


@pytest.mark.parametrize(("request_", "says"), WRONG)
def test_a_wrong_request_is_refused_before_training(request_, says, clip, monkeypatch):
    def never(*_, **__):
        raise AssertionError("training has begun")

    monkeypatch.setattr(api.train, "run", never)
    short = clip.crop(0, 200)
    given = {k: v(short) if callable(v) else v for k, v in request_.items()}
    with pytest.raises(MotifError, match=says):
        api.vary(short, recipe=RECIPES["clip-gan"], **given)
    with pytest.raises(MotifError, match=says):
        api.check_request("clip-gan", short, **given)
    with pytest.raises(AssertionError, match="training has begun"):
        api.vary(short, recipe=RECIPES["clip-gan"])


@pytest.mark.parametrize("name", ["ganimator", "sinmdm", "sinmdm-qna"])
def test_what_a_published_recipe_cannot_do_is_refused_before_training(name, clip):
    with pytest.raises(MotifError, match=f"{name} cannot be asked for a loop"):
        api.check_request(name, clip, edit=Edit(loop=True))
    with pytest.raises(MotifError, match=f"{name} has no variety"):
        api.check_request(name, clip, config=SampleConfig(variety=0.5))
    api.check_request(name, clip, n=3, seconds=4)
