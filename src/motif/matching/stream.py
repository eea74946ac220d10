"""Endless takes, one pose at a time.

A stream is matched in blocks, the first one short so that it comes at once. Every block is matched with a second of
coarse motion before and after it, faded into the last one, and made in the background while that is played: the
delay is a block and a second, and memory that of two blocks.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .. import parallel, rotation
from ..config import SampleConfig
from ..edit import Edit
from ..motion import Motion, Pose
from ..request import Request
from ..seeds import take_rng
from ..tempo import time_warp
from .config import MatchConfig
from .exemplar import Exemplar, take_length
from .synthesize import TakePlan, make_take, match

CONTEXT, FADE, FIRST_BLOCK, BLOCK = 1.0, 0.3, 0.6, 3.0
"""Seconds that are matched around a block, that a fade lasts, that the first block lasts, and the others."""


@dataclass(frozen=True, eq=False)
class Stream:
    """What an endless take is made from."""

    exemplar: Exemplar
    config: MatchConfig
    """Its ``completeness`` is not used: it means nothing without an end."""
    rate_ratio: float
    """Rate of the coarse motion as a fraction of the finest level's."""
    foot_lock: bool
    advance: Callable[[Any], tuple[Float[Tensor, "c d"], Any]]
    """A pure function from a coarse state to the coarse features that come next, however many, and the next state."""


@dataclass(frozen=True, eq=False)
class _Cursor:
    """What the next block is made from."""

    coarse: Any
    rng: Tensor
    """State of the generator of the tempo."""
    window: Float[Tensor, "c d"]
    """Coarse features: ``before`` frames of context, ``frames`` of the block, and what has been made beyond."""
    before: int
    frames: int
    tail: Motion | None = None
    """How the last take goes on after its block."""


@dataclass(frozen=True, eq=False)
class StreamState:
    """A moment of a stream: before a frame of a block. It may be stepped again, always to the same pose and state."""

    stream: Stream
    block: Motion | None
    frame: int
    following: "Future[tuple[Motion, _Cursor]]"
    worker: ThreadPoolExecutor


def start(stream: Stream, coarse_state: Any, seed: int = 0) -> StreamState:
    """Begin an endless take; ``seed`` is that of its tempo."""
    exemplar, worker = stream.exemplar, ThreadPoolExecutor(1)
    frames = max(round(FIRST_BLOCK * exemplar.rate * stream.rate_ratio), 2)
    window = exemplar.table.new_zeros(0, exemplar.features.width)
    cursor = _Cursor(coarse_state, take_rng(seed, 0).get_state(), window, 0, frames)
    return StreamState(stream, None, 0, worker.submit(_next_block, stream, cursor), worker)


def step(state: StreamState) -> tuple[Pose, StreamState]:
    """Return the next pose and the state after it."""
    block, frame, following = state.block, state.frame, state.following
    if block is None or frame == len(block):
        (block, cursor), frame = following.result(), 0
        following = state.worker.submit(_next_block, state.stream, cursor)
    pose = Pose(block.rotations[frame].clone(), block.positions[frame].clone())
    return pose, replace(state, block=block, frame=frame + 1, following=following)


def _next_block(stream: Stream, cursor: _Cursor) -> tuple[Motion, _Cursor]:
    """Return a block and what the next one is made from."""
    exemplar, dt, coarse, window = stream.exemplar, stream.exemplar.frame_time, cursor.coarse, cursor.window
    rate, end = exemplar.rate * stream.rate_ratio, cursor.before + cursor.frames
    context, fade = max(round(CONTEXT * rate), 2), max(round(FADE / dt), 1)
    while len(window) < end + context:
        features, coarse = stream.advance(coarse)
        window = torch.cat((window, features))
    rng, config = torch.Generator().set_state(cursor.rng), replace(stream.config, completeness=0.0)
    with parallel.single_thread():
        request = Request(Edit((end + context) / rate), config=SampleConfig(foot_lock=stream.foot_lock))
        frames, length = take_length(exemplar, request.edit)
        plan = TakePlan(exemplar, request, config, frames, length, 1.0, window[None, : end + context])
        first, stop = round(cursor.before / rate / dt), min(round(end / rate / dt), frames - fade)
        amount, when = exemplar.tempo_amount(config.tempo), torch.arange(frames).double()
        when[first:stop] = first + time_warp(stop - first, dt, amount, rng)
        take = make_take(plan, match(plan)[0], when if amount else None)
        take = take if cursor.tail is None else _faded(cursor.tail, take, first, exemplar.features.uneven)
    window, tail = window[max(end - context, 0) :], take.crop(stop, stop + fade)
    frames = max(round(BLOCK * rate), 2)
    return take.crop(first, stop), _Cursor(coarse, rng.get_state(), window, min(end, context), frames, tail)


def _faded(tail: Motion, take: Motion, first: int, uneven: bool) -> Motion:
    """Return a take with its frame ``first`` placed on the first one of ``tail``, and faded in over the tail."""
    s, fade = take.skeleton, len(tail)
    take = take.transform(float(tail.heading()[0] - take.heading()[first]))
    gap = tail.world()[1][0, s.root] - take.world()[1][first, s.root]
    take = take.transform(0.0, (float(gap[0]), float(gap[1]) if uneven else 0.0, float(gap[2])))
    rotations, positions = take.rotations.clone(), take.positions.clone()
    u = (torch.arange(fade, device=positions.device) + 1) / (fade + 1)
    weight, span = u * u * (3 - 2 * u), slice(first, first + fade)
    rotations[span] = rotation.slerp(tail.rotations, rotations[span], weight[:, None].expand(-1, len(s)))
    positions[span] = torch.lerp(tail.positions, positions[span], weight[:, None, None])
    return replace(take, rotations=rotations, positions=positions)
