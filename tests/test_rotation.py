"""Rotations against scipy and roma, and finite where formulas usually break."""

import itertools
import math

import numpy as np
import pytest
import roma
import torch
from scipy.spatial.transform import Rotation, Slerp

from motif import rotation

ORDERS = ["".join(o) for o in itertools.product("xyz", repeat=3) if o[0] != o[1] and o[1] != o[2]]
SINGLE, DOUBLE = torch.float32, torch.float64
DTYPES = [SINGLE, DOUBLE]


def random(*shape, seed=0):
    q = torch.randn(*shape, 4, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    return q / q.norm(dim=-1, keepdim=True)


def scipy(q):
    return Rotation.from_quat(q.reshape(-1, 4)[:, [1, 2, 3, 0]].numpy())


def wxyz(r):
    return torch.from_numpy(r.as_quat()[..., [3, 0, 1, 2]])


def sixd_to_matrix(d):
    return rotation.to_matrix(rotation.from_sixd(d))


def same(a, b, atol=1e-9):
    """As rotations."""
    return bool(((a * b).sum(-1).abs() > 1 - atol).all())


# quaternions whose formulas have a branch: identity, 180 degrees about axes and diagonals, nearly so, and their negatives
SPECIAL = torch.tensor(
    [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0, math.sqrt(0.5), -math.sqrt(0.5), 0],
        [math.sqrt(0.5), 0, math.sqrt(0.5), 0],
        [math.sqrt(0.5), -math.sqrt(0.5), 0, 0],
        [0.5, 0.5, 0.5, 0.5],
        [math.cos(1e-5), math.sin(1e-5), 0, 0],
        [math.cos(1e-9), 0, math.sin(1e-9), 0],
        [math.sin(1e-6), math.cos(1e-6), 0, 0],
    ],
    dtype=DOUBLE,
)
SPECIAL = torch.cat((SPECIAL, -SPECIAL))
ALL = torch.cat((random(50), SPECIAL))


# --- oracles
def test_product_inverse_and_action():
    a, b, v = random(30), random(30, seed=1), torch.randn(30, 3, dtype=DOUBLE)
    assert same(rotation.mul(a, b), wxyz(scipy(a) * scipy(b)))
    assert same(rotation.inv(a), wxyz(scipy(a).inv()))
    np.testing.assert_allclose(rotation.rotate(a, v), scipy(a).apply(v.numpy()), atol=1e-12)
    assert torch.allclose(rotation.mul(a, b), _roma_product(a, b))


def _roma_product(a, b):
    return roma.quat_xyzw_to_wxyz(roma.quat_product(roma.quat_wxyz_to_xyzw(a), roma.quat_wxyz_to_xyzw(b)))


def test_matrices():
    m = rotation.to_matrix(ALL)
    np.testing.assert_allclose(m, scipy(ALL).as_matrix(), atol=1e-12)
    back = rotation.from_matrix(m)
    assert same(back, ALL)
    assert bool((back[:, 0] >= 0).all())


def test_sixd():
    d = rotation.to_sixd(ALL)
    assert torch.allclose(d[:, :3], rotation.to_matrix(ALL)[:, :, 0])
    assert torch.allclose(d[:, 3:], rotation.to_matrix(ALL)[:, :, 1])
    assert same(rotation.from_sixd(d), ALL)
    noisy = d + 0.3 * torch.randn(d.shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(2))
    ours = sixd_to_matrix(noisy)
    theirs = roma.special_gramschmidt(noisy.unflatten(-1, (2, 3)).transpose(-1, -2))
    assert torch.allclose(ours, theirs, atol=1e-9)


def test_rotation_vectors():
    v = torch.randn(40, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(3))
    v = v / v.norm(dim=-1, keepdim=True) * torch.linspace(0, math.pi - 1e-6, 40, dtype=DOUBLE)[:, None]
    np.testing.assert_allclose(
        rotation.to_matrix(rotation.exp(v)), Rotation.from_rotvec(v.numpy()).as_matrix(), atol=1e-9
    )
    np.testing.assert_allclose(rotation.log(rotation.exp(v)), v, atol=1e-9)
    np.testing.assert_allclose(rotation.log(ALL).norm(dim=-1), scipy(ALL).magnitude(), atol=1e-9)
    assert same(rotation.exp(rotation.log(ALL)), ALL)


