"""A motion as the measures see it: checked, and with everything that several of them need computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from .. import contact, ground, parallel, windows
from ..errors import MotifError
from ..motion import Motion, heading
from ..skeleton import Skeleton

MIN_FRAMES = 4  # frames that a motion must have: the third derivative needs them


@dataclass(frozen=True, eq=False)
class Body:
    """One take or one exemplar clip; all are judged by the first exemplar clip's rig and floor."""

    motion: Motion
    world: Float[Tensor, "t j 3"]
    """Joint positions in metres; over the ground under them where the exemplar's is not level."""
    heading: Float[Tensor, "t"]
    """Direction of the body, radians."""
    poses: Float[Tensor, "n k 3"]
    """See :func:`motif.windows.poses`."""
    level: Float[Tensor, "c"]
    """Height at which each contact joint rests, metres, in the exemplar."""
    root_height: Float[Tensor, "t"]
    """Of the root in the world, metres."""
    uneven: bool
    """Whether the exemplar's ground is not level: how deep or high feet are is then not known well enough to judge."""

    @property
    def skeleton(self) -> Skeleton:
        """The rig."""
        return self.motion.skeleton


def bodies(takes: Sequence[Motion], against: Sequence[Motion]) -> tuple[list[Body], list[Body]]:
    """Return takes and exemplar clips, ready to be measured; raise a MotifError for what cannot be compared."""
    if not takes or not against:
        raise MotifError(
            f"nothing to score: {len(takes)} takes against {len(against)} exemplar clips; give at least one of each"
        )
    first, motions = against[0], [*takes, *against]
    for other in motions:
        if difference := other.skeleton.rig_difference(first.skeleton):
            raise MotifError(f"{other.name!r} cannot be scored against {first.name!r}: {difference}")
        if abs(other.frame_time / first.frame_time - 1) > 1e-3:
            raise MotifError(
                f"{other.name!r} runs at {other.fps:.3f} fps and {first.name!r} at {first.fps:.3f}; resample one "
                f"(on the command line: --fps {round(min(other.fps, first.fps))})"
            )
        if len(other) < MIN_FRAMES:
            raise MotifError(f"{other.name!r} has {len(other)} frames; a score needs at least {MIN_FRAMES}")
        windows.check_finite(other)
    skeleton, uneven = first.skeleton, any(map(ground.is_uneven, against))

    def positions(motion: Motion) -> tuple[Tensor, Tensor]:
        world_q, world = motion.world()
        return world_q, ground.levelled(world, skeleton, motion.frame_time) if uneven else world

    truth = positions(first)[1]
    floor, level = contact.floor(truth, skeleton), contact.floors(truth[:, list(skeleton.contacts)], skeleton)

    def body(motion: Motion) -> Body:
        motion = replace(motion, skeleton=skeleton)  # each file may suggest its own contacts and root
        world_q, world = positions(motion)
        facing = heading(world_q[:, skeleton.root], skeleton, motion.frame_time)
        return Body(
            motion,
            world,
            facing,
            windows.poses(motion, world, facing, floor),
            level,
            motion.root_and_feet[1][:, 1],
            uneven,
        )

    found = parallel.parallel_map(body, motions)
    return found[: len(takes)], found[len(takes) :]
