"""Every edit with every recipe and on several rigs: what is kept is kept, what is new differs, seams are clean."""

import math
from dataclasses import replace

import pytest
import torch

from motif import api, matching, metrics, rotation
from motif.edit import EDIT_FEATURES, Constraint, Edit, Trajectory
from motif.errors import MotifError, MotifWarning
from motif.matching.synthesize import TakePlan, match
from motif.motion import Motion
from motif.post import feet
from motif.post.trajectory import sample_trajectory
from motif.request import Request
from rigs import RIGS, jumps, walk
from test_recipes import RECIPES

SEAM = 1.5
"""Jerk at a seam, as a multiple of what one frame in a hundred of the clip exceeds."""
MADE = 3.0
"""The same where the clip is made of a few sines: nothing in it is ever jerkier than the rest."""
CREATURES = "creatures/mesh2motion/static/animations/fox-animations.glb"


def demo() -> Motion:
    return jumps()


CLIPS = {
    "demo": (demo, SEAM),
    "quadruped": (lambda: walk(RIGS["quadruped"](), 240, 30, 0), MADE),
    "bird": (lambda: walk(RIGS["bird"](), 240, 30, 1), MADE),
}


@pytest.fixture(scope="module")
def models():
    """One model per engine and clip."""
    made = {}

    def get(engine, name):
        if (engine, name) not in made:
            made[engine, name] = api.fit(RECIPES[engine], CLIPS[name][0](), 1)
        return made[engine, name]

    return get


def jerk(motion):
    return motion.world()[1].diff(n=3, dim=0).norm(dim=-1).mean(-1)


def seam(take, clip, frames, before, after):
    """The largest jerk near frames, of the clip's 99th percentile; ``before`` and ``after`` them in seconds."""
    found, a, b = jerk(take), round(before * take.fps), round(after * take.fps)
    return max(float(found[max(f - a - 3, 0) : f + b + 1].max()) for f in frames) / float(jerk(clip).quantile(0.99))


def differs(a, b, frames=slice(None)):
    return float(rotation.geodesic(a.rotations[frames], b.rotations[frames]).mean())


def kept(take, piece, start, tolerance=1e-4):
    """Whether a piece is in a take, place and all, to a fraction of the body height; rotations exactly."""
    span = slice(start, start + len(piece))
    assert torch.equal(take.rotations[span], piece.rotations)
    far = (take.world()[1][span] - piece.world()[1]).norm(dim=-1).max()
    assert float(far) <= tolerance * take.skeleton.height


@pytest.mark.parametrize("engine", RECIPES)
@pytest.mark.parametrize("name", CLIPS)
def test_inpaint_inbetween_expand(models, engine, name):
    model, limit = models(engine, name), CLIPS[name][1]
    clip = model.clips[0]
    cut = round(0.3 * len(clip)), round(0.6 * len(clip))
    a, b = model.sample(2, edit=Edit.inpaint(clip, cut[0] / clip.fps, cut[1] / clip.fps))
    for take in (a, b):
        kept(take, clip.crop(0, cut[0]), 0)
        kept(take, clip.crop(cut[1]), cut[1])
        assert seam(take, clip, [cut[0]], 0, 0.5) < limit
        assert seam(take, clip, [cut[1]], 0.5, 0) < limit
    middle = slice(cut[0] + 10, cut[1] - 10)
    assert max(differs(a, b, middle), differs(a, clip, middle)) > 1e-3
    first, second = clip.crop(0, 45), clip.crop(120, 180)
    for take in model.sample(2, edit=Edit.inbetween(first, second, 1.5)):
        kept(take, first, 0)
        kept(take, second, 90)
        assert seam(take, clip, [45], 0, 0.5) < limit
        assert seam(take, clip, [90], 0.5, 0) < limit
    one, two = model.sample(2, edit=Edit.expand(second, 2.0, 2.0))
    kept(one, second, 60)
    assert len(one) == 180
    assert seam(one, clip, [60], 0.5, 0) < limit
    assert seam(one, clip, [120], 0, 0.5) < limit
    assert differs(one, two, slice(0, 45)) > 1e-3


