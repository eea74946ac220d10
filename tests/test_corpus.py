"""A corpus on disk: what goes in comes out, damage is seen, opening is cheap."""

import json
from dataclasses import asdict, replace

import pytest
import torch

import rigs
from motif.data import corpus
from motif.data.corpus import Caption, Clip, Corpus
from motif.errors import MotifError


def clip(motion, name="a", **more):
    return Clip(name, motion, "made up", "CC0", **more)


def make(folder, clips):
    found, rows = {}, []
    for one in clips:
        rows.append(corpus.row_of(one, found.setdefault(one.motion.skeleton, len(found))))
    corpus.write_rows(folder / "clips-00000.parquet", rows)
    corpus.write_json(folder / corpus.RIGS, [asdict(rig) for rig in found])
    sha = corpus.file_hash(folder / "clips-00000.parquet")
    shards = [{"file": "clips-00000.parquet", "clips": len(rows), "seconds": 1.0, "sha256": sha}]
    corpus.write_json(folder / corpus.CARD, {"version": 1, "clips": len(rows), "hours": 1.0, "shards": shards})
    return Corpus.open(folder)


def test_clips_come_back(tmp_path):
    first, second = rigs.jumps(), rigs.climb([0.0, 0.2, 0.4])
    captions = (Caption("jumps", "me"), Caption("lands", "me", 1.0, 1.5))
    made = make(tmp_path, [clip(first, captions=captions, quality={"jerk": 2.0}), clip(second, "b", split="val")])
    a, b = made.clips()
    assert len(made) == 2
    assert a.motion.skeleton == first.skeleton and b.motion.skeleton == second.skeleton
    assert a.captions == captions and a.quality == {"jerk": 2.0}
    for motion, back in ((first, a.motion), (second, b.motion)):
        far = (motion.world()[1] - back.world()[1]).norm(dim=-1).max()
        assert far < 3e-4 * motion.skeleton.height
        assert back.frame_time == motion.frame_time
    assert [c.id for c in made.clips("val")] == ["b"]


def test_joints_that_move_keep_their_places(tmp_path):
    motion = rigs.jumps()
    p = motion.positions.clone()
    p[:, 5, 1] += torch.linspace(0, 0.1, len(p))
    moved = replace(motion, positions=p)
    (back,) = make(tmp_path, [clip(moved)]).clips()
    assert torch.allclose(back.motion.positions[:, 5], p[:, 5], atol=1e-6)


def test_the_same_clips_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make(tmp_path / name, [clip(rigs.jumps())])
    assert len({(tmp_path / n / "clips-00000.parquet").read_bytes() for n in "ab"}) == 1


def test_a_flipped_byte_is_seen(tmp_path):
    made = make(tmp_path, [clip(rigs.jumps())])
    path = made.shards()[0]
    raw = bytearray(path.read_bytes())
    for at in (10, len(raw) // 2, len(raw) - 3):
        broken = raw.copy()
        broken[at] ^= 0x10
        path.write_bytes(bytes(broken))
        assert made.check() == [f"{path} is not as it was written"]
    broken = raw.copy()
    broken[len(raw) // 2] ^= 0x10
    path.write_bytes(bytes(broken))
    with pytest.raises(MotifError, match="is damaged"):
        list(made.clips())
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(MotifError, match="is damaged"):
        list(made.clips())
    path.unlink()
    assert "is missing" in made.check()[0]


def test_what_is_no_corpus_is_refused(tmp_path):
    with pytest.raises(MotifError, match="is no corpus"):
        Corpus.open(tmp_path)
    (tmp_path / corpus.CARD).write_text(json.dumps({"version": 99}))
    with pytest.raises(MotifError, match="version 99"):
        Corpus.open(tmp_path)
    (tmp_path / corpus.CARD).write_text("{")
    with pytest.raises(MotifError, match="cannot be read"):
        Corpus.open(tmp_path)
