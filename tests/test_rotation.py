import itertools
import math

import numpy as np
import pytest
import roma
import torch
from scipy.spatial.transform import Rotation

from motif import rotation

ORDERS = ["".join(o) for o in itertools.product("xyz", repeat=3) if o[0] != o[1] and o[1] != o[2]]


def some(n=200, dtype=torch.float64, seed=0):
    return rotation.normalise(torch.randn(n, 4, dtype=dtype, generator=torch.Generator().manual_seed(seed)))


def scipy(q):
    return Rotation.from_quat(q[..., [1, 2, 3, 0]].reshape(-1, 4).numpy())


def close(a, b, atol=1e-9):
    return np.allclose(np.asarray(a), np.asarray(b), atol=atol)


def test_products_matrices_and_vectors_against_scipy():
    a, b, v = some(seed=1), some(seed=2), torch.randn(200, 3, dtype=torch.float64)
    assert close(rotation.to_matrix(rotation.mul(a, b)), (scipy(a) * scipy(b)).as_matrix())
    assert close(rotation.rotate(a, v), scipy(a).apply(v.numpy()))
    assert close(rotation.to_matrix(rotation.inv(a)), scipy(a).inv().as_matrix())
    assert close(rotation.log(a).norm(dim=-1), scipy(a).magnitude())
    assert close(rotation.to_matrix(rotation.exp(v)), Rotation.from_rotvec(v.numpy()).as_matrix())
    assert close(rotation.geodesic(a, b), (scipy(a).inv() * scipy(b)).magnitude())


@pytest.mark.parametrize("order", ORDERS)
def test_euler_in_all_orders_against_scipy(order):
    q = some()
    angles = rotation.to_euler(q, order)
    assert close(angles, scipy(q).as_euler(order.upper()))
    assert close(rotation.geodesic(rotation.from_euler(angles, order), q), 0, 1e-7)
    middle = torch.tensor([0.0, math.pi] if order[0] == order[2] else [math.pi / 2, -math.pi / 2])
    locked = torch.randn(2, 3)
    locked[:, 1] = middle
    q = rotation.from_euler(locked, order)
    assert close(rotation.geodesic(rotation.from_euler(rotation.to_euler(q, order), order), q), 0, 1e-5)


def test_fewer_than_three_angles():
    q = rotation.from_euler(torch.tensor([[0.3]]), "y")
    assert close(q, rotation.about("y", torch.tensor([0.3])))


def test_sixd_against_roma():
    q = some()
    d = rotation.to_sixd(q) + 0.1 * torch.randn(200, 6, dtype=torch.float64)
    theirs = roma.special_gramschmidt(d.unflatten(-1, (2, 3)).transpose(-1, -2))
    assert close(rotation.sixd_to_matrix(d), theirs)
    assert close(rotation.geodesic(rotation.from_sixd(rotation.to_sixd(q)), q), 0, 1e-7)


def test_matrix_round_trip_in_every_branch():
    axes = torch.cat((torch.eye(3), -torch.eye(3), torch.ones(1, 3)))
    angles = torch.tensor([0.0, 1e-4, 1.0, math.pi - 1e-4, math.pi])
    v = (torch.nn.functional.normalize(axes)[:, None] * angles[:, None]).reshape(-1, 3).double()
    q = rotation.exp(v)
    assert close(rotation.geodesic(rotation.from_matrix(rotation.to_matrix(q)), q), 0, 1e-6)


def test_q_and_minus_q_are_the_same():
    a, b = some(seed=3), some(seed=4)
    assert close(rotation.geodesic(a, -a), 0)
    assert close(rotation.log(a), rotation.log(-a))
    assert close(
        rotation.geodesic(
            rotation.slerp(a, b, torch.full((200,), 0.3)), rotation.slerp(a, -b, torch.full((200,), 0.3))
        ),
        0,
    )


def test_slerp_has_constant_speed_and_meets_its_ends():
    a, b = some(20, seed=5), some(20, seed=6)
    t = torch.linspace(0, 1, 11, dtype=torch.float64)[:, None].expand(-1, 20)
    path = rotation.slerp(a.expand(11, -1, -1), b.expand(11, -1, -1), t)
    assert close(rotation.geodesic(path[0], a), 0, 1e-7)
    assert close(rotation.geodesic(path[-1], b), 0, 1e-7)
    steps = rotation.geodesic(path[1:], path[:-1])
    assert close(steps, steps.mean(0).expand_as(steps), 1e-7)


