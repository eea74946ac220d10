"""What a recipe is, and what recipes share that make a coarse motion with a network and leave the rest to matching."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import matching, parallel, resample
from ..config import SampleConfig
from ..data.domain import Domain
from ..edit import Edit
from ..errors import MotifError
from ..matching import Exemplar, Guide, MatchConfig, Stream, StreamState
from ..motion import Motion, Pose
from ..nn.layers import PcaProjection
from ..paper_features import PaperFeatures
from ..post import feet
from ..request import Request
from ..seeds import take_rng
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


@runtime_checkable
class PaperRecipe(Protocol):
    """A recipe whose networks make the papers' channels."""

    def channels(self, net: nn.Module, prepared: Any, request: Request) -> list[Float[Tensor, "c _t"]]:
        """Return the networks' own output for every take, at 30 Hz."""
        ...

    def exemplar(self, prepared: Any) -> Float[Tensor, "c t"]:
        """Return the clip in the same channels."""
        ...


COARSE_UNSUPPORTED = {"clip weights": "its net has learned one mixture; clip-match can"}
COARSE_DEFAULTS = SampleConfig(variety=0.25, tempo=0.0, amplitude=0.0, completeness=0.75)


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
    variety, tempo, amplitude, completeness = config.resolve(COARSE_DEFAULTS)
    patch = round(7 * 4.43 ** (1 - variety))
    return MatchConfig(completeness, reorder=0.0, diversity=variety, tempo=tempo, amplitude=amplitude, patch=patch)


def fit_pca(exemplar: Exemplar) -> PcaProjection:
    """Return a projection onto the principal axes of the clips."""
    pca = matching.pca(exemplar)
    return PcaProjection(pca.scale, pca.centre, pca.basis, max(float(torch.cat(pca.clips).std()), 1e-9))


def guides(clips: CoarseClips, edit: Edit, length: int) -> list[Guide]:
    """Return what an edit asks of takes of ``length`` frames, in the components of :func:`fit_pca`."""
    return matching.guides(clips.exemplar, edit, length, matching.pca(clips.exemplar))


def take_noise(request: Request, shape: tuple[int, ...]) -> Float[Tensor, "n ..."]:
    """Draw noise for every take, each from its own generator."""
    rngs = [take_rng(request.seed, k) for k in range(request.n)]
    return torch.stack([torch.randn(shape, generator=rng) for rng in rngs])


# --- endless takes ---------------------------------------------------------------------------------------------------
def start_stream(
    clips: CoarseClips,
    config: SampleConfig,
    seed: int,
    shape: tuple[int, ...],
    dim: int,
    frames: int,
    decode: Callable[[Tensor], Float[Tensor, "_t d"]],
) -> StreamState:
    """Begin an endless take that a network makes from overlapping windows of the same noise.

    A window is noise of ``shape`` and ``frames`` more along ``dim``; ``decode`` makes features of those in its middle.
    """
    new = [frames if k == dim else n for k, n in enumerate(shape)]

    def advance(state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        before, rng = state
        generator = torch.Generator().set_state(rng)
        window = torch.cat((before, torch.randn(new, generator=generator)), dim)
        with parallel.single_thread(), torch.no_grad():
            return decode(window), (window.narrow(dim, frames, shape[dim]), generator.get_state())

    generator, matched = torch.Generator().manual_seed(seed), coarse_match_config(config)
    noise = torch.randn(shape, generator=generator)
    stream = Stream(clips.exemplar, matched, clips.rate_ratio, config.foot_lock, advance)
    return matching.start(stream, (noise, generator.get_state()), seed)


def step_stream(state: StreamState, control: Any = None) -> tuple[Pose, StreamState]:
    """Return the next pose and state of a stream that cannot be controlled."""
    if control is not None:
        raise MotifError("this recipe takes no control, its streams follow the clips alone; leave control out")
    return matching.step(state)


# --- the papers' channels --------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class PaperClip:
    """One clip, and its channels in the papers' layout at 30 Hz."""

    motion: Motion
    features: PaperFeatures
    channels: Float[Tensor, "c t"]

    @staticmethod
    def of(domain: Domain, name: str, other: str) -> "PaperClip":
        """Encode the only clip of a domain; its rig must be one that the papers know, ``other`` learns several."""
        clips = domain.reference(name)
        if len(clips) != 1:
            raise MotifError(f"{len(clips)} clips given; {name} learns one, {other} learns several")
        features = PaperFeatures.of(clips[0].skeleton)
        return PaperClip(clips[0], features, features.encode(clips[0].resample(features.RATE)).T)

    def take_frames(self, edit: Edit) -> int:
        """Return the frames of a take at the clip's rate, and check that the edit fits."""
        frames = max(round(edit.duration(2 * self.motion.seconds) / self.motion.frame_time), 1)
        edit.check(self.motion.skeleton, self.motion.frame_time, frames)
        return frames

    def take(self, x: Float[Tensor, "c t"], number: int, foot_lock: bool) -> Motion:
        """Decode channels into a take of the clip's rig and rate."""
        rotations, positions = self.features.pose(x.T)
        if foot_lock:
            labels = self.features.contact_labels(x.T)
            rotations = feet.lock(self.features.skeleton, (rotations, positions), labels, 1 / self.features.RATE)
        return self.features.expand(rotations, positions, self.motion, f"{self.motion.name}-take-{number + 1:02d}")
