"""Windows of a corpus: an epoch is every window once, in any number of processes, and goes on where it was."""

import pytest
import torch

import rigs
from motif.data.corpus import Clip
from motif.data.loader import CorpusWindows
from motif.errors import MotifError
from motif.rig_batch import RigBatch
from motif.train import Shard
from test_corpus import make

ANY, WHOLE = torch.Generator(), Shard()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    jumps, other = rigs.jumps(), rigs.walk(rigs.quadruped(), 50, 24.0, 0)
    clips = [Clip(f"{k}", jumps.crop(16 * k, 16 * k + 40 + k % 3), "s", "CC0") for k in range(39)]
    clips += [Clip(f"q{k}", other, "s", "CC0") for k in range(5)] + [Clip("short", jumps.crop(0, 8), "s", "CC0")]
    clips += [Clip("held out", jumps.crop(0, 100), "s", "CC0", split="test")]
    return make(tmp_path_factory.mktemp("corpus"), clips)


def names(motions):
    return [(m.name, round(float(m.positions[0].sum() + m.rotations[0, 1:].sum()), 4)) for m in motions]


def windows(corpus, **more):
    return CorpusWindows(corpus, **{"batch": 4, "frames": 24, "collate": names, "mirror": False, **more})


def epoch(made, shard=WHOLE):
    return [made.draw(ANY, shard) for _ in range(len(made))]


def test_an_epoch_is_every_window_once(corpus):
    made = windows(corpus)
    first, second = ([w for batch in epoch(made) for w in batch] for _ in range(2))
    assert len(first) == len(set(first)) == len(made) * 4 >= sum(made.index.counts) - 3
    assert first != second and len(set(first) & set(second)) >= len(first) - 3
    assert "held out" not in {name for name, _ in first} and "short" not in {name for name, _ in first}
    assert {"q0", "0"} <= {name for name, _ in first}


def test_processes_share_an_epoch(corpus):
    whole = [set(batch) for batch in epoch(windows(corpus))]
    parts = [epoch(windows(corpus), Shard(k, 2)) for k in range(2)]
    for all_of_it, a, b in zip(whole, *parts, strict=True):
        assert not set(a) & set(b) and set(a) | set(b) == all_of_it


def test_it_goes_on_where_it_was(corpus, monkeypatch):
    monkeypatch.setattr("motif.data.loader.GROUPS", 1)
    whole = windows(corpus)
    batches = [whole.draw(ANY, Shard()) for _ in range(2 * len(whole))]
    for stop in (1, len(whole) // 2, len(whole), len(whole) + 3):
        before, after = windows(corpus), windows(corpus)
        for _ in range(stop):
            before.draw(ANY, Shard())
        after.load_state_dict(before.state_dict())
        assert [after.draw(ANY, Shard()) for _ in range(3)] == batches[stop : stop + 3]


def test_windows_are_the_clips(corpus):
    made = windows(corpus, collate=list, batch=8)
    clips = {c.id: c.motion for c in corpus.clips()}
    for motion in made.draw(ANY, Shard()):
        assert len(motion) == 24 and motion.fps == pytest.approx(30)
        clip = clips[motion.name].resample(30)
        gaps = [(clip.rotations[a : a + 24] - motion.rotations).abs().max() for a in range(len(clip) - 23)]
        assert min(gaps) < 1e-6


def test_several_rigs_are_padded(corpus):
    def collate(motions):
        rig_batch = RigBatch.of([m.skeleton for m in motions])
        q, p = (rig_batch.pad([getattr(m, k) for m in motions]) for k in ("rotations", "positions"))
        return rig_batch.encode(q, p, 1 / 30), rig_batch.mask

    made = windows(corpus, collate=collate, batch=16, mirror=True)
    x, mask = made.draw(ANY, Shard())
    assert x.shape[:2] == (16, 24) and x.shape[2] == mask.shape[1]
    assert bool(x.isfinite().all())


def test_too_little_is_refused(corpus):
    with pytest.raises(MotifError, match="a batch needs 4"):
        len(windows(corpus, frames=500))
    with pytest.raises(MotifError, match="at least 1"):
        windows(corpus, batch=0)
