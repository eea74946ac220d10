"""A made-up film of a known clip: a rounded body with a face, clothes and shoes, sphere-traced by a pinhole camera.

Bodies are rounded cones that melt into one another (a smooth union of distances), lit by one sun and the sky, on a
plain ground of tiles. Nothing but NumPy.
"""

from dataclasses import dataclass

import numpy as np

SKIN, SHIRT, TROUSERS, SHOES, HAIR, EYE, LIPS = (
    np.array(c) / 255
    for c in (
        (214, 164, 132),
        (52, 92, 160),
        (58, 60, 70),
        (40, 34, 32),
        (58, 40, 28),
        (20, 18, 18),
        (170, 90, 85),
    )
)
SUN = np.array([0.45, 0.8, 0.4]) / np.linalg.norm([0.45, 0.8, 0.4])
SHARP = 0.02  # metres within which two parts melt into one another


@dataclass(frozen=True)
class Camera:
    """Where a pinhole camera is, what it looks at, and its vertical field of view in radians."""

    eye: np.ndarray
    target: np.ndarray
    fov: float = 0.75
    size: tuple[int, int] = (480, 360)

    @property
    def axes(self) -> np.ndarray:
        """Right, up and forward as rows."""
        forward = (self.target - self.eye) / np.linalg.norm(self.target - self.eye)
        right = np.cross(forward, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        return np.stack((right, np.cross(right, forward), forward))

    @property
    def focal(self) -> float:
        """Pixels."""
        return self.size[1] / 2 / np.tan(self.fov / 2)

    def rays(self) -> np.ndarray:
        """Return unit directions of all pixels, [H, W, 3]."""
        w, h = self.size
        x, y = np.meshgrid(np.arange(w) + 0.5 - w / 2, h / 2 - np.arange(h) - 0.5)
        d = np.stack((x, y, np.full_like(x, self.focal)), -1) @ self.axes
        return (d / np.linalg.norm(d, axis=-1, keepdims=True)).astype(np.float32)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return pixels and depth, [..., 3]."""
        seen = (points - self.eye) @ self.axes.T
        w, h = self.size
        return np.stack(
            (
                w / 2 + self.focal * seen[..., 0] / seen[..., 2],
                h / 2 - self.focal * seen[..., 1] / seen[..., 2],
                seen[..., 2],
            ),
            -1,
        )


def parts(joints: dict[str, np.ndarray], face: np.ndarray) -> list[tuple]:
    """Return rounded cones (a, b, radius at a, radius at b, colour, melts) of a body in one pose.

    ``joints`` are world positions of a CMU rig by name; ``face`` has the head's left, up and forward as rows.
    """
    j, found = joints, []
    left, up, ahead = face

    def add(a, b, ra, rb, colour, melt=SHARP):
        found.append((np.asarray(a, np.float32), np.asarray(b, np.float32), ra, rb, colour, melt))

    for side, sign in (("Left", 1), ("Right", -1)):
        short = side[0]
        hip, knee, ankle, toe = (j[side + n] for n in ("UpLeg", "Leg", "Foot", "ToeBase"))
        add(hip, knee, 0.088, 0.058, TROUSERS)
        add(knee, ankle + 0.06 * (knee - ankle), 0.060, 0.042, TROUSERS)
        foot = toe - ankle
        heel = ankle - 0.03 * foot / np.linalg.norm(foot) - [0, 0.03, 0]
        add(heel, toe, 0.042, 0.04, SHOES, 0.01)
        add(toe, toe + 0.07 * foot / np.linalg.norm(foot), 0.04, 0.03, SHOES, 0.02)
        shoulder, elbow, wrist, hand = (j[side + n] for n in ("Arm", "ForeArm", "Hand", "HandIndex1"))
        add(shoulder, elbow, 0.055, 0.043, SHIRT)
        add(elbow, elbow + 0.25 * (wrist - elbow), 0.043, 0.041, SHIRT)
        add(elbow + 0.25 * (wrist - elbow), wrist, 0.038, 0.026, SKIN, 0.008)
        way = (hand - wrist) / max(np.linalg.norm(hand - wrist), 1e-6)
        add(wrist, wrist + 0.09 * way, 0.030, 0.036, SKIN, 0.02)
        add(wrist + 0.09 * way, wrist + 0.165 * way, 0.026, 0.015, SKIN, 0.02)
        thumb = j[short + "Thumb"] - wrist
        add(
            wrist + 0.03 * way,
            wrist + 0.05 * way + 0.06 * thumb / max(np.linalg.norm(thumb), 1e-6),
            0.018,
            0.012,
            SKIN,
            0.015,
        )
        chest = j["Spine1"]
        add(chest + 0.45 * (shoulder - chest), shoulder, 0.085, 0.062, SHIRT, 0.05)
        side_hip = j["Hips"] + 0.75 * (hip - j["Hips"])
        add(side_hip + 0.05 * np.array([0, 1, 0]), hip, 0.095, 0.092, TROUSERS, 0.04)
        across = (j["LeftUpLeg"] - j["RightUpLeg"]) / np.linalg.norm(j["LeftUpLeg"] - j["RightUpLeg"])
        add(j["LowerBack"] + 0.06 * sign * across, chest + 0.08 * sign * across, 0.09, 0.108, SHIRT, 0.05)
    add(j["Neck"] - 0.03 * up, j["Head"], 0.058, 0.052, SKIN, 0.015)
    middle = j["Head"] + 0.09 * up + 0.02 * ahead
    add(middle - 0.005 * up, middle + 0.035 * up - 0.015 * ahead, 0.082, 0.088, SKIN, 0.01)
    add(middle - 0.06 * up + 0.025 * ahead, middle - 0.02 * up + 0.015 * ahead, 0.052, 0.07, SKIN, 0.03)
    add(middle + 0.01 * up + 0.083 * ahead, middle - 0.018 * up + 0.096 * ahead, 0.010, 0.014, SKIN, 0.012)
    add(middle + 0.05 * up - 0.028 * ahead, middle + 0.058 * up - 0.018 * ahead, 0.09, 0.088, HAIR, 0.002)
    for sign in (1, -1):
        eye = middle + 0.02 * up + 0.07 * ahead + 0.033 * sign * left
        add(eye, eye, 0.0135, 0.0135, np.array([0.92, 0.92, 0.9]), 0.002)
        add(eye + 0.009 * ahead, eye + 0.009 * ahead, 0.0068, 0.0068, EYE, 0.001)
        brow = middle + 0.044 * up + 0.074 * ahead
        add(brow + 0.018 * sign * left, brow + 0.05 * sign * left - 0.008 * ahead, 0.006, 0.005, HAIR, 0.002)
        ear = middle + 0.086 * sign * left
        add(ear + 0.015 * up, ear - 0.02 * up, 0.018, 0.012, SKIN, 0.008)
    lips = middle - 0.05 * up + 0.077 * ahead
    add(lips + 0.022 * left - 0.006 * ahead, lips - 0.022 * left - 0.006 * ahead, 0.007, 0.007, LIPS, 0.003)
    return found


def cone_distance(p: np.ndarray, part: tuple) -> np.ndarray:
    """Return distances of points [N, 3] to a cone with rounded ends (its radius grows along the axis)."""
    a, b, ra, rb = part[:4]
    pa, ba = p - a, b - a
    t = np.clip(pa @ (ba / max(float(ba @ ba), 1e-12)), 0, 1)
    off = pa - t[:, None] * ba
    return np.sqrt(np.einsum("ij,ij->i", off, off)) - (ra + t * (rb - ra))


def body_distance(p: np.ndarray, body: list[tuple]) -> tuple[np.ndarray, np.ndarray]:
    """Return distances to the whole body and the index of the nearest part."""
    whole, nearest = cone_distance(p, body[0]), np.zeros(len(p), int)
    for n, part in enumerate(body[1:], 1):
        d, k = cone_distance(p, part), part[5]
        nearest = np.where(d < whole, n, nearest)
        h = np.clip(0.5 + 0.5 * (whole - d) / k, 0, 1)
        whole = whole + h * (d - whole) - k * h * (1 - h)
    return whole, nearest


def ground_colour(points: np.ndarray) -> np.ndarray:
    """Return the colour of a plain floor of tiles of a metre."""
    near = np.abs((points[:, [0, 2]] + 0.5) % 1 - 0.5).min(-1)
    tile = ((np.floor(points[:, 0]) + np.floor(points[:, 2])) % 2)[:, None]
    colour = np.array([0.62, 0.60, 0.56]) - 0.035 * tile
    return np.where(near[:, None] < 0.012, colour * 0.85, colour)


def render(camera: Camera, body: list[tuple], height: float = 0.0) -> np.ndarray:
    """Return a picture, [H, W, 3] of bytes, of a body over a floor at ``height`` metres."""
    w, h = camera.size
    rays = camera.rays().reshape(-1, 3)
    fall = np.where(rays[:, 1] < -1e-3, (height - camera.eye[1]) / np.minimum(rays[:, 1], -1e-3), np.inf)
    floor = np.isfinite(fall) & (fall < 40)
    picture = 0.80 + 0.12 * rays[:, 1:2] * np.array([0.6, 0.8, 1.0]) + np.zeros((1, 3))
    hits = camera.eye + fall[floor, None] * rays[floor]
    haze = np.clip(fall[floor, None] / 40, 0, 1) ** 0.7
    shade = ground_colour(hits) * (1 - 0.55 * _shadow(hits, body)[:, None])
    picture[floor] = shade * (1 - haze) + 0.80 * haze
    ends = np.concatenate([np.stack((part[0], part[1])) for part in body])
    seen = camera.project(ends)
    margin = 0.14 * camera.focal / seen[:, 2].min()
    low = np.clip(seen[:, :2].min(0) - margin, 0, [w, h]).astype(int)
    high = np.clip(seen[:, :2].max(0) + margin, 0, [w, h]).astype(int)
    box = (np.arange(low[1], high[1])[:, None] * w + np.arange(low[0], high[0])[None]).ravel()
    if len(box):
        _trace(picture, box, rays, camera, body, max(seen[:, 2].min() - 0.3, 0.2), seen[:, 2].max() + 0.3)
    return (np.clip(picture, 0, 1).reshape(h, w, 3) * 255).astype(np.uint8)


def _trace(picture, box, rays, camera, body, start, stop) -> None:
    t, alive = np.full(len(box), start, np.float32), np.arange(len(box))
    eye = camera.eye.astype(np.float32)
    hit = np.zeros(len(box), bool)
    for _ in range(32):
        p = eye + t[alive, None] * rays[box[alive]]
        d, _ = body_distance(p, body)
        t[alive] += 0.95 * d
        hit[alive[d < 0.0015]] = True
        alive = alive[(d >= 0.0015) & (t[alive] < stop + 0.5)]
        if not len(alive):
            break
    at = box[hit]
    if not len(at):
        return
    p = eye + t[hit, None] * rays[at]
    _, nearest = body_distance(p, body)
    step = np.float32(0.002) * np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
    normal = sum(s * body_distance(p + s, body)[0][:, None] for s in step)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    colour = np.stack([part[4] for part in body])[nearest]
    lit = np.clip(normal @ SUN, 0, 1)[:, None]
    sky = 0.5 + 0.5 * normal[:, 1:2]
    hollow = np.clip(body_distance(p + 0.05 * normal, body)[0] / 0.05, 0.2, 1)[:, None]
    folds = 1 + 0.05 * np.sin(70 * p[:, 1:2] + 9 * np.sin(23 * p[:, :1] + 17 * p[:, 2:])) * (colour[:, :1] < 0.6)
    picture[at] = colour * folds * (0.72 * lit + hollow * (0.28 + 0.22 * sky))


def _shadow(points: np.ndarray, body: list[tuple]) -> np.ndarray:
    """Return how dark the floor is: a soft shadow of the body away from the sun, 0 to 1."""
    dark = np.zeros(len(points))
    body = [part for part in body if max(part[2:4]) > 0.035]
    centre = np.mean([part[0] for part in body], 0)
    near = np.linalg.norm(points[:, [0, 2]] - centre[[0, 2]], axis=-1) < 2.2
    p = points[near].astype(np.float32)
    closest = np.full(len(p), np.inf)
    for along in np.linspace(0.05, 2.2, 16):
        d, _ = body_distance(p + (along * SUN).astype(np.float32), body)
        closest = np.minimum(closest, d / (0.02 + 0.04 * along))
    dark[near] = np.clip(1 - closest, 0, 1)
    return dark
