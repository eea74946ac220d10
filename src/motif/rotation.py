"""Rotations as pure torch functions on any leading dimensions; those of two arguments broadcast (``*#b``).

Quaternions are ``[..., 4]`` in the order (w, x, y, z), unit length, acting as ``v' = q v q*``.
Matrices are ``[..., 3, 3]`` and act on columns. 6D is the first two *columns* of the matrix, one after
the other (Zhou et al. 2019, "On the Continuity of Rotation Representations"). Angles are radians.
Euler orders are read as intrinsic: ``"zxy"`` means ``R = Rz Rx Ry``, which is how BVH lists its channels.

Every function returns finite values and finite gradients at zero input, identity, 180 degrees, gimbal lock
and degenerate 6D: a vanishing direction is replaced by a fixed one through which no gradient flows. None branches on
data or makes its constants on the host, so a row comes out the same in any batch and a GPU is never waited for.
"""

import functools
import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from . import parallel

Components = tuple[Tensor, ...]
"""Components of quaternions or vectors, each a tensor of its own."""
BLOCK = 1024  # frames of a clip that are computed at a time
_AXES = {"x": 0, "y": 1, "z": 2}


@functools.lru_cache(maxsize=4096)
def constant(values: tuple, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return plain numbers as a tensor that is copied to a device once; it is shared, never to be changed in place."""
    with torch.inference_mode(False):  # one made in inference mode could never be trained through
        return torch.tensor(values, dtype=dtype, device=device)


def _tiny(x: Tensor) -> float:
    """Squared lengths below this count as zero; the square root of it is far above the rounding of ``x``."""
    return 1e-24 if x.dtype == torch.float64 else 1e-12


def unit(v: Float[Tensor, "*#b n"], fallback: Float[Tensor, "*#b n"]) -> Float[Tensor, "*b n"]:
    """Return ``v`` scaled to length one; where ``v`` vanishes, the (unit) ``fallback`` with zero gradient."""
    squared = (v * v).sum(-1, keepdim=True)
    small = squared < _tiny(v)
    return torch.where(small, fallback, v / torch.where(small, 1.0, squared).sqrt())


def length(v: Float[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
    """Return the Euclidean length, with a zero (not infinite) gradient at zero."""
    squared = (v * v).sum(-1)
    small = squared < _tiny(v)
    return torch.where(small, 0.0, torch.where(small, 1.0, squared).sqrt())


def by_blocks(function: Callable[[Tensor], Tensor], x: Float[Tensor, "t *b"]) -> Tensor:
    """Apply a function of single rows to some at a time: on a long clip what it makes on the way stays in the cache."""
    return torch.cat(parallel.parallel_map(function, x.split(BLOCK)))


def identity(*shape: int, like: Tensor | None = None) -> Float[Tensor, "..."]:
    """Return identity quaternions of shape ``[*shape, 4]``, with the dtype and device of ``like``."""
    q = torch.zeros(*shape, 4) if like is None else like.new_zeros(*shape, 4)
    q[..., 0] = 1
    return q


def normalise(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """Return unit quaternions; a zero quaternion becomes the identity."""
    return unit(q, identity(*q.shape[:-1], like=q))


def mul(a: Float[Tensor, "*#b 4"], b: Float[Tensor, "*#b 4"]) -> Float[Tensor, "*b 4"]:
    """Return the Hamilton product: first ``b``, then ``a``."""
    return torch.stack(mul_components(a.unbind(-1), b.unbind(-1)), -1)


def mul_components(a: Sequence[Tensor], b: Sequence[Tensor]) -> Components:
    """Multiply quaternions given as components, several times faster where much follows (see :func:`components`)."""
    (aw, ax, ay, az), (bw, bx, by, bz) = a, b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def components(x: Float[Tensor, "*b n"]) -> Components:
    """Return the components, each a dense tensor of its own."""
    return tuple(x.movedim(-1, 0).contiguous())


def inv(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """Return the inverse of a unit quaternion (its conjugate)."""
    return q * constant((1.0, -1.0, -1.0, -1.0), q.dtype, q.device)


def rotate(q: Float[Tensor, "*#b 4"], v: Float[Tensor, "*#b 3"]) -> Float[Tensor, "*b 3"]:
    """Rotate vectors by unit quaternions."""
    return torch.stack(rotate_components(q.unbind(-1), v.unbind(-1)), -1)


def rotate_components(q: Sequence[Tensor], v: Sequence[Tensor]) -> Components:
    """Rotate vectors, quaternions and vectors both given as components."""
    (w, x, y, z), (vx, vy, vz) = q, v
    tx, ty, tz = 2 * (y * vz - z * vy), 2 * (z * vx - x * vz), 2 * (x * vy - y * vx)
    return vx + w * tx + y * tz - z * ty, vy + w * ty + z * tx - x * tz, vz + w * tz + x * ty - y * tx


def to_matrix(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Return the rotation matrix of a unit quaternion."""
    w, x, y, z = q.unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def from_matrix(m: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Return the quaternion of a rotation matrix, w at least 0 (Shepperd's choice of the largest component)."""
    return _shepperd(components(m.flatten(-2)))


def _shepperd(m: Sequence[Tensor]) -> Float[Tensor, "*b 4"]:
    """The same from the matrix's entries, row by row, each a tensor of its own: several times faster than columns."""
    a, xy, xz, yx, b, yz, zx, zy, c = m
    ww, xx, yy, zz = 1 + a + b + c, 1 + a - b - c, 1 - a + b - c, 1 - a - b + c
    wx, wy, wz = zy - yz, xz - zx, yx - xy
    byx, bxz, bzy = yx + xy, xz + zx, zy + yz
    most = torch.maximum(yy, zz)
    w_is, x_is, y_is = ww >= torch.maximum(xx, most), xx >= most, yy >= zz

    def chosen(if_w: Tensor, if_x: Tensor, if_y: Tensor, if_z: Tensor) -> Tensor:
        return torch.where(w_is, if_w, torch.where(x_is, if_x, torch.where(y_is, if_y, if_z)))

    w, x = chosen(ww, wx, wy, wz), chosen(wx, xx, byx, bxz)
    y, z = chosen(wy, byx, yy, bzy), chosen(wz, bxz, bzy, zz)
    size = (w * w + x * x + y * y + z * z).sqrt()  # at least 1
    size = torch.where(w < 0, -size, size)
    return torch.stack((w / size, x / size, y / size, z / size), -1)


def to_sixd(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 6"]:
    """Return the first two columns of the rotation matrix, column after column."""
    return to_matrix(q)[..., :2].transpose(-1, -2).flatten(-2)


def from_sixd(d: Float[Tensor, "*b 6"]) -> Float[Tensor, "*b 4"]:
    """Return the quaternion of a 6D rotation by Gram-Schmidt on its two columns.

    A column that vanishes, or the second where it is parallel to the first, counts as zero. What Shepperd's choice
    makes of a matrix with one column, or none, is a rotation again: the shortest that has this column.
    """
    a, b, c, p, q, r = components(d)
    first = _or_infinite(a * a + b * b + c * c)
    dot = (a * p + b * q + c * r) / first
    p, q, r = p - dot * a, q - dot * b, r - dot * c
    first, second = first.rsqrt(), _or_infinite(p * p + q * q + r * r).rsqrt()
    a, b, c, p, q, r = a * first, b * first, c * first, p * second, q * second, r * second
    return _shepperd((a, p, b * r - c * q, b, q, c * p - a * r, c, r, a * q - b * p))


def _or_infinite(squared: Tensor) -> Tensor:
    """Squared lengths, infinite (so that what is divided by them is zero) where they vanish."""
    return torch.nn.functional.threshold(squared, 4 * _tiny(squared), math.inf)


def exp(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4"]:
    """Return the quaternion of a rotation vector (axis times angle)."""
    squared = (v * v).sum(-1, keepdim=True)
    small = squared < 1e-8
    angle = torch.where(small, 1.0, squared).sqrt()
    sinc = torch.where(small, 0.5 - squared / 48, torch.sin(angle / 2) / angle)
    cos = torch.where(small, 1 - squared / 8, torch.cos(angle / 2))
    return torch.cat((cos, v * sinc), -1)


def log(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3"]:
    """Return the rotation vector of a unit quaternion, of length at most pi."""
    q = torch.where(q[..., :1] < 0, -q, q)
    w, v = q[..., :1], q[..., 1:]
    squared = (v * v).sum(-1, keepdim=True)
    small = squared < 1e-8
    sine = torch.where(small, 1.0, squared).sqrt()
    cosine = torch.where(small & (w > 0.5), w, 1.0)
    scale = torch.where(small, 2 / cosine - 2 * squared / (3 * cosine**3), 2 * torch.atan2(sine, w) / sine)
    return v * scale


def about(axis: str, angle: Float[Tensor, "*b"]) -> Float[Tensor, "*b 4"]:
    """Return the quaternion turning by ``angle`` about the coordinate axis ``"x"``, ``"y"`` or ``"z"``."""
    q = angle.new_zeros(*angle.shape, 4)
    q[..., 0] = torch.cos(angle / 2)
    q[..., 1 + _AXES[axis]] = torch.sin(angle / 2)
    return q


def from_euler(angles: Float[Tensor, "*b n"], order: str) -> Float[Tensor, "*b 4"]:
    """Return the quaternion of intrinsic Euler angles; ``order`` names one axis per angle (one to three)."""
    q = about(order[0], angles[..., 0])
    for i, axis in enumerate(order[1:], 1):
        q = mul(q, about(axis, angles[..., i]))
    return q


def to_euler(q: Float[Tensor, "*b 4"], order: str) -> Float[Tensor, "*b 3"]:
    """Return intrinsic Euler angles in any of the twelve orders, e.g. ``"zxy"`` or ``"zxz"``.

    Bernardes and Viollet 2022, "Quaternion to Euler angles conversion": through atan2 alone, so that it stays
    exact to rounding near gimbal lock, where the third angle is set to zero.
    """
    # The formula is written for extrinsic angles; intrinsic "abc" is extrinsic "cba" read backwards.
    i, j, k = (_AXES[a] for a in reversed(order))
    proper = i == k
    if proper:
        k = 3 - i - j
    sign = (i - j) * (j - k) * (k - i) / 2  # parity of the axes
    w, x, y, z = q[..., 0], q[..., 1 + i], q[..., 1 + j], q[..., 1 + k] * sign
    a, b, c, d = (w, x, y, z) if proper else (w - y, x + z, y + w, z - x)
    middle = 2 * torch.atan2(length(torch.stack((c, d), -1)), length(torch.stack((a, b), -1)))
    plus, minus = _angle(b, a), _angle(d, c)
    low = middle < 1e-6
    locked = low | (middle > math.pi - 1e-6)  # only the sum or difference is known: the first intrinsic angle gets it
    last = torch.where(locked, 0.0, plus - minus)
    first = torch.where(locked, 2 * torch.where(low, plus, minus), plus + minus)
    if not proper:
        first, middle = first * sign, middle - math.pi / 2
    return torch.stack([_wrap(angle) for angle in (first, middle, last)], -1)


def _angle(y: Tensor, x: Tensor) -> Tensor:
    """atan2 with a zero gradient where both arguments vanish."""
    none = (x * x + y * y) < _tiny(x)
    return torch.where(none, 0.0, torch.atan2(y, torch.where(none, 1.0, x)))


def _wrap(angle: Tensor) -> Tensor:
    """The angle in (-pi, pi]."""
    return angle - 2 * math.pi * torch.ceil((angle - math.pi) / (2 * math.pi))


def geodesic(a: Float[Tensor, "*#b 4"], b: Float[Tensor, "*#b 4"]) -> Float[Tensor, "*b"]:
    """Return the angle between two rotations, in [0, pi]; q and -q are the same rotation."""
    relative = mul(inv(a), b)
    return 2 * torch.atan2(length(relative[..., 1:]), relative[..., 0].abs())


def slerp(a: Float[Tensor, "*#b 4"], b: Float[Tensor, "*#b 4"], t: Float[Tensor, "*#b"]) -> Float[Tensor, "*b 4"]:
    """Interpolate at constant speed from ``a`` (t=0) to ``b`` (t=1) along the shorter arc."""
    b = torch.where((a * b).sum(-1, keepdim=True) < 0, -b, b)
    half = 2 * torch.atan2(length(a - b), length(a + b))[..., None]  # angle in four dimensions, stable near 0
    t = t[..., None]
    small = half < 1e-4
    sine = torch.sin(torch.where(small, 1.0, half))
    near = torch.where(small, 1 - t, torch.sin((1 - t) * half) / sine)
    far = torch.where(small, t, torch.sin(t * half) / sine)
    return normalise(a * near + b * far)


def twist(q: Float[Tensor, "*b 4"], axis: str) -> Float[Tensor, "*b"]:
    """Return the angle about a coordinate axis in ``q = swing * twist``; 0 where undefined."""
    return _wrap(2 * _angle(q[..., 1 + _AXES[axis]], q[..., 0]))


def unroll(q: Float[Tensor, "*b t 4"]) -> Float[Tensor, "*b t 4"]:
    """Flip signs along the last-but-one dimension so that neighbours lie in the same half space."""
    flips = (q[..., 1:, :] * q[..., :-1, :]).sum(-1) < 0
    sign = (1 - 2 * flips.to(q.dtype)).cumprod(-1)
    return torch.cat((q[..., :1, :], q[..., 1:, :] * sign[..., None]), -2)
