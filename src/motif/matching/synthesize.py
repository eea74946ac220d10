"""Takes from patches of the clips, coarse to fine."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .. import parallel, post, resample
from ..motion import Motion
from ..post.trajectory import speed_ratio
from ..request import Request
from ..seeds import take_rng
from ..tempo import apply_time_warp, time_warp
from .config import MatchConfig
from .exemplar import Exemplar, take_length
from .guides import guides
from .pca import Pca, pca
from .search import Database, mean_distance, nearest, overlap_add

MIN_PIECE = 2.0
"""Seconds that a piece of the first guess lasts at least."""
KEPT_JOINT_WEIGHT = 0.3
"""Weight of joints that are kept throughout a take when patches are compared. With full weight the best match of kept
legs is where they came from, and nothing is new; without any, arms and legs do not fit each other."""
DIVERSITY_NOISE = 1.5, 4.0
"""Deviation of the log of a patch's weight at full diversity, and how much of it is added where all joints are kept."""
INIT_SCALE = 0.3
"""Factor on the first guess where there is a trajectory: it must not hold takes to other speeds."""


@dataclass(frozen=True, eq=False)
class TakePlan:
    """What takes are matched from, and how long they are."""

    exemplar: Exemplar
    request: Request
    config: MatchConfig
    frames: int
    """Of a take at the clips' rate."""
    length: int
    """Frames matched at the finest level."""
    speed_ratio: float = 1.0
    """How much faster takes are shown than they are matched."""
    init: Float[Tensor, "n t d"] | None = None
    """Features of the takes at a coarse rate."""

    @property
    def patch(self) -> int:
        """Frames of a patch."""
        return self.exemplar.patch(self.config.patch)


def synthesize(
    exemplar: Exemplar,
    request: Request,
    config: MatchConfig = MatchConfig(),
    init: Float[Tensor, "n t d"] | None = None,
) -> list[Motion]:
    """Sample takes by matching.

    Args:
        exemplar: the clips.
        request: what is asked; of its ``config`` only the foot lock is read here.
        config: hyper-parameters.
        init: features of the takes at a coarse rate, which matching starts from; the clips' own pieces in a new order
            if not given.

    Raises:
        MotifError: naming the field of the edit that cannot be met.
    """
    with parallel.single_thread():
        edit = request.edit
        plan = TakePlan(exemplar, request, config, *take_length(exemplar, edit), 1.0, init)
        if edit.trajectory is not None:
            plan = _paced(plan)
        indices = match(plan, lambda fraction: request.progress(fraction / 2))
        amount = 0.0 if edit.constraints or edit.trajectory else exemplar.tempo.amount(config.tempo)

        def take(k: int) -> Motion:  # full features and poses are large: no more at a time than there are cores
            when = None
            if amount:
                when = time_warp(plan.frames, exemplar.frame_time, amount, take_rng(request.seed, k))
            elif plan.speed_ratio != 1:
                when = torch.arange(plan.frames).double() * plan.speed_ratio
            return make_take(plan, indices[k], when, f"{exemplar.clips[0].name}-take-{k + 1:02d}")

        return parallel.parallel_map(take, range(request.n), lambda fraction: request.progress((1 + fraction) / 2))


