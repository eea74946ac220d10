import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rigs
from motif import api, metrics, rotation
from motif.errors import MotifError
from motif.metrics import classifier, fakes, papers, physical, realism
from motif.metrics.body import bodies
from motif.view import page
from rigs import jumps


@pytest.fixture(scope="module")
def clip():
    return jumps()


def slid(motion, speed):
    """The motion with its root drifting sideways at ``speed`` m/s."""
    shift = torch.arange(len(motion))[:, None] * motion.frame_time * torch.tensor([speed, 0.0, 0.0])
    positions = motion.positions.clone()
    positions[:, 0] += shift
    return replace(motion, positions=positions)


def shaken(motion, radians, seed=0):
    """The motion with noise on every joint."""
    noise = torch.randn(motion.rotations.shape[:2] + (3,), generator=torch.Generator().manual_seed(seed))
    return replace(motion, rotations=rotation.mul(motion.rotations, rotation.exp(noise * radians)))


def body_of(motion, exemplar):
    return bodies([motion], [exemplar])[0][0]


def test_a_copy_is_perfect_and_not_new(clip):
    numbers = metrics.score([clip], [clip])
    assert math.isnan(numbers.pop("variety"))
    assert numbers.pop("two_sample") == pytest.approx(0.5, abs=0.1)
    assert numbers == {"slip_ratio": 1.0, "jerk_ratio": 1.0, "coverage": 1.0, "precision": 1.0, "novelty": 0.0}
    assert tuple(metrics.score([clip], [clip])) == metrics.HEADLINE


@pytest.mark.parametrize(
    ("degrade", "amounts", "key", "rising"),
    [
        (slid, (0.1, 0.3, 1.0), "slip_ratio", True),
        (shaken, (0.01, 0.03, 0.1), "jerk_ratio", True),
        (shaken, (0.1, 0.3, 1.0), "precision", False),
        (shaken, (0.1, 0.3, 1.0), "coverage", False),
    ],
)
def test_each_measure_moves_with_its_own_fault(clip, degrade, amounts, key, rising):
    values = [metrics.score([clip], [clip])[key]] + [metrics.score([degrade(clip, a)], [clip])[key] for a in amounts]
    assert values == sorted(values, reverse=not rising)
    assert abs(values[-1] - values[0]) > 0.3


def test_scores_do_not_depend_on_place_heading_or_order(clip):
    a, b = clip.crop(0, 300), clip.crop(200, 600)
    here = metrics.score([a, b], [clip])
    there = metrics.score([b.transform(2.0, (3, 0, -1)), a.transform(-1.0)], [clip])
    assert here == pytest.approx(there, abs=0.02)


def test_slip_of_a_sliding_foot_is_its_speed(clip):
    still = clip.select(torch.zeros(60, dtype=torch.long))
    speed = physical.slip(body_of(slid(still, 0.5), clip))
    assert not bool(speed.isnan().any())
    assert speed.mean().item() == pytest.approx(0.5, rel=1e-3)


def test_jerk_of_a_cubic(clip):
    still = clip.select(torch.zeros(50, dtype=torch.long))
    t = torch.arange(50) * still.frame_time
    positions = still.positions.double()
    positions[:, 0, 0] += t.double() ** 3
    motion = replace(still, positions=positions, rotations=still.rotations.double())
    values = physical.jerk(body_of(motion, motion))
    assert values.isnan().sum() == 3
    assert values.nanmean().item() == pytest.approx(6.0, rel=1e-3)


def test_what_cannot_be_scored_says_why(clip):
    with pytest.raises(MotifError, match="nothing to score: 0 takes"):
        metrics.score([], [clip])
    with pytest.raises(MotifError, match="resample"):
        metrics.score([clip.resample(24)], [clip])
    small = replace(clip.skeleton, names=tuple(f"x{n}" for n in clip.skeleton.names))
    with pytest.raises(MotifError, match="joints differ"):
        metrics.score([replace(clip, skeleton=small)], [clip])


