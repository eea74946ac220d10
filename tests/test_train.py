"""The loop on a toy and on clip-gan: seeds, resuming, killing, stopping, optimisers, data, precision, refusals."""

import functools
import json
import math
import multiprocessing
import os
import random
import signal
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_map_only

from motif import api, registry, train
from motif.errors import MotifError, Stopped
from motif.seeds import position_seed
from motif.train import (
    Ema,
    IterableBatches,
    Optim,
    ParamGroup,
    Plan,
    Shard,
    Stage,
    TrainConfig,
    Update,
    budget,
    checkpoint,
    log,
    run,
)
from motif.train.optim import lr_factor
from rigs import jumps


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 1)
        self.register_buffer("seen", torch.zeros(1))

    def loss(self, batch, generator):
        x = torch.randn(8, 3, generator=generator) if batch is None else batch
        self.seen += 1
        return (self.b(self.a(x)) - x.sum(1, keepdim=True)).square().mean(), {}


def stages(net, steps=(30, 20)):
    """The second stage begins from what the first one learned."""
    yield Stage("first", steps[0], (Update("fit", net, net.loss, Optim(1e-2)),), ema=Ema(net.a))
    with torch.no_grad():
        net.b.weight.copy_(net.a.weight[:1])
    slow = Optim(1e-2, (0.9, 0.999), schedule="constant")
    yield Stage("second", steps[1], (Update("a", net.a, net.loss, Optim(1e-2), 2), Update("b", net.b, net.loss, slow)))


PLAN = [("first", 30), ("second", 20)]
FP32 = TrainConfig("fp32", "cpu")


def toy():
    torch.manual_seed(0)
    return Toy()


def trained(folder=None, stop=None, seed=0, config=FP32, number=signal.SIGINT):
    net, count = toy(), 0

    def callback(progress):
        nonlocal count
        count += 1
        if count == stop:
            os.kill(os.getpid(), number)

    run(net, Plan(PLAN, lambda: stages(net)), seed, config, folder, {"what": "toy"}, callback)
    return net.state_dict()


def only(net, update, steps=20, config=FP32, folder=None, progress=lambda progress: None, **stage):
    """One stage of one update."""
    plan = Plan([("only", steps)], lambda: iter([Stage("only", steps, (update,), **stage)]))
    return run(net, plan, 0, config, folder, {}, progress)


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def test_the_toy_is_learned_and_seeds_decide():
    assert same(trained(), trained())
    assert not same(trained(), trained(seed=1))
    before, after = toy(), Toy()
    after.load_state_dict(trained())
    losses = [float(net.loss(None, torch.Generator().manual_seed(5))[0]) for net in (before, after)]
    assert losses[1] < 0.9 * losses[0]


# --- stopped, killed, resumed ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("stop", [1, 17, 29, 30, 31, 44, 49])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(stop, tmp_path):
    with pytest.raises(Stopped, match="the same command goes on from there"):
        trained(tmp_path, stop)
    assert same(trained(tmp_path), trained())
    assert same(trained(tmp_path), trained())  # and once more, when all is done


# --- cut short on purpose --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stop", [None, 3, 12])
def test_so_many_steps_a_stage_and_the_model_says_what_share(stop, tmp_path):
    def learn(folder, stop=None):
        net, seen = toy(), []

        def callback(progress):
            seen.append((progress.stage, progress.step, progress.fraction))
            if len(seen) == stop:
                os.kill(os.getpid(), signal.SIGINT)

        config = TrainConfig("fp32", "cpu", steps=25)
        return net, seen, run(net, Plan(PLAN, lambda: stages(net)), 0, config, folder, {}, callback)

    net, seen, trained = learn(None)
    assert [x[:2] for x in seen] == [("first", k + 1) for k in range(25)] + [("second", k + 1) for k in range(20)]
    assert seen[-1][2] == 1
    assert trained == ("fp32", 45 / 50)
    if stop:
        with pytest.raises(Stopped):
            learn(tmp_path, stop)
        again, _, trained = learn(tmp_path)
        assert trained.share == 45 / 50
        assert same(again.state_dict(), net.state_dict())


