"""The parts of matching against their definitions, its settings one by one, and endless takes step by step."""

import threading
from dataclasses import replace

import pytest
import torch

from motif import api, contact, matching, metrics
from motif.config import SampleConfig
from motif.edit import Constraint, Edit, Trajectory
from motif.errors import MotifError
from motif.features import Features
from motif.matching import search
from motif.matching.amplitude import amplitude_of, scale_movements, vary_stance
from motif.matching.stalls import move_on, stalls
from motif.matching.synthesize import TakePlan, match
from motif.post import constraints, trajectory
from motif.request import Request
from motif.seeds import take_rng
from rigs import RIGS, jumps, walk


# --- search ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("block", [1 << 18, 300])
@pytest.mark.parametrize("loop", [False, True])
def test_nearest_is_the_definition(monkeypatch, block, loop):
    monkeypatch.setattr(search, "BLOCK", block)
    random = torch.Generator().manual_seed(1)
    x, frames = torch.randn(40, 5, generator=random), torch.randn(90, 5, generator=random)
    database = matching.Database(frames, (50, 40), 4)
    found = matching.nearest(x, database, 0.1, loop)
    rows = [[(i + s) % 40 for s in range(4)] for i in range(40 if loop else 37)]
    columns = [j for j in range(87) if not 47 <= j < 50]
    assert database.barrier is not None
    assert (database.barrier == 0).nonzero().flatten().tolist() == columns
    d = torch.tensor([[float(((x[r] - frames[j : j + 4]) ** 2).sum() / 4) for j in columns] for r in rows])
    slow = (d / (0.1 + d.amin(0))).argmin(1)
    assert found.tolist() == [columns[k] for k in slow]


@pytest.mark.parametrize("loop", [False, True])
def test_average_and_vote_of_an_unbroken_run_are_the_exemplar(loop):
    random = torch.Generator().manual_seed(0)
    table = torch.randn(60, 3, generator=random)
    indices = torch.arange(20) if not loop else torch.cat((torch.arange(10), torch.arange(10)))
    voted = matching.blend(table, [30], indices, 5, loop, 2)
    if not loop:
        assert torch.allclose(voted, table[:48], atol=1e-5)
        frames = table[::2]
        assert torch.allclose(matching.overlap_add(frames, indices[None], 5, False)[0], frames[:24], atol=1e-5)
    else:
        assert voted.shape == (40, 3)
        assert torch.allclose(voted[10:18], table[10:18], atol=1e-5)


def test_the_first_and_the_last_patch_of_a_take_go_on_beyond_its_ends():
    frames = torch.cat((torch.zeros(20, 1), torch.ones(20, 1)))
    x = matching.overlap_add(frames, torch.tensor([2, 25, 26, 27, 28, 6]), 5, loop=False)[:, 0]
    assert x.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.6, 0.4, 0.2, 0], abs=0.21)
    assert float(x.diff().abs().max()) < 0.21  # a fifth at a time, as within the take


def test_windows_reach_beyond_patches_but_not_into_another_clip():
    table = torch.cat((torch.zeros(30, 1), torch.ones(30, 1)))
    place = torch.tensor([16, 17, 18, 19, 20, 40, 41, 42, 43])
    apart = matching.blend(table, [30, 30], place, 8, False, 1)[:, 0]
    assert float(apart[:3].max()) < 1e-6
    assert float(apart[-2:].min()) > 1 - 1e-6
    assert float(apart.diff().max()) < 0.25
    last_of_first, first_of_second = torch.arange(10, 23), torch.arange(30, 42)
    for run, value in ((last_of_first, 0.0), (first_of_second, 1.0)):
        assert torch.allclose(matching.blend(table, [30, 30], run, 8, False, 1)[:, 0], torch.tensor(value), atol=1e-6)


def test_maths_stays_on_the_device_of_its_input():
    """The meta device computes nothing, but refuses to mix with another one as a GPU does."""
    x, flags = torch.empty(60, 3, device="meta"), torch.zeros(60, 2, dtype=torch.bool, device="meta")
    with pytest.raises(RuntimeError, match="device"):
        _ = x + torch.empty(60, 3)
    indices, database = torch.zeros(2, 20, dtype=torch.long, device="meta"), matching.Database(x, (30, 30), 5)
    path = Trajectory(((0, 0), (1, 0)), facing=(0, 1))
    guide = matching.Guide(x[:, :1], x, x[:3])
    found = [
        matching.blend(x, [30], indices[0], 5, loop=False, stride=2),
        matching.overlap_add(x, indices, 5, loop=True),
        matching.nearest(x[:20], database, 0.1, False, x[:56, 0], x[:16, :2]),
        guide.impose(x[None, :30]),
        contact.smooth(x, 2.0),
        contact.without_short(flags, 3),
        contact.drift(x[:, None].expand(-1, 2, -1), flags, 1 / 30),
        constraints.bump_window(3, 9, x),
        trajectory.smoothed_path(x, 0.5, 1 / 30),
        *trajectory.sample_trajectory(path, x[:, 0], 60, 1 / 30),
    ]
    assert {one.device.type for one in found if one is not None} == {"meta"}