def test_short_clips_score_nan_not_nonsense(clip):
    numbers = metrics.score([clip.crop(0, 8)], [clip])
    assert all(math.isnan(numbers[k]) for k in ("precision", "novelty", "two_sample", "variety"))
    assert numbers["jerk_ratio"] > 0


@pytest.mark.parametrize("frames", [1, 3])
def test_clips_of_a_few_frames_are_refused(clip, frames):
    with pytest.raises(MotifError, match=f"has {frames} frames; a score needs at least 4"):
        metrics.score([clip], [clip.crop(0, frames)])


def test_numbers_that_are_not_finite_are_refused(clip):
    positions = clip.positions.clone()
    positions[7, 0, 1] = math.nan
    with pytest.raises(MotifError, match="frame 7 is not finite"):
        metrics.score([replace(clip, positions=positions)], [clip])


# --- invariance ------------------------------------------------------------------------------------------------------
@settings(max_examples=6, deadline=None)
@given(
    turn=st.floats(-math.pi, math.pi),
    x=st.floats(-20, 20),
    z=st.floats(-20, 20),
    swap=st.booleans(),
    rig=st.integers(0, 6),
)
def test_place_heading_and_order_do_not_matter(turn, x, z, swap, rig):
    motion = rigs.walk(list(rigs.RIGS.values())[rig](), 240, 30.0, 3)
    takes, against = [motion.crop(0, 110), motion.crop(100, 230)], [motion.crop(0, 130), motion.crop(110, 240)]
    here = metrics.score(takes, against)
    moved = [t.transform(turn, (x, 0.0, z)) for t in takes]
    there = metrics.score(moved[::-1] if swap else moved, against)
    here.pop("two_sample"), there.pop("two_sample")  # by chance for exact pieces of four seconds; tested below
    assert there == pytest.approx(here, abs=0.03, nan_ok=True)


@settings(max_examples=4, deadline=None)
@given(turn=st.floats(-math.pi, math.pi), x=st.floats(-20, 20), z=st.floats(-20, 20), noise=st.sampled_from([0, 5e-4]))
def test_place_and_heading_do_not_matter_to_the_classifier(clip, turn, x, z, noise):
    takes = [shaken(clip.crop(0, 400), noise, 0), shaken(clip.crop(250, 650), noise, 1)]
    here, there = (
        metrics.score(t, [clip])["two_sample"] for t in (takes, [t.transform(turn, (x, 0.0, z)) for t in takes])
    )
    assert there == pytest.approx(here, abs=0.03)


