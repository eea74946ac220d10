"""Endless takes, one pose at a time.

A stream is matched in blocks, the first one short so that it comes at once. Every block is matched with a second of
coarse motion before and after it and faded into the last one: the delay is a block and a second, and memory that of two
blocks. Each block is made in the background while the one before is played.
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

CONTEXT = 1.0
"""Seconds of coarse motion matched before and after a block."""
FADE = 0.3
"""Seconds over which a block is faded into the last one."""
FIRST_BLOCK, BLOCK = 0.6, 3.0
"""Seconds."""


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
    """A pure function from a coarse state to the coarse features that come next, any number of them, and the next state."""


@dataclass(frozen=True, eq=False)
class _Cursor:
    """What the next block is made from."""

    coarse: Any
    tempo: Tensor
    """State of the generator that the tempo comes from."""
    window: Float[Tensor, "c d"]
    """Coarse features from the context before the block on."""
    context: int
    """Frames of the window before the block."""
    frames: int
    """Coarse frames of the block."""
    tail: Motion | None = None
    """What the last take went on with, which this block is faded from."""


@dataclass(frozen=True, eq=False)
class StreamState:
    """A moment of a stream. It may be stepped any number of times, always to the same pose and state."""

    stream: Stream
    block: Motion | None
    frame: int
    """Of the block; the one that comes next."""
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
    pose = Pose(block.rotations[frame], block.positions[frame])
    return pose, replace(state, block=block, frame=frame + 1, following=following)


def _next_block(stream: Stream, cursor: _Cursor) -> tuple[Motion, _Cursor]:
    """Return a block and what the next one is made from."""
    exemplar, dt = stream.exemplar, stream.exemplar.frame_time
    rate = exemplar.rate * stream.rate_ratio
    context, fade = max(round(CONTEXT * rate), 2), max(round(FADE / dt), 1)
    coarse, window, end = cursor.coarse, cursor.window, cursor.context + cursor.frames
    while len(window) < end + context:
        features, coarse = stream.advance(coarse)
        window = torch.cat((window, features))
    random = torch.Generator()
    random.set_state(cursor.tempo)
    with parallel.single_thread():
        request = Request(Edit((end + context) / rate), config=SampleConfig(foot_lock=stream.foot_lock))
        config = replace(stream.config, completeness=0.0)
        frames, length = take_length(exemplar, request.edit)
        plan = TakePlan(exemplar, request, config, frames, length, 1.0, window[None, : end + context])
        first, stop = round(cursor.context / rate / dt), min(round(end / rate / dt), frames - fade)
        amount = exemplar.tempo.amount(config.tempo)
        when = torch.arange(frames).double()
        when[first:stop] = first + time_warp(stop - first, dt, amount, random)
        take = make_take(plan, match(plan)[0], when if amount else None, "")
        take = take if cursor.tail is None else _faded(cursor.tail, take, first)
    window, context = window[max(end - context, 0) :], min(end, context)
    frames, tail = max(round(BLOCK * rate), 2), take.crop(stop, stop + fade)
    return take.crop(first, stop), _Cursor(coarse, random.get_state(), window, context, frames, tail)


def _faded(tail: Motion, take: Motion, first: int) -> Motion:
    """Return a take placed with its frame ``first`` on the first one of ``tail``, and faded in over the length of it."""
    s, fade = take.skeleton, len(tail)
    take = take.transform(float(tail.heading()[0] - take.heading()[first]))
    gap = tail.world()[1][0, s.root] - take.world()[1][first, s.root]
    take = take.transform(0.0, (float(gap[0]), 0.0, float(gap[2])))
    rotations, positions = take.rotations.clone(), take.positions.clone()
    u = (torch.arange(fade, device=positions.device) + 1) / (fade + 1)
    weight, span = u * u * (3 - 2 * u), slice(first, first + fade)
    rotations[span] = rotation.slerp(tail.rotations, rotations[span], weight[:, None].expand(-1, len(s)))
    positions[span] = torch.lerp(tail.positions, positions[span], weight[:, None, None])
    return replace(take, rotations=rotations, positions=positions)