def test_between_and_twist():
    u, v = torch.randn(50, 3, dtype=torch.float64), torch.randn(50, 3, dtype=torch.float64)
    turned = rotation.rotate(rotation.between(u, v), torch.nn.functional.normalize(u, dim=-1))
    assert close(turned, torch.nn.functional.normalize(v, dim=-1))
    back = rotation.rotate(rotation.between(u, -u), torch.nn.functional.normalize(u, dim=-1))
    assert close(back, -torch.nn.functional.normalize(u, dim=-1))
    assert close(rotation.twist(rotation.about("y", torch.tensor(0.7)), "y"), 0.7, 1e-6)


def test_unroll_keeps_neighbours_together():
    q = some(30)
    signs = torch.where(torch.rand(30, 1) < 0.5, -1.0, 1.0)
    rolled = rotation.unroll(q * signs)
    assert bool(((rolled[1:] * rolled[:-1]).sum(-1) >= 0).all())
    assert close(rotation.geodesic(rolled, q), 0)


DEGENERATE = {
    "exp": (rotation.exp, [[0, 0, 0], [1e-9, 0, 0], [math.pi, 0, 0]]),
    "log": (rotation.log, [[1, 0, 0, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]),
    "normalise": (rotation.normalise, [[0, 0, 0, 0], [1e-20, 0, 0, 0]]),
    "sixd": (rotation.from_sixd, [[0] * 6, [1, 0, 0, 0, 0, 0], [1, 0, 0, 2, 0, 0], [0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 1, 0]]),
    "to_sixd": (rotation.to_sixd, [[1, 0, 0, 0], [0, 0, 1, 0]]),
    "from_matrix": (lambda d: rotation.from_matrix(d.unflatten(-1, (3, 3))), [[1, 0, 0, 0, 1, 0, 0, 0, 1], [-1, 0, 0, 0, -1, 0, 0, 0, 1]]),
    "geodesic": (lambda q: rotation.geodesic(q, torch.tensor([1, 0, 0, 0]).to(q).expand_as(q)), [[1, 0, 0, 0], [0, 1, 0, 0], [-1, 0, 0, 0]]),
    "slerp": (lambda q: rotation.slerp(q, torch.tensor([1, 0, 0, 0]).to(q).expand_as(q), torch.full(q.shape[:-1], 0.5).to(q)), [[1, 0, 0, 0], [0, 1, 0, 0], [-1, 0, 0, 0]]),
    "between": (lambda v: rotation.between(v[..., :3], v[..., 3:]), [[0] * 6, [1, 0, 0, -1, 0, 0], [1, 0, 0, 1, 0, 0]]),
    "twist": (lambda q: rotation.twist(q, "y"), [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]),
    "axis_angle": (lambda v: rotation.from_axis_angle(v[..., :3], v[..., 3]), [[0, 0, 0, 1], [1, 0, 0, 0]]),
}  # fmt: skip
for order in ORDERS:
    half = math.pi / 2 if order[0] != order[2] else 0.0
    locked = rotation.from_euler(torch.tensor([[0.3, half, 0.2], [0.0, 0.0, 0.0]], dtype=torch.float64), order).tolist()
    DEGENERATE[f"euler-{order}"] = (lambda q, order=order: rotation.to_euler(q, order), locked)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", DEGENERATE)
def test_finite_values_and_gradients_where_others_return_nan(name, dtype):
    function, points = DEGENERATE[name]
    x = torch.tensor(points, dtype=dtype, requires_grad=True)
    y = function(x)
    assert bool(y.isfinite().all())
    y.sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("function", [rotation.exp, rotation.from_sixd, rotation.to_matrix, rotation.log])
def test_gradients_are_the_true_ones(function):
    width = {rotation.exp: 3, rotation.from_sixd: 6}.get(function, 4)
    x = torch.randn(5, width, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x = rotation.normalise(x) if width == 4 else x
    assert torch.autograd.gradcheck(function, x.requires_grad_())


def test_leading_dimensions_are_free():
    q = some(24).reshape(2, 3, 4, 4)
    assert rotation.mul(q, q).shape == (2, 3, 4, 4)
    assert rotation.to_euler(q, "zxy").shape == (2, 3, 4, 3)
    assert close(rotation.to_matrix(q).reshape(24, 3, 3), rotation.to_matrix(q.reshape(24, 4)))
