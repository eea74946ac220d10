"""Two processes are one: DDP and FSDP2 under torchrun on the CPU, killed, and resumed on another number of processes.

Run by torchrun, this file is the script whose findings the tests judge.
"""

import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint
import torch.distributed.fsdp  # both here, so that forked processes have them
from torch import nn

from motif.errors import MotifError, Stopped
from motif.train import Ema, IterableBatches, Optim, Plan, Stage, TrainConfig, Update, checkpoint, log, run

STEPS = 50
GROUP = 8
"""Samples in a global batch."""


class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.proj, self.norm = nn.Linear(width, width), nn.LayerNorm(width)

    def forward(self, x):
        return x + torch.tanh(self.norm(self.proj(x)))


class Gan(nn.Module):
    """Losses call the same modules several times, one of them takes gradients of gradients, another is seldom taken."""

    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(4, 9), Layer(9), nn.Linear(9, 3))
        self.critic = nn.Sequential(nn.Linear(3, 9), Layer(9), nn.Linear(9, 1))
        self.before = nn.Linear(3, 3)
        self.register_buffer("scale", torch.ones(1))

    def fool(self, batch, generator):
        fake = self.generator(batch[:, 3:] + 0.1 * torch.randn(len(batch), 4, generator=generator))
        missed = (self.generator(batch[:, 3:]) - batch[:, :3]).square().mean()
        return nn.functional.softplus(-self.critic(fake)).mean() + missed, {"missed": missed.detach()}

    def judge(self, batch, generator):
        self.scale.fill_(0.5)
        with torch.no_grad():
            fake = self.generator(batch[:, 3:] + 0.1 * torch.randn(len(batch), 4, generator=generator))
        real, fake = batch[:, :3].clone().requires_grad_(), fake.requires_grad_()
        high, low = self.critic(real), self.critic(fake)
        slopes = torch.autograd.grad(high.sum() + low.sum(), (real, fake), create_graph=True)
        penalty = sum(slope.square().sum(1).mean() for slope in slopes)
        return nn.functional.softplus(low - high).mean() + self.scale[0] * penalty, {}

    def fit(self, batch, generator):
        return (self.before(batch[:, :3]) - batch[:, 3:6]).square().mean(), {}


def samples(start):
    """Endless; the first number of each is its position."""
    for position in range(start, 1 << 30):
        sample = torch.randn(7, generator=torch.Generator().manual_seed(position))
        sample[0] = position / 1000
        yield sample


def train(folder, config, progress=lambda progress: None, seen=lambda batch: None):
    """Two stages, the second a GAN; returns the weights and the losses of every step."""
    torch.manual_seed(0)
    net, curve = Gan(), {}

    def fit(batch, generator):
        seen(batch)
        return net.fit(batch, generator)

    def judge(batch, generator):
        seen(batch)
        return net.judge(batch, generator)

    def fool(batch, generator):
        seen(batch)
        return net.fool(batch, generator)

    def stages():
        yield Stage("first", 10, (Update("fit", net.before, fit),), IterableBatches(samples, GROUP))
        optim = Optim(5e-3, (0.5, 0.99), "adamw", 0.01, clip_norm=0.3)
        updates = Update("judge", net.critic, judge, optim, every=2), Update("fool", net.generator, fool, optim)
        yield Stage("second", STEPS, updates, IterableBatches(samples, GROUP), Ema(net.generator, 0.9))

    def callback(told):
        curve[f"{told.stage} {told.step}"] = {k: v for k, v in told.losses.items() if k != "missed"}
        progress(told)

    plan = Plan([("first", 10), ("second", STEPS)], stages)
    run(net, plan, 0, config, folder, {}, callback)
    return net.state_dict(), curve


def config(parallel="auto", grad_accum_steps=1):
    return TrainConfig("fp32", "cpu", parallel, grad_accum_steps, prefetch=2, save_every=0)


