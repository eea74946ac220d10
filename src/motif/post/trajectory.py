"""Trajectories: where the root should be in each frame, and takes bent to be there."""

import math
import warnings

import torch
from jaxtyping import Float
from torch import Tensor

from .. import contact
from ..edit import Trajectory
from ..errors import MotifWarning
from ..features import Features, Start
from ..motion import unwrap

MAX_SPEED_RATIO = 1.4  # takes are shown at most this much faster or slower than the clips to be somewhere in time
WARN_SPEED_RATIO = 2.0  # trajectories that ask for this much more or less speed than the clips have give a warning
SWAY = 0.5  # seconds: root motion within them is how the body sways, over longer where it travels


def sample_trajectory(
    trajectory: Trajectory, speed: Float[Tensor, "t"] | None, frames: int, dt: float
) -> tuple[Float[Tensor, "t 2"], Float[Tensor, "t"] | None]:
    """Return x and z of the root in each frame, metres, and its heading if the trajectory has one, float64.

    Where the trajectory has times they count, and what is left of the take is spent at its end; otherwise ``speed`` is
    how fast the take goes in each frame, in any unit, evenly if not given.
    """
    device = None if speed is None else speed.device
    points = torch.tensor(trajectory.points, dtype=torch.float64, device=device)
    if trajectory.times is not None:
        knots = torch.tensor(trajectory.times, dtype=torch.float64, device=device)
        at = torch.arange(frames, device=device).double() * dt
    else:
        length = points.diff(dim=0).norm(dim=1).cumsum(0)
        knots = torch.cat((torch.zeros_like(length[:1]), length))
        travelled = torch.ones(frames).double() if speed is None else speed.double().clamp_min(1e-9)
        travelled = travelled.cumsum(0) - travelled[0]
        at = knots[-1] * travelled / travelled[-1].clamp_min(1e-9)
    before = (torch.searchsorted(knots, at, right=True) - 1).clamp(0, len(knots) - 2)
    fraction = ((at - knots[before]) / (knots[before + 1] - knots[before]).clamp_min(1e-9)).clamp(0, 1)
    position = torch.lerp(points[before], points[before + 1], fraction[:, None])
    if trajectory.facing is None:
        return position, None
    facing = unwrap(torch.tensor(trajectory.facing, dtype=torch.float64, device=device))
    heading = torch.lerp(facing[before], facing[before + 1], fraction)
    return position, smoothed_path(heading[:, None], 0.2, dt)[:, 0]


def travel_direction(step: Float[Tensor, "t 2"], dt: float) -> Float[Tensor, "t"]:
    """Return the direction of steps along x and z as headings; where there are none, that of the time around."""
    z = contact.smooth(step, SWAY / dt)
    for wider in (4, 16):
        z = z + 0.05 / wider * contact.smooth(step, wider * SWAY / dt)
    return unwrap(torch.atan2(z[:, 0], z[:, 1]))


def trajectory_velocities(
    trajectory: Trajectory, frames: int, dt: float, direction: float, speed_ratio: float = 1.0
) -> tuple[Float[Tensor, "t 2"], Float[Tensor, "t 1"]]:
    """Return the ``root_velocity`` and ``root_turn`` features of a body that follows a trajectory evenly.

    ``direction`` is that in which the clips travel in the heading frame, radians; ``speed_ratio`` how much faster the
    frames will be shown.
    """
    position, heading = sample_trajectory(trajectory, None, frames, dt / speed_ratio)
    step = _steps(smoothed_path(position, SWAY / 2, dt))
    travel = smoothed_path(travel_direction(step, dt)[:, None], SWAY / 2, dt)[:, 0]
    heading = travel - direction if heading is None else heading
    return to_local_frame(step, heading) / dt, _steps(heading[:, None]) / dt


def speed_ratio(features: Features, trajectory: Trajectory, x: Float[Tensor, "t d"], dt: float) -> float:
    """Return how much faster features would have to go to be at the end of a trajectory in time, within limits."""
    path = features.trajectory(x[None], dt)[1][0][:, (0, 2)]
    own = float(_steps(smoothed_path(path, SWAY, dt))[1:].norm(dim=1).sum())
    wanted = trajectory.length / max(own, 1e-9)
    if not 1 / WARN_SPEED_RATIO < wanted < WARN_SPEED_RATIO:
        asked = (
            f"the trajectory asks for {wanted:.2g} times the speed of the clips there ({own / (len(x) * dt):.2g} m/s)"
        )
        remedy = f"give it about {wanted * len(x) * dt:.3g} s, or clips that go at its speed"
        warnings.warn(f"{asked}: feet will slide; {remedy}", MotifWarning, stacklevel=2)
    return min(max(wanted, 1 / MAX_SPEED_RATIO), MAX_SPEED_RATIO)


def warp_to_trajectory(
    features: Features, trajectory: Trajectory, x: Float[Tensor, "1 t d"], dt: float
) -> tuple[Float[Tensor, "1 t d"], Start]:
    """Bend turns and steps so that the root follows a trajectory and sways about it as it did; return a start, too."""
    at, frames = features.slices, x.shape[1]
    heading, path = features.trajectory(x[0], dt)
    path = path[:, (0, 2)]
    own = smoothed_path(path, SWAY, dt)
    step = _steps(own)
    position, wanted = sample_trajectory(trajectory, step.norm(dim=1), frames, dt)
    position = smoothed_path(position, SWAY / 2, dt)
    if wanted is None:  # smoothed: turning back takes a moment
        travel = smoothed_path(travel_direction(_steps(position), dt)[:, None], SWAY / 2, dt)[:, 0]
        turned = heading - travel_direction(step, dt) + travel
    else:
        turned = heading - smoothed_path(heading[:, None], SWAY, dt)[:, 0] + wanted
    position = position + to_local_frame(to_local_frame(path - own, heading), -turned)
    velocity = to_local_frame(_steps(position), torch.cat((turned[:1], turned[:-1]))) / dt
    x = x.clone()
    x[0, :, at["root_turn"]] = (_steps(turned[:, None]) / dt).to(x.dtype)
    x[0, :, at["root_velocity"]] = velocity.to(x.dtype)
    return x, Start(float(position[0, 0]), float(position[0, 1]), float(turned[0]))


def smoothed_path(x: Float[Tensor, "t n"], seconds: float, dt: float) -> Float[Tensor, "t n"]:
    """Return a path smoothed over some seconds, which goes on beyond its ends as it does there."""
    radius = min(max(math.ceil(3 * seconds / dt), 1), len(x) - 1)
    before, after = 2 * x[:1] - x[1 : radius + 1].flip(0), 2 * x[-1:] - x[-radius - 1 : -1].flip(0)
    return contact.smooth(torch.cat((before, x, after)), seconds / dt)[radius : radius + len(x)]


def _steps(x: Float[Tensor, "t n"]) -> Float[Tensor, "t n"]:
    """Return differences to the frame before; the first is the second."""
    step = x.diff(dim=0)
    return torch.cat((step[:1], step)) if len(step) else torch.zeros_like(x)


def to_local_frame(step: Float[Tensor, "t 2"], heading: Float[Tensor, "t"]) -> Float[Tensor, "t 2"]:
    """Return steps along x and z in the frame of a heading."""
    c, s = torch.cos(heading), torch.sin(heading)
    return torch.stack((c * step[:, 0] - s * step[:, 1], s * step[:, 0] + c * step[:, 1]), 1)