def _paced(plan: TakePlan) -> TakePlan:
    """Return the plan with length and speed ratio set by how fast a first take goes along the trajectory.

    Where no time is given, the take lasts as long as the clips need, but at least to its last constraint.
    """
    exemplar, request, edit = plan.exemplar, plan.request, plan.request.edit
    assert edit.trajectory is not None
    init = None if plan.init is None else plan.init[:1]
    indices = match(replace(plan, request=replace(request, n=1), init=init))
    x = overlap_add(exemplar.table, indices[0], plan.patch, edit.loop, exemplar.stride, hann=True)
    x = x[: plan.frames, : exemplar.features.width]
    ratio, frames = speed_ratio(exemplar.features, edit.trajectory, x, exemplar.frame_time), plan.frames
    matched = frames * ratio
    if edit.seconds is None and edit.trajectory.times is None:
        frames = max(round(matched), *(c.stop for c in edit.constraints), 0)
        if frames == round(matched):
            return replace(plan, frames=frames, length=-(-frames // exemplar.stride))
        ratio = matched / frames
    return replace(plan, frames=frames, length=-(-math.ceil(matched) // exemplar.stride), speed_ratio=ratio)


def make_take(plan: TakePlan, indices: Int[Tensor, "q"], when: Float[Tensor, "t"] | None, name: str) -> Motion:
    """Return a take from its patches and, if its tempo differs, the frames (fractional) that are shown."""
    exemplar, edit = plan.exemplar, plan.request.edit
    x = overlap_add(exemplar.table, indices, plan.patch, edit.loop, exemplar.stride, hann=True)
    if edit.trajectory is None:  # along a trajectory more or fewer frames may have been matched than are shown
        x = x[: plan.frames]
    x = x[: plan.frames] if when is None else apply_time_warp(exemplar.features, x, when)
    lock = plan.request.config.foot_lock
    return post.finalize_take(exemplar.features, edit, x[None], exemplar.frame_time, exemplar.start, lock, name)


# --- the levels ------------------------------------------------------------------------------------------------------
def match(plan: TakePlan, progress: Callable[[float], None] = lambda fraction: None) -> Int[Tensor, "n q"]:
    """Return for each place of each take at the finest level the patch of the clips that it comes from."""
    exemplar, edit, config = plan.exemplar, plan.request.edit, plan.config
    space = pca(exemplar, edit, -(-plan.frames // exemplar.stride), KEPT_JOINT_WEIGHT, config.variance)
    imposed = guides(exemplar, edit, plan.length, space, plan.speed_ratio)
    guided = bool(edit.trajectory or edit.clip_weights or any(not c.exact for c in edit.constraints))
    rate_ratios = _rate_ratios(plan)
    database = indices = None
    for level, ratio in enumerate(rate_ratios):
        frames = max(round(plan.length * ratio), plan.patch)
        before, database = database, space.database(ratio, plan.patch)
        if before is None or indices is None:
            x = _initial(plan, space, database, frames, ratio)
        else:
            x = resample.resize(overlap_add(before.frames, indices, plan.patch, edit.loop), frames)
        alpha = config.alpha(ratio, guided) * mean_distance(x, database.frames)
        cost = _clip_cost(plan, frames, ratio)
        search = partial(nearest, database=database, alpha=alpha, loop=edit.loop, clip_cost=cost)
        diversity = _diversity(plan, len(database.within))
        for _ in range(config.rounds):
            for guide in imposed:
                if ratio <= guide.max_rate_ratio or not level:
                    x = guide.impose(x)
            calls = [partial(search, one, diversity=weights) for one, weights in zip(x, diversity)]
            indices = torch.stack(parallel.parallel_map(lambda call: call(), calls))
            x = overlap_add(database.frames, indices, plan.patch, edit.loop)
        progress(sum(r * r for r in rate_ratios[: level + 1]) / sum(r * r for r in rate_ratios))
    assert indices is not None
    return indices


def _rate_ratios(plan: TakePlan) -> list[float]:
    """Return the rate of each level as a fraction of the finest."""
    exemplar, clips = plan.exemplar, [len(x) for x in plan.exemplar.fine]
    if plan.init is not None:
        slowest = exemplar.rate * plan.init.shape[1] / plan.length
    else:
        ratio = max(plan.config.coarsest * plan.patch / sum(clips), 1.5 * plan.patch / min(clips))
        slowest = exemplar.rate * min(ratio, 1.0)
    return [rate / exemplar.rate for rate in resample.level_rates(exemplar.rate, slowest)]


def _clip_cost(plan: TakePlan, frames: int, rate_ratio: float) -> Float[Tensor, "p c"] | None:
    """Return the factor on distances to each clip for each patch of a take; None where all clips count alike."""
    edit, patch = plan.request.edit, plan.patch
    if not edit.clip_weights:
        return None
    middle = torch.arange(frames if edit.loop else frames - patch + 1) + patch / 2
    weights = edit.clip_weights_at(middle / (plan.exemplar.rate * rate_ratio))
    return (1 / weights.clamp_min(1e-6)).to(plan.exemplar.table.device)


def _diversity(plan: TakePlan, patches: int) -> list[Float[Tensor, "q"]] | list[None]:
    """Return for each take a weight of each patch, where an edit would make the best match the same for all takes."""
    exemplar, edit, n = plan.exemplar, plan.request.edit, plan.request.n
    if plan.config.diversity == 0 or not (edit.constraints or edit.trajectory):
        return [None] * n
    frames = max((c.stop for c in edit.constraints), default=1)
    kept = float(edit.mask(exemplar.features.skeleton, frames).float().mean())
    deviation = plan.config.diversity * (DIVERSITY_NOISE[0] + DIVERSITY_NOISE[1] * kept)
    seconds = math.ceil(sum(map(len, exemplar.fine)) / exemplar.rate) + 2
    noise = torch.stack([torch.randn(seconds, generator=take_rng(plan.request.seed, k)) for k in range(n)])
    smooth = resample.resize(noise[..., None], patches, antialias=False)[..., 0]
    return list(torch.exp(deviation * smooth).to(exemplar.table.device))


# --- the first guess -------------------------------------------------------------------------------------------------
def _initial(
    plan: TakePlan, space: Pca, database: Database, frames: int, rate_ratio: float
) -> Float[Tensor, "n frames k"]:
    """Return takes at the coarsest level before anything is matched."""
    edit, rate = plan.request.edit, plan.exemplar.rate * rate_ratio
    random = [take_rng(plan.request.seed, k) for k in range(plan.request.n)]
    least = round(MIN_PIECE * rate)
    if plan.init is not None:
        x = resample.resize(space.project(plan.init), frames)
    elif edit.clip_weights:
        weights = edit.clip_weights_at(torch.arange(frames) / rate)
        clips = database.frames.split(list(database.lengths))
        x = torch.stack([_mixed(clips, weights, max(least, 2), one) for one in random])
    else:
        pieces = partial(shuffled, database.frames, frames, plan.patch, least, plan.config.reorder)
        x = torch.stack([pieces(one) for one in random])
    return x if edit.trajectory is None else x * INIT_SCALE


def reordered(exemplar: Exemplar, config: MatchConfig, random: torch.Generator) -> Float[Tensor, "t d"]:
    """Return the clips' features at the finest level, all of them once, in a new order."""
    fine, patch = torch.cat(exemplar.fine), exemplar.patch(config.patch)
    least = round(MIN_PIECE * exemplar.rate)
    return shuffled(fine, len(fine), patch, least, config.reorder, random)


def shuffled(
    frames: Float[Tensor, "m k"], count: int, patch: int, least: int, reorder: float, random: torch.Generator
) -> Float[Tensor, "count k"]:
    """Return frames cut into pieces, in a new order, each piece once before any comes twice.

    Args:
        frames: what is cut.
        count: frames of the result.
        patch: frames of a patch.
        least: frames of a piece at least.
        reorder: 0 to 1: from one piece that holds everything, its order kept, to pieces of half a patch.
        random: source of the order.
    """
    m = len(frames)
    piece = max(round(m ** (1 - reorder) * (patch / 2) ** reorder), least, 2)
    parts: list[Tensor] = []
    while sum(map(len, parts)) < count:
        first = int(torch.randint(piece, (1,), generator=random))
        cuts = sorted({0, *range(first, m, piece), m})
        pieces = [frames[a:b] for a, b in zip(cuts, cuts[1:])]
        order = [*range(1, len(pieces)), 0]
        if reorder > 0:
            order = _separated(torch.randperm(len(pieces), generator=random).tolist())
        parts += [pieces[i] for i in order]
    return torch.cat(parts)[:count]


def _separated(order: list[int]) -> list[int]:
    """Return the same pieces with as few as possible right after the one they follow in the clip."""
    for _ in range(len(order)):
        late = next((k for k in range(1, len(order) - 1) if order[k] == order[k - 1] + 1), None)
        if late is None:
            break
        order = [*order[:late], *order[late + 1 :], order[late]]
    return order


def _mixed(
    clips: Sequence[Float[Tensor, "_m k"]], weights: Float[Tensor, "count c"], piece: int, random: torch.Generator
) -> Float[Tensor, "count k"]:
    """Return short pieces of the clips, drawn by the clips' weights at their time."""
    parts: list[Tensor] = []
    while (done := sum(map(len, parts))) < len(weights):
        clip = clips[int(torch.multinomial(weights[done], 1, generator=random))]
        first = int(torch.randint(max(len(clip) - piece, 0) + 1, (1,), generator=random))
        parts.append(clip[first : first + piece])
    return torch.cat(parts)[: len(weights)]
