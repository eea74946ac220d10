"""Measures of new motion against the clips it came from."""

from collections.abc import Sequence
from dataclasses import replace

from .. import contact
from ..errors import MotifError
from ..motion import Motion
from . import physical, realism


def score(takes: Sequence[Motion], against: Sequence[Motion]) -> dict[str, float]:
    """The headline numbers of takes against their exemplar clips, all of one rig.

    Returns:
        ``slip_ratio`` and ``jerk_ratio`` (1 is as in the exemplar), ``coverage``, ``precision`` and ``novelty``
        (shares, see :mod:`motif.metrics.realism`). Ratios add 0.005 body heights a second to both speeds and
        one body height a second cubed to both jerks, which no eye sees. NaN where a measure means nothing, e.g. slip
        on a rig that never touches the ground.
    """
    if not takes or not against:
        raise MotifError(
            f"nothing to score: {len(takes)} takes against {len(against)} exemplar clips; give at least one of each"
        )
    first = against[0]
    for other in [*takes, *against[1:]]:
        difference = other.skeleton.same_rig(first.skeleton)
        if difference:
            raise MotifError(f"{other.name!r} cannot be scored against {first.name!r}: {difference}")
        if abs(other.frame_time / first.frame_time - 1) > 1e-3:
            raise MotifError(
                f"{other.name!r} runs at {other.fps:.3f} fps and {first.name!r} at {first.fps:.3f}; resample one"
            )
    takes = [replace(t, skeleton=first.skeleton) for t in takes]  # judged by one rig, whatever each file suggests
    against = [replace(t, skeleton=first.skeleton) for t in against]
    windows = realism.windows(takes, against)
    slip = float("nan")
    if first.skeleton.contacts:
        level = contact.floors(first.world()[1], first.skeleton)
        least = 0.005 * first.skeleton.height
        slip = _ratio(physical.mean_slip(takes, level), physical.mean_slip(against, level), least)
    return {
        "slip_ratio": slip,
        "jerk_ratio": _ratio(physical.mean_jerk(takes), physical.mean_jerk(against), first.skeleton.height),
        "coverage": windows.covered,
        "precision": windows.precise,
        "novelty": windows.novel,
    }


def _ratio(new: float, old: float, least: float) -> float:
    """``new`` over ``old``, both raised by an amount too small to see, so that a faultless clip compares too."""
    return (new + least) / (old + least)
