"""A training step of the papers' GAN: as their code computes it, and as motif does, in turn on the same machine.

Run as ``python benchmarks/ganimator_step.py CLIP [--recipe paper] [--rounds 3] [--threads 1 2]``. A step of a group of
levels is five critic steps, an adversarial and a reconstruction step of each of its levels, with Adam; plain steps are
those of tests/plain_ganimator.py, whose losses and gradients the tests compare with motif's. Prints medians of A B A B,
the ratio, and the peak memory of a process that takes only one kind of step.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from motif import api
from motif.data.domain import Domain
from motif.recipes.ganimator import RECIPES
from motif.train import Shard, Stage
from motif.train.optim import make_optimizer, optimizer_step
from plain_ganimator import PlainLosses


def fast_step(stage: Stage) -> Callable[[], None]:
    """Return a step of motif's."""
    optimizers = {id(u.module): make_optimizer(u.module, u.optim) for u in stage.updates}
    modules = list({id(u.module): u.module for u in stage.updates}.values())

    def step() -> None:
        for update in stage.updates:
            for other in modules:
                other.requires_grad_(other is update.module)
            for _ in range(update.repeats):
                draws = stage.batches.draw(torch.Generator(), Shard())
                update.loss(draws, torch.Generator())[0].backward()
                optimizer_step(optimizers[id(update.module)], update.optim, 1.0)
            for other in modules:
                other.requires_grad_(True)

    return step


def plain_step(stage: Stage) -> Callable[[], None]:
    """Return a step of the papers' code: every level with draws and an optimiser of its own."""
    losses = stage.updates[0].loss.__self__  # type: ignore[attr-defined]
    levels = [PlainLosses(losses, level) for level in losses.levels]
    nets = [(plain, plain.critic_net, plain.generators[plain.level]) for plain in levels]
    adams = [tuple(torch.optim.Adam(net.parameters(), 1e-4) for net in own) for _, *own in nets]

    def take(adam: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        loss.backward()
        adam.step()
        adam.zero_grad()

    def step() -> None:
        for (plain, critic, generator), (by_critic, by_generator) in zip(nets, adams, strict=True):
            for _ in range(5):
                take(by_critic, plain.critic(stage.batches.draw(torch.Generator(), Shard())))
            critic.requires_grad_(False)
            take(by_generator, plain.adversarial(stage.batches.draw(torch.Generator(), Shard())))
            critic.requires_grad_(True)
            take(by_generator, plain.reconstruction())
            assert generator.weights[0].grad is None

    return step


KINDS = {"plain": plain_step, "fast": fast_step}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--recipe", choices=RECIPES, default="paper")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--only", choices=KINDS, help="take a step of this kind in every group and print the peak memory"
    )
    options = parser.parse_args()
    recipe = RECIPES[options.recipe]
    prepared = recipe.prepare(Domain.of([api.load(options.clip)]))
    net = recipe.net(prepared)
    if options.only:
        for stage in recipe.stages(net, prepared, 0):
            KINDS[options.only](stage)()
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f}")
        return
    print("| group | threads | plain, s | fast, s | ratio |\n|---|---|---|---|---|")
    for stage in recipe.stages(net, prepared, 0):
        steps = {kind: make(stage) for kind, make in KINDS.items()}
        for threads in options.threads:
            torch.set_num_threads(threads)
            taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for _ in range(options.rounds):
                for kind, step in steps.items():
                    start = time.perf_counter()
                    step()
                    taken[kind].append(time.perf_counter() - start)
            plain, fast = (statistics.median(taken[kind]) for kind in KINDS)
            print(f"| {stage.name} | {threads} | {plain:.2f} | {fast:.2f} | {plain / fast:.2f} |", flush=True)
    for kind in KINDS:
        call = [sys.executable, __file__, options.clip, "--recipe", options.recipe, "--only", kind]
        print(f"peak memory of {kind} steps: {subprocess.check_output(call, text=True).strip()} GiB")


if __name__ == "__main__":
    main()