@pytest.mark.parametrize("engine", RECIPES)
@pytest.mark.parametrize("name", CLIPS)
def test_compose_lets_pieces_go_on_from_where_the_take_is(models, engine, name):
    model, limit = models(engine, name), CLIPS[name][1]
    clip = model.clips[0]
    piece = clip.crop(60, 105)
    edit = Edit(
        9.0,
        constraints=(Constraint(piece, start=45, world_space=False), Constraint(piece, start=150, world_space=False)),
    )
    a, b = model.sample(2, edit=edit)
    for take in (a, b):
        for start in (45, 150):
            there = take.crop(start, start + len(piece)).align()
            far = (there.world()[1] - piece.align().world()[1]).norm(dim=-1).max()
            assert float(far) < 1e-4 * take.skeleton.height
        root = take.world()[1][:, take.skeleton.root]
        most = clip.world()[1][:, clip.skeleton.root].diff(dim=0).norm(dim=-1).max()
        assert float(root.diff(dim=0).norm(dim=-1).max()) < 1.5 * float(most) + 1e-3 * take.skeleton.height
        assert seam(take, clip, [45, 150], 0.5, 0) < limit
        assert seam(take, clip, [90, 195], 0, 0.5) < limit
    assert differs(a, b, slice(0, 30)) > 1e-3


@pytest.mark.parametrize("engine", RECIPES)
@pytest.mark.parametrize("name", CLIPS)
def test_body_parts(models, engine, name):
    model, limit = models(engine, name), CLIPS[name][1]
    clip = model.clips[0]
    s = clip.skeleton
    part = "lower" if name == "demo" else s.names[s.contacts[0]]
    held = list(s.select([part]))
    rest = [j for j in range(len(s)) if j not in held]
    edit = Edit.keep(clip, [part], slice(60, 120))
    a, b = model.sample(2, edit=edit)
    for take in (a, b):
        assert torch.equal(take.rotations[60:120, held], clip.rotations[60:120, held])
        assert seam(take, clip, [60, 120], 0.5, 0.5) < limit
    assert float(rotation.geodesic(a.rotations[:, rest], b.rotations[:, rest]).mean()) > 1e-3


@pytest.mark.parametrize("engine", RECIPES)
@pytest.mark.parametrize("name", CLIPS)
def test_key_poses_are_hit_in_passing(models, engine, name):
    model = models(engine, name)
    clip = model.clips[0]
    keys = [(1.0, clip.crop(50, 51)), (3.0, clip.crop(120, 121))]
    a, b = model.sample(2, edit=Edit.keyframes(keys, seconds=4.5))
    for take in (a, b):
        for t, pose in keys:
            frame = round(t * clip.fps)
            there = take.crop(frame, frame + 1).align().world()[1]
            assert float((there - pose.align().world()[1]).norm(dim=-1).max()) < 0.02 * take.skeleton.height
            root = take.world()[1][:, take.skeleton.root].diff(dim=0).norm(dim=-1)
            around = root[frame - 4 : frame + 4]
            slow = torch.maximum(around[1:], around[:-1]).min()  # a turn has one slow frame, a stop two
            assert float(slow) > 0.2 * float(around.max()) - 1e-3 * take.skeleton.height
    assert differs(a, b) > 1e-3
    in_world = model.sample(1, edit=Edit.keyframes(keys, world_space=True, seconds=4.5))[0]
    kept(in_world, keys[1][1], 90)


@pytest.mark.parametrize("engine", RECIPES)
def test_what_no_model_learns_is_kept_and_blended(models, engine):
    clip = models(engine, "demo").clips[0]
    s = clip.skeleton
    turning = rotation.geodesic(clip.rotations, clip.rotations[:1]).amax(0)
    finger = next(j for j in s.parts["upper"] if turning[j] < 1e-5 and not s.end[j])
    q = clip.rotations.clone()
    q[:, finger] = rotation.exp(torch.tensor([0.8, 0.0, 0.0]))
    bent = replace(clip, rotations=q).crop(60, 100)
    take = models(engine, "demo").sample(1, edit=Edit(5.0, constraints=(Constraint(bent, start=60),)))[0]
    kept(take, bent, 60)
    turn = rotation.geodesic(take.rotations[1:, finger], take.rotations[:-1, finger])
    assert float(turn.max()) < 0.25  # it comes and goes over the blend, not at once
    assert float(rotation.geodesic(take.rotations[0, finger], clip.rotations[0, finger])) < 1e-3


