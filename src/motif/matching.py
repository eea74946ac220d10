"""Generative motion matching (GenMM, Li et al. 2023): exemplars, stretches, and what turns matches into takes.

Coarse to fine, every stretch of a take is replaced by the most similar stretch of the exemplar and overlapping
stretches are averaged, a few rounds a level; bidirectional normalisation makes each exemplar stretch claim a place.
What is different here (benchmarks/matcher.py holds the plain form, and where the two can be compared they agree):

- features are heading-free, weighted into metres and rotated into their principal axes, of which a few dozen
  hold 99.5 % of the variance; averages commute with that projection, so the levels never see the full features;
- a distance between stretches is a sum along a diagonal of the frame-to-frame matrix: p times fewer products;
- levels are low-passed instead of point-sampled, and start from the exemplar's own pieces in a new order, not noise;
- the last average is taken over the clip's own frames at its own rate, all joints included, under a Hann window;
- standing feet are locked.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from . import contact, finish, parallel, resample, tempo, windows
from .edit import MIN_SPEED, Constraint, Edit, Trajectory
from .errors import MotifError
from .features import Features, Start
from .motion import Motion
from .seeds import take_rng

BLOCK = 1 << 18
"""Entries of a distance matrix worked on at a time, so that they stay in the processor's cache."""
KEPT = 1 << 26
"""Entries kept between the two looks at a distance matrix; those of longer clips are computed twice."""
SHORTEST = 2.0
"""Seconds that a piece of the exemplar lasts at least when a take is begun."""
KEPT_JOINT_WEIGHT = 0.3
"""How much joints that are kept throughout a take count when stretches are compared. With their full weight the best
match of kept legs is where they came from, and nothing is renewed; without any, arms and legs do not know each other.
"""

DIVERSITY_NOISE = 1.5, 4.0
"""How differently takes like the clips' stretches, times ``variety``: where little is asked, and how much more where
all joints are held throughout. What fits best there would else be the same for every take: what was there before.
"""
INIT_SCALE = 0.3
"""How much of the course that takes begin with is left where there is a way: it must not hold them to other speeds."""
TRAJECTORY_WEIGHT = 2.0
"""How much more the root's velocities count where there is a way to go."""
CONTEXT, FADE, FIRST, BLOCK_SECONDS = 1.0, 0.3, 0.6, 3.0
"""Of a stream, in seconds: what is seen around a block, the fade between two, and their lengths."""


@dataclass(frozen=True, eq=False)
class Exemplar:
    """The clips, ready to be matched."""

    clips: tuple[Motion, ...]
    features: Features
    full: tuple[Float[Tensor, "_t d"], ...]
    """Features of each clip at its own rate, cut to whole strides."""
    foot_drifts: tuple[Float[Tensor, "_t 2"], ...]
    """How fast what stands slides in each clip, in the heading frame, m/s: takes should slide as much, not more."""
    contact_velocities: tuple[Float[Tensor, "_t e"], ...]
    """How contact joints move in each clip, x, y and z of each in the heading frame, m/s: locked feet keep that."""
    freedom: tempo.TempoVariability
    """How steady the clips' tempo is."""
    start: Start
    """Where the first clip begins; takes do, too."""
    stride: int
    """Frames of a clip per frame of the finest level."""

    @property
    def frame_time(self) -> float:
        """Seconds a frame of the clips."""
        return self.clips[0].frame_time

    @property
    def rate(self) -> float:
        """Frames a second of the finest level."""
        return 1 / (self.frame_time * self.stride)

    spaces: dict[float, "Pca"] = field(default_factory=dict, repr=False)
    """Spaces made before, for takes that nothing is asked of."""

    @cached_property
    def table(self) -> Float[Tensor, "f d"]:
        """Features, slides and treads of all clips, end to end."""
        return torch.cat([torch.cat(part) for part in (self.full, self.foot_drifts, self.contact_velocities)], -1)

    @cached_property
    def going(self) -> tuple[float, float]:
        """How fast the clips go where they go, m/s, and in which direction, seen from the heading, radians."""
        at = self.features.slices["root_velocity"]
        steady = torch.cat([contact.smooth(x[:, at], finish.STEADY * self.rate) for x in self.fine])
        x, z = steady.mean(0).tolist()
        speed = steady.norm(dim=1)
        return float(speed.square().sum() / speed.sum().clamp_min(1e-9)), math.atan2(x, z)

    @cached_property
    def fine(self) -> list[Float[Tensor, "_s d"]]:
        """Features of each clip at the finest level: means over a stride."""
        return [x.unflatten(0, (-1, self.stride)).mean(1) for x in self.full]


