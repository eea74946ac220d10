"""The 2024 paper's applications on its own networks: one pass each, constraints met, everything else refused."""

from dataclasses import replace

import pytest
import torch

from motif import api
from motif.edit import Constraint, Edit, Trajectory
from motif.errors import MotifError
from motif.nets.ganimator import GanimatorNet
from motif.recipes.ganimator import Ganimator
from motif.recipes.ganimator_sample import EXPANSION, REGIONS, Imposed, SamplePlan, channel_mask
from motif.request import Request

RAW = api.SampleConfig(finish="none")


@pytest.fixture(scope="module")
def xia(clips):
    return api.load(clips / "xia-normal.bvh")


@pytest.fixture(scope="module")
def model(xia):
    return api.fit(Ganimator(samples=(1,), critic_steps=1), xia, 0)


def edits(clip):
    half = len(clip) // 2
    return {
        "lower body": Edit.keep(clip, "lower"),
        "an arm": Edit.keep(clip, "limb:LeftShoulder"),
        "in-painting": Edit.inpaint(clip, 1.0, 2.0),
        "expansion": Edit.expand(clip, 1.0, 1.5),
        "in-betweening": Edit.inbetween(clip.crop(0, half), clip.crop(half), 1.0),
        "regions": Edit(
            6.0, constraints=(Constraint(clip.crop(0, 90), start=60), Constraint(clip.crop(200, 320), start=400))
        ),
        "key frames": Edit.keyframes({0.5: clip.crop(30), 2.0: clip.crop(200)}, 3.0),
    }


KINDS = ("lower body", "an arm", "in-painting", "expansion", "in-betweening", "regions", "key frames")


@pytest.mark.parametrize("kind", KINDS)
def test_constraints_are_met_in_one_pass(model, xia, kind, monkeypatch):
    edit, calls = edits(xia)[kind], []
    forward = GanimatorNet.forward
    monkeypatch.setattr(GanimatorNet, "forward", lambda net, *args: calls.append(len(args[0])) or forward(net, *args))
    take = model.sample(1, edit=edit)[0]
    assert calls == [1] * len(model.prepared.levels)
    assert len(take) == round(edit.seconds * xia.fps)
    for c in edit.constraints:
        joints, span = list(xia.skeleton.select(c.joints)), slice(c.start, c.stop)
        ours, theirs = take.rotations[span, joints], c.motion.rotations[:, joints]
        if xia.skeleton.root in joints and not c.world_space:  # it is placed where the take is
            moved = [j for j in joints if j != xia.skeleton.root]
            ours, theirs = take.rotations[span, moved], c.motion.rotations[:, moved]
        assert torch.equal(ours, theirs)
        if c.world_space and set(joints) >= set(range(len(xia.skeleton))):
            gap = (take.world()[1][span] - c.motion.world()[1]).abs().max()
            assert float(gap) < 1e-4 * xia.skeleton.height


def test_raw_channels_hold_what_was_asked_until_the_finest_level(model, xia):
    edit = Edit.keep(xia, "lower")
    (free,), (kept,) = (model.recipe.channels(model.net, model.prepared, Request(e)) for e in (Edit(3.0), edit))
    mask = channel_mask(model.prepared.clip, edit.constraints[0]).bool()
    real = model.prepared.clip.channels
    error = lambda x: float((x[mask, : real.shape[1]] - real[mask]).abs().mean())  # noqa: E731
    assert error(kept) < 0.7 * error(free)


def test_masks_are_those_of_the_paper(model, xia):
    clip = model.prepared.clip
    small = clip.features.skeleton
    lower = channel_mask(clip, Constraint(xia, ("lower",)))
    upper = channel_mask(clip, Constraint(xia, tuple(n for n in xia.skeleton.names if n not in names(xia, "lower"))))
    assert torch.equal(lower + upper, torch.ones(clip.features.width))
    assert bool(lower[:6].all())  # the root
    assert bool(lower[6 * len(small) :].all())  # labels and path go with legs and root
    single = channel_mask(clip, Constraint(xia.crop(0, 1)))
    assert single[6 * len(small) :].tolist() == [0.0] * 6 * len(small.contacts) + [0.0, 1.0, 0.0, 1.0, 1.0, 1.0]