# --- settings --------------------------------------------------------------------------------------------------------
def breaks(reorder):
    """How often a start leaves one piece of a clip of 55 coarse frames for another."""
    frames = matching.shuffled(torch.arange(55.0)[:, None], 110, 11, 2, reorder, take_rng(1, 0))[:, 0]
    assert len(frames) == 110
    assert set(frames.tolist()) == set(range(55))
    return int((frames.diff() != 1).sum())


def test_pieces_are_the_shorter_the_more_is_reordered():
    counts = [breaks(v) for v in (0.0, 0.4, 1.0)]
    assert counts == sorted(counts)
    assert counts[0] <= 4 < counts[2]


def test_takes_shorter_than_the_clip_are_not_twins():
    clip = jumps()
    takes = api.vary([clip], 4, 0.5 * clip.seconds)
    apart = [float((a.rotations - b.rotations).abs().mean()) for k, a in enumerate(takes) for b in takes[:k]]
    assert min(apart) > 0.02, apart


def test_reorder_and_diversity_are_apart():
    clip = jumps().crop(0, 200)
    exemplar = matching.prepare([clip])

    def takes(edit, **settings):
        return matching.synthesize(exemplar, Request(edit, 2, 1), matching.MatchConfig(tempo=0.0, **settings))

    def same(a, b):
        return all(torch.equal(x.rotations, y.rotations) for x, y in zip(a, b))

    free, kept = Edit(6.0), Edit(6.0, constraints=(Constraint(clip.crop(0, 120), ("lower",)),))
    assert same(takes(free, diversity=0.0), takes(free, diversity=1.0))
    assert not same(takes(free, reorder=0.0), takes(free, reorder=1.0))
    assert not same(takes(kept, diversity=0.0), takes(kept, diversity=1.0))
    alike, apart = (takes(kept, reorder=0.0, diversity=d) for d in (0.0, 1.0))
    difference = [float((a.rotations - b.rotations).abs().mean()) for a, b in (alike, apart)]
    assert difference[1] > 1.2 * difference[0]
    for name in ("reorder", "diversity", "completeness", "tempo"):
        with pytest.raises(MotifError, match=f"{name} is 1.5; give a number from 0 to 1"):
            matching.MatchConfig(**{name: 1.5})
    with pytest.raises(MotifError, match="patch 2, rounds 3; expected at least 3 and 1"):
        matching.MatchConfig(patch=2)


# --- streams ---------------------------------------------------------------------------------------------------------
PLAIN = matching.MatchConfig()


def stream(clip, config=PLAIN, seed=3):
    exemplar = matching.prepare([clip])

    def advance(turn):
        return matching.reordered(exemplar, config, take_rng(seed, turn)), turn + 1

    return matching.start(matching.Stream(exemplar, config, 1.0, True, advance), 0, seed)


def poses(state, count):
    found = []
    for _ in range(count):
        pose, state = matching.step(state)
        found.append(torch.cat((pose.rotations.flatten(), pose.positions.flatten())))
    return torch.stack(found), state


@pytest.fixture(scope="module")
def quadruped():
    return walk(RIGS["quadruped"](), frames=240, fps=30, seed=0)


def test_a_state_can_be_stepped_again_and_gives_the_same(quadruped):
    first = stream(quadruped)
    whole, _ = poses(first, 300)
    again, _ = poses(first, 300)
    assert torch.equal(whole, again)
    _, middle = poses(first, 100)  # not at the edge of a block
    for _ in range(2):
        assert torch.equal(poses(middle, 200)[0], whole[100:])
    other, _ = poses(stream(quadruped), 300)
    assert torch.equal(whole, other)
    assert not torch.equal(whole, poses(stream(quadruped, seed=4), 300)[0])
    matching.step(first)[0].rotations.zero_()  # a pose is the caller's own
    assert torch.equal(poses(first, 300)[0], whole)


def test_the_next_block_is_made_while_one_is_played_and_no_more(quadruped):
    exemplar, calls, playing = matching.prepare([quadruped]), [], threading.current_thread()

    def advance(turn):
        calls.append(threading.current_thread())
        return exemplar.fine[0][:30], turn + 1

    state = matching.start(matching.Stream(exemplar, matching.MatchConfig(), 1.0, True, advance), 0)
    _, state = matching.step(state)
    state.following.result()
    made = len(calls)
    assert playing not in calls
    for _ in range(len(state.block) - 1):
        _, state = matching.step(state)
    assert len(calls) == made  # one block ahead, not two
    _, state = matching.step(state)
    state.following.result()
    assert len(calls) > made


def test_memory_of_a_stream_does_not_grow(quadruped):
    state, sizes = stream(quadruped), []
    for _ in range(6):
        _, state = poses(state, 90)
        block, cursor = state.following.result()
        sizes.append(len(state.block) + len(block) + len(cursor.window) + len(cursor.tail))
    assert max(sizes[2:]) <= 4 * 90 + len(quadruped)