@dataclass(frozen=True, eq=False)
class _Guide:
    """A kept piece in a space's coordinates: ``x + when (target - x @ part)`` has it imposed."""

    when: Float[Tensor, "t 1"]
    target: Float[Tensor, "t k"]
    part: Float[Tensor, "k k"]
    until: float = math.inf
    """Share of the finest rate up to which it is imposed."""

    def impose(self, x: Float[Tensor, "n t k"]) -> Float[Tensor, "n t k"]:
        frames = x.shape[1]
        when, target = resample.resize(self.when, frames), resample.resize(self.target * self.when, frames)
        return x + target - when * (x @ self.part)


@dataclass(frozen=True, eq=False)
class Pca:
    """Where stretches are compared: principal axes of the weighted features, and the clips in them."""

    clips: list[Float[Tensor, "_s k"]]
    scale: Float[Tensor, "d"]
    centre: Float[Tensor, "d"]
    basis: Float[Tensor, "d k"]

    def axes(self, x: Float[Tensor, "*n t d"]) -> Float[Tensor, "*n t k"]:
        """Features in these axes."""
        return (x * self.scale - self.centre) @ self.basis

    banks: dict[tuple, tuple[Tensor, list[int]]] = field(default_factory=dict, repr=False)
    """What :meth:`bank` was asked for before."""

    def bank(self, share: float, size: int) -> tuple[Float[Tensor, "m k"], list[int]]:
        """The clips end to end at a share of the finest rate, and their lengths there."""
        if (share, size) not in self.banks:
            level = [resample.resize(c, max(round(len(c) * share), size)) for c in self.clips]
            self.banks[share, size] = torch.cat(level), [len(c) for c in level]
        return self.banks[share, size]


