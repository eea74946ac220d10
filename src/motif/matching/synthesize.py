"""Takes from patches of the clips, coarse to fine."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .. import clip_traits, contact, parallel, post, resample
from ..errors import MotifWarning
from ..motion import Motion
from ..request import Request
from ..seeds import take_rng
from ..tempo import apply_time_warp, time_warp
from .amplitude import vary_movements
from .config import MatchConfig
from .exemplar import Exemplar, prepare, take_length
from .guides import guides
from .pca import Pca, pca
from .search import Database, blend, mean_distance, nearest, overlap_add
from .stalls import move_on

MIN_PIECE = 2.0  # seconds that a piece of the first guess lasts at least
KEPT_JOINT_WEIGHT = 0.3
"""Weight of joints that are kept throughout a take when patches are compared. With full weight the best match of kept
legs is where they came from, and nothing is new; without any, arms and legs do not fit each other."""
DIVERSITY_NOISE = 1.5, 4.0
"""Deviation of the log of a patch's weight at full diversity, and how much of it is added where all joints are kept."""
LONG, NEAR, NEAR_FROM = 8, 2.0, 0.3
"""Of clips this many times as long as a take, levels above this fraction of the finest rate look for patches only
within so many patches of those that the level before found."""
AGAIN, REDRAWS, REDRAW_SEED = 0.97, 3, 1_000_003
"""Share of places that go straight on in the clip, or are those of an earlier take, from which a take is matched anew,
how often at most, and what tells the seeds apart."""
TURN_SECONDS = 0.5  # sigma over which a drift of the heading is told from the sway of a gait
INIT_SCALE = 0.3  # factor on the first guess where there is a trajectory: it must not hold takes to other speeds


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
    exemplar: Exemplar, request: Request, config: MatchConfig, init: Float[Tensor, "n t d"] | None = None
) -> list[Motion]:
    """Sample takes by matching, from features at a coarse rate or else from the clips' own pieces in a new order.

    Of the request's ``config`` only foot lock and stance are read here. Errors name the field of the edit that cannot
    be met.
    """
    with parallel.single_thread():
        if request.edit.trajectory is not None:
            exemplar = _travelling(exemplar)
        plan = TakePlan(exemplar, request, config, *take_length(exemplar, request.edit), 1.0, init)
        if request.edit.trajectory is not None:
            plan = _paced(plan)
        indices = _redrawn(plan, match(plan, lambda fraction: request.progress(fraction / 2)))
        steady = request.edit.constraints or request.edit.trajectory
        amount = 0.0 if steady else exemplar.tempo_amount(config.tempo)

        def take(k: int) -> Motion:  # full features and poses are large: no more at a time than there are cores
            when = None
            if amount:
                when = time_warp(plan.frames, exemplar.frame_time, amount, take_rng(request.seed, k))
            elif plan.speed_ratio != 1:
                when = torch.arange(plan.frames).double() * plan.speed_ratio
            free = not (steady or exemplar.features.raised)
            limits = (config.amplitude, request.config.stance) if free else (0.0, 0.0)
            vary = partial(vary_movements, exemplar.features, exemplar.frame_time, limits, request.seed, k)
            return make_take(plan, indices[k], when, vary, f"{exemplar.clips[0].name}-take-{k + 1:02d}")

        return parallel.parallel_map(take, range(request.n), lambda fraction: request.progress((1 + fraction) / 2))


def _redrawn(plan: TakePlan, indices: Int[Tensor, "n q"]) -> Int[Tensor, "n q"]:
    """Return the takes of an edit, those matched anew, more diversely, that are the clip or an earlier take again.

    Of takes that stay so the most different is kept, and it is said.
    """
    request, config, made = plan.request, plan.config, indices.clone()
    if not request.edit.exact_constraints or config.diversity == 0:
        return indices

    def sameness(take: Int[Tensor, "q"], earlier: Int[Tensor, "k q"]) -> float:
        same = [(take.diff() == 1).float(), *((take == other).float() for other in earlier)]
        return max(float(s.mean()) for s in same)

    again = 0
    for k in range(request.n):
        tried = [made[k]]
        while sameness(tried[-1], made[:k]) >= AGAIN and len(tried) <= REDRAWS:
            diverse = replace(config, diversity=min(config.diversity * 2 ** len(tried), 1.0))
            seed = request.seed + REDRAW_SEED * (k + 1) + len(tried)
            anew = replace(request, n=1, seed=seed, progress=lambda done: None)
            init = None if plan.init is None else plan.init[k : k + 1]
            tried.append(match(replace(plan, request=anew, config=diverse, init=init))[0])
        made[k] = min(tried, key=lambda take: sameness(take, made[:k]))
        again += sameness(made[k], made[:k]) >= AGAIN
    if again:
        found = f"{again} of {request.n} takes are the clip or another take again: the edit leaves little free"
        warnings.warn(f"{found}; free more of it, or give more clips", MotifWarning, stacklevel=2)
    return made