def names(motion, part):
    return {motion.skeleton.names[j] for j in motion.skeleton.select((part,))}


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("lower body", REGIONS),
        ("in-painting", REGIONS),
        ("regions", REGIONS),
        ("expansion", EXPANSION),
        ("key frames", 0),
    ],
)
def test_levels_are_those_of_the_paper(model, xia, kind, level):
    edit, clip = edits(xia)[kind], model.prepared.clip
    plan = SamplePlan.of(clip, edit, 0.2, len(model.prepared.levels), 1.0)
    for c in edit.constraints:
        imposed = Imposed.of(clip, c, plan)
        assert imposed.level(plan.lengths, len(edit.constraints) == 1, 30.0) == level


@pytest.mark.parametrize(("cutoff", "level"), [(0.5, 0), (3.1, 0), (5.5, 2), (15.0, 6)])
def test_restyling_enters_where_its_cutoff_is(model, xia, cutoff, level):
    plan = SamplePlan.of(model.prepared.clip, Edit(3.0), 0.2, 7, 1.0)
    soft = Imposed.of(model.prepared.clip, Constraint(xia, cutoff=cutoff), plan)
    assert soft.level(plan.lengths, False, 30.0) == level


def test_restyling_starts_from_the_content(model, xia):
    content = xia.crop(0, 240)
    a, b = (model.sample(1, seed=s, edit=Edit.restyle(content), config=RAW)[0] for s in (0, 1))
    assert torch.equal(a.rotations, b.rotations)  # noise of the coarsest level is replaced, there is no other
    assert len(a) == 240


def test_takes_do_not_depend_on_their_number(model, xia):
    edit = Edit.inpaint(xia, 1.0, 2.0)
    together, alone = model.sample(3, edit=edit), model.sample(1, edit=edit)
    assert torch.equal(together[0].rotations, alone[0].rotations)
    assert not torch.equal(together[0].rotations, together[1].rotations)


def test_without_finish_constraints_are_not_quite_met(model, xia):
    take = model.sample(1, edit=Edit.keep(xia, "lower"), config=RAW)[0]
    assert len(take) == len(xia)
    assert not torch.equal(take.rotations[:, 1], xia.rotations[:, 1])


def test_a_finish_is_full_or_none(xia):
    with pytest.raises(MotifError, match="finish is 'some'"):
        api.SampleConfig(finish="some")
    with pytest.raises(MotifError, match="clip-match has no finish to leave out"):
        api.vary(xia, 1, config=RAW)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (Edit(3.0, loop=True), "reflect the ends of a take"),
        (Edit(3.0, trajectory=Trajectory(((0.0, 0.0), (1.0, 1.0)))), "learns a second network on paths"),
        (Edit(3.0, joint_weights={"lower": 2.0}), "compares no patches"),
        (Edit(3.0, clip_weights=((0.0, (1.0,)),)), "the paper learns one clip"),
    ],
)
def test_what_the_papers_cannot_do_is_refused_with_their_reason(model, edit, why):
    with pytest.raises(MotifError, match=why):
        model.sample(1, edit=edit)


def test_crowds_are_made(model):
    takes = model.crowd(3, 2.0)
    assert len(takes) == 3


def test_rates_other_than_thirty_are_met(model, xia):
    slow = replace(xia.resample(24), file_format=xia.file_format)
    trained = api.fit(Ganimator(samples=(1,), critic_steps=1), slow, 0)
    take = trained.sample(1, edit=Edit.inpaint(slow, 1.0, 2.0))[0]
    assert len(take) == len(slow)
    assert torch.equal(take.rotations[:20], slow.rotations[:20])