def test_fingers_reach_the_file_and_come_back(models, tmp_path):
    model = models("clip-match", "demo")
    clip = model.clips[0]
    take = model.sample(1, edit=Edit.inpaint(clip, 5, 8))[0]
    again = api.load(api.save(take, tmp_path / "take.bvh"))
    far = (again.world()[1][:150] - clip.world()[1][:150]).norm(dim=-1).max()
    assert float(far) < 1e-4 * clip.skeleton.height


# --- trajectories ----------------------------------------------------------------------------------------------------
def circle(radius, n=40):
    return tuple(
        (radius * math.sin(2 * math.pi * k / n), radius - radius * math.cos(2 * math.pi * k / n)) for k in range(n + 1)
    )


def strays(take, trajectory):
    """Mean distance of the root from the trajectory, as a fraction of its length."""
    root = take.world()[1][:, take.skeleton.root][:, (0, 2)].double()
    if trajectory.times is not None:
        return (
            float((root - sample_trajectory(trajectory, None, len(take), take.frame_time)[0]).norm(dim=1).mean())
            / trajectory.length
        )
    points = torch.tensor(trajectory.points).double()
    dense = torch.cat(
        [torch.lerp(a, b, torch.linspace(0, 1, 40).double()[:, None]) for a, b in zip(points, points[1:])]
    )
    return float(torch.cdist(root, dense).amin(1).mean()) / trajectory.length


@pytest.mark.parametrize("engine", RECIPES)
@pytest.mark.parametrize("name", CLIPS)
def test_trajectories_are_followed(models, engine, name):
    model = models(engine, name)
    h = model.clips[0].skeleton.height
    stop = Trajectory(((0, 0), (0, 2 * h), (0, 2 * h), (h, 3 * h)), (0, 3, 4.5, 7.0), (0, 0, 0, math.pi / 2))
    for trajectory in (Trajectory(circle(2 * h)), stop):
        for take in model.sample(2, edit=Edit(trajectory=trajectory)):
            assert strays(take, trajectory) < 0.03
    assert abs(float(take.heading()[-1]) - math.pi / 2) < 0.5
    assert len(take) == round(7.0 * take.fps)
    takes = model.sample(2, edit=Edit(trajectory=Trajectory(circle(2 * h))))
    assert differs(*takes) > 1e-3


def test_a_walk_follows_a_trajectory_without_sliding(clips):
    walks = [api.load(clips / "Walk-In-Circle.bvh").resample(30)]
    walks.append(walks[0].mirror())
    eight = Trajectory(tuple((2.5 * math.sin(a / 40 * math.pi), 1.6 * math.sin(a / 20 * math.pi)) for a in range(81)))
    for trajectory in (Trajectory(circle(2.0)), eight):
        takes = api.vary(walks, 2, seed=1, edit=Edit(trajectory=trajectory))
        assert max(strays(t, trajectory) for t in takes) < 0.03
        assert metrics.score(takes, walks)["slip_ratio"] < 1.5


def test_constraints_are_met_at_their_own_time_whatever_the_pace():
    clip = demo().crop(0, 300)
    hand = list(clip.skeleton.select(["LeftHand"]))
    slow = Trajectory(((0, 0), (1, 0)), times=(0, 10))
    for start in (0, 140, 260, 270):
        edit = Edit(trajectory=slow, constraints=(Constraint(clip.crop(0, 30), ("LeftHand",), start),))
        (take,) = api.vary(clip, 1, seed=1, edit=edit)
        assert len(take) == 300
        assert torch.equal(take.rotations[start : start + 30, hand], clip.rotations[:30, hand])
    with pytest.raises(MotifError, match=r"Edit.constraints\[0\]: frames 271 to 301 .* do not lie in a take"):
        api.vary(clip, 1, edit=Edit(trajectory=slow, constraints=(Constraint(clip.crop(0, 30), ("LeftHand",), 271),)))