def test_minutes_are_shared_by_stages_and_settled_once(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    plan, counts = [("slow", 1000), ("short", 4), ("fast", 1000)], {}
    seconds = {"slow": 1.0, "short": 1.0, "fast": 0.5}

    def learn(stop=None):
        net = toy()

        def loss(name, batch, generator):
            clock[0] += seconds[name] * (1 if name in counts else 5)  # a first step is slow
            return net.loss(batch, generator)

        def callback(progress):
            counts[progress.stage] = progress.step
            if (progress.stage, progress.step) == stop:
                os.kill(os.getpid(), signal.SIGINT)

        stages = [
            Stage(name, steps, (Update("fit", net, functools.partial(loss, name), Optim(1e-2)),))
            for name, steps in plan
        ]
        config = TrainConfig("fp32", "cpu", minutes=5)
        return run(net, Plan(plan, lambda: iter(stages)), 0, config, tmp_path, {}, callback)

    with pytest.raises(Stopped):
        learn(("slow", 60))
    clock[0] += 1e6  # waits overnight
    seconds["slow"] = 3.0  # and goes on on a slower machine: the number of steps is known
    trained = learn()
    assert counts["slow"] == pytest.approx(100, abs=6)
    assert counts["short"] == 4
    left = 300 - 4 - 60 - 3 * (counts["slow"] - 60) - 8
    assert counts["fast"] == pytest.approx(left / 0.5, abs=12)
    assert trained.share == sum(counts.values()) / 2004


def test_a_stage_that_ends_before_it_is_settled_does_not_disturb_the_next(monkeypatch):
    clock, counts, net = [0.0], {}, toy()
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def loss(seconds, batch, generator):
        clock[0] += seconds
        return net.loss(batch, generator)

    plan = [("short", 3), ("long", 1000)]
    both = [Stage(name, n, (Update("fit", net, functools.partial(loss, s)),)) for (name, n), s in zip(plan, (0.1, 1.0))]
    config = TrainConfig("fp32", "cpu", minutes=2)
    run(net, Plan(plan, lambda: iter(both)), 0, config, progress=lambda p: counts.update({p.stage: p.step}))
    assert counts == {"short": 3, "long": 119}


def test_threads_are_those_asked_for_and_put_back():
    seen, before = [], torch.get_num_threads()
    look = lambda progress: seen.append(torch.get_num_threads())  # noqa: E731
    api.fit("clip-gan", jumps(), config=TrainConfig("fp32", "cpu", threads=2, steps=1), progress=look)
    assert seen == [2]
    assert torch.get_num_threads() == before


def test_a_minute_too_short_for_anything_takes_a_step_of_each_stage():
    net = toy()
    config = TrainConfig("fp32", "cpu", minutes=1e-9)
    assert run(net, Plan(PLAN, lambda: stages(net)), 0, config).share == 2 / 50


def test_folders_of_other_programs_stay(tmp_path):
    (tmp_path / "checkpoint-500").mkdir()
    (tmp_path / "checkpoint-500" / "model.bin").write_text("not ours")
    trained(tmp_path)
    checkpoint.delete_run(tmp_path)
    assert [p.name for p in tmp_path.rglob("*")] == ["checkpoint-500", "model.bin"]


@pytest.mark.parametrize("stop", [3, 5, 7, None])
def test_a_stream_shared_by_two_stages_goes_on(stop, tmp_path):
    def learn(folder, stop=None):
        net, count, seen = toy(), 0, []
        stream = IterableBatches(lambda start: (torch.full((3,), float(k)) for k in range(start, 1000)), 8)

        def loss(batch, generator):
            seen.append(int(batch[0, 0]))
            return net.loss(0.01 * batch, generator)

        def callback(progress):
            nonlocal count
            count += 1
            if count == stop:
                os.kill(os.getpid(), signal.SIGINT)

        both = [Stage(name, 5, (Update("fit", net, loss),), stream) for name in ("first", "second")]
        run(net, Plan([("first", 5), ("second", 5)], lambda: iter(both)), 0, FP32, folder, {}, callback)
        return net.state_dict(), seen

    whole, seen = learn(None)
    assert seen == list(range(0, 80, 8))
    if stop:
        with pytest.raises(Stopped):
            learn(tmp_path, stop)
    again, rest = learn(tmp_path)
    assert same(again, whole)
    assert rest == seen[stop or 0 :]


@pytest.mark.parametrize("given", [{"precision": "fp16"}, {"parallel": "dpp"}])
def test_settings_that_are_not_there_are_refused(given):
    with pytest.raises(MotifError, match="give one of"):
        TrainConfig(**given)


def test_a_run_that_is_asked_to_end_is_saved(tmp_path):
    with pytest.raises(Stopped, match=r"stopped at 34%; what was learned is in"):
        trained(tmp_path, 17, number=signal.SIGTERM)
    assert same(trained(tmp_path), trained())
    with pytest.raises(Stopped, match="nothing was kept, because no folder was given"):
        trained(None, 17)


def test_a_run_stopped_again_and_again(tmp_path):
    for _ in range(30):
        try:
            trained(tmp_path, 3)
            break
        except Stopped:
            pass
    assert same(trained(tmp_path), trained())


@pytest.mark.parametrize("moment", [1, 31, 32])
def test_a_run_killed_where_a_stage_begins_goes_on_with_what_the_stage_prepared(moment, tmp_path):
    net, count = toy(), 0

    def callback(progress):
        nonlocal count
        count += 1
        if count == moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(net, Plan(PLAN, lambda: stages(net)), 0, FP32, tmp_path, {"what": "toy"}, callback)
    assert all(p.requires_grad for p in net.parameters())
    assert same(trained(tmp_path), trained())


def test_another_run_is_not_continued(tmp_path):
    with pytest.raises(Stopped):
        trained(tmp_path, 5)
    with pytest.raises(MotifError, match="holds an unfinished run with another seed"):
        trained(tmp_path, seed=1)
    (newest,) = tmp_path.glob("checkpoint-*")
    for name in ("__0_0.distcp", ".metadata", "run.json"):
        (newest / name).write_bytes(b"nonsense")
        with pytest.raises(MotifError, match="cannot be read"):
            trained(tmp_path)


def test_a_checkpoint_that_is_not_whole_is_not_read(tmp_path):
    with pytest.raises(Stopped):
        trained(tmp_path, 5)
    later = tmp_path / "checkpoint-000-000000006"
    later.mkdir()
    (later / "run.json").write_text("{}")
    with pytest.raises(Stopped):
        trained(tmp_path, 1)  # is written in its place
    assert json.loads((later / "run.json").read_text())["step"] == 6
    assert len(list(tmp_path.glob("checkpoint-*"))) == 1
    assert same(trained(tmp_path), trained())
    train.delete_run(tmp_path)
    assert not tmp_path.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MotifError, match="cannot be made a folder"):
        trained(tmp_path / "file")
    folder = checkpoint.RunFolder(tmp_path, {}, train.distributed.Processes("none", torch.device("cpu")))
    folder.folder = tmp_path / "gone"
    with pytest.raises(MotifError, match=r"-000000001: cannot be written \(.*; check permissions and space"):
        folder.save({"stage": 0, "step": 1}, {"x": torch.zeros(1)})


