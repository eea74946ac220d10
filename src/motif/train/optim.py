"""Optimisers, their parameter groups and learning rate schedules."""

import math
import re
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from ..errors import MotifError


@dataclass(frozen=True)
class ParamGroup:
    """Parameters that learn otherwise than the rest."""

    pattern: str
    """Regular expression, found anywhere in a parameter's name within the update's module; the first match decides."""
    lr_scale: float = 1.0
    weight_decay: float | None = None
    """None: as the rest."""


@dataclass(frozen=True)
class Optim:
    """How an update moves its parameters. Updates of one module with equal ``Optim`` share the optimiser's state."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)
    name: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "exponential"] = "cosine"
    """How the learning rate falls over the stage, after the warm-up."""
    min_lr_ratio: float = 0.05
    """What is left of it at the end."""
    warmup_steps: int = 0
    """Steps in which it rises linearly from 0 first."""
    clip_norm: float | None = None
    """Largest norm of all gradients of an update together."""
    groups: tuple[ParamGroup, ...] = ()
    fused: bool = False
    """Whether a step is one kernel: faster where parameters are many for the work, other in its last digits."""


def lr_factor(optim: Optim, step: int, steps: int) -> float:
    """Return what ``optim.lr`` is multiplied by at ``step`` (from 0) of ``steps``."""
    if step < optim.warmup_steps:
        return (step + 1) / optim.warmup_steps
    if optim.schedule == "constant":
        return 1.0
    fraction = (step - optim.warmup_steps) / max(steps - optim.warmup_steps, 1)
    if optim.schedule == "exponential":
        return optim.min_lr_ratio**fraction
    return optim.min_lr_ratio + (1 - optim.min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * fraction))


def make_optimizer(module: nn.Module, optim: Optim, capturable: bool = False) -> torch.optim.Optimizer:
    """Return an optimiser of a module's parameters that require gradients, its state already there (all zeros).

    ``capturable``: its steps can be recorded in a CUDA graph.
    """
    chosen: dict[ParamGroup, list[nn.Parameter]] = {group: [] for group in (*optim.groups, ParamGroup(""))}
    names = {name: p for name, p in module.named_parameters() if p.requires_grad}
    for name, p in names.items():
        chosen[next(group for group in chosen if re.search(group.pattern, name))].append(p)
    groups = []
    for group, parameters in chosen.items():
        if group.pattern and not parameters:
            raise MotifError(f"no parameter is left for the group {group.pattern!r}; there are {', '.join(names)}")
        decay = optim.weight_decay if group.weight_decay is None else group.weight_decay
        groups.append({"params": parameters, "weight_decay": decay, "lr_scale": group.lr_scale})
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optim.name]
    optimizer = kind(groups, optim.lr, optim.betas, fused=optim.fused or None, capturable=capturable)
    for p in names.values():  # as torch does at the first step: a checkpoint is read into it
        zeros = {key: torch.zeros_like(p, memory_format=torch.preserve_format) for key in ("exp_avg", "exp_avg_sq")}
        step = torch.zeros((), device=p.device if optim.fused or capturable else None)
        optimizer.state[p] = {"step": step, **zeros}
    return optimizer


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Return all parameters that an optimiser moves."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def optimizer_step(optimizer: torch.optim.Optimizer, optim: Optim, factor: float) -> None:
    """Clip gradients, take one step at ``factor`` times the learning rate, and drop the gradients."""
    for group in optimizer.param_groups:
        group["lr"] = optim.lr * factor * group["lr_scale"]
    unused = [p for p in parameters_of(optimizer) if p.grad is None]
    assert not unused, f"{len(unused)} parameters take no part in the loss, the first of shape {list(unused[0].shape)}"
    if optim.clip_norm is not None:
        nn.utils.clip_grad_norm_(parameters_of(optimizer), optim.clip_norm)
    optimizer.step()
    optimizer.zero_grad()
