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
    return CorpusWindows(corpus, **{"frames": 24, "mirror": False, **more})


def epochs(made, shard=WHOLE, count=1, size=4):
    batches = made.batches(size, names)
    return [batches.draw(ANY, shard) for _ in range(count * len(made) // size)]


def test_an_epoch_is_every_window_once(corpus):
    made = windows(corpus)
    shown = [w for batch in epochs(made, count=2, size=1) for w in batch]
    first, second = shown[: len(made)], shown[len(made) :]
    assert len(set(first)) == len(first) and set(first) == set(second) and first != second
    assert "held out" not in {name for name, _ in first} and "short" not in {name for name, _ in first}
    assert {"q0", "0"} <= {name for name, _ in first}


def test_processes_share_an_epoch(corpus):
    whole = [set(batch) for batch in epochs(windows(corpus))]
    parts = [epochs(windows(corpus), Shard(k, 2)) for k in range(2)]
    for all_of_it, a, b in zip(whole, *parts, strict=True):
        assert not set(a) & set(b) and set(a) | set(b) == all_of_it


def test_it_goes_on_where_it_was(corpus, monkeypatch):
    monkeypatch.setattr("motif.data.loader.GROUPS", 1)
    made = windows(corpus)
    n = len(made) // 4
    whole = epochs(made, count=3)
    for stop in (1, n // 2, n, n + 3):
        before, after = (windows(corpus).batches(4, names) for _ in range(2))
        for _ in range(stop):
            before.draw(ANY, WHOLE)
        after.load_state_dict(before.state_dict())
        assert [after.draw(ANY, WHOLE) for _ in range(3)] == whole[stop : stop + 3]


def test_windows_are_the_clips(corpus):
    clips = {c.id: c.motion for c in corpus.clips()}
    for motion in windows(corpus).batches(8, list).draw(ANY, WHOLE):
        assert len(motion) == 24 and motion.fps == pytest.approx(30)
        clip = clips[motion.name].resample(30)
        gaps = [(clip.rotations[a : a + 24] - motion.rotations).abs().max() for a in range(len(clip) - 23)]
        assert min(gaps) < 1e-6


def test_several_rigs_are_padded(corpus):
    def collate(motions):
        rig_batch = RigBatch.of([m.skeleton for m in motions])
        q, p = (rig_batch.pad([getattr(m, k) for m in motions]) for k in ("rotations", "positions"))
        return rig_batch.encode(q, p, 1 / 30), rig_batch.mask

    x, mask = windows(corpus, mirror=True).batches(16, collate).draw(ANY, WHOLE)
    assert x.shape[:2] == (16, 24) and x.shape[2] == mask.shape[1]
    assert bool(x.isfinite().all())


def test_too_little_is_refused(corpus):
    with pytest.raises(MotifError, match="no clip of 500 frames"):
        len(windows(corpus, frames=500))
    with pytest.raises(MotifError, match="at least 2"):
        windows(corpus, frames=1)