def test_what_goes_wrong_in_the_background_is_raised_by_step(quadruped):
    def advance(turn):
        raise MotifError("no more")

    exemplar = matching.prepare([quadruped])
    with pytest.raises(MotifError, match="no more"):
        matching.step(matching.start(matching.Stream(exemplar, matching.MatchConfig(), 1.0, True, advance), 0))


def test_streams_have_no_use_for_completeness(quadruped):
    a, b = (poses(stream(quadruped, matching.MatchConfig(completeness=c)), 120)[0] for c in (0.0, 1.0))
    assert torch.equal(a, b)
    c, _ = poses(stream(quadruped, matching.MatchConfig(reorder=1.0)), 120)
    assert not torch.equal(a, c)


def test_plans_are_what_one_take_is_made_from(quadruped):
    exemplar, request = matching.prepare([quadruped]), Request(Edit(3.0), 2, 1)
    plan = TakePlan(exemplar, request, matching.MatchConfig(), 90, 90)
    both = match(plan)
    one = match(replace(plan, request=replace(request, n=1)))
    assert both.shape == (2, 76)
    assert torch.equal(both[0], one[0])


# --- stalls ----------------------------------------------------------------------------------------------------------
def test_a_stall_is_played_through():
    frames = torch.arange(40.0)[:, None]
    indices = torch.cat((torch.arange(3, 10), torch.full((12,), 10), torch.arange(20, 30)))
    assert stalls(indices, 5)
    assert not stalls(torch.arange(30), 5)
    moved = move_on(frames, [40], indices, 5)
    assert not stalls(moved, 5)
    assert torch.equal(moved[:5], indices[:5])
    assert torch.equal(moved[-8:], indices[-8:])
    assert (moved.diff() != 1).sum() <= 2  # one place where onward and back meet
    assert torch.equal(move_on(frames, [40], torch.arange(30), 5), torch.arange(30))


def test_a_stall_stays_in_its_clips():
    frames, lengths = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)), [20, 40]
    moved = move_on(frames, lengths, torch.full((80,), 12), 6)
    assert not stalls(moved, 6)
    assert moved.min() >= 0
    assert moved.max() <= 20 - 6


def test_takes_of_a_walk_and_an_idle_do_not_freeze(clips):
    both = [api.load(clips / f"{name}.bvh") for name in ("Walk-In-Circle", "Baseball-Milling-Idle")]
    takes = api.fit("clip-match", both).sample(2, 67.0)
    assert metrics.report(takes, both, published=False).physical["held"] < 1


# --- amplitude -------------------------------------------------------------------------------------------------------
def test_takes_spread_evenly_over_the_range_of_amplitudes():
    logs = torch.tensor([amplitude_of(0.2, 3, k) for k in range(20)]).log() / 0.2
    assert float(logs.abs().max()) <= 1
    assert float(logs.sort().values.diff().max()) < 0.25
    assert amplitude_of(0.0, 3, 1) == 1


def test_movements_are_larger_and_the_posture_is_kept():
    motion = walk(RIGS["quadruped"](), 300, 30.0, 0)
    features = Features.of([motion])
    x = features.encode(motion)
    larger = scale_movements(features, x, 1.2, motion.frame_time)
    at = features.slices["rotations"]
    moved, before = (y[:, at] - contact.smooth(y[:, at], 30.0) for y in (larger, x))
    assert float(moved.std() / before.std()) == pytest.approx(1.2, abs=0.05)
    assert torch.allclose(contact.smooth(larger[:, at], 60.0), contact.smooth(x[:, at], 60.0), atol=0.05)
    assert torch.allclose(larger[:, features.slices["root_velocity"]], 1.2 * x[:, features.slices["root_velocity"]])
    assert torch.equal(
        scale_movements(features, x, 1.0, motion.frame_time)[:, features.slices["contacts"]],
        x[:, features.slices["contacts"]],
    )


def test_stance_changes_where_one_stands_and_not_where_one_travels(clips):
    idle, walk = (api.load(clips / name) for name in ("Baseball-Milling-Idle.bvh", "xia-normal.bvh"))
    for clip, least, most in ((idle, 0.003, 0.05), (walk, 0.0, 1e-4)):
        features, dt = Features.of([clip]), clip.frame_time
        x = features.encode(clip)
        x[:, features.slices["root_velocity"]] += 0.0 if clip is idle else 2.0 * clip.skeleton.height
        changed = vary_stance(features, x, 0.01, dt, torch.Generator().manual_seed(1))
        apart = (features.decode(changed, dt)[0] - features.decode(x, dt)[0]).norm(dim=-1).amax(0)
        assert least < float(apart.max()) < most
        at = features.slices
        assert torch.equal(changed[:, : at["root_tilt"].stop], x[:, : at["root_tilt"].stop])
    takes = [api.vary(idle, 1, seconds=4, seed=1, config=SampleConfig(stance=s))[0] for s in (0.0, 0.01)]
    apart = (takes[0].world()[1] - takes[1].world()[1]).norm(dim=-1).mean() / idle.skeleton.height
    assert 0.001 < float(apart) < 0.03