def test_takes_without_a_time_last_at_least_to_their_last_constraint():
    clip, piece = demo(), demo().crop(0, 30)
    path = Trajectory(((0, 0), (8, 0)))
    most, _ = matching.take_length(matching.prepare([clip]), Edit(trajectory=path))  # by the clip's mean speed
    (free,) = api.vary(clip, 1, seed=1, edit=Edit(trajectory=path))
    assert len(free) < most - len(piece)
    upper, start = list(clip.skeleton.select(["upper"])), most - len(piece)
    edit = Edit(trajectory=path, constraints=(Constraint(piece, ("upper",), start),))
    (take,) = api.vary(clip, 1, seed=1, edit=edit)
    assert len(take) >= most
    assert torch.equal(take.rotations[start:most, upper], piece.rotations[:, upper])
    assert strays(take, path) < 0.03


@pytest.mark.parametrize("first", [100, 560])
def test_a_piece_is_followed_at_its_time_whatever_the_pace(first):
    clip = demo()
    piece, upper = clip.crop(first, first + 60), list(clip.skeleton.select(["upper"]))
    path = Trajectory(((0, 0), (8, 0)), times=(0, 12))
    (take,) = api.vary(
        clip, 1, seed=1, edit=Edit(trajectory=path, constraints=(Constraint(piece, ("upper",), 180, cutoff=6.0),))
    )
    assert float(rotation.geodesic(take.rotations[180:240, upper], piece.rotations[:, upper]).mean()) < 0.12


@pytest.mark.parametrize("speed_ratio", [0.75, 1.0, 1.4])
def test_guides_lie_where_a_paced_take_shows_them(speed_ratio):
    clip = demo()
    exemplar = matching.prepare([clip])
    axes = matching.pca(exemplar)
    edit = Edit(
        trajectory=Trajectory(((0, 0), (8, 0)), (0, 10)), constraints=(Constraint(clip.crop(0, 40), start=200),)
    )
    guide = matching.guides(exemplar, edit, round(300 * speed_ratio), axes, speed_ratio)[0]
    at = guide.weight[:, 0].nonzero()[:, 0]
    assert (int(at[0]), len(at)) == (200 * speed_ratio, 40 * speed_ratio)
    target = guide.target[at[0] : at[-1] + 1] @ axes.basis.T + axes.centre  # back to features: all channels are set
    velocity = (target / axes.scale)[:, exemplar.features.slices["root_velocity"]]
    own = exemplar.fine[0][:40, exemplar.features.slices["root_velocity"]]
    assert float(velocity.mean() * speed_ratio) == pytest.approx(float(own.mean()), abs=0.02)


# --- style, clip weights, loop ---------------------------------------------------------------------------------------
def test_a_normal_walk_done_proudly(clips):
    normal, proud = (api.load(clips / f"xia-{name}.bvh") for name in ("normal", "proud"))
    take = api.vary(proud, 1, seed=1, edit=Edit.restyle(normal))[0]
    assert len(take) == len(normal)
    assert metrics.score([take], [proud])["precision"] > 0.9
    contact = list(normal.skeleton.contacts)
    speeds = [m.world()[1][:, contact].diff(dim=0).norm(dim=-1)[:350] for m in (take, normal)]
    alike = torch.corrcoef(torch.stack([v.flatten() for v in speeds]))[0, 1]
    other = torch.corrcoef(torch.stack((speeds[0].flatten(), speeds[1].roll(30, 0).flatten())))[0, 1]
    assert float(alike) > max(0.7, float(other))  # steps fall when the content's do


@pytest.mark.parametrize("engine", RECIPES)
@pytest.mark.parametrize("name", CLIPS)
def test_a_loop_closes(models, engine, name):
    model, limit = models(engine, name), CLIPS[name][1]
    a, b = model.sample(2, 5.0, seed=3, edit=Edit(loop=True))
    for take in (a, b):
        assert seam(take.repeat(2 * len(take)), model.clips[0], [len(take)], 0.3, 0.3) < limit
    assert differs(a, b) > 1e-3


@pytest.mark.parametrize("engine", RECIPES)
@pytest.mark.parametrize("name", CLIPS)
def test_what_is_followed_is_what_is_done(models, engine, name):
    model = models(engine, name)
    content = model.clips[0].crop(60, 210)
    follow = model.sample(1, edit=Edit.restyle(content, 6.0))[0]
    free = model.sample(1, 5.0)[0]
    assert differs(follow, content, slice(10, 140)) < 0.5 * differs(free, content, slice(10, 140))


