"""Larger and smaller movements, another stance: how a second take of the same thing differs most from the first.

Of what tells real second takes from a first one (``benchmarks/worth.py``), amplitude and speed of travel explain most
where one walks, and how the limbs are held where one stands: cuts only put the clip's own movements in another order.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .. import contact, resample, rotation
from ..features import Features
from ..seeds import take_rng

POSTURE_SECONDS = 1.0  # sigma over which movements are told from the posture that they are made in
POSTURE_RATE = 8.0  # Hz at which that is done
MOVES = 0.1  # body heights that what hangs on such a joint reaches at least
TRAVELS = 0.3  # body heights a second from which one does not stand
GOLDEN = (math.sqrt(5) - 1) / 2  # takes one after the other spread evenly over the range


def vary_movements(
    features: Features, dt: float, limits: tuple[float, float], seed: int, take: int, x: Float[Tensor, "t e"]
) -> Float[Tensor, "t e"]:
    """Return features of a take with its own amplitude (:func:`amplitude_of`) and stance (:func:`vary_stance`)."""
    amplitude, angle = limits
    if amplitude:
        x = scale_movements(features, x, amplitude_of(amplitude, seed, take), dt)
    return vary_stance(features, x, angle, dt, take_rng(seed, take)) if angle else x


def amplitude_of(limit: float, seed: int, take: int) -> float:
    """Return the factor of a take's movements, from ``exp(-limit)`` to ``exp(limit)``."""
    first = float(torch.rand((), generator=take_rng(seed, 0)))
    return math.exp(limit * (2 * ((first + take * GOLDEN) % 1) - 1))


def scale_movements(features: Features, x: Float[Tensor, "t e"], factor: float, dt: float) -> Float[Tensor, "t e"]:
    """Return features whose movements about their slow posture, and whose travel, are ``factor`` times as large."""
    at, out = features.slices, x.clone()
    moving = [at["root_height"], slice(at["root_tilt"].start, at["positions"].stop)]
    few = max(round(len(x) * dt * POSTURE_RATE), 2)  # so slow a part needs few frames
    for part in moving:
        slow = contact.smooth(resample.resize(x[:, part], few), POSTURE_SECONDS * few / (len(x) * dt))
        posture = resample.resize(slow, len(x))
        out[:, part] = posture + factor * (x[:, part] - posture)
    velocities = [at["root_velocity"], slice(features.width, x.shape[1])]  # after the features: those of feet
    for part in velocities:
        out[:, part] = factor * x[:, part]
    return out


def vary_stance(
    features: Features, x: Float[Tensor, "t e"], angle: float, dt: float, generator: torch.Generator
) -> Float[Tensor, "t e"]:
    """Return features whose joints are held a little differently while one stands, by ``angle`` (sigma, radians)."""
    s, part = features.skeleton, features.slices["rotations"]
    travel = x[:, features.slices["root_velocity"]].norm(dim=-1, keepdim=True) / (TRAVELS * s.height)
    few = max(round(len(x) * dt * POSTURE_RATE), 2)
    stands = contact.smooth(resample.resize((1 - travel).clamp_min(0), few), POSTURE_SECONDS * few / (len(x) * dt))
    held = torch.tensor([s.chain_length[j] > MOVES * s.height for j in features.rotating])
    offset = angle * torch.randn(len(held), 3, generator=generator) * held[:, None]
    turn = rotation.exp(resample.resize(stands, len(x))[:, None] * offset.to(x))
    r = rotation.from_sixd(x[:, part].unflatten(-1, (-1, 6)))
    x = x.clone()
    x[:, part] = rotation.to_sixd(rotation.mul(turn, r)).flatten(1)
    return x