def test_checkpoints_come_by_time_and_by_what_they_cost(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    folder = checkpoint.RunFolder(tmp_path, {}, train.distributed.Processes("none", torch.device("cpu")))
    clock[0] = 21.0
    assert folder.due(20) and not folder.due(22)
    folder.cost = 1.0
    assert not folder.due(20)
    clock[0] = 31.0
    assert folder.due(20)


def learn(folder, life=None):
    """A run of clip-gan that saves all the time, and its model file; killed ``life`` seconds after its first step."""
    torch.set_num_threads(1)
    marks = []

    def callback(progress):
        marks.append(time.perf_counter())
        if life is not None and len(marks) == 1:
            threading.Timer(life, os.kill, (os.getpid(), signal.SIGKILL)).start()

    clip = jumps().crop(0, 150)
    config = TrainConfig("fp32", "cpu", save_every=0.06)
    recipe = registry.ClipGan(steps=100, batch=4, width=16)
    model = api.fit(recipe, clip, seed=3, folder=folder / "run", config=config, progress=callback)
    model.save(folder / "model.safetensors")
    return marks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked here, which this system cannot")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_at_twenty_random_moments_the_model_is_the_same_and_no_file_is_half_written(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "COST_RATIO", 0)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    marks, clock, seen = learn(whole), random.Random(0), []
    for _ in range(20):
        life = clock.uniform(0, 0.12) * (marks[-1] - marks[0])
        child = multiprocessing.get_context("fork").Process(target=learn, args=(cut, life))
        child.start()
        child.join()
        found = [path for path in checkpoint.checkpoints(cut / "run") if (path / ".metadata").exists()]
        for path in found[-1:]:  # an older one may be half deleted
            state = json.loads((path / "run.json").read_text())
            seen.append((state["stage"], state["step"]))
        if (cut / "model.safetensors").exists():
            api.Model.load(cut / "model.safetensors")
    assert len(set(seen)) > 5, "killed before anything was saved, or after all was done"
    learn(cut)
    weights = [api.Model.load(folder / "model.safetensors").net.state_dict() for folder in (whole, cut)]
    assert same(*weights)


# --- randomness and data ---------------------------------------------------------------------------------------------
def test_every_gradient_step_has_a_generator_of_its_own_seeded_by_position():
    net, seen = toy(), []

    def loss(batch, generator):
        seen.append(generator.initial_seed())
        return net.loss(batch, generator)

    updates = Update("twice", net, loss, repeats=2), Update("rare", net, loss, every=3)
    run(net, Plan([("x", 4)], lambda: iter([Stage("x", 4, updates)])), 7, FP32)
    places = [(step, k, repeat) for step in range(4) for k, repeat in ((0, 0), (0, 1), (1, 0)) if not (k and step % 3)]
    assert seen == [position_seed(7, 0, *place) for place in places]
    assert len(set(seen)) == len(seen)


class Rows:
    """Batches of eight random rows, by position; counts what is drawn."""

    def __init__(self, count=8, fail=None):
        self.count, self.drawn, self.fail = count, 0, fail

    def draw(self, generator, shard):
        self.drawn += 1
        if self.drawn == self.fail:
            raise MotifError("no more")
        rows = torch.randn(self.count, 3, generator=generator)
        return rows[shard.index * self.count // shard.count : (shard.index + 1) * self.count // shard.count]

    def state_dict(self):
        return {"drawn": self.drawn}

    def load_state_dict(self, state):
        self.drawn = state["drawn"]


def test_batches_are_drawn_by_the_same_generator_before_the_loss():
    a, b = toy(), toy()
    only(a, Update("fit", a, a.loss))
    only(b, Update("fit", b, b.loss), batches=Rows())
    assert same(a.state_dict(), b.state_dict())


@pytest.mark.parametrize("depth", [1, 5])
def test_batches_drawn_ahead_change_nothing(depth, tmp_path):
    def ahead(folder, prefetch, stop=None):
        net, rows = toy(), Rows()
        config = TrainConfig("fp32", "cpu", prefetch=prefetch)

        def callback(progress):
            if progress.step == stop:
                os.kill(os.getpid(), signal.SIGINT)

        only(net, Update("fit", net, net.loss), 20, config, folder, callback, batches=rows)
        return net.state_dict()

    with pytest.raises(Stopped):
        ahead(tmp_path, depth, 7)
    (newest,) = tmp_path.glob("checkpoint-*")
    assert json.loads((newest / "run.json").read_text())["batches"] == {"drawn": 7}  # those used
    assert same(ahead(tmp_path, depth), ahead(None, 0))


def test_what_fails_while_drawing_ahead_is_raised():
    net, threads = toy(), threading.active_count()
    config = TrainConfig("fp32", "cpu", prefetch=3)
    with pytest.raises(MotifError, match="no more"):
        only(net, Update("fit", net, net.loss), config=config, batches=Rows(fail=9))
    assert threading.active_count() == threads


def test_batches_may_be_nested_and_are_moved():
    seen = []
    net = toy().to("meta")
    net.to = lambda device: net

    class Nested:
        def draw(self, generator, shard):
            return {"x": torch.ones(2, 3), "more": (torch.ones(1), [torch.ones(1)], "name")}

        state_dict = staticmethod(dict)

    def loss(batch, generator):
        seen.append(batch)
        return net.b(net.a(batch["x"])).mean() + 0 * batch["more"][1][0].sum(), {}

    with pytest.raises(NotImplementedError, match="meta"):  # there are no losses to read
        only(net, Update("fit", net, loss), config=TrainConfig("fp32", "meta"), batches=Nested())
    assert seen[0]["x"].device.type == seen[0]["more"][1][0].device.type == "meta"
    assert seen[0]["more"][2] == "name"


def counted(start):
    return iter([torch.full((3,), float(k)) for k in range(start, 100)])


def test_a_stream_is_shared_in_order_and_goes_on_where_it_was():
    generator = torch.Generator()

    def draw(streams, count):
        return [int(x) for k, s in enumerate(streams) for x in s.draw(generator, Shard(k, count))[:, 0]]

    one, two = IterableBatches(counted, 4), [IterableBatches(counted, 4) for _ in range(2)]
    for k in range(5):
        assert draw([one], 1) == draw(two, 2) == [4 * k, 4 * k + 1, 4 * k + 2, 4 * k + 3]
    assert one.state_dict() == two[0].state_dict() == two[1].state_dict() == {"position": 20}
    parts = IterableBatches(counted, 4)  # one process, two parts: its shards have rising indices
    parts.load_state_dict(one.state_dict())
    for k in range(5, 8):
        assert [int(x) for m in (0, 1) for x in parts.draw(generator, Shard(m, 2))[:, 0]] == list(
            range(4 * k, 4 * k + 4)
        )
    with pytest.raises(MotifError, match="cannot be shared by 3"):
        one.draw(generator, Shard(0, 3))
    one.load_state_dict({"position": 98})
    with pytest.raises(MotifError, match="ended after 100"):
        one.draw(generator, Shard())


# --- optimisers ------------------------------------------------------------------------------------------------------
def by_hand(optimizer, net, steps, before_step=lambda step: None):
    """The same loop, written out."""
    for step in range(steps):
        loss, _ = net.loss(None, torch.Generator().manual_seed(position_seed(0, 0, step, 0, 0)))
        optimizer.zero_grad()
        loss.backward()
        before_step(step)
        optimizer.step()
    return net.state_dict()


def test_parameter_groups_are_those_of_adamw():
    groups = ParamGroup(r"bias$", weight_decay=0.0), ParamGroup(r"^b\.", lr_scale=0.1)
    optim = Optim(1e-2, (0.9, 0.99), "adamw", 0.5, "constant", groups=groups)
    a, b = toy(), toy()
    only(a, Update("fit", a, a.loss, optim))
    theirs = [
        {"params": [b.a.bias, b.b.bias], "weight_decay": 0.0},
        {"params": [b.b.weight], "lr": 1e-3},
        {"params": [b.a.weight]},
    ]
    assert same(a.state_dict(), by_hand(torch.optim.AdamW(theirs, 1e-2, (0.9, 0.99), weight_decay=0.5), b, 20))
    with pytest.raises(MotifError, match=r"no parameter is left for the group 'proj'; there are a.weight"):
        only(a, Update("fit", a, a.loss, Optim(groups=(ParamGroup("proj"),))))


def test_what_needs_no_gradient_is_left_alone():
    net = toy()
    net.a.requires_grad_(False)
    before = net.a.weight.clone()
    only(net, Update("fit", net, net.loss))
    assert torch.equal(net.a.weight, before) and not net.a.weight.requires_grad


def test_schedules_fall_and_warm_up():
    for optim, at_half in (
        (Optim(), 0.525),
        (Optim(schedule="exponential"), 0.05**0.5),
        (Optim(schedule="constant"), 1),
    ):
        assert lr_factor(optim, 0, 100) == 1
        assert math.isclose(lr_factor(optim, 50, 100), at_half)
    warm = Optim(warmup_steps=20)
    assert [lr_factor(warm, step, 100) for step in (0, 9, 19)] == [1 / 20, 10 / 20, 1]
    assert [lr_factor(warm, 20 + k, 100) for k in range(80)] == [lr_factor(Optim(), k, 80) for k in range(80)]
    a, b = toy(), toy()
    only(a, Update("fit", a, a.loss, Optim(1e-2, warmup_steps=5, min_lr_ratio=0)))
    theirs = torch.optim.Adam(b.parameters(), 1e-2, (0.0, 0.99))
    warmup = torch.optim.lr_scheduler.LinearLR(theirs, 0.2, 1.0, 4)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 15)
    rates = torch.optim.lr_scheduler.SequentialLR(theirs, [warmup, fall], [5])
    by_hand(theirs, b, 20, lambda step: rates.step() if step else None)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_gradients_are_clipped_together():
    a, b, c = toy(), toy(), toy()
    only(a, Update("fit", a, a.loss, Optim(1e-2, (0.9, 0.99), schedule="constant", clip_norm=0.1)))
    adam = torch.optim.Adam(b.parameters(), 1e-2, (0.9, 0.99))
    by_hand(adam, b, 20, lambda step: nn.utils.clip_grad_norm_(b.parameters(), 0.1))
    assert same(a.state_dict(), b.state_dict())
    only(c, Update("fit", c, c.loss, Optim(1e-2, (0.9, 0.99), schedule="constant")))
    assert not same(a.state_dict(), c.state_dict())


@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_is_the_whole_batch(parts):
    whole, cut = toy(), toy()
    optim = Optim(1e-2, clip_norm=0.5)
    only(whole, Update("fit", whole, whole.loss, optim), 50, batches=Rows())
    config = TrainConfig("fp32", "cpu", grad_accum_steps=parts)
    only(cut, Update("fit", cut, cut.loss, optim), 50, config, batches=Rows())
    for p, q in zip(whole.parameters(), cut.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-5)


def test_parts_draw_other_noise():
    net, seen = toy(), []

    def loss(batch, generator):
        seen.append(float(torch.randn(1, generator=generator)))
        return net.loss(batch, generator)

    only(net, Update("fit", net, loss), 3, TrainConfig("fp32", "cpu", grad_accum_steps=2))
    assert len(set(seen)) == 6


def test_an_update_moves_its_own_module_alone_and_the_rest_gets_no_gradient():
    net = toy()
    before = net.b.weight.clone()

    def loss(batch, generator):
        assert net.a.weight.requires_grad and not net.b.weight.requires_grad
        return net.loss(batch, generator)

    only(net, Update("a", net.a, loss))
    assert torch.equal(net.b.weight, before)
    assert all(p.requires_grad and p.grad is None for p in net.parameters())


def test_a_parameter_that_takes_no_part_is_our_bug():
    net = toy()
    with pytest.raises(AssertionError, match="take no part in the loss"):
        only(net, Update("fit", net, lambda batch, generator: (net.a.weight.sum(), {})))


def test_the_average_can_be_looked_at():
    net, means = toy(), []
    means = [p.detach().clone() for p in net.a.parameters()]

    def look(progress):
        own = [p.detach().clone() for p in net.parameters()]
        decay = min(0.9, progress.step / (9 + progress.step))
        with torch.no_grad():
            for mean, p in zip(means, net.a.parameters(), strict=True):
                mean.lerp_(p, 1 - decay)
        with progress.ema():
            assert all(torch.equal(m, p) for m, p in zip(means, net.a.parameters(), strict=True))
            assert torch.equal(net.b.weight, own[2])
            net.loss(None, torch.Generator())
        assert all(torch.equal(p, q) for p, q in zip(own, net.parameters(), strict=True))

    only(net, Update("fit", net, net.loss), progress=look, ema=Ema(net.a, 0.9))
    assert all(torch.equal(m, p) for m, p in zip(means, net.a.parameters(), strict=True))


# --- what is reported ------------------------------------------------------------------------------------------------
def test_losses_and_the_time_left_are_logged(tmp_path):
    told = []
    net = toy()
    run(net, Plan(PLAN, lambda: stages(net)), 0, FP32, tmp_path, {}, told.append)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[0]["stage"] == "first"
    assert set(lines[0]["losses"]) == {"fit"}
    assert lines[-1]["stage"] == "second"
    assert set(lines[-1]["losses"]) >= {"a", "b"}
    assert [p.fraction for p in told] == [(k + 1) / 50 for k in range(50)]
    assert told[0].seconds_left is None and told[-1].seconds_left == 0
    assert all(0 < p.seconds_left < 60 for p in told[1:-1])


def test_losses_are_read_now_and_then(monkeypatch):
    reads = []
    monkeypatch.setattr(log, "TICK", 1e9)
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self, whole=torch.Tensor.tolist: reads.append(1) or whole(self))
    for name in ("__float__", "__bool__", "__int__", "numpy", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, lambda self: pytest.fail("waits for the device"))
    net = toy()
    only(net, Update("fit", net, net.loss, Optim(clip_norm=1.0)), 50, ema=Ema(net))
    assert len(reads) == 2  # of the first step and of the last