TWO = {
    "demo": lambda: (demo().crop(0, 300), demo().crop(380, 688)),
    "quadruped": lambda: tuple(walk(RIGS["quadruped"](), 220, 30, seed) for seed in (0, 7)),
    "bird": lambda: tuple(walk(RIGS["bird"](), 220, 30, seed) for seed in (1, 7)),
}


@pytest.mark.parametrize("name", TWO)
def test_mixes_change_over_time(name):
    a, b = TWO[name]()
    weights = ((0, (1, 0)), (6, (1, 0)), (10, (0, 1)))
    for take in api.vary([a, b], 2, seed=1, edit=Edit(16.0, clip_weights=weights)):
        begin, end = take.crop(0, 150), take.crop(330, 480)
        assert near(begin, a) > near(begin, b) + 0.2
        assert near(end, b) > near(end, a) + 0.2


@pytest.mark.parametrize("speed_ratio", [0.75, 1.4])
def test_clip_weights_hold_at_their_own_time_whatever_the_pace(monkeypatch, speed_ratio):
    exemplar, weigh, asked = matching.prepare(TWO["demo"]()), Edit.clip_weights_at, []
    monkeypatch.setattr(Edit, "clip_weights_at", lambda edit, t: asked.append(float(t[-1])) or weigh(edit, t))
    path, weights = Trajectory(((0, 0), (8, 0)), (0, 10)), ((0, (1, 0)), (4, (1, 0)), (4.001, (0, 1)))
    request = Request(Edit(trajectory=path, clip_weights=weights))
    plan = TakePlan(exemplar, request, matching.MatchConfig(), 300, round(300 * speed_ratio), speed_ratio)
    second = match(plan)[0] >= len(exemplar.fine[0])
    shown = (torch.arange(len(second)) + plan.patch / 2) / exemplar.rate / speed_ratio
    assert torch.equal(second, shown > 4)
    assert 8 < asked[0] <= 10  # the last frame of the first guess


def near(take, clip):
    """Share of a take's seconds that are within 2.5 % of the clip."""
    return metrics.report([take], [clip]).realism["precision@0.025"]


def test_a_slow_mix_arrives():
    a, b = TWO["demo"]()
    for take in api.vary([a, b], 2, seed=1, edit=Edit(12.0, clip_weights=((0, (1, 0)), (12, (0, 1))))):
        assert near(take.crop(0, 60), a) > near(take.crop(0, 60), b)
        assert near(take.crop(-60), b) > near(take.crop(-60), a)


def test_crowds_with_an_edit_keep_what_it_asks(models):
    model = models("clip-match", "demo")
    edit = Edit(trajectory=Trajectory(((0, 0), (2, 0), (2, 2))))
    crowd = model.crowd(2, edit=edit)
    assert len(crowd[0]) == len(model.sample(1, edit=edit)[0])
    legs = list(model.clips[0].skeleton.subtree(model.clips[0].skeleton.contacts[0]))
    held = model.crowd(2, edit=Edit.keep(model.clips[0], ["lower"]))[1]
    assert torch.equal(held.rotations[:, legs], model.clips[0].rotations[:, legs])


def test_who_is_asked_to_go_much_faster_says_so():
    with pytest.warns(MotifWarning, match="feet will slide; give it about"):
        api.vary(demo(), 1, edit=Edit(2.0, trajectory=Trajectory(((0, 0), (30, 0)))))


def test_turning_back_takes_a_moment(clips):
    clip = api.load(clips / "Walk-In-Circle.bvh").resample(30)
    (take,) = api.vary(clip, 1, edit=Edit(trajectory=Trajectory(((0, 0), (3, 0), (0, 0)))))
    assert float(jerk(take).quantile(0.99) / jerk(clip).quantile(0.99)) < 3
    assert float(take.heading().diff().abs().max()) * take.fps < 10


