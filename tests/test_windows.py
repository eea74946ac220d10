import math
from dataclasses import replace

import pytest
import torch

from motif import tempo, windows
from motif.errors import MotifError
from rigs import jumps


def test_window_errors_are_the_definition():
    errors = torch.rand(20, 15, generator=torch.Generator().manual_seed(0))
    fast = windows.window_errors(errors, 6)
    slow = torch.tensor([[sum(errors[i + s, k + s] for s in range(6)) / 6 for k in range(10)] for i in range(15)])
    assert torch.allclose(fast, slow, atol=1e-6)


def test_frame_errors_are_mean_joint_errors_plus_travel():
    a, b = torch.rand(4, 3, 3), torch.rand(5, 3, 3)
    fast = windows.frame_errors(a, b)
    for i in range(4):
        for k in range(5):
            joint = sum(math.dist(a[i, j].tolist(), b[k, j].tolist()) for j in range(2)) / 2
            assert float(fast[i, k]) == pytest.approx(joint + math.dist(a[i, 2].tolist(), b[k, 2].tolist()), abs=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 11])
def test_diagonal_sums(size):
    d = torch.rand(20, 17, generator=torch.Generator().manual_seed(0))
    slow = torch.stack(
        [torch.stack([sum(d[i + s, j + s] for s in range(size)) for j in range(18 - size)]) for i in range(21 - size)]
    )
    assert torch.allclose(windows.diagonal_sums(d, size), slow, atol=1e-5)


def test_poses_are_compared_at_about_thirty_hertz():
    assert [windows.stride(fps) for fps in (24, 30, 59.94, 60, 120)] == [1, 1, 1, 2, 4]


def test_a_clip_that_is_not_finite_is_refused_before_it_is_learned():
    clip = jumps()
    positions = clip.positions.clone()
    positions[7, 0, 1] = math.nan
    with pytest.raises(MotifError, match="frame 7 is not finite"):
        tempo.tempo_variability([replace(clip, positions=positions)])
