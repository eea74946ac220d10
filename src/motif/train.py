"""The one training loop. It knows nothing of families: a recipe gives it stages, a stage its updates.

Randomness is seeded by place: every update draws from a generator seeded by (seed, stage, step, update), so a run that
was killed goes on exactly as if it had not been. What it needs for that lies in one file, written whole or not at all.
"""

import contextlib
import json
import math
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from .errors import MotifError, Stopped
from .files import replace_file

STATE = "state.pt"
LOG = "log.jsonl"
Batch = Any
Loss = Callable[[Batch, torch.Generator], tuple[Tensor, dict[str, Tensor]]]
"""From a batch and a generator to the loss and what to log beside it."""


@dataclass(frozen=True)
class Shard:
    """Which part of a batch this process works on."""

    index: int = 0
    count: int = 1


class Batches(Protocol):
    """Where a stage's batches come from."""

    def draw(self, generator: torch.Generator, shard: Shard) -> Batch:
        """The next batch."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What a stream needs to go on."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


@dataclass(frozen=True)
class Optim:
    """How an update moves its parameters."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"
    """How the rate falls over the stage."""
    end_fraction: float = 0.05
    """What share of it is left at the end."""


@dataclass(frozen=True, eq=False)
class Update:
    """One kind of gradient step. Updates of the same module with the same ``Adam`` share one optimiser."""

    name: str
    module: nn.Module
    """Whose parameters are moved."""
    loss: Loss
    optim: Optim = Optim()
    repeats: int = 1
    """How often in a row in every step."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Steps of the same updates."""

    name: str
    steps: int
    updates: tuple[Update, ...]
    batches: Batches | None = None
    ema: "Ema | None" = None


@dataclass(frozen=True, eq=False)
class Ema:
    """A module whose parameters are replaced by their exponential average when the stage ends."""

    module: nn.Module
    decay: float = 0.999
    """Less in the first steps, (1 + n) / (10 + n)."""


@dataclass(frozen=True)
class TrainConfig:
    """How a run is run; no field changes what is learned, but for ``precision`` in its last digits."""

    precision: Literal["fp32", "bf16"] = "fp32"
    save_every: float = 20.0
    """Seconds between checkpoints."""
    device: str = "auto"
    """Where losses and steps are computed, as torch spells it; ``auto`` is an NVIDIA GPU if there is one. Only on the
    processor does a run that was stopped end bit for bit as the whole one."""


HABITS = TrainConfig()


@dataclass
class Progress:
    """What a listener hears after each step."""

    fraction: float
    """Of all steps."""
    stage: str
    step: int
    losses: dict[str, float] = field(default_factory=dict)


def run(
    net: nn.Module,
    stages: Callable[[], Iterable[Stage]],
    names: Sequence[tuple[str, int]],
    seed: int = 0,
    train: TrainConfig = HABITS,
    folder: Path | None = None,
    asked: dict[str, Any] | None = None,
    progress: Callable[[Progress], None] = lambda told: None,
) -> str:
    """Train ``net`` in place.

    Args:
        net: everything that is learned, on the processor; it comes back there.
        stages: called for an iterator of stages; asked for the next only when the one before is done, and, when a
            run goes on, asked for the finished ones again, so that what it makes from the net of earlier stages must
            not depend on anything else.
        names: name and steps of every stage, known before the first begins.
        seed: same seed, same weights.
        train: precision and habits.
        folder: where the run's state and log are kept; a run found there goes on. Nothing is kept without.
        asked: what the run is for; a folder that holds a run of something else is refused.
        progress: hears every step.

    Raises:
        MotifError: for a loss that is not finite, and for a folder with another run.
        Stopped: on Ctrl-C, after saving.
    """
    keeper = _Keeper(folder, {"seed": seed, "asked": asked, "stages": [list(n) for n in names]})
    state = keeper.read()
    total = sum(steps for _, steps in names)
    done = 0
    precision = state["precision"] if state else train.precision
    with _interrupts() as interrupted, _moved(net, train.device) as device:
        for index, stage in enumerate(stages()):
            if state and index < state["stage"]:  # what it prepared is done again, from what it learned
                net.load_state_dict(state["net"])
                done += stage.steps
                continue
            first, worker = 0, _Worker(net, stage, train, device)
            if state:
                first = state["step"]
                if first:
                    worker.load(state)
                state = None
            for step in range(first, stage.steps):
                losses = worker.step(index, step, seed, precision)
                told = Progress((done + step + 1) / total, stage.name, step + 1, losses)
                keeper.log(told)
                progress(told)
                if interrupted.is_set() or keeper.due(train.save_every):
                    keeper.write({**worker.state(), "stage": index, "step": step + 1, "precision": precision})
                if interrupted.is_set():
                    raise Stopped(keeper.words(told.fraction))
            worker.finish()
            done += stage.steps
            keeper.write({"net": net.state_dict(), "stage": index + 1, "step": 0, "precision": precision})
    return precision


def forget(folder: Path) -> None:
    """Delete what a finished run left there, and the folder if nothing else is in it."""
    for name in (STATE, LOG):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