def test_a_loss_that_is_not_finite_is_named(tmp_path, monkeypatch):
    net = toy()

    def broken(batch, generator):
        return net.a.weight.sum() * float("nan") + net.b.weight.sum() + net.a.bias.sum() + net.b.bias.sum(), {}

    with pytest.raises(MotifError, match=r"the loss 'bad' is nan at step 0 of stage 'only'"):
        only(net, Update("bad", net, broken), 3)
    monkeypatch.setattr(log, "TICK", 1e9)
    count = iter(range(100))

    def later(batch, generator):
        loss, _ = net.loss(batch, generator)
        return loss * (float("inf") if next(count) == 7 else 1), {}

    net, config = toy(), TrainConfig("fp32", "cpu", save_every=0)
    monkeypatch.setattr(checkpoint, "COST_RATIO", 0)
    with pytest.raises(MotifError, match=r"the loss 'bad' is inf at step 7 of stage 'only'; try another seed"):
        only(net, Update("bad", net, later), 20, config, tmp_path)
    (newest,) = tmp_path.glob("checkpoint-*")
    assert json.loads((newest / "run.json").read_text())["step"] == 7  # nothing that is broken was saved


# --- precision and devices -------------------------------------------------------------------------------------------
def test_both_precisions_run():
    assert all(v.isfinite().all() for v in trained(config=TrainConfig("bf16")).values())
    assert all(v.isfinite().all() for v in trained(config=TrainConfig("auto")).values())


