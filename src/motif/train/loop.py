"""The training loop. A recipe gives it stages, a stage its updates and batches.

Randomness is seeded by position: every gradient step draws from a generator seeded by (seed, stage, step, update,
repeat), so that a run that was killed goes on exactly as if it had not been.
"""

import contextlib
import functools
import itertools
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ..config import TrainConfig
from ..errors import MotifError, Stopped
from ..seeds import position_seed
from .batches import Batches, Shard, draw_ahead
from .budget import Budget, Trained
from .checkpoint import RunFolder
from .distributed import Loss, LossValue, Processes, Replicas, exchanged, join
from .graphs import Recorded
from .log import LossLog, Progress
from .optim import Optim, lr_factor, make_optimizer, optimizer_step, parameters_of


@dataclass(frozen=True, eq=False)
class Update:
    """One kind of gradient step."""

    name: str
    module: nn.Module
    """Whose parameters are moved; part of the net."""
    loss: Loss
    optim: Optim = field(default_factory=Optim)
    repeats: int = 1
    """Gradient steps in a row, each with a batch of its own."""
    every: int = 1
    """Taken in the first of every so many steps."""


@dataclass(frozen=True, eq=False)
class Ema:
    """Exponential moving average of a module's parameters; it takes their place when the stage ends."""

    module: nn.Module
    decay: float = 0.999
    """At most; less in the first steps: (1 + step) / (10 + step)."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Steps of the same updates."""

    name: str
    steps: int
    updates: tuple[Update, ...]
    batches: Batches | None = None
    """What losses are given; None where they draw all they need, each process as much as one alone."""
    ema: Ema | None = None
    state: nn.Module | None = None
    """Tensors that losses keep from step to step, such as earlier fakes: on the net's device, in checkpoints only."""
    cuda_graph: bool = False
    """Whether losses take all they need from batches of one shape and never wait for the device, and learning rates are
    constant. On one GPU every update is then recorded once and replayed (a CUDA graph)."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a run does."""

    steps: Sequence[tuple[str, int]]
    """Name and steps of every stage, known before the first begins."""
    stages: Callable[[], Iterable[Stage]]
    """Asked for the next stage only when the one before is done, and, when a run goes on, for the finished ones again:
    what it makes from the net of earlier stages must not depend on anything else."""