# --- what cannot be asked --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (
            lambda m: Edit(trajectory=Trajectory(((0, 0), (1, 0))), constraints=(Constraint(m.crop(0, 9)),)),
            r"Edit.trajectory and Edit.constraints\[0\] both",
        ),
        (lambda m: Edit(trajectory=Trajectory(((0, 0), (1, 0))), loop=True), "Edit.trajectory and Edit.loop"),
        (
            lambda m: Edit(2.0, trajectory=Trajectory(((0, 0), (1, 0)), (0, 5))),
            "Edit.trajectory takes 5 s and the take lasts 2.00",
        ),
        (lambda m: Edit(clip_weights=((0, (1, 1)),)), r"Edit.clip_weights\[0\] has the weights \(1, 1\) for 1 clips"),
        (lambda m: Edit(clip_weights=((0, (0,)),)), "not all 0"),
        (lambda m: Edit(clip_weights=((3, (1,)), (2, (1,)))), r"Edit.clip_weights\[1\] is at 2 s"),
        (lambda m: Edit(constraints=(Constraint(m.crop(0, 9), blend=-1),)), r"Edit.constraints\[0\]: blend is -1"),
        (lambda m: Edit(constraints=(Constraint(m.crop(0, 9), cutoff=0),)), r"Edit.constraints\[0\]: cutoff is 0"),
        (lambda m: Edit.keep(m, ["lower"], slice(5, 5)), "leave none"),
        (lambda m: Edit.inpaint(m, 5, 2), "Edit.inpaint: 5 to 2 s"),
        (lambda m: Edit.inbetween(m, m, 0), "Edit.inbetween: 0 s"),
        (lambda m: Edit.expand(m), "Edit.expand: 0 s before"),
        (lambda m: Edit.inpaint(m, math.nan, 5), "Edit.inpaint: nan to 5 s"),
        (lambda m: Edit.inpaint(m, -5, 3), "Edit.inpaint: -5 to 3 s"),
        (lambda m: Edit.inbetween(m, m, math.nan), "Edit.inbetween: nan s"),
        (lambda m: Edit.expand(m, math.inf), "Edit.expand: inf s before"),
        (lambda m: Edit.expand(m, 0.001), "Edit.expand: 0.001 s before"),
        (lambda m: Edit.keyframes([]), "Edit.keyframes: at"),
        (lambda m: Edit.keyframes({math.nan: m}), "Edit.keyframes: at"),
        (lambda m: Edit.keyframes([(1.0, m.rotations)]), "give motions"),
        (lambda m: Edit.keep(m, frames=(0, 9)), "Edit.keep: frames is"),
        (lambda m: Edit(constraints=Constraint(m)), "Edit.constraints holds"),
        (lambda m: Edit(trajectory=((0, 0), (3, 0))), "Edit.trajectory is .* give a Trajectory"),
        (lambda m: {"seconds": 3}, "edit is dict"),
        (
            lambda m: Edit(constraints=(Constraint(m.crop(0, 9), joints="lower"),)),
            r"Edit.constraints\[0\]: joints is the text 'lower'",
        ),
        (
            lambda m: Edit(constraints=(Constraint(m.crop(0, 9), ("nose",)),)),
            r"Edit.constraints\[0\].joints: no joint 'nose'",
        ),
        (
            lambda m: Edit(constraints=(Constraint(m.crop(0, 9), start=-5),)),
            r"Edit.constraints\[0\] begins 0.17 s before the take",
        ),
        (lambda m: Edit(joint_weights={"upper": math.nan}), "Edit.joint_weights holds"),
        (lambda m: Edit(joint_weights={"upper": 1e30}), "at most 1000"),
        (lambda m: Edit(5.0, clip_weights=((50, (1,)),)), r"Edit.clip_weights\[0\] is at 50 s"),
        (lambda m: Edit(trajectory=Trajectory("abc")), "at least two points"),
        (lambda m: Edit(trajectory=Trajectory(((0, None), (1, 1)))), "at least two points"),
        (lambda m: Edit(trajectory=Trajectory(((0, 0),))), "at least two points"),
        (lambda m: Edit(trajectory=Trajectory(((0, 0), (1, math.nan)))), "finite"),
        (lambda m: Edit(trajectory=Trajectory(((0, 0), (0, 0)))), "all in one place"),
        (lambda m: Edit(trajectory=Trajectory(((0, 0), (1, 0)), (0, 0))), "begin at 0 and rise"),
        (lambda m: Edit(trajectory=Trajectory(((0, 0), (1, 0)), facing=(0,))), "Trajectory.facing"),
    ],
)
def test_edits_that_cannot_be_met_name_the_field(edit, says):
    clip = demo()
    with pytest.raises(MotifError, match=says):
        api.vary(clip, edit=edit(clip))


