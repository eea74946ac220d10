"""What is one take worth? New takes of one clip beside more real takes, judged by real takes that nobody was shown.

Run as ``python benchmarks/worth.py [--recipes clip-match clip-match,tempo=0.18] [--cells walk_active ...] [--takes 8]``,
after ``tar xJf ../shared/data/bandai-namco.tar.xz -C .data``. A cell is an activity and a style of Bandai Namco
Research's set 2, of which one performer gave some 20 to 100 takes. A recipe learns the longest one. What it makes,
together with that clip, explains each other real take by the distance of its one-second windows (pose and travel,
:mod:`motif.windows`) to the nearest window, in body heights. Beside it stands the clip with ``k`` more real takes,
averaged exactly over all draws of ``k`` takes other than the one explained. *Worth* is the ``k`` whose mean distance the
recipe reaches: a copy is worth 0, and nothing is won by what no real take does.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from common import DATA, options, table, timed
from jaxtyping import Float
from suite import parse
from torch import Tensor

from motif import api, windows
from motif.motion import Motion

CELLS = (
    *("walk_active", "run_active", "walk-turn-left_active", "walk_exhausted", "run_feminine", "wave-both-hands_active"),
    *("walk_elderly", "run_exhausted", "walk-turn-right_normal", "wave-right-hand_youthful"),
    *("raise-up-left-hand_normal", "raise-up-both-hands_masculine"),
)
"""Choices are made on the first six, and reported on all."""
STEP = 2  # frames from one compared window to the next, and between the compared frames of a window
SHOWN = (0, 1, 2, 3, 5)
TOLERANCES = (0.05, 0.025)


def poses(motion: Motion) -> Float[Tensor, "t k 3"]:
    """Return what is compared of a motion."""
    return windows.poses(motion, motion.world()[1], motion.heading(), motion.floor())[::STEP]


def nearest(x: Float[Tensor, "t k 3"], y: Float[Tensor, "s k 3"], width: int) -> Float[Tensor, "w"]:
    """Return the distance of each window of ``x`` to the nearest one of ``y``, metres."""
    errors = windows.window_errors(windows.frame_errors(x, y), width)
    return errors.amin(1) if errors.numel() else x.new_full((max(len(x) - width + 1, 0),), torch.inf)


def explained(distances: Float[Tensor, "*w"]) -> Float[Tensor, "3"]:
    """Return the mean distance and the shares within ``TOLERANCES``."""
    return torch.stack([distances.mean(), *((distances < t).to(distances).mean() for t in TOLERANCES)])


@dataclass(frozen=True, eq=False)
class Cell:
    """Real takes of one performer doing one thing one way."""

    clip: Motion
    """The longest take, the one that is learned."""
    others: list[Float[Tensor, "_t k 3"]]
    """Poses of the other takes."""
    alone: Float[Tensor, "w"]
    """Distance of each window of the other takes to the nearest one of the clip, body heights."""
    real: Float[Tensor, "w n"]
    """Distance of each window to the nearest one of the clip and of each other take but its own, the nearest first."""

    @property
    def width(self) -> int:
        """Compared frames of a second."""
        return round(self.clip.fps / windows.stride(self.clip.fps) / STEP)

    @staticmethod
    def load(name: str) -> "Cell":
        """Read the takes of an activity and a style."""
        folder = DATA / "Bandai-Namco-Research-Motiondataset-2/data"
        takes = sorted((api.load(p) for p in sorted(folder.glob(f"dataset-2_{name}_*.bvh"))), key=len)
        if len(takes) < 8:
            raise SystemExit(f"{folder} has {len(takes)} takes of {name}; unpack ../shared/data/bandai-namco.tar.xz")
        clip, others = takes[-1], [poses(take) for take in takes[:-1]]
        cell = Cell(clip, others, torch.zeros(0), torch.zeros(0, 0))
        alone = cell.distances([poses(clip)])
        rows = []
        for k, x in enumerate(others):
            rows.append(torch.stack([nearest(x, y, cell.width) for n, y in enumerate(others) if n != k], 1))
        real = torch.minimum(torch.cat(rows) / clip.skeleton.height, alone[:, None])
        return Cell(clip, others, alone, real.sort(1).values)

    def distances(self, made: Sequence[Float[Tensor, "_t k 3"]]) -> Float[Tensor, "w"]:
        """Return the distance of each window of the other takes to the nearest one of these poses, body heights."""
        found = [torch.stack([nearest(x, y, self.width) for y in made]).amin(0) for x in self.others]
        return torch.cat(found) / self.clip.skeleton.height

    def curve(self) -> list[float]:
        """Return the mean distance with 0, 1, ... more real takes."""
        n = self.real.shape[1]
        means, found = self.real.double().mean(0), [float(self.alone.mean())]
        for k in range(1, n + 1):
            chance = torch.tensor([math.comb(n - 1 - r, k - 1) / math.comb(n, k) for r in range(n)]).double()
            found.append(float(means @ chance))
        return found

    def worth(self, takes: Sequence[Motion]) -> tuple[float, Float[Tensor, "3"]]:
        """Return how many real takes some takes are worth, and what they and the clip explain."""
        found = explained(torch.minimum(self.distances([poses(take) for take in takes]), self.alone))
        curve, value = self.curve(), float(found[0])
        k = next((k for k in range(1, len(curve)) if curve[k] <= value), len(curve) - 1)
        return k - 1 + min(max((curve[k - 1] - value) / max(curve[k - 1] - curve[k], 1e-9), 0.0), 1.0), found


def rows(given) -> Iterator[list[str]]:
    """Yield a row of each cell, and the mean and the least worth of each recipe."""
    worths: dict[str, list[float]] = {spec: [] for spec in given.recipes}
    for name in given.cells:
        cell = Cell.load(name)
        curve = cell.curve()
        row = [name, str(len(cell.others)), f"{cell.clip.seconds:.1f}"]
        row += [f"{curve[min(k, len(curve) - 1)]:.4f}" for k in SHOWN] + [f"{curve[-1]:.4f}"]
        for spec in given.recipes:
            recipe, sampling = parse(spec)
            model, trained = timed(partial(api.fit, recipe, [cell.clip]))
            takes, took = timed(partial(model.sample, given.takes, config=sampling))
            value, found = cell.worth(takes)
            worths[spec].append(value)
            row.append(f"**{value:.2f}** ({found[0]:.4f}, {found[1]:.0%}, {found[2]:.0%}; {trained + took:.0f} s)")
        yield row
    blank = [""] * (2 + len(SHOWN) + 1)
    yield ["**mean; least**", *blank, *(f"**{sum(v) / len(v):.2f}; {min(v):.2f}**" for v in worths.values())]


def main() -> None:
    """Make takes and print what they are worth."""
    given = options(__doc__, recipes=["clip-match"], cells=list(CELLS), takes=8)
    torch.set_num_threads(1)
    columns = ["cell", "other takes", "s", *(f"{k} more" for k in SHOWN), "all", *given.recipes]
    table(columns, rows(given))


if __name__ == "__main__":
    main()