@pytest.mark.parametrize(("amx", "precision"), [(True, "bf16"), (False, "fp32")])
def test_the_processor_decides_the_precision(amx, precision, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    net, dtypes = toy(), set()

    def loss(batch, generator):
        dtypes.add(net.a(torch.zeros(1, 3)).dtype)
        return net.loss(batch, generator)

    assert only(net, Update("fit", net, loss), config=TrainConfig(device="cpu")).precision == precision
    assert dtypes == {torch.bfloat16 if amx else torch.float32}
    assert net.a.weight.dtype == torch.float32


def test_a_run_goes_on_in_its_own_precision(tmp_path, monkeypatch):
    with pytest.raises(Stopped):
        trained(tmp_path, 5, config=TrainConfig("bf16", "cpu"))
    with pytest.raises(
        MotifError, match=r"was begun in bf16 and cannot go on in fp32; choose --precision bf16 or auto"
    ):
        trained(tmp_path)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    went_on = trained(tmp_path, config=TrainConfig(device="cpu"))
    assert same(went_on, trained(config=TrainConfig("bf16", "cpu")))


def test_a_device_that_is_not_there_is_named():
    net = toy()
    with pytest.raises(MotifError, match=r"training on 'xpu' is not possible here .*choose cpu or auto"):
        run(net, Plan(PLAN, lambda: stages(net)), config=TrainConfig(device="xpu"))
    with pytest.raises(MotifError, match="training on 'gpu' is not possible here"):
        run(net, Plan(PLAN, lambda: stages(net)), config=TrainConfig(device="gpu"))
    assert next(net.parameters()).device.type == "cpu"


def test_what_is_not_there_is_refused_before_training(monkeypatch):
    def fail(*_):
        raise RuntimeError("Failed to find C compiler.")

    net = toy()
    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(MotifError, match=r"no compiler.*Failed to find C compiler"):
        run(net, Plan(PLAN, lambda: pytest.fail("too late")), config=TrainConfig(compile=True))
    for parallel in ("ddp", "fsdp"):
        with pytest.raises(MotifError, match="start it with torchrun"):
            run(net, Plan(PLAN, lambda: pytest.fail("too late")), config=TrainConfig(parallel=parallel))
    with pytest.raises(MotifError, match="grad_accum_steps is 0"):
        TrainConfig(grad_accum_steps=0)


def test_modules_are_compiled_while_they_are_trained(monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))  # quicker
    a, b, compiled, config = toy(), toy(), [], TrainConfig("fp32", "cpu", compile=True)

    def fit(net):
        def loss(batch, generator):
            y = net.a(torch.randn(8, 3, generator=generator))
            compiled.append("Compiled" in type(y.grad_fn).__name__)
            return y.square().mean(), {}

        return Update("fit", net.a, loss)

    only(a, fit(a))
    only(b, fit(b), config=config)
    assert compiled == [False] * 20 + [True] * 20
    assert b.a._compiled_call_impl is None
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(p, q)

    def penalty(batch, generator):
        x = torch.randn(8, 3, generator=generator, requires_grad=True)
        (slope,) = torch.autograd.grad(b.a(x).square().sum(), x, create_graph=True)
        return slope.square().mean() + b.a(x).mean(), {}

    with pytest.raises(MotifError, match=r"the loss 'fit' cannot be compiled .*double backward.*; train without"):
        only(b, Update("fit", b.a, penalty), config=config)


