import math
from dataclasses import replace

import pytest
import torch

from motif import api, metrics, resample, tempo
from motif.config import SampleConfig
from motif.edit import Edit
from motif.features import Features
from motif.seeds import take_rng
from rigs import RIGS, jumps, walk


def test_values_at_whole_frames_are_the_frames_and_at_others_the_wave():
    t = torch.arange(200.0).double()
    wave = torch.stack((torch.sin(0.4 * t), torch.cos(0.9 * t)), -1)
    assert float((resample.sinc_interpolate(wave, t) - wave).abs().max()) < 1e-12
    when = torch.arange(20, 170, 0.37).double()
    truth = torch.stack((torch.sin(0.4 * when), torch.cos(0.9 * when)), -1)
    assert float((resample.sinc_interpolate(wave, when) - truth).abs().max()) < 0.01
    assert torch.allclose(resample.sinc_interpolate(wave, torch.tensor([-5.0, 500.0])), wave[[0, -1]])


@pytest.mark.parametrize("frames", [1, 2, 5, 31, 400])
def test_a_time_warp_begins_and_ends_in_time_and_never_turns_back(frames):
    for seed in range(20):
        when = tempo.time_warp(frames, 1 / 30, 0.25, take_rng(seed, 0))
        assert when.shape == (frames,)
        assert float(when[0]) == 0
        if frames == 1:
            continue
        speed = when.diff()
        assert float(speed.min()) > 0.3
        assert abs(float(when[-1] + speed[-1]) - frames) < 0.2
    assert float(tempo.time_warp(400, 1 / 30, 0.0, take_rng(0, 0)).diff().sub(1).abs().max()) < 1e-9


def test_the_speed_varies_by_the_amount_asked_for():
    speeds = torch.cat([tempo.time_warp(3000, 1 / 30, 0.2, take_rng(s, 0)).diff()[100:-100].log() for s in range(5)])
    assert 0.12 < float(speeds.std()) < 0.2  # values between those drawn are smaller


def repeated(speeds):
    """One second and a half of motion, again and again at these speeds."""
    once = walk(RIGS["quadruped"](), frames=60, fps=30, seed=0).crop(0, 45)
    pieces = [once.interpolate(torch.arange(0, 44, s)) for s in speeds]
    return replace(
        once,
        rotations=torch.cat([p.rotations for p in pieces]),
        positions=torch.cat([p.positions - p.positions[:1] for p in pieces]),
    )


def test_a_steady_clip_has_no_tempo_variability_and_a_varying_one_its_own():
    steady = tempo.tempo_variability([repeated([1.0] * 8)])
    assert steady.amount(0.2) < 0.07
    varying = tempo.tempo_variability([repeated([0.7, 1.0, 1.4, 0.84, 1.18])])
    assert varying.amount(0.3) > steady.amount(0.3) + 0.05
    alone = jumps().crop(0, 60)
    assert tempo.tempo_variability([alone]).amount(0.2) > 0.15  # nothing comes again: nothing is known to be steady
    assert tempo.tempo_variability([alone]).amount(0.0) == 0
    assert tempo.tempo_variability([alone.crop(0, 3)]).amount(0.2) == 0


def test_what_is_warped_comes_to_the_same_place():
    clip = jumps()
    features = Features.of([clip])
    x = features.encode(clip)
    when = tempo.time_warp(len(clip), clip.frame_time, 0.2, take_rng(4, 0))
    y = tempo.apply_time_warp(features, torch.cat((x, x[:, 1:3]), -1), when)
    assert torch.equal(y[:, -2:], y[:, 1:3])
    first, path = features.trajectory(x, clip.frame_time, features.start(clip))
    second, other = features.trajectory(y[:, : features.width], clip.frame_time, features.start(clip))
    assert abs(float(first[-1] - second[-1])) < 0.05
    assert float((path[-1] - other[-1]).norm()) < 0.05 * float(path.diff(dim=0).norm(dim=-1).sum())


def test_tempo_makes_takes_newer_and_kept_pieces_stay_in_time():
    clip = jumps()
    plain, warped = (metrics.score(api.vary(clip, 4, seed=1, config=SampleConfig(tempo=t)), [clip]) for t in (0.0, 0.4))
    assert warped["novelty"] > plain["novelty"] + 0.05
    assert warped["slip_ratio"] < 1.3
    edit = Edit.keep(clip, joints=["lower"])
    kept, same = (api.vary(clip, 1, edit=edit, config=SampleConfig(tempo=t))[0] for t in (0.0, 0.4))
    assert torch.equal(kept.rotations, same.rotations)
    with pytest.raises(api.MotifError, match="tempo is 2; give a number from 0 to 1"):
        api.vary(clip, 1, config=SampleConfig(tempo=2))
    assert math.isclose(api.vary(clip, 1, seconds=5, config=SampleConfig(tempo=0.4))[0].seconds, 5, rel_tol=0.01)