class _Worker:
    """One stage's optimisers and average."""

    def __init__(self, net: nn.Module, stage: Stage, train: TrainConfig, device: torch.device):
        self.net, self.stage, self.train, self.device = net, stage, train, device
        self.optimisers: dict[tuple[int, Optim], torch.optim.Adam] = {}
        for update in stage.updates:
            key = (id(update.module), update.optim)
            if key not in self.optimisers:
                parameters = [p for p in update.module.parameters() if p.requires_grad]
                self.optimisers[key] = torch.optim.Adam(parameters, update.optim.lr, update.optim.betas)
        self.average = None if stage.ema is None else [p.detach().clone() for p in stage.ema.module.parameters()]

    def step(self, index: int, step: int, seed: int, precision: str) -> dict[str, float]:
        told = {}
        for place, update in enumerate(self.stage.updates):
            optimiser = self.optimisers[id(update.module), update.optim]
            for group in optimiser.param_groups:
                group["lr"] = update.optim.lr * _decay(update.optim, step / self.stage.steps)
            for turn in range(update.repeats):
                random = torch.Generator().manual_seed(_place(seed, index, step, place, turn))
                batch = None if self.stage.batches is None else self.stage.batches.draw(random, Shard())
                with _cast(precision, self.device):
                    loss, beside = update.loss(batch, random)
                told = {**told, update.name: float(loss.detach()), **{k: float(v) for k, v in beside.items()}}
                if not math.isfinite(told[update.name]):
                    raise MotifError(
                        f"training broke off: the loss {update.name!r} is {told[update.name]} at step {step} of stage "
                        f"{self.stage.name!r}; try another seed, a smaller learning rate, or --precision fp32"
                    )
                parameters = [p for group in optimiser.param_groups for p in group["params"]]
                for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                    p.grad = g
                optimiser.step()
                for p in parameters:
                    p.grad = None
        if self.average is not None and self.stage.ema is not None:
            keep = min(self.stage.ema.decay, (1 + step) / (10 + step))
            with torch.no_grad():
                for mean, p in zip(self.average, self.stage.ema.module.parameters(), strict=True):
                    mean.lerp_(p, 1 - keep)
        return told

    def finish(self) -> None:
        """The average takes the place of what was averaged."""
        if self.average is not None and self.stage.ema is not None:
            with torch.no_grad():
                for mean, p in zip(self.average, self.stage.ema.module.parameters(), strict=True):
                    p.copy_(mean)

    def state(self) -> dict[str, Any]:
        optimisers = [o.state_dict() for o in self.optimisers.values()]
        return {"net": self.net.state_dict(), "optimisers": optimisers, "average": self.average}

    def load(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        for optimiser, saved in zip(self.optimisers.values(), state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        average = state["average"]
        self.average = None if average is None else [a.to(self.device) for a in average]


def _place(*numbers: int) -> int:
    """One seed from several numbers (FNV-1a)."""
    value = 0xCBF29CE484222325
    for number in numbers:
        value = ((value ^ (number & 0xFFFFFFFF)) * 0x100000001B3) % (1 << 63)
    return value


def _decay(adam: Optim, share: float) -> float:
    if adam.schedule == "exponential":
        return adam.end_fraction**share
    end = adam.end_fraction
    return 1.0 if adam.schedule == "constant" else end + (1 - end) * 0.5 * (1 + math.cos(math.pi * share))


def _cast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    if precision != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


@contextlib.contextmanager
def _moved(net: nn.Module, name: str) -> Iterator[torch.device]:
    """The net on a device, and back on the processor whatever happens."""
    name = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        device = torch.device(name)
        net.to(device)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without
        reason = str(error).splitlines()[0]
        raise MotifError(f"training on {name!r} is not possible here ({reason}); choose cpu or auto") from None
    try:
        yield device
    finally:
        net.to("cpu")


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Ctrl-C asks the loop to stop after its step, instead of breaking into it."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


class _Keeper:
    """The files of a run: its state, written whole or not at all, and its log."""

    def __init__(self, folder: Path | None, about: dict[str, Any]):
        self.folder, self.about, self.saved = folder, json.loads(json.dumps(about)), time.monotonic()
        self.told = 0.0
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise MotifError(f"{folder} cannot be made a folder for the run ({error.strerror})") from None

    def read(self) -> dict[str, Any] | None:
        if self.folder is None or not (self.folder / STATE).exists():
            return None
        try:
            state = torch.load(self.folder / STATE, map_location="cpu", weights_only=True)
            about = state["about"]
        except (RuntimeError, ValueError, KeyError, EOFError, OSError, pickle.UnpicklingError) as error:
            raise MotifError(
                f"{self.folder / STATE} cannot be read ({error}); delete the folder to start anew"
            ) from None
        if about != self.about:
            seed = about.get("seed") != self.about["seed"]
            raise MotifError(
                f"{self.folder} holds an unfinished run with {'another seed' if seed else 'other clips or settings'}; "
                f"repeat its command, choose another folder, or delete it to start anew (finished models are not in it)"
            )
        return state

    def due(self, every: float) -> bool:
        return self.folder is not None and time.monotonic() - self.saved > every

    def write(self, state: dict[str, Any]) -> None:
        if self.folder is None:
            return
        replace_file(self.folder / STATE, lambda path: torch.save({**state, "about": self.about}, path))
        self.saved = time.monotonic()

    def log(self, told: Progress) -> None:
        if self.folder is None or (told.step > 1 and time.monotonic() - self.told < 1.0):
            return
        self.told = time.monotonic()
        with (self.folder / LOG).open("a") as file:
            file.write(json.dumps(asdict(told)) + "\n")

    def words(self, share: float) -> str:
        if self.folder is None:
            return f"stopped at {share:.0%}; nothing was kept, because no folder was given"
        return f"stopped at {share:.0%}; what was learned is in {self.folder}: the same command goes on from there"
