"""Trajectory: the root goes along an S, as fast as the clip goes, without a second training."""

import math

import motif


def make() -> list[motif.Motion]:
    """Two takes along the same path."""
    clip = motif.demo_clip()
    points = tuple((1.5 * math.sin(z * math.pi / 2), z) for z in (k / 10 for k in range(41)))
    return motif.vary(clip, n=2, seed=1, edit=motif.Edit(trajectory=motif.Trajectory(points)))
