"""Losses: kept on the device, read and checked from time to time, logged, and reported with the time left."""

import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import MotifError
from .distributed import Processes

LOG = "log.jsonl"
TICK = 1.0  # seconds between two looks at the losses


@dataclass(frozen=True)
class Progress:
    """What a callback is given after every step, in every process."""

    fraction: float
    """Of all steps."""
    stage: str
    step: int
    """Steps of the stage that are done."""
    losses: dict[str, float] = field(default_factory=dict)
    """As last read, about once a second."""
    seconds_left: float | None = None
    rank: int = 0
    """Which of several processes this is; the first prints."""
    ema: Callable[[], contextlib.AbstractContextManager[None]] = field(default=contextlib.nullcontext, repr=False)
    """A context in which the net has its averaged weights, whole; under FSDP2 every process must enter it."""


class LossLog:
    """The losses of a run of ``total`` steps, means over all processes; what is beside them is the first one's."""

    def __init__(self, folder: Path | None, processes: Processes, total: int):
        self.path = folder / LOG if folder is not None and processes.rank == 0 else None
        self.processes, self.total = processes, total
        self.unread: list[tuple[int, str, Tensor]] = []
        self.metrics: dict[str, Tensor] = {}
        self.begin("")
        self.ticked, self.began, self.first = -math.inf, time.monotonic(), 0

    def begin(self, stage: str) -> None:
        """Forget the losses of the stage before."""
        self.stage = stage
        self.losses: dict[str, float] = {}

    def add(self, step: int, name: str, loss: Tensor, metrics: dict[str, Tensor]) -> None:
        """Keep a loss and what belongs to it; nothing waits for the device."""
        self.unread.append((step, name, loss))
        self.metrics.update(metrics)

    def due(self) -> bool:
        """Return whether it is time to read losses."""
        return time.monotonic() - self.ticked >= TICK

    def read(self) -> None:
        """Read all losses; raise an error, in every process, for the first that is not finite."""
        self.ticked = time.monotonic()
        if not self.unread:
            return
        values = self.processes.mean(torch.stack([loss.detach().float() for *_, loss in self.unread])).tolist()
        for (step, name, _), value in zip(self.unread, values, strict=True):
            self.losses[name] = value
            if not math.isfinite(value):
                raise MotifError(
                    f"training broke off: the loss {name!r} is {value} at step {step} of stage {self.stage!r}; "
                    f"try another seed, a smaller learning rate, or --precision fp32"
                )
        self.losses.update({name: float(value) for name, value in self.metrics.items()})
        self.unread.clear()
        self.metrics.clear()

    def report(self, read: bool, step: int, done: int, ema: Callable[[], Any]) -> Progress:
        """Return where the run is after ``step`` steps of the stage, ``done`` of all; read and log losses, or not."""
        now, left = time.monotonic(), None
        if read:
            self.read()
        if not self.first:
            self.began, self.first = now, done
        elif done > self.first:
            left = (now - self.began) / (done - self.first) * (self.total - done)
        fields = {"fraction": done / self.total, "stage": self.stage, "step": step, "losses": self.losses.copy()}
        if read and self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps({**fields, "seconds_left": left}) + "\n")
        return Progress(**fields, seconds_left=left, rank=self.processes.rank, ema=ema)
