"""The loop on a toy and on clip-gan: seeds, resuming, killing, stopping, what is not finite, other people's folders."""

import json
import multiprocessing
import os
import random
import signal
import threading
import time

import pytest
import torch
from torch import nn

from motif import api, registry
from motif.errors import MotifError, Stopped
from motif.train import Optim, Stage, TrainConfig, Update, run


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 1)
        self.register_buffer("seen", torch.zeros(1))

    def loss(self, random):
        x = torch.randn(8, 3, generator=random)
        self.seen += 1
        return (self.b(self.a(x)) - x.sum(1, keepdim=True)).square().mean(), {}


def stages(net, steps=(30, 20)):
    """The second stage begins from what the first one learned."""
    yield Stage("first", steps[0], (Update("fit", net, net.loss, Optim(1e-2)),), net.a)
    with torch.no_grad():
        net.b.weight.copy_(net.a.weight[:1])
    both = Update("a", net.a, net.loss, Optim(1e-2), 2), Update("b", net.b, net.loss, Optim(1e-2, (0.9, 0.999), "none"))
    yield Stage("second", steps[1], both)


PLAN = [("first", 30), ("second", 20)]


FP32 = TrainConfig("fp32")


def trained(folder=None, stop=None, seed=0, train=FP32):
    torch.manual_seed(0)
    net = Toy()
    count = 0

    def told(progress):
        nonlocal count
        count += 1
        if count == stop:
            os.kill(os.getpid(), signal.SIGINT)

    run(net, lambda: stages(net), PLAN, seed, train, folder, {"what": "toy"}, told)
    return net.state_dict()


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def test_the_toy_is_learned_and_seeds_decide():
    assert same(trained(), trained())
    assert not same(trained(), trained(seed=1))
    torch.manual_seed(0)
    before, after = Toy(), Toy()
    after.load_state_dict(trained())
    losses = [float(net.loss(torch.Generator().manual_seed(5))[0]) for net in (before, after)]
    assert losses[1] < 0.9 * losses[0]


@pytest.mark.parametrize("stop", [1, 17, 29, 30, 31, 44, 49])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(stop, tmp_path):
    with pytest.raises(Stopped, match="the same command goes on from there"):
        trained(tmp_path, stop)
    assert same(trained(tmp_path), trained())
    assert same(trained(tmp_path), trained())  # and once more, when all is done


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
    net, count = Toy(), 0

    def told(progress):
        nonlocal count
        count += 1
        if count == moment:
            raise KeyboardInterrupt

    torch.manual_seed(0)
    net = Toy()
    with pytest.raises(KeyboardInterrupt):
        run(net, lambda: stages(net), PLAN, 0, FP32, tmp_path, {"what": "toy"}, told)
    assert same(trained(tmp_path), trained())


def test_another_run_is_not_continued(tmp_path):
    with pytest.raises(Stopped):
        trained(tmp_path, 5)
    with pytest.raises(MotifError, match="holds an unfinished run with another seed"):
        trained(tmp_path, seed=1)
    (tmp_path / "state.pt").write_bytes(b"nonsense")
    with pytest.raises(MotifError, match="cannot be read"):
        trained(tmp_path)


def test_the_log_tells_losses(tmp_path):
    trained(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[0]["stage"] == "first"
    assert set(lines[0]["losses"]) == {"fit"}
    assert lines[-1]["stage"] == "second"


def test_a_loss_that_is_not_finite_is_named():
    net = Toy()

    def broken(random):
        return net.a.weight.sum() * float("nan"), {}

    with pytest.raises(MotifError, match=r"the loss 'bad' is nan at step 0 of stage 'only'"):
        run(
            net,
            lambda: iter([Stage("only", 3, (Update("bad", net, broken),))]),
            [("only", 3)],
            train=TrainConfig("fp32"),
        )


def test_both_precisions_run():
    assert all(v.isfinite().all() for v in trained(train=TrainConfig("bf16")).values())
    assert all(v.isfinite().all() for v in trained(train=TrainConfig("auto")).values())


def learn(folder, life=None):
    """A run of clip-gan that saves all the time, and its model file; killed ``life`` seconds after its first step."""
    torch.set_num_threads(1)
    marks = []

    def told(progress):
        marks.append(time.perf_counter())
        if life is not None and len(marks) == 1:
            threading.Timer(life, os.kill, (os.getpid(), signal.SIGKILL)).start()

    clip = api.demo_clip().crop(0, 150)
    habits = TrainConfig("fp32", save_every=0.02, device="cpu")
    model = api.fit("clip-gan", clip, 3, folder / "run", habits, told, steps=250, batch=4, width=16)
    model.save(folder / "model.safetensors")
    return marks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked here, which this system cannot")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_at_twenty_random_moments_the_model_is_the_same_and_no_file_is_half_written(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    marks, clock, seen = learn(whole), random.Random(0), []
    for _ in range(20):
        life = clock.uniform(0, 0.12) * (marks[-1] - marks[0])
        child = multiprocessing.get_context("fork").Process(target=learn, args=(cut, life))
        child.start()
        child.join()
        if (cut / "run" / "state.pt").exists():
            state = torch.load(cut / "run" / "state.pt", weights_only=False)
            seen.append(state["step"])
        if (cut / "model.safetensors").exists():
            api.Model.load(cut / "model.safetensors")
    assert len(set(seen)) > 5, "killed before anything was saved, or after all was done"
    learn(cut)
    weights = [api.Model.load(folder / "model.safetensors").net.state_dict() for folder in (whole, cut)]
    assert same(*weights)


# --- devices ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("engine", ["clip-gan", "clip-flow"])
def test_losses_are_computed_where_the_net_is(engine):
    """On the meta device, which has no numbers but refuses to mix with the processor, as a GPU does."""
    recipe = registry.recipe(engine, steps=3, batch=2, width=8)
    exemplar = recipe.prepare([api.demo_clip().crop(0, 150)])
    net = recipe.net(exemplar).to("meta")
    with pytest.raises(RuntimeError, match=r"same device|meta"):
        next(net.parameters()) + torch.zeros(next(net.parameters()).shape)
    for stage in recipe.stages(net, exemplar, 0):
        for update in stage.updates:
            for seed in range(8):  # some steps have a penalty
                loss, _ = update.loss(torch.Generator().manual_seed(seed))
                assert loss.device.type == "meta"
                torch.autograd.grad(loss, list(update.module.parameters()))


def test_a_device_that_is_not_there_is_named():
    net = Toy()
    with pytest.raises(MotifError, match=r"training on 'xpu' is not possible here .*choose cpu or auto"):
        run(net, lambda: stages(net), PLAN, train=TrainConfig(device="xpu"))
    with pytest.raises(MotifError, match="training on 'gpu' is not possible here"):
        run(net, lambda: stages(net), PLAN, train=TrainConfig(device="gpu"))
    assert next(net.parameters()).device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("engine", ["clip-gan", "clip-flow", "ganimator", "paper", "sinmdm", "sinmdm-qna"])
def test_engines_learn_on_a_gpu(engine, clips):
    few = {"samples": (64,)} if engine in ("ganimator", "paper") else {"steps": 4}
    model = api.fit(engine, api.load(clips / "Salsa-Dancing-6.bvh"), 1, train=TrainConfig(device="cuda"), **few)
    assert all(v.device.type == "cpu" for v in model.net.state_dict().values())
    assert all(v.isfinite().all() for v in model.net.state_dict().values())
