import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from motif import resample


@pytest.mark.parametrize(
    ("frames", "levels"),
    [
        (648, [129, 172, 229, 305, 406, 541, 648]),
        (1296, [259, 345, 460, 613, 817, 1089, 1296]),
        (371, [74, 98, 130, 173, 230, 306, 371]),
        (377, [75, 100, 133, 177, 236, 314, 377]),
        (384, [76, 101, 134, 178, 237, 316, 384]),
        (201, [40, 53, 70, 93, 124, 165, 201]),
        (90, [18, 24, 32, 42, 56, 74, 90]),
    ],
)
def test_lengths_are_the_papers(frames, levels):
    assert resample.level_lengths(frames) == levels


def test_lengths_from_a_thirtieth():
    assert resample.level_lengths(632, ratio=1 / 30) == [21, 28, 37, 49, 65, 86, 114, 152, 202, 269, 358, 477, 632]


def test_rates_end_at_the_finest():
    levels = resample.level_rates(30, 3)
    assert levels[-1] == 30
    assert levels[0] >= 3 > levels[0] * 3 / 4
    assert all(b / a == pytest.approx(4 / 3) for a, b in zip(levels, levels[1:]))


def test_resize():
    x = torch.randn(2, 3, 40, 5, generator=torch.Generator().manual_seed(0))
    assert resample.resize(x, 40) is x
    assert resample.resize(x, 17).shape == (2, 3, 17, 5)
    ramp = torch.arange(40.0)[:, None]
    half = resample.resize(ramp, 20)
    assert torch.allclose(half[2:-2], (ramp[::2] + 0.5)[2:-2], atol=1e-4)
    fast = torch.cos(torch.pi * torch.arange(40.0))[:, None]  # faster than half the rate can show
    assert float(resample.resize(fast, 14)[2:-2].abs().max()) < 0.4
    assert float(resample.resize(fast, 14, antialias=False).abs().max()) > 0.8


def test_averaging_keeps_the_mean_and_points_do_not_reach_over():
    x = torch.randn(648, 4, generator=torch.Generator().manual_seed(0))
    for frames in (129, 324):
        assert torch.allclose(resample.resize(x, frames).mean(0), x.mean(0), atol=0.01)
    assert torch.allclose(resample.resize(x, 216, antialias=False), x[1::3], atol=1e-5)  # the middle one of three
    assert torch.allclose(resample.resize(torch.full((10, 1), 3.0), 23), torch.full((23, 1), 3.0))


def test_leading_dimensions_are_resized_alike():
    x = torch.randn(2, 3, 40, 5, generator=torch.Generator().manual_seed(0))
    for frames in (1, 13, 71):
        assert torch.allclose(resample.resize(x, frames)[1, 2], resample.resize(x[1, 2], frames), atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 40, 300])
def test_splines_are_the_natural_ones(frames):
    x, when = torch.randn(frames, 3, dtype=torch.float64), torch.linspace(0, frames - 1, 50).double()
    made = resample.spline_interpolate(x, when)
    if frames > 1:
        known = CubicSpline(np.arange(frames), x.numpy(), bc_type="natural")(when.numpy())
        assert float((made - torch.from_numpy(known)).abs().max()) < 1e-9
    assert torch.equal(resample.spline_interpolate(x[:1], when), x[:1].expand(50, -1))