@pytest.mark.parametrize("size", [1e-12, 1e-8, 0.99e-4, 1.01e-4, 1e-3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_small_rotation_vectors_are_not_rounded_away(size, dtype):
    v = torch.tensor([0.6, 0.0, -0.8], dtype=dtype) * size
    q = rotation.exp(v)
    exact = math.sin(size / 2) / size
    tight = {"rtol": 1e-12 if dtype == DOUBLE else 1e-6, "atol": 0}
    assert torch.allclose(q[1:] / v, v.new_tensor([exact, math.nan, exact]), equal_nan=True, **tight)
    assert torch.allclose(rotation.log(q), v, **tight)


def test_axis_angle():
    axis, angle = torch.randn(20, 3, dtype=DOUBLE), torch.linspace(-3, 3, 20, dtype=DOUBLE)
    vector = axis / axis.norm(dim=-1, keepdim=True) * angle[:, None]
    assert same(rotation.exp(vector), wxyz(Rotation.from_rotvec(vector.numpy())))
    assert torch.equal(rotation.exp(torch.zeros(3)), rotation.identity())
    for name in "xyz":
        assert same(rotation.about(name, angle), wxyz(Rotation.from_euler(name, angle[:, None].numpy())))


@pytest.mark.parametrize("order", ORDERS)
def test_euler(order):
    theirs = torch.from_numpy(scipy(random(200)).as_euler(order.upper()))
    assert same(rotation.from_euler(theirs, order), random(200))
    ours = rotation.to_euler(random(200), order)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("off", [0.0, 1e-9, 1e-6, 1e-4])
def test_euler_at_and_near_gimbal_lock(order, off):
    locks = (0.0, math.pi) if order[0] == order[2] else (-math.pi / 2, math.pi / 2)
    outer = torch.tensor([-2.5, -1.0, 0.0, 0.3, 3.0], dtype=DOUBLE)
    for lock, sign in itertools.product(locks, (1, -1)):
        angles = torch.cartesian_prod(outer, torch.tensor([lock + sign * off], dtype=DOUBLE), outer)
        q = rotation.from_euler(angles, order)
        back = rotation.to_euler(q, order)
        assert (
            float(rotation.geodesic(rotation.from_euler(back, order), q).max()) < 2.1e-6
        )  # closer than 1e-6 counts as locked
        if off == 0:
            assert bool((back[:, 2] == 0).all())


def test_fewer_than_three_euler_angles():
    a = torch.tensor([0.3, -0.7])
    assert same(rotation.from_euler(a, "zy"), rotation.mul(rotation.about("z", a[0]), rotation.about("y", a[1])), 1e-6)
    assert same(rotation.from_euler(a[:1], "x"), rotation.about("x", a[0]), 1e-6)


def test_geodesic():
    a, b = random(50), random(50, seed=1)
    np.testing.assert_allclose(rotation.geodesic(a, b), (scipy(a).inv() * scipy(b)).magnitude(), atol=1e-9)
    np.testing.assert_allclose(rotation.geodesic(a, -a), 0, atol=1e-9)


def test_slerp():
    a, b = random(20), random(20, seed=1)
    for t in (0.0, 0.2, 0.5, 1.0):
        ours = rotation.slerp(a, b, torch.full((20,), t, dtype=DOUBLE))
        for i in range(20):
            theirs = Slerp([0, 1], Rotation.concatenate([scipy(a[i]), scipy(b[i])]))(t)
            assert same(ours[i], wxyz(theirs))


@pytest.mark.parametrize("angle", [1e-7, 1e-3, 0.5, 3.0])
def test_slerp_has_constant_speed(angle):
    a = random()
    b = rotation.mul(a, rotation.exp(torch.tensor([0.0, angle, 0.0], dtype=DOUBLE)))
    path = rotation.slerp(a, -b, torch.linspace(0, 1, 11, dtype=DOUBLE))
    steps = rotation.geodesic(path[1:], path[:-1])
    assert torch.allclose(steps, torch.full((10,), angle / 10, dtype=DOUBLE), rtol=1e-6, atol=1e-15)


def test_twist_is_the_turn_about_the_axis_and_leaves_a_swing():
    q = random(50)
    for axis in "xyz":
        swing = rotation.mul(q, rotation.inv(rotation.about(axis, rotation.twist(q, axis))))
        assert float(swing[:, 1 + "xyz".index(axis)].abs().max()) < 1e-12
        turned = rotation.mul(swing, rotation.about(axis, torch.tensor(0.4, dtype=DOUBLE)))
        assert torch.allclose(rotation.twist(turned, axis), torch.tensor(0.4, dtype=DOUBLE))
    assert float(rotation.twist(torch.tensor([0.0, 1.0, 0.0, 0.0]), "y")) == 0  # upside down: no turn about y


def test_unroll_keeps_rotations_and_stays_in_one_half_space():
    q = rotation.exp(torch.linspace(0, 12, 100, dtype=DOUBLE)[:, None] * torch.tensor([0.0, 0.6, 0.8], dtype=DOUBLE))
    flipped = q * torch.where(torch.rand(2, 100, 1, generator=torch.Generator().manual_seed(0)) < 0.5, -1.0, 1.0)
    smooth = rotation.unroll(flipped)
    assert torch.allclose(smooth.abs(), q.abs().expand(2, -1, -1))
    assert float((smooth[:, 1:] * smooth[:, :-1]).sum(-1).min()) > 0
    assert torch.equal(smooth[:, 0], flipped[:, 0])


# --- what must not depend on the sign of a quaternion
@pytest.mark.parametrize(
    "f",
    [
        rotation.to_matrix,
        rotation.to_sixd,
        rotation.log,
        lambda q: rotation.rotate(q, torch.ones(3, dtype=DOUBLE)),
        lambda q: rotation.geodesic(q, random()),
        lambda q: rotation.twist(q, "y"),
        *(lambda q, o=o: rotation.to_euler(q, o) for o in ORDERS),
    ],
)
def test_q_and_minus_q_are_the_same_rotation(f):
    q = random(50)
    assert torch.allclose(f(q), f(-q), atol=1e-12)


# --- finite everywhere
VECTORS = torch.tensor([[0, 0, 0], [1e-30, 0, 0], [1e-7, 0, 0], [1e-4, 0, 0], [math.pi, 0, 0], [0, 0, 2 * math.pi]])
SIXD = torch.tensor(
    [
        [0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [1, 0, 0, 1, 0, 0],
        [1, 1, 1, -2, -2, -2],
        [0, 1, 0, 0, 1, 1e-9],
        [1e-20, 0, 0, 0, 1e-20, 0],
        [1, 0, 0, 0, 1, 0],
    ]
)
QUATS = torch.cat((SPECIAL.float(), torch.zeros(1, 4)))
FUNCTIONS = {
    "normalise": (rotation.normalise, QUATS),
    "to_matrix": (rotation.to_matrix, QUATS),
    "from_matrix": (lambda q: rotation.from_matrix(rotation.to_matrix(q)), QUATS[:-1]),
    "to_sixd": (rotation.to_sixd, QUATS),
    "log": (rotation.log, QUATS),
    "twist": (lambda q: rotation.twist(q, "y"), QUATS),
    "geodesic": (lambda q: rotation.geodesic(q, QUATS.to(q).flip(0)), QUATS),
    "geodesic to itself": (lambda q: rotation.geodesic(q, q.detach()), QUATS),
    "slerp": (lambda q: rotation.slerp(q, -q.detach(), torch.full(q.shape[:-1], 0.3).to(q)), QUATS),
    "slerp to the opposite": (
        lambda q: rotation.slerp(q, q.detach().roll(2, -1), torch.full(q.shape[:-1], 0.5).to(q)),
        QUATS,
    ),
    "exp": (rotation.exp, VECTORS),
    "length": (rotation.length, VECTORS),
    "sixd_to_matrix": (sixd_to_matrix, SIXD),
    "from_sixd": (rotation.from_sixd, SIXD),
    **{f"to_euler {o}": (lambda q, o=o: rotation.to_euler(q, o), QUATS) for o in ORDERS},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_finite_values_and_gradients(name, dtype):
    f, points = FUNCTIONS[name]
    x = points.to(dtype).clone().requires_grad_()
    y = f(x)
    assert y.dtype == dtype
    assert bool(y.isfinite().all())
    (y * torch.arange(1, y.numel() + 1).reshape(y.shape)).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("dtype", DTYPES)
def test_degenerate_sixd_still_gives_rotations(dtype):
    m = sixd_to_matrix(SIXD.to(dtype))
    assert torch.allclose(m @ m.transpose(-1, -2), torch.eye(3, dtype=dtype).expand_as(m), atol=1e-6)
    assert torch.allclose(torch.linalg.det(m), torch.ones(len(m), dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sixd_row_is_the_same_in_any_batch(dtype):
    healthy = torch.randn(500, 6, dtype=dtype, generator=torch.Generator().manual_seed(7))
    alone = rotation.from_sixd(healthy)
    for row in SIXD.to(dtype):
        mixed = rotation.from_sixd(torch.cat((healthy, row[None])))
        assert torch.equal(mixed[:-1], alone)
        assert torch.equal(mixed[-1], rotation.from_sixd(row))


@pytest.mark.parametrize("dtype", DTYPES)
def test_degenerate_sixd_keeps_the_column_that_it_has(dtype):
    columns = torch.nn.functional.normalize(
        torch.randn(100, 3, dtype=dtype, generator=torch.Generator().manual_seed(8))
    )
    columns = torch.cat((columns, torch.eye(3, dtype=dtype), -torch.eye(3, dtype=dtype)))
    for first, second, kept in (
        (columns, 0 * columns, 0),
        (columns, -2 * columns, 0),
        (3 * columns, columns * 1e-20, 0),
        (0 * columns, 5 * columns, 1),
    ):
        m = sixd_to_matrix(torch.cat((first, second), -1))
        assert torch.allclose(m[..., kept], columns, atol=1e-6)
        assert torch.allclose(m @ m.mT, torch.eye(3, dtype=dtype).expand_as(m), atol=1e-6)
        assert torch.allclose(torch.linalg.det(m), torch.ones(len(m), dtype=dtype))
    assert torch.equal(rotation.from_sixd(torch.zeros(6, dtype=dtype)), rotation.identity().to(dtype))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_is_mixed_from_two_devices(name):
    f, points = FUNCTIONS[name]
    assert f(points.to("meta")).device.type == "meta"  # which has no data to branch on and refuses the processor's


def test_constants_made_in_inference_can_be_trained_through():
    rotation.constant.cache_clear()
    with torch.inference_mode():
        rotation.inv(rotation.identity(2))
    q = rotation.identity(2).requires_grad_()
    rotation.inv(q * q).sum().backward()
    assert q.grad is not None


def test_gradients_are_right():
    q = random(4, seed=5).requires_grad_()
    v = torch.randn(4, 3, dtype=DOUBLE).requires_grad_()
    d = torch.randn(4, 6, dtype=DOUBLE).requires_grad_()
    t = torch.rand(4, dtype=DOUBLE).requires_grad_()
    other = random(4, seed=6)
    check = torch.autograd.gradcheck
    assert check(rotation.rotate, (q, v))
    assert check(rotation.log, q)
    assert check(rotation.exp, v)
    assert check(lambda v: rotation.log(rotation.exp(v)), torch.zeros(1, 3, dtype=DOUBLE, requires_grad=True))
    assert check(rotation.from_sixd, d)
    assert check(lambda q: rotation.from_matrix(rotation.to_matrix(rotation.normalise(q))), q)
    assert check(lambda q: rotation.geodesic(rotation.normalise(q), other), q)
    assert check(lambda q, t: rotation.slerp(q, other, t), (q, t))
    assert check(lambda q: rotation.to_euler(rotation.normalise(q), "zxy"), q)
    assert check(lambda q: rotation.to_euler(rotation.normalise(q), "zxz"), q)


# --- shapes
@pytest.mark.parametrize("lead", [(), (1,), (2, 3), (0, 3)])
def test_any_leading_dimensions(lead):
    q = random(*lead)
    assert rotation.to_matrix(q).shape == (*lead, 3, 3)
    assert rotation.from_matrix(rotation.to_matrix(q)).shape == (*lead, 4)
    assert rotation.from_sixd(rotation.to_sixd(q)).shape == (*lead, 4)
    assert rotation.log(q).shape == (*lead, 3)
    assert rotation.to_euler(q, "yxz").shape == (*lead, 3)
    assert rotation.geodesic(q, random()).shape == lead
    assert rotation.slerp(q, random(), torch.tensor(0.5, dtype=DOUBLE)).shape == (*lead, 4)
    assert rotation.mul(random(5, *(1 for _ in lead)), q).shape == (5, *lead, 4)


def test_zero_quaternion_is_read_as_identity():
    assert torch.equal(rotation.normalise(torch.zeros(2, 4)), rotation.identity(2))
