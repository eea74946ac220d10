"""What people call: the command line's verbs, as functions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from . import bundle, clip_traits, contact, crowd, ground, matching, metrics, parallel, registry, train
from .config import CrowdConfig, ReadConfig, SampleConfig, ShowConfig, TrainConfig
from .data.domain import Domain
from .edit import MAX_SECONDS, Edit
from .errors import MotifError
from .io import load, save
from .metrics import fakes, papers
from .motion import Motion, Pose
from .recipes.base import PaperRecipe, Recipe, Streaming
from .request import Request
from .train import Progress
from .view import page, show

__all__ = ["CrowdConfig", "Domain", "Edit", "Model", "Pose", "ReadConfig", "SampleConfig", "ShowConfig", "TrainConfig"]
__all__ += ["check_request", "demo_clip", "fit", "info", "load", "report", "save", "score", "show", "vary"]


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A recipe and what it has learned: what takes are sampled from."""

    name: str
    """Of the recipe."""
    recipe: Recipe
    """Its hyper-parameters."""
    domain: Domain
    """Rigs, rate and default length of takes; reference clips, if any."""
    prepared: Any
    """What the recipe made of the domain."""
    net: nn.Module
    """On the CPU."""
    seed: int = 0
    """Of its training."""
    precision: str = "fp32"
    """That it was trained with."""
    share: float = 1.0
    """Of its schedule's steps that were taken: less than 1 where training was cut short on purpose."""

    @property
    def clips(self) -> tuple[Motion, ...]:
        """The reference clips, if the model carries any."""
        return self.domain.clips

    def sample(
        self,
        n: int = 1,
        seconds: float | None = None,
        seed: int = 0,
        edit: Edit | None = None,
        config: SampleConfig = SampleConfig(),
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> list[Motion]:
        """Sample ``n`` new takes.

        Args:
            n: how many.
            seconds: length of each; what ``edit`` says, or else twice the clips (two minutes at most).
            seed: same seed, same takes.
            edit: what to keep, follow, loop and weigh.
            config: how the takes are made.
            progress: called with the fraction done.
        """
        return self._sample(Request(_edit(edit, seconds), n, seed, config, progress))

    def _sample(self, request: Request) -> list[Motion]:
        registry.check_supported(self.name, self.recipe, request.edit, request.config)
        return self.recipe.sample(self.net, self.prepared, request)

    def crowd(
        self,
        n: int,
        seconds: float | None = None,
        seed: int = 0,
        edit: Edit | None = None,
        config: CrowdConfig = CrowdConfig(),
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> list[Motion]:
        """Sample ``n`` new takes that stand side by side: no two bodies touch at any frame (:mod:`motif.crowd`).

        Arguments are those of :meth:`sample`. Trajectories and constraints of ``edit`` are turned and shifted with
        their take, in one piece.
        """
        request = Request(_edit(edit, seconds), n, seed, config, progress)
        return crowd.crowd(self._sample, request, self.domain.frame_time, self.domain.seconds, config)

    def published(
        self, n: int = 20, seconds: float | None = None, seed: int = 0, config: SampleConfig = SampleConfig()
    ) -> dict[str, dict[str, float]]:
        """Return the papers' measures of ``n`` takes (:mod:`motif.metrics.papers`), told apart by what is measured.

        ``raw``, of recipes that learn the papers' channels: the network's own output, as the papers' evaluation takes
        it. ``takes``: the takes as :meth:`sample` returns them, decoded, finished, and labelled anew.
        """
        request, found = Request(_edit(None, seconds), n, seed, config), {}
        if isinstance(self.recipe, PaperRecipe):
            made = self.recipe.channels(self.net, self.prepared, request)
            *samples, exemplar = map(papers.rows, (*made, self.recipe.exemplar(self.prepared)))
            found["raw"] = papers.measures_of_frames(samples, exemplar)
        return {**found, "takes": papers.measures(self._sample(request), self.clips)}

    def start(self, seed: int = 0, config: SampleConfig = SampleConfig()) -> Any:
        """Return the state that an endless take begins with, for :meth:`step`; same seed, same poses."""
        if not isinstance(self.recipe, Streaming):
            raise MotifError(f"{self.name} cannot stream; clip-match, clip-gan and clip-flow can")
        registry.check_supported(self.name, self.recipe, Edit(), config)
        return self.recipe.start(self.net, self.prepared, seed, config)

    def step(self, state: Any, control: Any = None) -> tuple[Pose, Any]:
        """Return the next pose of an endless take and the state after it.

        A state can be kept and stepped again, with the same result. ``control`` steers recipes that can be steered.
        """
        return cast(Streaming, self.recipe).step(state, control)

    def stream(self, seed: int = 0, config: SampleConfig = SampleConfig()) -> Iterator[Pose]:
        """Return the poses of one endless take, one after the other at the clips' rate, for games and installations.

        They are made in blocks of about three seconds, the first a short one, each while the one before is played: who
        asks for no more than the clips' rate does not wait. Memory does not grow. Same seed, same poses.
        """

        def poses(state: Any) -> Iterator[Pose]:
            while True:
                pose, state = self.step(state)
                yield pose

        return poses(self.start(seed, config))

    def save(self, path: str | Path) -> Path:
        """Write the model as one ``.safetensors`` file: weights, domain, and what is needed to go on from them."""
        params, weights = asdict(self.recipe), self.net.state_dict()  # type: ignore[arg-type]
        file = bundle.Bundle(self.name, params, self.domain, weights, self.seed, self.precision, self.share)
        return bundle.write(path, file)

    @staticmethod
    def load(path: str | Path) -> "Model":
        """Read what :meth:`save` wrote; nothing in the file is executed."""
        file = bundle.read(path)
        recipe = registry.with_params(file.recipe, file.params)
        prepared = recipe.prepare(file.domain)
        net = recipe.net(prepared)
        bundle.load_weights(net, file.weights, path)
        return Model(file.recipe, recipe, file.domain, prepared, net, file.seed, file.precision, file.share)


def _edit(edit: Edit | None, seconds: float | None) -> Edit:
    edit = Edit() if edit is None else edit
    return replace(edit, seconds=seconds) if seconds is not None and isinstance(edit, Edit) else edit


def check_request(
    recipe: str | Recipe,
    clips: Sequence[Motion] | Motion,
    n: int = 1,
    seconds: float | None = None,
    edit: Edit | None = None,
    config: SampleConfig = SampleConfig(),
) -> None:
    """Raise the MotifError that :meth:`Model.sample` would, if any, before anything is trained."""
    name, recipe = registry.resolve(recipe)
    domain, edit = Domain.of(_several(clips)), Request(_edit(edit, seconds), n).edit
    registry.check_supported(name, recipe, edit, config)
    spread = config.spread if isinstance(config, CrowdConfig) and not edit.features else 0.0
    if spread and edit.duration(domain.seconds) * (1 + spread) > MAX_SECONDS:
        raise MotifError(f"a crowd's takes last at most {MAX_SECONDS / (1 + spread):.0f} s; give fewer seconds")
    timed = edit.seconds is not None or (edit.trajectory is not None and edit.trajectory.times is not None)
    if not timed and (edit.constraints or edit.clip_weights):  # they must fit into a length that the clips decide
        matching.take_length(matching.prepare(domain.clips), edit)
        return
    frames = max(round(edit.duration(domain.seconds) / domain.frame_time), 1)
    edit.check(domain.rigs[0], domain.frame_time, frames, len(domain.clips))


def fit(
    recipe: str | Recipe,
    clips: Sequence[Motion] | Motion | Domain,
    seed: int = 0,
    config: TrainConfig = TrainConfig(),
    folder: str | Path | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Model:
    """Train a recipe on clips of one rig and rate; ``clip-match`` needs no training.

    Args:
        recipe: its name, or one with hyper-parameters of your own, such as ``ClipGan(steps=300)``.
        clips: one or several; several are mixed. Or a domain.
        seed: same seed, same model.
        config: how training is run.
        folder: where the run is kept, so that it can be stopped and go on; nothing is kept if not given.
        progress: called after every training step.
    """
    name, recipe = registry.resolve(recipe)
    domain = clips if isinstance(clips, Domain) else Domain.of(_several(clips))
    prepared, trained = recipe.prepare(domain), train.Trained("fp32", 1.0)
    train.budget.check(config, recipe.plan(prepared), name)
    with parallel.single_thread(), torch.random.fork_rng([]):
        torch.set_num_threads(config.threads)
        torch.manual_seed(seed)
        net = recipe.net(prepared)
        plan = train.Plan(recipe.plan(prepared), lambda: recipe.stages(net, prepared, seed))
        if plan.steps:
            params = asdict(recipe)  # type: ignore[arg-type]
            fingerprint = {"recipe": name, "params": params, "domain": bundle.fingerprint(domain)}
            trained = train.run(net, plan, seed, config, Path(folder) if folder else None, fingerprint, progress)
    return Model(name, recipe, domain, prepared, net, seed, *trained)


def vary(
    clips: Sequence[Motion] | Motion,
    n: int = 4,
    seconds: float | None = None,
    seed: int = 0,
    edit: Edit | None = None,
    recipe: str | Recipe = "clip-match",
    config: SampleConfig = SampleConfig(),
) -> list[Motion]:
    """Make new takes of clips of one rig: :func:`check_request`, :func:`fit`, then :meth:`Model.sample`."""
    check_request(recipe, clips, n, seconds, edit, config)
    return fit(recipe, clips, seed).sample(n, seconds, seed, edit, config)


def score(takes: Sequence[Motion] | Motion, against: Sequence[Motion] | Motion) -> dict[str, float]:
    """Return headline numbers of takes against their exemplar clips (:func:`motif.metrics.score`)."""
    return metrics.score(_several(takes), _several(against))


def report(
    takes: Sequence[Motion] | Motion,
    against: Sequence[Motion] | Motion,
    path: str | Path | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> metrics.Report:
    """Measure takes against their exemplar clips, find the worst moments and put a verdict into words.

    ``path`` is an ``.html`` file to write it to, with curves over time, pictures of the worst moments, and the numbers
    of five worthless "generators" (:mod:`motif.metrics.fakes`).
    """
    takes, against = _several(takes), _several(against)
    if path is None:
        return metrics.report(takes, against, progress=progress)
    page.check(path)
    found, beside = metrics.report(takes, against, progress=lambda fraction: progress(0.5 * fraction)), {}
    for name in fakes.FAKES:
        beside[name] = metrics.score(fakes.takes(name, against, 2, len(takes[0])), against)
        progress(0.5 + 0.5 * len(beside) / (len(fakes.FAKES) + 1))
    page.write(found, takes, path, beside)
    progress(1.0)
    return found


def _several(motions: Sequence[Motion] | Motion) -> Sequence[Motion]:
    several = [motions] if isinstance(motions, Motion | str | Path) else motions
    for one in several:
        if not isinstance(one, Motion):
            kind, text = type(one).__name__, str(one)[:40]
            raise MotifError(f"expected motions, found {kind} {text!r}; read files with motif.load")
    return several


def demo_clip() -> Motion:
    """Return the clip that ships with motif: CMU 17_10, boxing, 17.2 s at 30 fps (assets/NOTICE.txt)."""
    with resources.as_file(resources.files("motif") / "assets" / "cmu_17_10.bvh") as path:
        return load(path)


def takes_problems(motion: Motion) -> list[str]:
    """Return in words why takes of this clip alone will not be good, with what would help; nothing for most clips."""
    help_ = "a second clip of the rig would help; it is good for a loop (motif change --loop) or other speeds (--speed)"
    if motion.seconds < 2.5 and clip_traits.is_cycle(motion):
        return [f"one cycle of {motion.seconds:.1f} s: takes will be that cycle again; {help_}"]
    share = clip_traits.repeats(motion)
    if share < 0.2:
        return [f"only {share:.0%} of it comes again elsewhere in it: takes will show where parts were joined; {help_}"]
    if motion.seconds < 2.5:
        return [f"only {motion.seconds:.1f} s long: takes will be the clip again, its parts in another order; {help_}"]
    if motion.seconds < 4:
        return [
            f"only {motion.seconds:.1f} s long: feet may slide 1.7 times as much as in it, and parts join less well"
        ]
    return []


def info(motion: Motion) -> dict[str, Any]:
    """Return what motif sees in a clip, as plain values: rig, rate, length, unit, contacts, parts, problems."""
    s = motion.skeleton
    _, root, feet = motion.root_and_feet
    stands = contact.labels(feet, s, motion.frame_time).float().mean(0).tolist() if s.contacts else []
    problems = []
    if not s.contacts:
        problems.append("no ground contacts found: feet cannot be locked; name them with skeleton.with_contacts(...)")
    elif not any(stands):
        problems.append("nothing ever stands: is the unit right, and is Y up?")
    if not s.left:
        problems.append("no left/right pairs found: the clip cannot be mirrored")
    problems += takes_problems(motion)
    in_place = clip_traits.in_place_velocity(motion)
    travel = root[-1] - root[0]
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
        "level_ground": not ground.is_uneven(motion),
        "travel": round(float(travel[[0, 2]].norm()), 4),
        "in_place_speed": None if in_place is None else round(float(in_place.norm()), 3),
        "root": s.names[s.root],
        "contacts": {s.names[j]: round(share, 3) for j, share in zip(s.contacts, stands)},
        "pairs": len(s.left),
        "parts": {name: len(joints) for name, joints in s.parts.items()},
        "problems": problems,
    }
