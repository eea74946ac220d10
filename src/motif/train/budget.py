"""How many steps each stage takes: all of its schedule, or fewer on purpose."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..config import TrainConfig
from ..errors import MotifError

MEASURED = 0.05
"""Part of a stage's time after which its number of steps is settled."""


class Trained(NamedTuple):
    """What a run did."""

    precision: str
    share: float
    """Of the steps of the schedule, 1 for all."""


class Budget:
    """Steps of every stage of a run, of which ``config`` may allow fewer than planned.

    With ``minutes`` a stage may take an equal part of the time that is left when it begins. Its number of steps is then
    settled once, by the speed of its first steps, so that learning rates end where they should; a run that goes on has
    the number from its checkpoint.
    """

    def __init__(self, planned: Sequence[tuple[str, int]], config: TrainConfig, found: dict[str, Any] | None):
        self.planned = [steps for _, steps in planned]
        self.most = [min(steps, config.steps or steps) for steps in self.planned]
        self.limit = None if config.minutes is None else 60 * config.minutes
        self.steps, self.settled = list(self.most), 0
        self.began, self.allotted, self.first = time.monotonic(), 0.0, (0, 0.0)
        if found:
            self.steps, self.settled = list(found["steps"]), found["settled"]
            self.began -= found["seconds"]

    @property
    def seconds(self) -> float:
        """Since the run began, without the time between its parts."""
        return time.monotonic() - self.began

    @property
    def share(self) -> float:
        """Of the schedule's steps that are taken in all."""
        return sum(self.steps) / sum(self.planned)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"steps": self.steps, "settled": self.settled, "seconds": self.seconds}

    def begin(self, stage: int) -> None:
        """Give a stage, whose first step is about to be taken, its part of the time."""
        self.stage, self.entered, self.first = stage, self.seconds, (0, 0.0)
        if self.limit is not None and self.settled <= stage:
            self.steps[stage] = self.most[stage]
            self.allotted = max(self.limit - self.entered, 0.0) / (len(self.steps) - stage)

    def due(self, step: int) -> bool:
        """Return whether to settle, ``step`` steps into the stage; the first step, often slow, is not measured."""
        if self.limit is None or self.settled > self.stage:
            return False
        if not self.first[0]:
            self.first = step, self.seconds
            return self.first[1] - self.entered > self.allotted
        return self.seconds - self.entered > MEASURED * self.allotted

    def forecast(self, step: int) -> int:
        """Return how many steps of the stage the time allows for."""
        first, seconds = self.first
        left = self.allotted - (self.seconds - self.entered)
        each = (self.seconds - seconds) / (step - first) if step > first else left + 1
        return min(step + max(int(left / max(each, 1e-9)), 0), self.most[self.stage])

    def settle(self, steps: int) -> None:
        """Fix the stage's number of steps; later ones are expected to be cut by as much until they are settled."""
        self.steps[self.stage], self.settled = steps, self.stage + 1
        cut = steps / self.most[self.stage]
        self.steps[self.settled :] = [max(round(cut * most), 1) for most in self.most[self.settled :]]


def check(config: TrainConfig, planned: Sequence[tuple[str, int]], name: str) -> None:
    """Raise an error where there is nothing to cut short."""
    if not planned and (config.steps is not None or config.minutes is not None):
        raise MotifError(f"{name} needs no training: leave out steps and minutes")