@settings(max_examples=4, deadline=None)
@given(unit=st.floats(0.005, 5.0))
def test_units_do_not_matter(clip, unit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("units")
    take, clip = (
        api.save(shaken(clip.crop(0, 300), 0.01), folder / "a.bvh"),
        api.save(clip.crop(200, 600), folder / "b.bvh"),
    )
    here, there = (
        metrics.score([api.load(take, api.ReadConfig(unit=u))], [api.load(clip, api.ReadConfig(unit=u))])
        for u in (1.0, unit)
    )
    assert there == pytest.approx(here, abs=0.02, nan_ok=True)


# --- physical measures by hand ---------------------------------------------------------------------------------------
def test_a_body_that_is_lowered_sinks_by_that_much(clip):
    still = clip.select(torch.zeros(60, dtype=torch.long))
    lower = still.transform(0.0, (0.0, -0.1, 0.0))
    depth = physical.sink(body_of(lower, still))
    assert depth.mean().item() == pytest.approx(0.1, abs=1e-3)
    assert physical.floating(body_of(still.transform(0.0, (0.0, 0.1, 0.0)), still)).mean().item() == pytest.approx(
        0.1, abs=1e-2
    )


def test_a_joint_that_bends_beyond_the_exemplar_is_seen(clip):
    s = clip.skeleton
    joint = next(j for j in s.subtree(s.root)[1:] if not s.end[j])
    rotations = clip.rotations.clone()
    rotations[100:200, joint] = rotation.mul(rotations[100:200, joint], rotation.exp(torch.tensor([2.5, 0.0, 0.0])))
    bent = physical.bent(body_of(replace(clip, rotations=rotations), clip), bodies([clip], [clip])[1])
    count = sum(not s.end[j] for j in s.subtree(s.root)[1:])
    assert bent[100:200].min().item() == pytest.approx(1 / count)
    assert bent[:100].max() == 0


def test_cuts_are_counted_as_seams(clip):
    times = torch.cat((torch.arange(0, 100), torch.arange(300, 400), torch.arange(50, 150)))
    assert metrics.report([clip], [clip], published=False).physical["seams"] == 0
    cut = metrics.report([clip.select(times)], [clip], published=False).physical["seams"]
    assert cut == pytest.approx(2 / (300 * clip.frame_time) * 60)


def test_the_worst_moment_is_found_and_named(clip):
    positions = clip.positions.clone()
    t = torch.arange(45) * clip.frame_time
    positions[300:345, 0, 0] += 0.8 * torch.sin(2 * math.pi * t / 1.5)
    report = metrics.report([clip, replace(clip, positions=positions, name="slider")], [clip], published=False)
    slip = next(m for m in report.moments if m.measure == "slip")
    assert slip.take == 1
    assert 9.5 < slip.start < slip.stop < 12.0
    assert any("feet slide" in line and "of slider" in line for line in report.verdict())


def test_a_frozen_stretch_is_found_and_named(clip):
    times = torch.cat((torch.arange(0, 100), torch.full((150,), 100), torch.arange(100, 200)))
    report = metrics.report([clip.crop(0, 300), replace(clip.select(times), name="statue")], [clip], published=False)
    assert report.physical["held"] == pytest.approx(150 * clip.frame_time, abs=0.3)
    held = next(m for m in report.moments if m.measure == "held")
    assert held.take == 1
    assert held.start == pytest.approx(100 * clip.frame_time, abs=0.15)
    assert any("stands still" in line and "of statue" in line for line in report.verdict())
    assert metrics.report([clip], [clip], published=False).physical["held"] == 0


# --- realism ---------------------------------------------------------------------------------------------------------
def test_matches_in_blocks_are_matches_at_once(clip, monkeypatch):
    takes = api.vary(clip, n=1, seconds=12, seed=1)
    new, truth = bodies(takes, [clip, clip.crop(0, 300)])
    clips = [b.poses for b in truth]
    whole = realism.match(new[0].poses, clips, 30, 0.05)
    monkeypatch.setattr(realism, "BLOCK", 50_000)
    parts = realism.match(new[0].poses, clips, 30, 0.05)
    for name in ("errors", "nearest", "long_errors", "clip_errors"):
        assert torch.equal(getattr(whole, name), getattr(parts, name))
    assert whole.copied == parts.copied > 60


def test_copied_seconds_are_the_longest_copy(clip):
    cut = fakes.joined([clip.crop(200, 290), clip.crop(20, 140), clip.crop(500, 560)])
    copied = metrics.report([cut], [clip], published=False).realism["copied_seconds"]
    assert 120 / 30 - 1 <= copied <= 120 / 30 + 0.2  # around a cut the travel of a second is not the clip's


def test_noise_has_no_variety(clip):
    takes = [shaken(clip, amount, seed) for seed, amount in enumerate((0.02, 0.05, 0.1))]
    report = metrics.report(takes, [clip], published=False)
    assert report.realism["variety"] == 0
    pieces = [clip.crop(0, 250), clip.crop(300, 550)]
    assert metrics.score(pieces, [clip])["variety"] > 0.5


def test_the_classifier_sees_noise_and_not_copies(clip):
    half = [clip.crop(0, 400), clip.crop(250, 650)]
    assert metrics.score(half, [clip])["two_sample"] == pytest.approx(0.5, abs=0.1)
    assert metrics.score([shaken(m, 0.02) for m in half], [clip])["two_sample"] > 0.95


def test_auc_counts_pairs():
    assert classifier.auc(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0])) == pytest.approx((1 + 1 + 0.5 + 1) / 4)


