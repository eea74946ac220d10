"""Larger and smaller movements: how a second take of the same thing differs most from the first.

Of what tells real second takes from a first one (``benchmarks/worth.py``), amplitude and speed of travel explain most:
cuts only put the clip's own movements in another order.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .. import contact, resample
from ..features import Features
from ..seeds import take_rng

POSTURE_SECONDS = 1.0  # sigma over which movements are told from the posture that they are made in
POSTURE_RATE = 8.0  # Hz at which that is done
GOLDEN = (math.sqrt(5) - 1) / 2  # takes one after the other spread evenly over the range


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