def _travelling(exemplar: Exemplar) -> Exemplar:
    """Return the clips on the way: one that walks in place does so at the speed that its feet imply."""
    clips = [clip_traits.travelling(clip) for clip in exemplar.clips]
    same = all(a is b for a, b in zip(clips, exemplar.clips))
    return exemplar if same else prepare(clips, exemplar.rate)


def _paced(plan: TakePlan) -> TakePlan:
    """Return the plan with length and speed ratio set by how fast a first take goes along the trajectory.

    Where no time is given, the take lasts as long as the clips need, but at least to its last constraint.
    """
    exemplar, request, edit = plan.exemplar, plan.request, plan.request.edit
    assert edit.trajectory is not None
    init = None if plan.init is None else plan.init[:1]
    indices = match(replace(plan, request=replace(request, n=1), init=init))[0]
    x = _blend(plan, indices)[: plan.frames, : exemplar.features.width]
    ratio = post.trajectory.speed_ratio(exemplar.features, edit.trajectory, x, exemplar.frame_time)
    frames, matched = plan.frames, plan.frames * ratio
    if edit.seconds is None and edit.trajectory.times is None:
        frames = max(round(matched), *(c.stop for c in edit.constraints), 2)
        if frames == round(matched):
            return replace(plan, frames=frames, length=-(-frames // exemplar.stride))
    length = -(-math.ceil(matched) // exemplar.stride)
    return replace(plan, frames=frames, length=length, speed_ratio=ratio if frames == plan.frames else matched / frames)


def make_take(
    plan: TakePlan,
    indices: Int[Tensor, "q"],
    when: Float[Tensor, "t"] | None = None,
    vary: Callable[[Tensor], Tensor] = lambda x: x,
    name: str = "",
) -> Motion:
    """Return a take from its patches, with the frames (fractional) that are shown if its tempo differs.

    ``vary`` changes its features.
    """
    exemplar, edit, x = plan.exemplar, plan.request.edit, _blend(plan, indices)
    if edit.trajectory is None or when is None:  # along one, more or fewer frames may have been matched than are shown
        x = x[: plan.frames]
    x = vary(x)
    if edit.trajectory is None and exemplar.heading_span is not None:
        x = _facing_one_way(exemplar, x)
    x = x if when is None else apply_time_warp(exemplar.features, x, when.to(x.device))
    lock = plan.request.config.foot_lock
    return post.finalize_take(exemplar.features, edit, x[None], exemplar.frame_time, exemplar.start, lock, name)


def _facing_one_way(exemplar: Exemplar, x: Float[Tensor, "t e"]) -> Float[Tensor, "t e"]:
    """Return a take that turns no further, over a second and more, than clips that face one way throughout."""
    at, dt, limit = exemplar.features.slices["root_turn"], exemplar.frame_time, (exemplar.heading_span or 0.0) / 2
    heading = contact.smooth(
        torch.nn.functional.pad(x[1:, at].double(), (0, 0, 1, 0)).cumsum(0) * dt, TURN_SECONDS / dt
    )
    excess = contact.smooth(heading - heading.clamp(-limit, limit), TURN_SECONDS / dt)
    x = x.clone()
    x[1:, at] -= (excess.diff(dim=0) / dt).to(x.dtype)
    return x


def _blend(plan: TakePlan, indices: Int[Tensor, "q"]) -> Float[Tensor, "t e"]:
    """Return the clips' own frames at their own rate, blended as a take's patches say."""
    exemplar, lengths = plan.exemplar, [len(x) for x in plan.exemplar.fine]
    return blend(exemplar.table, lengths, indices, plan.patch, plan.request.edit.loop, exemplar.stride)


# --- the levels ------------------------------------------------------------------------------------------------------
def match(plan: TakePlan, progress: Callable[[float], None] = lambda fraction: None) -> Int[Tensor, "n q"]:
    """Return for each place of each take at the finest level the patch of the clips that it comes from."""
    exemplar, edit, config = plan.exemplar, plan.request.edit, plan.config
    space = pca(exemplar, edit, -(-plan.frames // exemplar.stride), KEPT_JOINT_WEIGHT, config.variance)
    imposed = guides(exemplar, edit, plan.length, space, plan.speed_ratio)
    guided = bool(edit.trajectory or edit.clip_weights or any(c.cutoff is not None for c in edit.constraints))
    rate_ratios, x, indices, count = _rate_ratios(plan), None, None, 1
    for level, ratio in enumerate(rate_ratios):
        frames, database = max(round(plan.length * ratio), plan.patch), space.database(ratio, plan.patch)
        x = _init(plan, space, database, frames, ratio) if x is None else resample.resize(x, frames)
        alpha = config.alpha(ratio, guided) * mean_distance(x, database.frames)
        search = partial(nearest, database=database, alpha=alpha, loop=edit.loop)
        calls = _preferences(plan, search, database.patches, frames, ratio)
        if indices is not None and ratio > NEAR_FROM and _is_long(plan, database.patches, frames):
            calls = [_near(call, i * len(database.frames) // count) for call, i in zip(calls, indices)]
        count = len(database.frames)
        for turn in range(config.rounds):
            for guide in imposed:
                if ratio <= guide.max_rate_ratio or not level:
                    x = guide.impose(x)
            indices = torch.stack(parallel.parallel_map(lambda pair: pair[0](pair[1]), zip(calls, x)))
            if turn + 1 < config.rounds and not imposed:  # what is asked for may well stand still
                indices = torch.stack([move_on(database.frames, database.lengths, i, plan.patch) for i in indices])
            x = overlap_add(database.frames, indices, plan.patch, edit.loop)
        progress(sum(r * r for r in rate_ratios[: level + 1]) / sum(r * r for r in rate_ratios))
    assert indices is not None
    return indices


def _is_long(plan: TakePlan, patches: int, frames: int) -> bool:
    """Return whether a database is so much longer than takes that they look for patches near the last level's only."""
    edit = plan.request.edit
    return patches > LONG * frames and not (edit.clip_weights or edit.constraints or edit.trajectory)


def _near(search: partial, places: Int[Tensor, "p"]) -> Callable[[Float[Tensor, "t k"]], Int[Tensor, "q"]]:
    """Return a search among patches near these places alone."""
    database = search.keywords["database"]
    part, origin = database.near(places.clamp(max=database.patches - 1), round(NEAR * database.patch))
    return lambda x: origin[search(x, database=part)]


def _rate_ratios(plan: TakePlan) -> list[float]:
    """Return the rate of each level as a fraction of the finest."""
    rate, clips, patch = plan.exemplar.rate, [len(x) for x in plan.exemplar.fine], plan.patch
    slowest = rate * min(max(plan.config.coarsest * patch / sum(clips), 1.5 * patch / min(*clips, plan.length)), 1.0)
    if plan.init is not None:
        slowest = rate * plan.init.shape[1] / plan.length
    return [level / rate for level in resample.level_rates(rate, slowest)]


def _preferences(plan: TakePlan, search: partial, patches: int, frames: int, rate_ratio: float) -> list[partial]:
    """Return the search of each take, with the weights that it gives to clips and patches."""
    exemplar, request, edit, patch = plan.exemplar, plan.request, plan.request.edit, plan.patch
    if edit.clip_weights:
        middle = torch.arange(frames if edit.loop else frames - patch + 1) + patch / 2
        weights = edit.clip_weights_at(middle / (exemplar.rate * rate_ratio * plan.speed_ratio))
        search = partial(search, clip_cost=(1 / weights.clamp_min(1e-6)).to(exemplar.table.device))
    if plan.config.diversity == 0 or not (edit.constraints or edit.trajectory):
        return [search] * request.n
    # the best match would be the same for all takes
    kept = edit.mask(exemplar.features.skeleton, max((c.stop for c in edit.constraints), default=1)).float().mean()
    deviation = plan.config.diversity * (DIVERSITY_NOISE[0] + DIVERSITY_NOISE[1] * float(kept))
    seconds = math.ceil(sum(map(len, exemplar.fine)) / exemplar.rate) + 2
    noise = torch.stack([torch.randn(seconds, generator=take_rng(request.seed, k)) for k in range(request.n)])
    noise = resample.resize(noise[..., None], patches, antialias=False)[..., 0]
    return [partial(search, diversity=weights) for weights in torch.exp(deviation * noise).to(exemplar.table.device)]


# --- the first guess -------------------------------------------------------------------------------------------------
def _init(plan: TakePlan, space: Pca, database: Database, frames: int, rate_ratio: float) -> Float[Tensor, "n t k"]:
    """Return takes at the coarsest level before anything is matched."""
    edit, config, rate = plan.request.edit, plan.config, plan.exemplar.rate * rate_ratio
    rngs, least = [take_rng(plan.request.seed, k) for k in range(plan.request.n)], round(MIN_PIECE * rate)
    if plan.init is not None:
        x = resample.resize(space.project(plan.init), frames)
    elif edit.clip_weights:
        weights = edit.clip_weights_at(torch.arange(frames) / (rate * plan.speed_ratio))
        x = torch.stack([_mixed(database, weights, max(least, 2), rng) for rng in rngs])
    else:
        x = torch.stack([shuffled(database.frames, frames, plan.patch, least, config.reorder, rng) for rng in rngs])
    return x if edit.trajectory is None else x * INIT_SCALE


def reordered(exemplar: Exemplar, config: MatchConfig, rng: torch.Generator) -> Float[Tensor, "t d"]:
    """Return the clips' features at the finest level, all of them once, in a new order."""
    fine, least = torch.cat(exemplar.fine), round(MIN_PIECE * exemplar.rate)
    return shuffled(fine, len(fine), exemplar.patch(config.patch), least, config.reorder, rng)


def shuffled(
    frames: Float[Tensor, "m k"], count: int, patch: int, least: int, reorder: float, rng: torch.Generator
) -> Float[Tensor, "count k"]:
    """Return ``count`` frames: pieces of ``frames`` in a new order, each once before any comes twice.

    Pieces are of ``least`` frames at least; ``reorder`` goes from one piece, its order kept (0), to half patches (1).
    Fewer frames than there are begin anywhere, or takes with the same first piece would be the same take.
    """
    m, parts = len(frames), []
    piece = max(round(m ** (1 - reorder) * (patch / 2) ** reorder), least, 2)
    while sum(map(len, parts)) < count:
        cuts = sorted({0, *range(int(torch.randint(piece, (1,), generator=rng)), m, piece), m})
        pieces = [frames[a:b] for a, b in zip(cuts, cuts[1:])]
        n = len(pieces)
        order = _separated(torch.randperm(n, generator=rng).tolist()) if reorder > 0 else [*range(1, n), 0]
        parts += [pieces[i] for i in order]
    first = int(torch.randint(m - count + 1, (1,), generator=rng)) if count < m else 0
    return torch.cat(parts)[first : first + count]


def _separated(order: list[int]) -> list[int]:
    """Return the same pieces with as few as possible right after the one they follow in the clip."""
    for _ in range(len(order)):
        late = next((k for k in range(1, len(order) - 1) if order[k] == order[k - 1] + 1), None)
        if late is None:
            break
        order = [*order[:late], *order[late + 1 :], order[late]]
    return order


def _mixed(database: Database, weights: Float[Tensor, "t c"], piece: int, rng: torch.Generator) -> Float[Tensor, "t k"]:
    """Return short pieces of the clips, drawn by the clips' weights at their time."""
    clips, parts = database.frames.split(list(database.lengths)), []
    while (done := sum(map(len, parts))) < len(weights):
        clip = clips[int(torch.multinomial(weights[done], 1, generator=rng))]
        first = int(torch.randint(max(len(clip) - piece, 0) + 1, (1,), generator=rng))
        parts.append(clip[first : first + piece])
    return torch.cat(parts)[: len(weights)]