def test_engines_say_what_they_cannot_do_before_they_work(models):
    clip = models("clip-gan", "demo").clips[0]
    for engine in ("clip-gan", "clip-flow"):
        with pytest.raises(MotifError, match=f"{engine} cannot be asked for clip weights: .* clip-match can"):
            models(engine, "demo").sample(1, edit=Edit(clip_weights=((0, (1,)),)))
    assert Edit(loop=True, joint_weights={"upper": 2}).features == ("a loop", "joint weights")
    everything = Edit(
        1,
        True,
        (Constraint(clip), Constraint(clip, cutoff=3.0)),
        {"upper": 1},
        Trajectory(((0, 0), (1, 0))),
        ((0, (1,)),),
    )
    assert everything.features == EDIT_FEATURES


# --- real creatures --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["fox", "salsa"])
def test_seams_of_other_real_rigs(request, name):
    if name == "fox":
        file = request.getfixturevalue("corpora") / CREATURES
        if not file.exists():
            pytest.skip("needs creatures.tar.xz unpacked into .data")
        clip = api.load(file, api.ReadConfig(clip="Bark"))
    else:
        clip = api.load(request.getfixturevalue("clips") / "Salsa-Dancing-6.bvh")
    third, fps = len(clip) // 3, clip.fps
    piece, second = clip.crop(third, third + round(0.8 * fps)), clip.crop(2 * third)
    at = third + round(1.5 * fps)
    for take in api.vary(clip, 2, seed=1, edit=Edit.inpaint(clip, third / fps, 2 * third / fps)):
        kept(take, clip.crop(0, third), 0)
        assert seam(take, clip, [third], 0, 0.5) < SEAM
        assert seam(take, clip, [2 * third], 0.5, 0) < SEAM
    for take in api.vary(clip, 2, seed=1, edit=Edit.inbetween(clip.crop(0, third), second, 1.5, world_space=False)):
        assert seam(take, clip, [third], 0, 0.5) < SEAM
        assert seam(take, clip, [at], 0.5, 0) < SEAM
    for take in api.vary(clip, 2, seed=1, edit=Edit.expand(piece, 2, 2)):
        assert seam(take, clip, [round(2 * fps)], 0.5, 0) < SEAM
        assert seam(take, clip, [round(2 * fps) + len(piece)], 0, 0.5) < SEAM


def test_new_legs_do_not_sink_below_a_kept_trunk(monkeypatch):
    clip = demo()
    contacts = list(clip.skeleton.contacts)
    floor = clip.world()[1][:, contacts, 1].amin()

    def sunk():
        (take,) = api.vary(clip, 1, seed=1, edit=Edit.keep(clip, ["trunk"]))
        return float((floor - take.world()[1][:, contacts, 1].amin(1)).clamp_min(0).mean())

    with_offset = sunk()
    monkeypatch.setattr(feet, "height_offset", lambda features, edit, x, *_: x.new_zeros(1, len(clip), len(contacts)))
    assert with_offset < 0.5 * sunk()


@pytest.mark.parametrize("name", ["demo", "salsa"])
def test_no_take_of_an_edit_is_the_clip_or_another_take(name, request):
    clip = api.demo_clip() if name == "demo" else api.load(request.getfixturevalue("clips") / "Salsa-Dancing-6.bvh")
    model = api.fit("clip-match", clip)

    def poses(m):
        return m.world()[1][: len(clip)] - m.root_and_feet[1][: len(clip), None]

    for edit in (Edit.keep(clip, ["lower"]), Edit.inpaint(clip, 2.0, 5.0)):
        takes = [poses(t) for t in model.sample(4, seed=1, edit=edit)]
        every = [poses(clip), *takes]
        apart = [(a - b).norm(dim=-1).mean() for k, a in enumerate(every) for b in every[:k]]
        assert float(min(apart)) > 0.003 * clip.skeleton.height
