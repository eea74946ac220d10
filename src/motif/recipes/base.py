"""What a recipe is, and what recipes share that make a coarse motion with a network and leave the rest to matching."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import matching, resample
from ..config import SampleConfig
from ..data.domain import Domain
from ..edit import Edit
from ..errors import MotifError
from ..matching import Exemplar, Guide, MatchConfig, StreamState
from ..motion import Motion, Pose
from ..nn.layers import PcaProjection
from ..paper_features import PaperFeatures
from ..post import feet
from ..request import Request
from ..train import Stage


class Recipe(Protocol):
    """A way to make takes: a frozen dataclass of hyper-parameters."""

    unsupported: ClassVar[Mapping[str, str]]
    """Features of an Edit (:attr:`motif.edit.Edit.features`) that it refuses, and why."""
    defaults: ClassVar[SampleConfig]
    """What a SampleConfig's None stands for; what is None here, too, cannot be set."""

    def prepare(self, domain: Domain) -> Any:
        """Return what the other methods need of a domain; quick and deterministic."""
        ...

    def net(self, prepared: Any) -> nn.Module:
        """Return an untrained network, or an empty module."""
        ...

    def plan(self, prepared: Any) -> list[tuple[str, int]]:
        """Return names and steps of the training stages; none if nothing is trained."""
        ...

    def stages(self, net: nn.Module, prepared: Any, seed: int) -> Iterator[Stage]:
        """Yield the training stages (:func:`motif.train.run`)."""
        ...

    def sample(self, net: nn.Module, prepared: Any, request: Request) -> list[Motion]:
        """Sample takes."""
        ...


@runtime_checkable
class Streaming(Protocol):
    """A recipe that can also make one endless take, pose by pose."""

    def start(self, net: nn.Module, prepared: Any, seed: int, config: SampleConfig) -> Any:
        """Return the state that an endless take begins with."""
        ...

    def step(self, state: Any, control: Any = None) -> tuple[Pose, Any]:
        """Return the next pose and state; a state can be stepped again, with the same result."""
        ...


COARSE_UNSUPPORTED = {"clip weights": "its net has learned one mixture; clip-match can"}
COARSE_DEFAULTS = SampleConfig(variety=0.25, tempo=0.0, completeness=0.75)


@dataclass(frozen=True, eq=False)
class CoarseClips:
    """Clips ready to be matched, and the coarse frame rate at which a network learns them."""

    exemplar: Exemplar
    rate_ratio: float
    """Coarse frame rate over the exemplar's."""

    @cached_property
    def lengths(self) -> list[int]:
        """Frames of each clip at the coarse rate."""
        return [max(round(len(x) * self.rate_ratio), 2) for x in self.exemplar.fine]

    @cached_property
    def coarse(self) -> list[Float[Tensor, "_t d"]]:
        """Features of each clip at the coarse rate."""
        return [resample.resize(x, n) for x, n in zip(self.exemplar.fine, self.lengths, strict=True)]

    def crop(self, frames: int) -> int:
        """Return the frames of a training window: ``frames``, or what the shortest clip has."""
        return min(frames, *self.lengths)

    def take_lengths(self, edit: Edit) -> tuple[int, int]:
        """Return the frames of a take at the exemplar's rate and at the coarse one."""
        _, length = matching.take_length(self.exemplar, edit)
        return length, max(round(length * self.rate_ratio), 2)


def prepare_coarse(domain: Domain, name: str, levels: int) -> CoarseClips:
    """Encode the clips; the coarse rate is ``levels`` steps of 3/4 down, or what leaves the shortest clip 12 frames."""
    exemplar = matching.prepare(domain.reference(name))
    shortest = min(map(len, exemplar.fine))
    return CoarseClips(exemplar, min(max(0.75**levels, min(12 / shortest, 1.0)), 1.0))


def check_counts(recipe: Any) -> None:
    """Raise an error for a count that makes no sense."""
    for name, value in vars(recipe).items():
        least = 0 if name == "levels" else 1
        if isinstance(value, int) and value < least:
            raise MotifError(f"{name} is {value}; it is at least {least}")


def coarse_match_config(config: SampleConfig) -> MatchConfig:
    """Translate a SampleConfig: variety 0 to 1 is patches of 31 to 7 frames (nearly the network's own motion).

    It is also the diversity noise. Nothing is reordered: takes start from the network's motion.
    """
    variety, tempo, completeness = config.resolve(COARSE_DEFAULTS)
    patch = round(7 * 4.43 ** (1 - variety))
    return MatchConfig(completeness, reorder=0.0, diversity=variety, tempo=tempo, patch=patch)


def fit_pca(exemplar: Exemplar) -> PcaProjection:
    """Return a projection onto the principal axes of the clips."""
    pca = matching.pca(exemplar)
    return PcaProjection(pca.scale, pca.centre, pca.basis, max(float(torch.cat(pca.clips).std()), 1e-9))


def guides(clips: CoarseClips, edit: Edit, length: int) -> list[Guide]:
    """Return what an edit asks of takes of ``length`` frames, in the components of :func:`fit_pca`."""
    return matching.guides(clips.exemplar, edit, length, matching.pca(clips.exemplar))


def step_stream(state: StreamState, control: Any = None) -> tuple[Pose, StreamState]:
    """Return the next pose and state of a stream that cannot be controlled."""
    if control is not None:
        raise MotifError("this recipe takes no control, its streams follow the clips alone; leave control out")
    return matching.step(state)


# --- one clip --------------------------------------------------------------------------------------------------------
def single_clip(domain: Domain, name: str, other: str) -> Motion:
    """Return the only clip of a domain; ``other`` is a recipe that learns several."""
    clips = domain.reference(name)
    if len(clips) != 1:
        raise MotifError(f"{len(clips)} clips given; {name} learns one, {other} learns several")
    return clips[0]


def take_frames(clip: Motion, edit: Edit) -> int:
    """Return the frames of a take of one clip, at its rate, and check that the edit fits."""
    frames = max(round(edit.duration(2 * clip.seconds) / clip.frame_time), 1)
    edit.check(clip.skeleton, clip.frame_time, frames)
    return frames


def paper_take(features: PaperFeatures, x: Float[Tensor, "t c"], clip: Motion, foot_lock: bool, name: str) -> Motion:
    """Decode the papers' channels at 30 Hz into a take of a clip's rig and rate, its feet locked if asked."""
    rotations, positions = features.pose(x)
    if foot_lock:
        labels = features.contact_labels(x)
        rotations = feet.lock(features.skeleton, (rotations, positions), labels, 1 / features.RATE)
    return features.expand(rotations, positions, clip, name)


# --- endless noise ---------------------------------------------------------------------------------------------------
class NoiseState(NamedTuple):
    """Where an endless sequence of noise has got to."""

    noise: Tensor
    """What the next window still sees."""
    rng: Tensor
    """State of the generator."""


def start_noise(shape: tuple[int, ...], seed: int) -> NoiseState:
    """Begin with noise of a shape."""
    generator = torch.Generator().manual_seed(seed)
    return NoiseState(torch.randn(shape, generator=generator), generator.get_state())


def extend_noise(state: NoiseState, count: int, dim: int) -> tuple[Float[Tensor, "..."], NoiseState]:
    """Return the noise with ``count`` new frames after it along ``dim``, and a state that sees as many as before."""
    generator, shape = torch.Generator(), list(state.noise.shape)
    generator.set_state(state.rng)
    kept, shape[dim] = shape[dim], count
    window = torch.cat((state.noise, torch.randn(shape, generator=generator)), dim)
    return window, NoiseState(window.narrow(dim, count, kept), generator.get_state())
