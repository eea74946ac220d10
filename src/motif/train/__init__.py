"""Training: one loop for every family, on one process or on many. It knows nets, losses and data, and no motion."""

from ..config import TrainConfig
from .batches import Batch, Batches, IterableBatches, Shard
from .budget import Trained
from .checkpoint import delete_run
from .log import Progress
from .loop import Ema, Loss, Plan, Stage, Update, run
from .optim import Optim, ParamGroup

__all__ = [
    "Batch",
    "Batches",
    "Ema",
    "IterableBatches",
    "Loss",
    "Optim",
    "ParamGroup",
    "Plan",
    "Progress",
    "Shard",
    "Stage",
    "TrainConfig",
    "Trained",
    "Update",
    "delete_run",
    "run",
]