def furthest(found, expected):
    assert found.keys() == expected.keys()
    return max(float((found[k].float() - expected[k].float()).abs().max()) for k in found)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What one process learns from the same batches, in two parts, so that its losses draw the same noise."""
    log.TICK, ticks = 0.0, log.TICK
    weights, curve = train(None, config(grad_accum_steps=2))
    log.TICK = ticks
    path = tmp_path_factory.mktemp("whole") / "whole.pt"
    torch.save((weights, curve), path)
    return path


# --- under torchrun --------------------------------------------------------------------------------------------------
def check_equal(parallel, whole, parts=1):
    """Weights and losses of two processes are those of one."""
    weights, curve = train(None, config(parallel, parts))
    expected, losses = torch.load(whole)
    if parts == 1:
        assert furthest(weights, expected) < 1e-5, furthest(weights, expected)
        assert curve.keys() == losses.keys()
        for step, values in losses.items():
            assert values.keys() == curve[step].keys(), step
            assert all(abs(curve[step][k] - v) < 1e-5 for k, v in values.items()), (step, values, curve[step])
    else:
        assert all(v.isfinite().all() for v in weights.values())


def check_average(parallel):
    """The averaged weights can be looked at, whole, while the others lie in shards."""
    torch.manual_seed(0)
    net, looks = Gan(), []

    def look(told):
        with told.ema():
            looks.append(torch.cat([p.flatten() for p in net.parameters()]))
            net.fool(torch.ones(2, 7), torch.Generator())
            assert not any(hasattr(p, "full_tensor") for p in net.parameters())
        assert any(hasattr(p, "full_tensor") for p in net.parameters()) == (parallel == "fsdp")

    stage = Stage(
        "x", 5, (Update("fool", net.generator, net.fool),), IterableBatches(samples, GROUP), Ema(net.generator)
    )
    run(net, Plan([("x", 5)], lambda: iter([stage])), 0, config(parallel), progress=look)
    assert torch.equal(looks[-1], torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert not net.generator[0]._state_dict_pre_hooks


def check_refusals():
    """One process's trouble is everybody's, in the same words."""
    rank, net = int(os.environ["RANK"]), Gan()
    stream = IterableBatches(samples, GROUP)

    def bad(batch, generator):
        loss, metrics = net.fool(batch, generator)
        return loss * (float("nan") if rank else 1.0), metrics

    def stages(loss):
        return Plan([("x", 9)], lambda: iter([Stage("x", 9, (Update("fool", net.generator, loss),), stream)]))

    with pytest.raises(MotifError, match="the loss 'fool' is nan at step 0"):
        run(net, stages(bad), config=config("fsdp"))
    with pytest.raises(MotifError, match="but there are several processes"):
        run(net, stages(net.fool), config=config("none"))
    with pytest.raises(MotifError, match="batches of 8 cannot be shared by 6"):
        run(net, stages(net.fool), config=config("ddp", 3))

    def interrupt(told):
        if rank == 1 and told.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="stopped at 33%"):  # one step later, in both
        run(net, stages(net.fool), config=config(), progress=interrupt)


def check_restart(folder, whole):
    """A process that kills itself is started again by torchrun, and the run goes on."""

    def die(told):
        first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
        if first and os.environ["RANK"] == "1" and told.stage == "second" and told.step == 20:
            os.kill(os.getpid(), signal.SIGKILL)

    weights, curve = train(Path(folder), config("fsdp"), die)
    expected, losses = torch.load(whole)
    assert furthest(weights, expected) < 1e-5
    assert len(curve) < len(losses)


def main(whole, folder):
    torch.set_num_threads(1)
    log.TICK, checkpoint.COST_RATIO = 0.0, 0
    if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        for parallel in ("ddp", "fsdp"):
            check_equal(parallel, whole)
            check_equal(parallel, whole, 2)
            check_average(parallel)
        check_refusals()
    check_restart(folder, whole)
    Path(folder, f"done-{os.environ['RANK']}").write_text("")


def test_two_processes_of_torchrun_learn_what_one_learns(whole, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [*torchrun, __file__, whole, tmp_path],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-8000:]
    assert {path.name for path in tmp_path.glob("done-*")} == {"done-0", "done-1"}


# --- killed ----------------------------------------------------------------------------------------------------------
def work(folder, rank, parallel, grad_accum_steps, port, world):
    """A process as torchrun starts it."""
    if world > 1:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        os.environ |= address | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    torch.set_num_threads(1)
    log.TICK, checkpoint.COST_RATIO = 0.0, 0
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what the other says when one is killed
    used = []

    def progress(told):
        nonlocal used
        with (folder / f"seen-{rank}").open("a") as file:
            file.write(json.dumps([told.stage, told.step, world, used]) + "\n")
        used = []

    def seen(batch):
        used.append([round(float(x) * 1000) for x in batch[:, 0]])

    weights, _ = train(folder / "run", config(parallel, grad_accum_steps), progress, seen)
    torch.save(weights, folder / f"weights-{rank}.pt")


def launch(folder, parallel, world, steps, clock):
    """Processes of which one is killed a moment after it took some steps, and the rest with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    both = [fork.Process(target=work, args=(folder, rank, parallel, 2 // world, port, world)) for rank in range(world)]
    lines = taken(folder) + (steps or 0)
    for process in both:
        process.start()
    if steps is not None:
        while taken(folder) < lines and all(p.is_alive() for p in both):
            time.sleep(0.005)
        time.sleep(clock.uniform(0, 0.03))
        for process in clock.sample(both, world):
            process.kill()
            time.sleep(clock.choice((0.0, 0.05)))
    for process in both:
        process.join(60)
    return [process.exitcode for process in both]


def taken(folder):
    """Steps taken by all the first processes there were."""
    path = folder / "seen-0"
    return path.read_text().count("\n") if path.exists() else 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked here, which this system cannot")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_at_ten_random_moments_and_resumed_on_other_numbers_of_processes(whole, tmp_path):
    expected, losses = torch.load(whole)
    clock, kinds, killed = random.Random(0), [("ddp", 2), ("auto", 1), ("fsdp", 2)], 0
    for k in range(10):
        killed += -signal.SIGKILL in launch(tmp_path, *kinds[k % 3], clock.randrange(1, 6), clock)
    assert killed == 10, "done before it was killed"
    assert launch(tmp_path, "fsdp", 2, None, clock) == [0, 0]
    for rank in range(2):
        assert furthest(torch.load(tmp_path / f"weights-{rank}.pt"), expected) < 1e-5
    lines = map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    curve = {f"{told['stage']} {told['step']}": told["losses"] for told in lines}  # the last time a step was taken
    assert curve.keys() == losses.keys()
    for step, values in losses.items():
        assert {"fit", "fool"} & curve[step].keys()
        assert all(abs(v - values[k]) < 1e-5 for k, v in curve[step].items() if k != "missed"), step
    check_every_sample_was_used_once_and_in_order(tmp_path)


def check_every_sample_was_used_once_and_in_order(folder):
    """In the steps that count: the last time each was taken, by one process in two parts or by two."""
    took = [{}, {}]
    for rank in range(2):
        for line in (folder / f"seen-{rank}").read_text().splitlines():
            stage, step, world, used = json.loads(line)
            took[rank][stage, step] = world, used
    worlds = set()
    for stage, steps in ("first", 10), ("second", STEPS):
        order = []
        for step in range(1, steps + 1):
            world, used = took[0][stage, step]
            worlds.add(world)
            if world == 2:
                other = took[1][stage, step]
                assert other[0] == 2
                used = [part for parts in zip(used, other[1], strict=True) for part in parts]
            order += [sample for part in used for sample in part]
        assert order == list(range(len(order)))
        assert len(order) == GROUP * (steps + (steps // 2 if stage == "second" else 0))
    assert worlds == {1, 2}


if __name__ == "__main__":
    main(*sys.argv[1:])
