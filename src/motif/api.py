"""What people call: the command line's verbs, as functions."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from . import bundle, contact, crowd, draw, metrics, page, parallel, registry
from .edit import Edit
from .errors import MotifError
from .io import ReadConfig, load, save
from .metrics import fakes
from .motion import Motion
from .seeds import take_rng
from .train import HABITS, Progress, TrainConfig, forget, run

__all__ = [
    "Model",
    "Pose",
    "ReadConfig",
    "demo_clip",
    "fit",
    "forget",
    "info",
    "load",
    "report",
    "save",
    "score",
    "show",
    "vary",
]


class Pose(NamedTuple):
    """One frame of a stream."""

    rotations: Float[Tensor, "j 4"]
    """Local unit quaternions (w, x, y, z)."""
    positions: Float[Tensor, "j 3"]
    """Local translations in metres."""


@dataclass(frozen=True, eq=False)
class Model:
    """An engine that has seen its clips; what takes are sampled from."""

    engine: str
    """Name on the shelf."""
    recipe: registry.Recipe
    clips: tuple[Motion, ...]
    exemplar: Any
    """What the engine sees of the clips."""
    net: nn.Module
    seed: int = 0
    """Of its training."""

    def sample(
        self,
        n: int = 1,
        seconds: float | None = None,
        seed: int = 0,
        edit: Edit | None = None,
        lock: bool = True,
        progress: Callable[[float], None] = lambda done: None,
    ) -> list[Motion]:
        """``n`` new takes.

        Args:
            n: how many.
            seconds: length of each; what ``edit`` says, or else twice the clips, if not given.
            seed: same seed, same takes.
            edit: what to keep, loop and weigh.
            lock: whether standing feet are held still.
            progress: hears the share of the work done.
        """
        if n < 1:
            raise MotifError(f"{n} takes asked for; ask for at least 1")
        edit = edit or Edit()
        if not isinstance(edit, Edit):
            raise MotifError(f"edit is {type(edit).__name__} {str(edit)[:40]!r}; give a motif.Edit")
        if seconds is not None:
            edit = replace(edit, seconds=seconds)
        registry.check_supported(self.engine, self.recipe, edit)
        return self.recipe.sample(self.net, self.exemplar, edit, n, seed, lock, progress)

    def crowd(
        self,
        n: int,
        seconds: float | None = None,
        seed: int = 0,
        spread: float = 0.1,
        gap: float = 0.1,
        edit: Edit | None = None,
        progress: Callable[[float], None] = lambda done: None,
    ) -> list[Motion]:
        """``n`` new takes that stand side by side: no two bodies touch at any frame (:mod:`motif.crowd`).

        Args:
            n: how many.
            seconds: length of each.
            seed: same seed, same crowd.
            spread: each is up to this share faster or slower than the clip; as it is where ``edit`` asks for anything.
            gap: metres left between any two at least.
            edit: what each take is asked; ways and kept pieces are turned and shifted with it, in one piece.
            progress: hears the share of the work done.
        """
        if not 0 <= spread < 1:
            raise MotifError(f"spread is {spread}; give a share from 0 to below 1")
        edit = edit or Edit()
        if edit.features:
            takes = self.sample(n, seconds, seed, edit, progress=lambda done: progress(0.8 * done))
            return crowd.arrange(takes, seed, gap, lambda done: progress(0.8 + 0.2 * done))
        first = self.clips[0]
        wanted = replace(edit, seconds=edit.seconds if seconds is None else seconds).duration(
            2 * sum(c.seconds for c in self.clips)
        )
        frames = max(round(wanted / first.frame_time), 1)
        takes = self.sample(n, wanted * (1 + spread), seed, progress=lambda done: progress(0.8 * done))
        speeds = [1 + spread * (2 * float(torch.rand(1, generator=take_rng(seed, k))) - 1) for k in range(n)]
        takes = parallel.parallel_map(lambda pair: pair[0].retime(pair[1]).crop(0, frames), zip(takes, speeds))
        return crowd.arrange(takes, seed, gap, lambda done: progress(0.8 + 0.2 * done))

    def stream(self, seed: int = 0, lock: bool = True) -> "Iterator[Pose]":
        """Poses of one endless take, one after the other at the clips' rate, for games and installations.

        They are made in blocks of about three seconds, the first a short one, each while the one before is played: who
        asks for no more than the clips' rate does not wait. Memory does not grow.

        Args:
            seed: same seed, same poses.
            lock: whether standing feet are held still.
        """
        blocks = getattr(self.recipe, "stream", None)
        if blocks is None:
            raise MotifError(f"{self.engine} cannot stream; clip-match, clip-gan and clip-flow can")
        made = blocks(self.net, self.exemplar, seed, lock)
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(next, made)
            while True:
                block = coming.result()
                coming = ahead.submit(next, made)
                yield from map(Pose, block.rotations, block.positions)

    def turned(self, **dials: Any) -> "Model":
        """The same model with other dials for its takes (``variety``, ``tempo``, ``completeness``); None stays."""
        return replace(self, recipe=registry.turned(self.engine, self.recipe, **dials))

    def save(self, path: str | Path) -> Path:
        """Write the model as one ``.safetensors`` file: weights, clips, and what is needed to go on from them."""
        fields = asdict(self.recipe)  # type: ignore[arg-type]
        return bundle.write(path, self.engine, fields, self.clips, self.net.state_dict(), self.seed)

    @staticmethod
    def load(path: str | Path) -> "Model":
        """Read what :meth:`save` wrote; nothing in the file is executed."""
        about, clips, weights = bundle.read(path)
        dials = {k: tuple(v) if isinstance(v, list) else v for k, v in about["recipe"].items()}
        recipe = registry.recipe(about["engine"], **dials)
        exemplar = recipe.prepare(clips)
        net = recipe.net(exemplar)
        bundle.load_weights(net, weights, path)
        return Model(about["engine"], recipe, tuple(clips), exemplar, net, about["seed"])


def fit(
    engine: str,
    clips: Sequence[Motion] | Motion,
    seed: int = 0,
    folder: str | Path | None = None,
    train: TrainConfig = HABITS,
    progress: Callable[[Progress], None] = lambda told: None,
    **dials: Any,
) -> Model:
    """Teach an engine some clips of one rig and rate; ``clip-match`` needs no training.

    Args:
        engine: name on the shelf.
        clips: one or several; several are mixed.
        seed: same seed, same model.
        folder: where the run is kept, so that it can be stopped and go on; nothing is kept if not given.
        train: precision and habits.
        progress: hears every training step.
        dials: fields of the recipe.
    """
    clips = _several(clips)
    recipe = registry.recipe(engine, **dials)
    exemplar = recipe.prepare(clips)
    with parallel.single_thread(), torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = recipe.net(exemplar)
        seen = [bundle.digest({"rotations": c.rotations, "positions": c.positions}) for c in clips]
        asked = {"engine": engine, "recipe": asdict(recipe), "clips": seen}  # type: ignore[arg-type]
        plan = recipe.plan(exemplar)
        if plan:
            home = None if folder is None else Path(folder)
            run(net, lambda: recipe.stages(net, exemplar, seed), plan, seed, train, home, asked, progress)
    return Model(engine, recipe, tuple(clips), exemplar, net, seed)


def vary(
    clips: Sequence[Motion] | Motion,
    n: int = 4,
    seconds: float | None = None,
    seed: int = 0,
    edit: Edit | None = None,
    lock: bool = True,
    engine: str = "clip-match",
    progress: Callable[[float], None] = lambda done: None,
    **dials: Any,
) -> list[Motion]:
    """New takes of clips of one rig: :func:`fit` with the dials (variety, completeness), then :meth:`Model.sample`."""
    if isinstance(edit, Edit):
        registry.check_supported(engine, registry.recipe(engine, **dials), edit)  # before anything is learned
    return fit(engine, clips, seed, **dials).sample(n, seconds, seed, edit, lock, progress)


def score(takes: Sequence[Motion] | Motion, against: Sequence[Motion] | Motion) -> dict[str, float]:
    """Headline numbers of takes against their exemplar clips, see :func:`motif.metrics.score`."""
    return metrics.score(_several(takes), _several(against))


def report(
    takes: Sequence[Motion] | Motion,
    against: Sequence[Motion] | Motion,
    path: str | Path | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> metrics.Report:
    """All measures of takes against their exemplar clips, with worst moments and a verdict in words.

    Args:
        takes: what to judge.
        against: the exemplar clips.
        path: an ``.html`` file to write it to, with curves over time, pictures of the worst moments, and beside it
            the numbers of five worthless "generators" (see :mod:`motif.metrics.fakes`).
        progress: hears the share of the work done.
    """
    takes, against = _several(takes), _several(against)
    if path is not None:
        page.check(path)
    share = 1.0 if path is None else 0.5
    found = metrics.report(takes, against, progress=lambda done: progress(share * done))
    if path is not None:
        beside = {}
        for name in fakes.FAKES:
            made = fakes.takes(name, against, 2, len(takes[0]))
            beside[name] = metrics.score(made, against)
            progress(0.5 + 0.5 * len(beside) / (len(fakes.FAKES) + 1))
        page.write(found, takes, path, beside)
        progress(1.0)
    return found


def _several(motions: Sequence[Motion] | Motion) -> Sequence[Motion]:
    several = [motions] if isinstance(motions, Motion) else motions
    for one in several if not isinstance(several, str | Path) else [several]:
        if not isinstance(one, Motion):
            raise MotifError(
                f"expected motions, found {type(one).__name__} {str(one)[:40]!r}; read files with motif.load"
            )
    return several


def show(motions: Sequence[Motion], path: str | Path, **options: Any) -> Path:
    """A contact sheet (.png) or an animation (.gif, .mp4) of motions, see :func:`motif.draw.show`."""
    return draw.show(motions, path, **options)


def demo_clip() -> Motion:
    """The clip that ships with motif: CMU 01_01, jumps and turns, 22.9 s at 30 fps, metres (see assets/NOTICE.txt)."""
    with resources.as_file(resources.files("motif") / "assets" / "cmu_01_01.bvh") as path:
        return load(path)


def info(motion: Motion) -> dict[str, Any]:
    """What motif sees in a clip, as plain values: rig, rate, length, unit, contacts, parts, problems."""
    s = motion.skeleton
    world = motion.world()[1]
    stands = contact.labels(world, s, motion.frame_time).float().mean(0).tolist() if s.contacts else []
    problems = []
    if not s.contacts:
        problems.append("no ground contacts found: feet cannot be locked; name them with skeleton.with_contacts(...)")
    elif not any(stands):
        problems.append("nothing ever stands: is the unit right, and is Y up?")
    if not s.left:
        problems.append("no left/right pairs found: the clip cannot be mirrored")
    if motion.seconds < 2:
        problems.append(f"only {motion.seconds:.1f} s long: takes will repeat themselves")
    travel = world[-1, s.root] - world[0, s.root]
    return {
        "name": motion.name,
        "joints": sum(not tip for tip in s.end),
        "end_sites": sum(s.end),
        "frames": len(motion),
        "fps": round(motion.fps, 4),
        "seconds": round(motion.seconds, 4),
        "metres_per_unit": motion.file_format.unit,
        "height": round(s.height, 4),
        "floor": round(motion.floor(), 4),
        "travel": round(float(travel[[0, 2]].norm()), 4),
        "root": s.names[s.root],
        "contacts": {s.names[j]: round(share, 3) for j, share in zip(s.contacts, stands)},
        "pairs": len(s.left),
        "parts": {name: len(joints) for name, joints in s.parts.items()},
        "problems": problems,
    }