# --- the published measures ------------------------------------------------------------------------------------------
def by_definition(sample, exemplar):
    """Coverage, global and local diversity from all windows and all pieces."""
    length, frames = len(sample), len(exemplar)
    cost = np.linalg.norm(sample[:, None] - exemplar[None], axis=-1)

    def nearest(table, window):
        starts = range(table.shape[1] - window + 1)
        return [
            min(np.mean([table[i + s, k + s] for s in range(window)]) for k in starts)
            for i in range(table.shape[0] - window)
        ]

    best = [0.0] + [math.inf] * length
    for stop in range(30, length + 1):
        for start in range(stop - 29):
            for k in range(frames - (stop - start) + 1):
                piece = sum(cost[start + s, k + s] for s in range(stop - start))
                best[stop] = min(best[stop], best[start] + piece)
    covered = np.mean([d < 2.0 for d in nearest(cost.T, 30)])
    return covered, best[length] / length, np.mean(nearest(cost, 15))


@pytest.mark.parametrize(
    ("length", "frames", "seed"), [(66, 41, 0), (50, 50, 1), (92, 35, 2), (31, 31, 3), (64, 60, 4)]
)
def test_published_measures_are_their_definition(length, frames, seed):
    random = np.random.default_rng(seed)
    exemplar = np.cumsum(random.normal(size=(frames, 5)), 0) * 0.6
    at = random.integers(0, frames - 8, length // 8 + 1)
    sample = np.concatenate([exemplar[k : k + 8] for k in at])[:length] + random.normal(size=(length, 5)) * 0.3
    fast = papers.compare(sample, exemplar)
    assert (fast.coverage, fast.global_diversity, fast.local_diversity) == pytest.approx(
        by_definition(sample, exemplar)
    )


def test_published_measures_of_what_is_too_short_are_nan():
    found = papers.compare(np.zeros((20, 3)), np.zeros((12, 3)))
    assert math.isnan(found.coverage)
    assert math.isnan(found.global_diversity)
    assert math.isnan(found.local_diversity)


GOLDEN = {  # single-clip reference numbers: coverage, global and local diversity of sequences of twice the clip
    "salsa": {
        "copy": (1, 0, 0.012),
        "jitter": (1, 1.296, 1.301),
        "mean": (0.86, 1.45, 1.36),
        "slow": (0.99, 1.50, 0.96),
    },
    "walk": {"copy": (1, 0, 0.011), "jitter": (1, 1.296, 1.299), "mean": (1, 1.65, 1.62), "slow": (1, 0.93, 0.54)},
    "idle": {"copy": (1, 0, 0.004), "jitter": (1, 1.296, 1.297), "mean": (0.66, 1.40, 1.29), "slow": (1, 0.86, 0.53)},
}
SHUFFLED = {"salsa": {90: (1, 0.0, 0.097), 15: (1, 1.15, 0.62)}, "walk": {90: (1, 0, 0.09), 15: (1, 1.05, 0.56)}}
FILES = {"salsa": "Salsa-Dancing-6.bvh", "walk": "Walk-In-Circle.bvh", "idle": "Baseball-Milling-Idle.bvh"}


@pytest.mark.parametrize("name", GOLDEN)
def test_published_measures_of_fakes_are_the_known_ones(clips, name):
    motion = api.load(clips / FILES[name])
    x = papers.channels([motion], [motion])[0][0]
    assert x.shape[1] == 168
    length, random = 2 * len(x), np.random.default_rng(0)
    twice = np.concatenate((x, x))
    half = torch.nn.functional.interpolate(torch.from_numpy(x.T)[None], size=length, mode="linear")[0].T.numpy()
    made = {
        "copy": twice,
        "jitter": twice + random.normal(0, 0.1, twice.shape),
        "mean": np.repeat(x.mean(0, keepdims=True), length, 0),
        "slow": half,
    }
    for fake, known in GOLDEN[name].items():
        found = papers.compare(made[fake], x)
        values = (found.coverage, found.global_diversity, found.local_diversity)
        assert values == pytest.approx(known, abs=0.0055), fake
    for size, known in SHUFFLED.get(name, {}).items():  # by chance: the mean of ten shuffles
        found = []
        for _ in range(10):
            starts = random.integers(0, len(x) - size + 1, -(-length // size))
            found.append(papers.compare(np.concatenate([x[s : s + size] for s in starts])[:length], x))
        means = [np.mean([getattr(f, k) for f in found]) for k in ("coverage", "global_diversity", "local_diversity")]
        assert means == pytest.approx(known, abs=0.06), size


def test_any_rig_has_published_measures(clip):
    names = ["star", "snake"]
    for name in names:
        motion = rigs.walk(rigs.RIGS[name](), 120, 30.0, 1)
        found = papers.measures([motion, motion.crop(10, 100)], [motion])
        assert found["coverage"] > 0.5
        assert papers.channels([motion], [motion])[2] == "own"


def test_harmonic_mean_is_the_authors_formula():
    values, constants = {"coverage": 0.9, "sifid": 2.0}, {"coverage": 1.0, "sifid": 8.0}
    assert papers.harmonic_mean(values, constants) == pytest.approx(2 / (1 / 0.9 + 1 / 0.75))
    assert math.isnan(papers.harmonic_mean({"sifid": 9.0}, constants))
    assert papers.normalisers([{"a": 0.0}, {"a": 10.0}]) == {"a": pytest.approx(9.0)}


def test_frechet_distance_of_gaussians():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(20_000, 2)), random.normal(size=(20_000, 2)) * [2.0, 1.0] + [3.0, 0.0]
    assert papers.frechet(a, b) == pytest.approx(9 + 1, rel=0.03)
    assert papers.frechet(a, a) == pytest.approx(0, abs=1e-6)


def test_inter_and_intra_by_hand():
    a, b = np.zeros((10, 4)), np.ones((10, 4))
    assert papers.sequence_distance(a, b) == pytest.approx(math.sqrt(40) / 10)
    assert papers.inter_diversity([a, b, b]) == pytest.approx(math.sqrt(40) / 10 * 2 / 3)
    assert papers.intra_difference([np.zeros((40, 2))], np.zeros((40, 2))) == 0


# --- what must not be fooled -----------------------------------------------------------------------------------------
def test_fakes_are_seen_through(clip):
    row = {name: metrics.score(fakes.takes(name, [clip], 2, 900), [clip]) for name in fakes.FAKES}
    assert row["copy"]["novelty"] < 0.15
    assert row["copy + noise"]["jerk_ratio"] > 10
    assert row["copy + noise"]["two_sample"] > 0.95
    assert row["shuffled pieces"]["precision"] < 0.3
    assert row["frozen mean pose"]["coverage"] < 0.1
    assert row["slow motion"]["two_sample"] > 0.9
    assert all(row[name]["variety"] < 0.05 for name in row)


def test_joined_pieces_go_on_where_the_last_one_ended(clip):
    whole = fakes.joined([clip.crop(100, 150), clip.crop(300, 350), clip.crop(20, 60)])
    root, heading = whole.world()[1][:, clip.skeleton.root], whole.heading()
    assert len(whole) == 140
    for seam in (50, 100):
        assert (root[seam] - root[seam - 1])[[0, 2]].norm() < 1e-4
        assert abs(heading[seam] - heading[seam - 1]) < 0.1


# --- the page --------------------------------------------------------------------------------------------------------
def test_the_page_holds_all_and_links_nothing(clip, tmp_path):
    take = shaken(clip.crop(0, 200), 0.03)  # which shakes it up and down, too: four moments
    target = tmp_path / "deep" / "r.html"
    report = api.report([take, replace(take, name="<b>")], clip, target)
    text = target.read_text()
    assert text.count("<svg") == 3
    assert text.count("data:image/png;base64,") == 4
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "copy + noise" in text
    assert json.loads(json.dumps(report.plain(), allow_nan=False))["takes"][1]["name"] == "<b>"


def test_a_page_needs_its_ending(clip, tmp_path):
    with pytest.raises(MotifError, match=r"end the name in \.html"):
        api.report(clip, clip, tmp_path / "r.pdf")


def test_line_charts_break_at_nan():
    svg = page.line_chart({"a": ([0, 1, 2, 3], [1.0, math.nan, 2.0, 3.0])})
    line = svg.split('<path d="')[-1].split('"')[0]
    assert line.count("M") == 2
    assert line.count("L") == 1