def run(
    net: nn.Module,
    plan: Plan,
    seed: int = 0,
    config: TrainConfig = TrainConfig(),
    folder: Path | None = None,
    fingerprint: dict[str, Any] | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Trained:
    """Train ``net`` in place; return the precision used, and the share of the plan's steps that were taken.

    Started by torchrun it trains in all processes together; afterwards the net is whole in each of them.

    Args:
        net: everything that is learned, on the CPU; it comes back there.
        folder: where checkpoints and the log are kept; a run found there goes on. Nothing is kept without.
        fingerprint: what the run is for, as JSON can hold it; a folder that holds a run of something else is refused.

    A loss that is not finite, a folder with another run or one in another precision, and a device, compiler or
    processes that are not there raise a MotifError; Ctrl-C and SIGTERM raise Stopped after the step, saved.
    """
    with _interrupts() as interrupted, _placed(net, config) as processes:
        about = {"seed": seed, "fingerprint": fingerprint, "stages": [list(stage) for stage in plan.steps]}
        about |= {"most_steps": config.steps, "minutes": config.minutes}
        home = RunFolder(folder, about, processes)
        found = home.latest()
        precision = _precision(config.precision, found, processes)
        budget = Budget(plan.steps, config, found)
        log = LossLog(folder, processes, sum(budget.steps))
        context = _Run(net, seed, config, processes, precision, home, log, budget, interrupted, progress, [])
        context.finished.extend(found["finished"] if found else [])
        finished, done = context.finished, 0
        for index, stage in enumerate(plan.stages()):
            if index < len(finished) and stage.batches is not None and finished[index]:
                stage.batches.load_state_dict(finished[index])  # a later stage may go on with them
            if found and (index < found["stage"] or found["step"]):
                home.load(_net_tensors(net))
            if not found or index >= found["stage"]:  # else what it prepares was done again, from what it learned
                with contextlib.closing(_StageRunner(context, index, stage)) as runner:
                    runner.train(done, found if found and found["step"] else None)
                found = None
                finished.append(runner.drawn)
                home.save(context.state(index + 1, 0, {}), _net_tensors(net))
            done += budget.steps[index]
    return Trained(precision, budget.share)


@dataclass(frozen=True, eq=False)
class _Run:
    """What all stages of a run share."""

    net: nn.Module
    seed: int
    config: TrainConfig
    processes: Processes
    precision: str
    home: RunFolder
    log: LossLog
    budget: Budget
    interrupted: threading.Event
    progress: Callable[[Progress], None]
    finished: list[dict[str, Any]]
    """State of the batches of every stage that is done."""

    def state(self, stage: int, step: int, batches: dict[str, Any]) -> dict[str, Any]:
        """Return what a checkpoint says of the position."""
        position = {"stage": stage, "step": step, "precision": self.precision}
        return {**position, "batches": batches, "finished": self.finished, **self.budget.state()}


class _StageRunner:
    """One stage: its optimisers, its average, its batches, and its modules as processes share them."""

    def __init__(self, run: _Run, index: int, stage: Stage):
        self.run, self.index, self.stage = run, index, stage
        self.modules = list({id(update.module): update.module for update in stage.updates}.values())
        for module in self.modules if run.config.compile else []:
            module._compiled_call_impl = torch.compile(_called(module))
        self.replicas = Replicas(run.processes, self.modules, run.precision)
        self.optimizers: dict[tuple[int, Optim], torch.optim.Optimizer] = {}
        self.frozen: list[list[nn.Parameter]] = []
        """Of every update: the parameters that it leaves alone."""
        for update in stage.updates:
            key = (id(update.module), update.optim)
            if key not in self.optimizers:
                self.optimizers[key] = make_optimizer(update.module, update.optim, capturable=self._graphs())
            own = set(parameters_of(self.optimizers[key]))
            self.frozen.append([p for p in run.net.parameters() if p.requires_grad and p not in own])
        self.averaged: list[Tensor] = list(stage.ema.module.parameters()) if stage.ema else []
        self.averages = [p.detach().clone() for p in self.averaged]
        self.recorded = [Recorded(self._update, k) for k in range(len(stage.updates))] if self._graphs() else []
        self.drawn: dict[str, Any] = {}
        """State of the batches after the last one that was used."""

    def train(self, done: int, found: dict[str, Any] | None) -> None:
        """Take all steps, or those left after the checkpoint ``found``; ``done`` steps were taken in earlier stages."""
        run, stage = self.run, self.stage
        if found:
            run.home.load(self._tensors())
            self.drawn = found["batches"]
            if stage.batches is not None:
                stage.batches.load_state_dict(self.drawn)
        first = found["step"] if found else 0
        prefetch = run.config.prefetch
        depth = (2 if run.processes.device.type == "cuda" else 0) if prefetch is None else prefetch
        run.log.begin(stage.name)
        run.budget.begin(self.index)
        with draw_ahead(self._draw, self._places(first), depth if stage.batches else 0) as ahead:
            for step in self._steps(first):
                self._step(step, ahead)
                due = step in (first, self._count() - 1) or run.log.due()
                wishes = run.interrupted.is_set(), run.home.due(run.config.save_every), due
                stop, save, read, settle = run.processes.agree(*wishes, run.budget.due(step + 1))
                if settle:
                    run.budget.settle(run.processes.first(run.budget.forecast(step + 1)))
                    run.log.total = sum(run.budget.steps)
                progress = run.log.report(read, step + 1, done + step + 1, self._ema)
                run.progress(progress)
                stop = stop or (run.processes.count == 1 and run.interrupted.is_set())
                if stop or save:
                    run.log.read()
                    state = run.state(self.index, step + 1, self.drawn)
                    run.home.save(state, {**_net_tensors(run.net), **self._tensors()})
                if stop:
                    raise Stopped(run.home.stopped(progress.fraction))
        with torch.no_grad():
            for p, average in zip(self.averaged, self.averages, strict=True):
                p.copy_(average)
        self.replicas.close(whole=True)

    def close(self) -> None:
        """Leave the modules as they were found, but for what they learned."""
        for p in itertools.chain(*self.frozen):
            p.requires_grad_(True)
        self.replicas.close(whole=False)
        for module in self.modules if self.run.config.compile else []:
            module._compiled_call_impl = None

    def _count(self) -> int:
        return self.run.budget.steps[self.index]

    def _steps(self, first: int) -> Iterator[int]:
        """Yield the steps to come, of which there may become fewer meanwhile."""
        return itertools.takewhile(lambda step: step < self._count(), itertools.count(first))

    def _places(self, first: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield step, update, repeat and part of every draw to come."""
        for step in self._steps(first):
            for k, update in enumerate(self.stage.updates):
                if step % update.every == 0:
                    for repeat in range(update.repeats):
                        for part in range(self.run.config.grad_accum_steps):
                            yield step, k, repeat, part

    def _draw(self, place: tuple[int, int, int, int]) -> tuple[Any, torch.Generator, dict[str, Any]]:
        """Return a batch, the generator for its loss, and the state of the batches after it."""
        *position, part = place
        processes, parts, batches = self.run.processes, self.run.config.grad_accum_steps, self.stage.batches
        shard = Shard(processes.rank * parts + part, processes.count * parts)
        generator = torch.Generator().manual_seed(position_seed(self.run.seed, self.index, *position))
        batch, state = None, {}
        if batches is not None:
            batch, state = batches.draw(generator, shard), batches.state_dict()
            if processes.device.type == "cuda":
                batch = tree_map_only(Tensor, lambda x: x if x.is_cuda else x.pin_memory(), batch)
        if shard.count > 1:
            generator.manual_seed(position_seed(self.run.seed, self.index, *position, shard.index))
        return batch, generator, state

    def _draws(self, ahead: Iterator[Any]) -> Iterator[tuple[Any, torch.Generator]]:
        """Yield the batches of one gradient step, on the device, with their generators."""
        device = self.run.processes.device
        for _ in range(self.run.config.grad_accum_steps):
            batch, generator, self.drawn = next(ahead)
            yield tree_map_only(Tensor, lambda x: x.to(device, non_blocking=True), batch), generator

    def _step(self, step: int, ahead: Iterator[Any]) -> None:
        for k, (update, frozen) in enumerate(zip(self.stage.updates, self.frozen, strict=True)):
            if step % update.every:
                continue
            for p in frozen:
                p.requires_grad_(False)
            for _ in range(update.repeats):
                call = self.recorded[k] if self.recorded else functools.partial(self._update, k)
                self.run.log.add(step, update.name, *call(list(self._draws(ahead)), step))
            for p in frozen:
                p.requires_grad_(True)
        if self.stage.ema is not None:
            decay = min(self.stage.ema.decay, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(self.averages, self.averaged, 1 - decay)

    def _update(self, k: int, draws: Sequence[tuple[Any, torch.Generator]], step: int) -> LossValue:
        """Take one gradient step and return the loss and what is logged beside it."""
        update = self.stage.updates[k]
        try:
            found = self.replicas.backward(update.module, update.loss, draws, len(draws))
        except RuntimeError as error:
            if not self.run.config.compile or "double backward" not in str(error):
                raise
            raise MotifError(f"the loss {update.name!r} cannot be compiled ({error}); train without") from None
        factor = lr_factor(update.optim, step, self._count())
        optimizer_step(self.optimizers[id(update.module), update.optim], update.optim, factor)
        return found

    def _graphs(self) -> bool:
        processes = self.run.processes
        return self.stage.cuda_graph and processes.device.type == "cuda" and processes.count == 1

    def _tensors(self) -> dict[str, Tensor]:
        """Return the state of optimisers and average by name."""
        names: dict[Tensor, str] = {p: name for name, p in self.run.net.named_parameters()}
        found = {
            f"optimizer.{k}.{names[p]}.{key}": value
            for k, optimizer in enumerate(self.optimizers.values())
            for p in parameters_of(optimizer)
            for key, value in optimizer.state[p].items()
        }
        found |= {f"state.{name}": value for name, value in (self.stage.state or nn.Module()).state_dict().items()}
        return found | {f"ema.{names[p]}": average for p, average in zip(self.averaged, self.averages, strict=True)}

    def _ema(self) -> contextlib.AbstractContextManager[None]:
        return exchanged(self.run.net, dict(zip(self.averaged, self.averages, strict=True)))


def _net_tensors(net: nn.Module) -> dict[str, Tensor]:
    return {f"net.{name}": value for name, value in net.state_dict().items()}


def _check_compiler(device: torch.device) -> None:
    try:
        torch.compile(torch.sin)(torch.zeros(1, device=device))
    except (RuntimeError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise MotifError(f"no compiler for torch.compile ({reason}); install one, or leave compile off") from None


def _called(module: nn.Module) -> Callable[..., Any]:
    """Return the call of a module from a frame of ours: frames of torch's own modules are not compiled."""
    call = module._call_impl
    return lambda *args, **kwargs: call(*args, **kwargs)


def _precision(asked: str, found: dict[str, Any] | None, processes: Processes) -> str:
    """Return "fp32" or "bf16": what a run that goes on had, what is asked, or what the hardware computes in."""
    if found:
        if asked not in ("auto", found["precision"]):
            raise MotifError(
                f"the run was begun in {found['precision']} and cannot go on in {asked}; "
                f"choose --precision {found['precision']} or auto, or another folder to start anew"
            )
        return found["precision"]
    if asked != "auto":
        return asked
    if processes.device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = processes.device.type == "cpu" and torch.cpu._is_amx_tile_supported()
    return "bf16" if processes.agree(False, able)[1] else "fp32"


@contextlib.contextmanager
def _placed(net: nn.Module, config: TrainConfig) -> Iterator[Processes]:
    """The processes of the run, with the net on their device; back on the CPU whatever happens."""
    name = ("cuda" if torch.cuda.is_available() else "cpu") if config.device == "auto" else config.device
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without
        reason = str(error).splitlines()[0]
        raise MotifError(f"training on {name!r} is not possible here ({reason}); choose cpu or auto") from None
    if config.compile:
        _check_compiler(device)
    processes = join(config.parallel, device)
    net.to(processes.device)
    try:
        yield processes
    finally:
        net.to("cpu")


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Let Ctrl-C and SIGTERM ask the loop to stop after its step; a second one breaks into it."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, _: Any) -> None:
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
