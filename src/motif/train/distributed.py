"""One process or several: how they agree, and how they share a stage's modules. DDP and FSDP2 as torch has them."""

import atexit
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import MotifError
from .batches import Batch

LossValue = tuple[Tensor, dict[str, Tensor]]
Loss = Callable[[Batch, torch.Generator], LossValue]
"""From a batch and a generator to the loss, a mean over the batch, and tensors to log beside it.

It closes over its modules and may call any of them, several times and with gradients of inputs. Every parameter of the
update's module takes part in it.
"""


@dataclass(frozen=True)
class Processes:
    """The processes of a run, and which of them this is."""

    parallel: Literal["none", "ddp", "fsdp"]
    device: torch.device
    rank: int = 0
    count: int = 1

    def agree(self, stop: bool, *flags: bool) -> list[bool]:
        """Return the same flags in every process: whether any wants to stop, and what else the first one says."""
        if self.count == 1:
            return [stop, *flags]
        votes = torch.tensor([stop, *(flag and self.rank == 0 for flag in flags)], dtype=torch.int32)
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return [bool(vote) for vote in votes]

    def first(self, value: int) -> int:
        """Return the first process's number in every process."""
        if self.count == 1:
            return value
        found = torch.tensor([value if self.rank == 0 else 0])
        dist.all_reduce(found)
        return int(found)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all processes."""
        if self.count > 1:
            dist.all_reduce(values)
            values /= self.count
        return values


def join(parallel: str, device: torch.device) -> Processes:
    """Return the processes that torchrun started, connected; or this one alone."""
    launched = {"RANK", "WORLD_SIZE"} <= os.environ.keys()
    if parallel in ("ddp", "fsdp") and not launched:
        raise MotifError(f"parallel is {parallel!r}, but this is one process; start it with torchrun, or choose none")
    if not launched or os.environ["WORLD_SIZE"] == "1":
        return Processes("none", device)
    if parallel == "none":
        raise MotifError("parallel is 'none', but there are several processes; start one, or choose ddp or fsdp")
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) if device.index is None else device.index)
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        # torchrun --max-restarts keeps its store, where without a prefix the addresses of dead processes are found
        store, rank, count = next(iter(dist.rendezvous("env://")))
        store = dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=count)
        atexit.register(dist.destroy_process_group)
    return Processes("fsdp" if parallel == "fsdp" else "ddp", device, dist.get_rank(), dist.get_world_size())


class _LossModule(nn.Module):
    """Modules, and a loss of them as one call of forward, in which they may be called in any way.

    FSDP2 with a group for every layer fails where a gradient penalty needs layers again that were resharded.
    """

    def __init__(self, modules: Iterable[nn.Module]):
        super().__init__()
        self.held = nn.ModuleList(modules)

    def forward(self, loss: Loss, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what the loss does."""
        return loss(batch, generator)


class Replicas:
    """The modules of a stage's updates while processes learn them together.

    Under FSDP2 parameters, gradients and optimiser states lie in shards; parameters are whole while a loss is computed.
    In bf16 parameters and optimiser states are fp32; losses are computed under autocast.
    """

    def __init__(self, processes: Processes, modules: Sequence[nn.Module], precision: str):
        self.processes, self.precision = processes, precision
        self.held: dict[int, Any] = {}
        self.homes = [(module, name, p) for top in modules for module, name, p in homes(top)]
        self.hooks: list[tuple[dict, dict]] = []
        if processes.parallel == "ddp":
            self.held = {id(m): nn.parallel.DistributedDataParallel(_LossModule([m])) for m in modules}
        elif processes.parallel == "fsdp":
            hooks = ("_state_dict_pre_hooks", "_load_state_dict_pre_hooks")  # FSDP2 adds some and leaves them there
            self.hooks = [(h, dict(h)) for module, *_ in self.homes for h in (getattr(module, k) for k in hooks)]
            held = _sharded(modules, processes, precision)
            self.held = {id(m): held for m in modules}
            for *_, p in self.homes:
                p.data = p.data.cpu()  # its place on the device is not needed meanwhile

    def backward(
        self, module: nn.Module, loss: Loss, draws: Iterable[tuple[Batch, torch.Generator]], count: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Add the gradients of the mean of a loss over ``count`` draws and all processes; return the loss."""
        held, total, metrics = self.held.get(id(module)), None, {}
        for k, (batch, generator) in enumerate(draws):
            with self._reducing(held, k + 1 == count):
                with self._autocast():
                    value, metrics = loss(batch, generator) if held is None else held(loss, batch, generator)
                value = value if count == 1 else value / count
                value.backward()
            total = value.detach() if total is None else total + value.detach()
        assert total is not None
        return total, metrics

    def close(self, whole: bool) -> None:
        """Give the modules their own parameters back; ``whole``: with what was learned, in every process."""
        if self.processes.parallel == "fsdp":
            learned = {id(p): getattr(module, name) for module, name, p in self.homes}
            for module, name, p in self.homes:
                if whole and id(p) in learned:
                    p.data = _plain(learned.pop(id(p)))
                setattr(module, name, p)
            for hooks, before in self.hooks:
                hooks.clear()
                hooks.update(before)
        self.held.clear()

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.precision == "bf16":
            return torch.autocast(self.processes.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    def _reducing(self, held: Any, last: bool) -> contextlib.AbstractContextManager:
        """Whether gradients go to the other processes now, or are kept for the next draw."""
        if self.processes.parallel == "fsdp":
            held.set_requires_gradient_sync(last)
        elif self.processes.parallel == "ddp" and not last:
            return held.no_sync()
        return contextlib.nullcontext()


def homes(net: nn.Module) -> list[tuple[nn.Module, str, nn.Parameter]]:
    """Return where every parameter lives: module, attribute and parameter."""
    return [
        (m, name, p) for m in net.modules() for name, p in m.named_parameters(recurse=False, remove_duplicate=False)
    ]


@contextlib.contextmanager
def exchanged(net: nn.Module, others: dict[Tensor, Tensor]) -> Iterator[None]:
    """Put other values in the place of parameters for a while; all parameters of the net are whole meanwhile."""
    found = homes(net)
    whole = {
        p: nn.Parameter(_plain(others.get(p, p.detach())), requires_grad=False)
        for p in dict.fromkeys(p for *_, p in found)
    }
    for module, name, p in found:
        setattr(module, name, whole[p])
    try:
        yield
    finally:
        for module, name, p in found:
            setattr(module, name, p)


def _sharded(modules: Sequence[nn.Module], processes: Processes, precision: str) -> Any:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy(cast_forward_inputs=False)
    if precision == "bf16":
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    mesh = init_device_mesh(processes.device.type, (processes.count,))
    return fully_shard(_LossModule(modules), mesh=mesh, mp_policy=policy)


def _plain(value: Tensor) -> Tensor:
    """Return all of a tensor that may lie in shards."""
    full = getattr(value, "full_tensor", None)
    return value if full is None else full().detach()