@pytest.mark.parametrize("engine", ["clip-gan", "clip-flow"])
def test_losses_are_computed_where_the_net_is(engine):
    """On the meta device, which has no numbers but refuses to mix with the processor, as a GPU does."""
    recipe = replace(registry.recipe(engine), steps=3, batch=2, width=8)
    prepared = recipe.prepare(api.Domain.of([jumps().crop(0, 150)]))
    net = recipe.net(prepared).to("meta")
    with pytest.raises(RuntimeError, match=r"same device|meta"):
        next(net.parameters()) + torch.zeros(next(net.parameters()).shape)
    for stage in recipe.stages(net, prepared, 0):
        for update in stage.updates:
            for seed in range(8):  # some steps have a penalty
                generator = torch.Generator().manual_seed(seed)
                batch = None if stage.batches is None else stage.batches.draw(generator, Shard())
                loss, _ = update.loss(tree_map_only(torch.Tensor, lambda x: x.to("meta"), batch), generator)
                assert loss.device.type == "meta"
                torch.autograd.grad(loss, list(update.module.parameters()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("engine", ["clip-gan", "clip-flow", "ganimator", "paper", "sinmdm", "sinmdm-qna"])
def test_engines_learn_on_a_gpu(engine, clips):
    few = {"samples": (64,)} if engine in ("ganimator", "paper") else {"steps": 4}
    recipe = replace(registry.recipe(engine), **few)
    model = api.fit(recipe, api.load(clips / "Salsa-Dancing-6.bvh"), 1, config=TrainConfig(device="cuda"))
    assert all(v.device.type == "cpu" for v in model.net.state_dict().values())
    assert all(v.isfinite().all() for v in model.net.state_dict().values())