@dataclass(frozen=True)
class Matcher:
    """Hyper-parameters of the matcher."""

    unsupported: ClassVar[Mapping[str, str]] = {}
    completeness: float = 0.75
    """0 to 1: how hard the takes try to show every part of the clip (0: only what fits best)."""
    variety: float = 0.2
    """0 to 1: from the clip's own order in long stretches to many short ones."""
    tempo: float = 0.18
    """0 to 1: how far takes stray from the clip's tempo where the clip does (:mod:`motif.tempo`)."""
    patch: int = 15
    """Frames of a stretch, at every level."""
    coarsest: float = 5.0
    """Stretches that the exemplar holds at the coarsest level."""
    rounds: int = 3
    """Match-and-average rounds a level."""
    rate: float = 30.0
    """The finest level runs at the largest whole fraction of the clip's rate that is near this or below, Hz."""
    variance: float = 0.995
    """Share of the features' variance that the levels keep."""

    def __post_init__(self):
        for name in ("completeness", "variety", "tempo"):
            if not 0 <= getattr(self, name) <= 1:
                raise MotifError(f"{name} is {getattr(self, name)}; give a number from 0 to 1")
        if self.patch < 3 or self.rounds < 1:
            raise MotifError(f"patch {self.patch}, rounds {self.rounds}; expected at least 3 and 1")

    def prepare(self, clips: Sequence[Motion]) -> Exemplar:
        """The clips' features. All clips must be of one rig and one rate."""
        if not clips:
            raise MotifError("no clip to learn from; give at least one")
        features = Features.of(clips)
        dt = clips[0].frame_time
        for clip in clips:
            if abs(clip.frame_time / dt - 1) > 1e-3:
                raise MotifError(
                    f"{clip.name!r} runs at {clip.fps:.3f} fps and {clips[0].name!r} at {1 / dt:.3f}; "
                    f"resample() them to one rate first (--fps does)"
                )
        stride = max(math.floor(1 / dt / self.rate + 0.05), 1)
        full = tuple(features.encode(c)[: len(c) // stride * stride] for c in clips)
        shortest = min(len(x) for x in full) // stride
        if shortest < 3:
            raise MotifError(
                f"a clip of {min(map(len, clips))} frames ({min(c.seconds for c in clips):.2f} s) is too short to make "
                f"variations of; give at least {3 * stride} frames"
            )
        foot_drifts = tuple(finish.foot_drift(features, x, dt) for x in full)
        contact_velocities = tuple(finish.contact_velocity(features, x, dt) for x in full)
        freedom, start = tempo.tempo_variability(clips), features.start(clips[0])
        return Exemplar(tuple(clips), features, full, foot_drifts, contact_velocities, freedom, start, stride)

    def size(self, exemplar: Exemplar, edit: Edit) -> tuple[int, int]:
        """Frames of a take at the clips' rate and at the finest level.

        Raises:
            MotifError: naming the field of ``edit`` that cannot be met.
        """
        s, otherwise = exemplar.features.skeleton, 2 * sum(map(len, exemplar.full)) * exemplar.frame_time
        if edit.trajectory is not None:
            otherwise = edit.trajectory.length / max(exemplar.going[0], MIN_SPEED * s.height)
        frames = max(round(edit.duration(otherwise) / exemplar.frame_time), 1)
        edit.check(s, exemplar.frame_time, frames, len(exemplar.clips))
        length = -(-frames // exemplar.stride)
        return (length * exemplar.stride if edit.loop else frames), length  # a loop's seam lies between two strides

    def takes(
        self,
        exemplar: Exemplar,
        edit: Edit,
        n: int = 1,
        seed: int = 0,
        lock: bool = True,
        progress: Callable[[float], None] = lambda done: None,
        begin: Float[Tensor, "n t d"] | None = None,
    ) -> list[Motion]:
        """``n`` new takes in one pass.

        Args:
            exemplar: the clips.
            edit: what is asked.
            n: how many.
            seed: same seed, same takes.
            lock: whether standing feet are held.
            progress: hears the share done.
            begin: features of the takes at the coarsest level, to be made real; the clips' own pieces in a new order
                if not given.
        """
        with parallel.single_thread():
            return self._takes(exemplar, edit, n, seed, lock, progress, begin)

    def _takes(
        self,
        exemplar: Exemplar,
        edit: Edit,
        n: int,
        seed: int,
        lock: bool,
        progress: Callable[[float], None],
        begin: Float[Tensor, "n t d"] | None,
    ) -> list[Motion]:
        frames, length = self.size(exemplar, edit)
        pace = 1.0
        if edit.trajectory is not None:
            frames, length, pace = self._paced(exemplar, edit, frames, length, seed, begin)
        places = self._match(exemplar, edit, n, length, seed, lambda done: progress(done / 2), begin, pace)

        def take(k: int) -> Motion:  # full features and poses are large: no more at a time than there are cores
            stray = 0.0 if edit.constraints or edit.trajectory else exemplar.freedom.amount(self.tempo)
            when = tempo.time_warp(frames, exemplar.frame_time, stray, take_rng(seed, k)) if stray else None
            if pace != 1:
                when = torch.arange(frames).double() * pace
            name = f"{exemplar.clips[0].name}-take-{k + 1:02d}"
            return self._made(exemplar, edit, places[k], frames, lock, when, name)

        return parallel.parallel_map(take, range(n), lambda done: progress((1 + done) / 2))

    def _paced(
        self,
        exemplar: Exemplar,
        edit: Edit,
        frames: int,
        length: int,
        seed: int,
        begin: Float[Tensor, "n t d"] | None,
    ) -> tuple[int, int, float]:
        """Frames of takes, strides to match for them, and how much faster these are shown.

        A first take tells how fast the clips go on such a way. Where no time is given, that is how long takes last.
        """
        assert edit.trajectory is not None
        places = self._match(exemplar, edit, 1, length, seed, lambda done: None, None if begin is None else begin[:1])
        x = overlap_add(exemplar.table, places[0], self._patch(exemplar), edit.loop, exemplar.stride, hann=True)
        pace = finish.speed_ratio(
            exemplar.features, edit.trajectory, x[:frames, : exemplar.features.width], exemplar.frame_time
        )
        if edit.seconds is None and edit.trajectory.times is None:
            frames = round(frames * pace)
            return frames, -(-frames // exemplar.stride), 1.0
        return frames, -(-math.ceil(frames * pace) // exemplar.stride), pace

    def _made(
        self,
        exemplar: Exemplar,
        edit: Edit,
        places: Int[Tensor, "q"],
        frames: int,
        lock: bool,
        when: Float[Tensor, "t"] | None,
        name: str,
    ) -> Motion:
        """A take from where its stretches come from and, if it has a tempo of its own, when its frames are shown."""
        x = overlap_add(exemplar.table, places, self._patch(exemplar), edit.loop, exemplar.stride, hann=True)
        if edit.trajectory is None:  # along a way more or fewer may have been matched than are shown
            x = x[:frames]
        x = x[:frames] if when is None else tempo.apply_time_warp(exemplar.features, x, when)
        return finish.take(exemplar.features, edit, x[None], exemplar.frame_time, exemplar.start, lock, name)

    def blocks(
        self,
        exemplar: Exemplar,
        course: Iterator[Float[Tensor, "c d"]],
        share: float,
        seed: int = 0,
        lock: bool = True,
    ) -> Iterator[Motion]:
        """Blocks of an endless take that follow one another, the first one short so that it comes at once.

        Every block is matched with a second of the course before and after it and faded into the last one, so the delay
        is a block and a second, and the memory that of two blocks. Completeness means nothing without an end.

        Args:
            exemplar: the clips.
            course: features at a share of the finest rate, in pieces of any length, endlessly.
            share: that share.
            seed: of the tempo.
            lock: whether standing feet are held.
        """
        endless, random = replace(self, completeness=0.0), take_rng(seed, 0)
        stray = exemplar.freedom.amount(self.tempo)
        rate = exemplar.rate * share
        context = max(round(CONTEXT * rate), 2)
        fade = max(round(FADE / exemplar.frame_time), 1)
        held = torch.zeros(0, exemplar.features.width)
        last: Motion | None = None
        before, block = 0, max(round(FIRST * rate), 2)
        while True:
            while len(held) < before + block + context:
                held = torch.cat((held, next(course)))
            window = held[: before + block + context]
            with parallel.single_thread():
                asked = Edit(len(window) / rate)
                frames, length = self.size(exemplar, asked)
                first, stop = (round(k / rate / exemplar.frame_time) for k in (before, before + block))
                stop = min(stop, frames - fade)
                when = torch.arange(frames).double()
                when[first:stop] = first + tempo.time_warp(stop - first, exemplar.frame_time, stray, random)
                places = endless._match(exemplar, asked, 1, length, 0, lambda done: None, window[None])[0]
                take = self._made(exemplar, asked, places, frames, lock, when if stray else None, "")
                take = take if last is None else finish.following(last, take, first, fade)
            yield take.crop(first, stop)
            last = take.crop(stop, stop + fade)
            held = held[max(before + block - context, 0) :]
            before = min(before + block, context)
            block = max(round(BLOCK_SECONDS * rate), 2)

    # --- the levels
    def _patch(self, exemplar: Exemplar) -> int:
        """Frames of a stretch: ``patch``, less on a clip that is shorter."""
        return min(self.patch, min(len(x) for x in exemplar.fine))

    def space(self, exemplar: Exemplar, edit: Edit, length: int, coupling: float) -> Pca:
        """Principal axes that keep ``variance`` of the weighted features' variance, and everything in them.

        Joints kept throughout a take weigh ``coupling`` of what the others do.
        """
        if not (edit.constraints or edit.joint_weights or edit.trajectory):
            if self.variance not in exemplar.spaces:
                exemplar.spaces[self.variance] = self._space(exemplar, edit, length, coupling)
            return exemplar.spaces[self.variance]
        return self._space(exemplar, edit, length, coupling)

    def _space(self, exemplar: Exemplar, edit: Edit, length: int, coupling: float) -> Pca:
        features, s = exemplar.features, exemplar.features.skeleton
        scale = features.channel_weights(edit.joint_weights)
        always = [j for keep in edit.exact_constraints if len(keep.motion) >= length * exemplar.stride - exemplar.stride + 1
                  for j in s.select(keep.joints)]  # fmt: skip
        scale = torch.where(features.channel_mask(always), coupling * scale, scale)
        if edit.trajectory is not None:
            for name in ("root_velocity", "root_turn"):
                scale[features.slices[name]] *= TRAJECTORY_WEIGHT
        x = torch.cat(exemplar.fine) * scale
        centre = x.mean(0)
        values, vectors = torch.linalg.eigh((x - centre).T.double() @ (x - centre).double())
        share = values.flip(0).clamp_min(0).cumsum(0) / values.clamp_min(0).sum().clamp_min(1e-12)
        kept = min(int((share < self.variance).sum()) + 1, 64, len(share))
        basis = vectors.flip(1)[:, :kept].to(x.dtype)
        return Pca([(c * scale - centre) @ basis for c in exemplar.fine], scale, centre, basis)

    def guides(self, exemplar: Exemplar, edit: Edit, length: int, space: Pca, pace: float = 1.0) -> list[_Guide]:
        """What is asked, laid on the finest level of a take, in the axes of a space."""
        found = [_guide(exemplar, keep, length, space) for keep in edit.constraints]
        return found if edit.trajectory is None else [*found, _ahead(exemplar, edit.trajectory, length, space, pace)]

    def _match(
        self,
        exemplar: Exemplar,
        edit: Edit,
        n: int,
        length: int,
        seed: int,
        progress: Callable[[float], None],
        begin: Float[Tensor, "n t d"] | None = None,
        pace: float = 1.0,
    ) -> Int[Tensor, "n q"]:
        """For each stretch of each take at the finest level, the exemplar's stretch that it comes from."""
        space = self.space(exemplar, edit, length, KEPT_JOINT_WEIGHT)
        guides = self.guides(exemplar, edit, length, space, pace)
        told = bool(edit.trajectory or edit.clip_weights or any(not k.exact for k in edit.constraints))
        size = self._patch(exemplar)
        total, shortest = sum(map(len, exemplar.fine)), min(map(len, exemplar.fine))
        slowest = (
            exemplar.rate * begin.shape[1] / length
            if begin is not None
            else exemplar.rate * min(max(self.coarsest * size / total, 1.5 * size / shortest), 1.0)
        )
        shares = [rate / exemplar.rate for rate in resample.level_rates(exemplar.rate, slowest)]
        x = places = None
        for level, share in enumerate(shares):
            bank, lengths = space.bank(share, size)
            count = max(round(length * share), size)
            if places is None and begin is not None:
                x = resample.resize(space.axes(begin), count)
            elif places is None:
                least = round(SHORTEST * exemplar.rate * share)
                if edit.clip_weights:
                    mix = edit.clip_weights_at(torch.arange(count) / (exemplar.rate * share))
                    x = [self._mixed(bank.split(lengths), mix, least, seed, k) for k in range(n)]
                else:
                    x = [self._shuffled(bank, count, size, least, seed, k) for k in range(n)]
                x = torch.stack(x)
            else:
                x = overlap_add(space.bank(shares[level - 1], size)[0], places, size, edit.loop)
                x = resample.resize(x, count)
            if not level and edit.trajectory is not None:
                x = x * INIT_SCALE
            within = _within_clips(lengths, size)
            alpha = self._alpha(share, told) * _mean_distance(x, bank)
            liked = self._liked(exemplar, edit, lengths, size, n, seed)
            dear = owner = None
            if edit.clip_weights:
                middle = torch.arange(count if edit.loop else count - size + 1) + size / 2
                dear = 1 / edit.clip_weights_at(middle / (exemplar.rate * share)).clamp_min(1e-6)
                owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[: len(within)]
            for _ in range(self.rounds):
                for guide in guides:
                    if share <= guide.until or not level:
                        x = guide.impose(x)
                every = (bank, size, within, alpha, edit.loop)
                calls = [partial(_nearest, one, *every, w, dear, owner) for one, w in zip(x, liked)]
                places = torch.stack(parallel.parallel_map(lambda call: call(), calls))
                x = overlap_add(bank, places, size, edit.loop)
            progress(sum(s * s for s in shares[: level + 1]) / sum(s * s for s in shares))
        assert places is not None
        return places

    def _liked(
        self, exemplar: Exemplar, edit: Edit, lengths: list[int], size: int, n: int, seed: int
    ) -> list[Float[Tensor, "q"]] | list[None]:
        """How much each take likes each stretch: where much is asked, what fits best would else always be the same."""
        if self.variety == 0 or not (edit.constraints or edit.trajectory):
            return [None] * n
        skeleton = exemplar.features.skeleton
        asked = float(edit.mask(skeleton, max((k.stop for k in edit.constraints), default=1)).float().mean())
        liking = self.variety * (DIVERSITY_NOISE[0] + DIVERSITY_NOISE[1] * asked)
        seconds = math.ceil(sum(map(len, exemplar.fine)) / exemplar.rate) + 2
        rough = torch.stack([torch.randn(seconds, generator=take_rng(seed, k)) for k in range(n)])
        smooth = resample.resize(rough[..., None], sum(lengths) - size + 1, antialias=False)[..., 0]
        return list(torch.exp(liking * smooth))

    def _alpha(self, fineness: float, told: bool = False) -> float:
        """GenMM's alpha as a share of the mean distance; a small one makes every exemplar stretch claim a place.

        It grows from level to level: what is shown is settled while stretches are long, and finer levels may take
        what fits best. With one alpha for all levels the same coverage costs precision (docs/LOG.md, 2026-11-21).
        """
        completeness = 0.0 if told else self.completeness
        return 0.003 / max(completeness, 1e-3) ** 4 * (1 + (fineness / 0.1) ** 2)

    def _shuffled(
        self, bank: Float[Tensor, "m k"], count: int, size: int, least: int, seed: int, take: int
    ) -> Float[Tensor, "count k"]:
        """The coarsest start: the exemplar cut into pieces, in a new order, each piece once before any comes twice."""
        random, m, piece = take_rng(seed, take), len(bank), self._piece(len(bank), size, least)
        parts: list[Tensor] = []
        while sum(map(len, parts)) < count:
            first = int(torch.randint(piece, (1,), generator=random))
            cuts = sorted({0, *range(first, m, piece), m})
            pieces = [bank[a:b] for a, b in zip(cuts, cuts[1:])]
            order = (
                torch.randperm(len(pieces), generator=random).tolist()
                if self.variety > 0
                else [*range(1, len(pieces)), 0]
            )
            parts += [pieces[i] for i in _apart(order)]
        return torch.cat(parts)[:count]

    def _mixed(
        self, clips: Sequence[Float[Tensor, "_m k"]], mix: Float[Tensor, "count c"], least: int, seed: int, take: int
    ) -> Float[Tensor, "count k"]:
        """The coarsest start of a mix: pieces of the clips, drawn by their weights at the time."""
        random, piece = take_rng(seed, take), max(least, 2)  # short ones: weights change meanwhile
        parts: list[Tensor] = []
        while (done := sum(map(len, parts))) < len(mix):
            clip = clips[int(torch.multinomial(mix[done], 1, generator=random))]
            first = int(torch.randint(max(len(clip) - piece, 0) + 1, (1,), generator=random))
            parts.append(clip[first : first + piece])
        return torch.cat(parts)[: len(mix)]

    def _piece(self, frames: int, size: int, least: int) -> int:
        """Frames of a piece of the coarsest start: all at variety 0, half a stretch at 1."""
        return max(round(frames ** (1 - self.variety) * (size / 2) ** self.variety), least, 2)


def _apart(order: list[int]) -> list[int]:
    """The same pieces with as few as can be right after the one they follow in the clip: those move to the end."""
    for _ in range(len(order)):
        late = next((k for k in range(1, len(order) - 1) if order[k] == order[k - 1] + 1), None)
        if late is None:
            break
        order = [*order[:late], *order[late + 1 :], order[late]]
    return order


# --- matching --------------------------------------------------------------------------------------------------------
def _within_clips(lengths: list[int], size: int) -> Bool[Tensor, "q"]:
    """Which stretches of the clips laid end to end lie within one clip."""
    ok = torch.ones(sum(lengths) - size + 1, dtype=torch.bool)
    end = 0
    for length in lengths[:-1]:
        end += length
        ok[end - size + 1 : end] = False
    return ok


def _mean_distance(x: Float[Tensor, "n t k"], bank: Float[Tensor, "m k"]) -> float:
    """Mean squared distance between frames of takes and bank, from their moments."""
    a, b = x.flatten(0, 1), bank
    squares = (a * a).sum(-1).mean() + (b * b).sum(-1).mean()
    return max(float(squares - 2 * a.mean(0) @ b.mean(0)), 1e-12)


def _nearest(
    x: Float[Tensor, "t k"],
    bank: Float[Tensor, "m k"],
    size: int,
    within: Bool[Tensor, "q"],
    alpha: float,
    loop: bool,
    liked: Float[Tensor, "q"] | None = None,
    dear: Float[Tensor, "p c"] | None = None,
    owner: Int[Tensor, "q"] | None = None,
) -> Int[Tensor, "p"]:
    """For each stretch of the take the bank's stretch of least normalised distance D_ij / (alpha + min_i D_ij).

    Distances to stretches that are ``liked`` twice as much are half as large; those of a clip (``owner``) are as many
    times larger as it is ``dear`` at that time.
    """
    if loop:
        x = torch.cat((x, x[: size - 1]))
    rows = len(x) - size + 1
    step = max(BLOCK // len(bank), size)
    square = (bank * bank).sum(-1)

    def sums(start: int) -> Tensor:
        """Squared distances summed over each two stretches, for the rows of one block."""
        part = x[start : min(start + step, rows) + size - 1]
        frames = torch.addmm(square, part, bank.T, alpha=-2).add_((part * part).sum(-1, keepdim=True))
        return windows.diagonal_sums(frames, size)

    starts = range(0, rows, step)
    blocks = [sums(start) for start in starts] if rows * len(bank) <= KEPT else None
    least = torch.full((len(within),), torch.inf)
    for block in blocks or map(sums, starts):
        least = torch.minimum(least, block.amin(0))
    ease = 1 / (alpha * size + least.clamp_min(0))
    ease = ease if liked is None else ease / liked
    outside = None if bool(within.all()) else torch.zeros(len(within)).masked_fill_(~within, torch.inf)
    found = []
    for start, block in zip(starts, blocks or map(sums, starts)):
        ratio = block.mul_(ease)
        if dear is not None:
            ratio = ratio.clamp_min(0).mul_(dear[start : start + step][:, owner])
        found.append((ratio if outside is None else ratio.add_(outside)).argmin(-1))
    return torch.cat(found)


def overlap_add(
    bank: Float[Tensor, "m k"],
    places: Int[Tensor, "*n q"],
    size: int,
    loop: bool,
    stride: int = 1,
    hann: bool = False,
) -> Float[Tensor, "*n t k"]:
    """Each frame the mean, plain or Hann-weighted, of the stretches that cover it.

    Args:
        bank: frames that stretches are made of, ``stride`` of them to each of theirs.
        places: where the stretches of takes begin in it, in strides.
        size: strides of a stretch.
        loop: whether the last stretches reach into the beginning.
        stride: frames of ``bank`` and of the result per place.
        hann: whether stretches count less towards their ends.
    """
    q = places.shape[-1]
    frame = torch.arange((q if loop else q + size - 1) * stride)
    level, rest, shift = frame // stride, frame % stride, torch.arange(size)
    source = level[:, None] - shift
    inside = torch.ones_like(source, dtype=torch.bool) if loop else (source >= 0) & (source < q)
    source = source % q if loop else source.clamp(0, q - 1)
    index = (places[..., source] + shift) * stride + rest[:, None]
    phase = (shift * stride + rest[:, None] + 0.5) / (size * stride)
    weight = torch.sin(math.pi * phase).square() * inside if hann else inside.float()
    weight = (weight / weight.sum(1, keepdim=True)).to(bank.dtype).expand(index.shape)
    mean = torch.nn.functional.embedding_bag(
        index.reshape(-1, size), bank, per_sample_weights=weight.reshape(-1, size), mode="sum"
    )
    return mean.reshape(*index.shape[:-1], -1)


# --- kept pieces -----------------------------------------------------------------------------------------------------
def _guide(exemplar: Exemplar, keep: Constraint, length: int, space: Pca) -> _Guide:
    """A kept piece laid on the finest level of a take, in principal axes."""
    features, stride = exemplar.features, exemplar.stride
    mask = features.channel_mask(features.skeleton.select(keep.joints), moving=len(keep.motion) > 1)
    target, when = torch.zeros(length * stride, features.width), torch.zeros(length * stride, 1)
    target[keep.start : keep.stop], when[keep.start : keep.stop] = features.encode(keep.motion), 1
    share = when.unflatten(0, (-1, stride)).mean(1)
    target = target.unflatten(0, (-1, stride)).sum(1) / (share * stride).clamp_min(1)
    until = math.inf if keep.rate is None else keep.rate / exemplar.rate
    return _imposing(space, mask, target, share, until)


def _ahead(exemplar: Exemplar, way: Trajectory, length: int, space: Pca, pace: float) -> _Guide:
    """The way laid on the finest level of a take: how fast the root goes and turns."""
    features = exemplar.features
    target, mask = torch.zeros(length, features.width), torch.zeros(features.width, dtype=torch.bool)
    speeds, turns = finish.trajectory_velocities(features, way, length, 1 / exemplar.rate, exemplar.going[1], pace)
    for name, values in (("root_velocity", speeds), ("root_turn", turns)):
        target[:, features.slices[name]], mask[features.slices[name]] = values.to(target.dtype), True
    return _imposing(space, mask, target, torch.ones(length, 1), math.inf)


def _imposing(
    space: Pca, mask: Bool[Tensor, "d"], target: Float[Tensor, "t d"], share: Float[Tensor, "t 1"], until: float
) -> _Guide:
    """A guide that sets the masked channels."""
    masked = space.basis * mask[:, None]
    return _Guide(share, (target * space.scale - space.centre) @ masked, space.basis.T @ masked, until)
