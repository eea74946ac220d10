"""Curation: each fault is found and named, clean clips pass, runs are the same however they are cut up."""

import json
import os
import signal
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch

import motif
import rigs
from motif import rotation
from motif.curate import CurateConfig, duplicates, gates, join, pipeline, run_local, sources, stages
from motif.data.corpus import Caption, Clip
from motif.errors import MotifError

CONFIG = CurateConfig()


def clip(motion, **more):
    return Clip("a.bvh", motion, "made up", "CC0", **more)


def walk(clips):
    return motif.load(clips / "Walk-In-Circle.bvh").resample(30)


def reasons(motion, config=CONFIG):
    return {r.reason for r in stages.run(clip(motion), config)[1]}


def test_a_clean_clip_passes_and_stands_on_the_ground(clips):
    kept, left_out = stages.run(clip(walk(clips).transform(1.0, (3.0, 5.0, 2.0))), CONFIG)
    assert kept and not left_out
    for one in kept:
        assert abs(one.motion.floor()) < 1e-3
        assert one.motion.world()[1][0, one.motion.skeleton.root, [0, 2]].norm() < 1e-4
        assert set(one.quality) == set(gates.GATES)
        assert one.motion.seconds <= CONFIG.longest + 1e-6


def test_segments_are_whole_and_in_order(clips):
    motion = walk(clips)
    parts, _ = stages.segment(clip(motion), replace(CONFIG, longest=2.0))
    assert len(parts) > 2
    assert torch.equal(torch.cat([p.motion.rotations for p in parts]), motion.rotations)
    assert all(1.0 <= p.motion.seconds <= 2.0 + 1e-6 for p in parts)


def test_shaking_sliding_and_statues_are_left_out(clips):
    motion = walk(clips)
    noise = 0.03 * torch.randn(motion.rotations.shape[:-1] + (3,), generator=torch.Generator().manual_seed(0))
    shaken = replace(motion, rotations=rotation.mul(motion.rotations, rotation.exp(noise)))
    assert "shakes" in reasons(shaken)
    slide = motion.positions.clone()
    slide[:, 0, 0] += torch.arange(len(motion)) * motion.frame_time * 0.8
    assert "slides" in reasons(replace(motion, positions=slide))
    assert reasons(motion.select(torch.zeros(60, dtype=torch.long))) == {"static"}


def test_jumps_of_the_root_are_cut(clips):
    motion = walk(clips).crop(0, 200)
    p = motion.positions.clone()
    p[100:, 0, 2] += 5.0
    kept, _ = stages.cut(clip(replace(motion, positions=p)), CONFIG)
    assert [len(k.motion) for k in kept] == [100, 100]
    assert kept[1].id == "a.bvh@3.33"


def test_t_poses_and_held_frames_are_cut(clips):
    motion = walk(clips).crop(0, 200)
    held = motion.select(torch.cat((torch.arange(100), torch.full((20,), 99), torch.arange(100, 200))))
    kept, left_out = stages.cut(clip(held), CONFIG)
    assert [len(k.motion) for k in kept] == [100, 100]
    assert [r.reason for r in left_out] == ["gap"]
    q = motion.rotations.clone()
    q[:3, 1:] = rotation.identity(3, len(motion.skeleton) - 1)
    kept, left_out = stages.cut(clip(replace(motion, rotations=q)), CONFIG)
    assert [len(k.motion) for k in kept] == [197]
    assert left_out[0].reason == "t-pose"


def test_a_file_with_z_up_is_read_so(tmp_path):
    motion = rigs.jumps().crop(0, 120)
    turn = rotation.about("x", torch.tensor(torch.pi / 2))
    q, p = motion.rotations.clone(), motion.positions.clone()
    q[:, 0], p[:, 0] = rotation.mul(turn, q[:, 0]), rotation.rotate(turn, p[:, 0])
    motif.save(replace(motion, rotations=q, positions=p), tmp_path / "lies.bvh")
    motif.save(motion, tmp_path / "stands.bvh")
    (lies,), (stands,) = (pipeline.load(tmp_path, Path(name), {})[0] for name in ("lies.bvh", "stands.bvh"))
    assert lies.skeleton.contacts == stands.skeleton.contacts
    assert (lies.world()[1] - stands.world()[1]).abs().max() < 1e-3


def test_captions_stay_with_the_part_they_speak_of(clips):
    motion = walk(clips)
    said = (Caption("all", "me"), Caption("late", "me", motion.seconds - 1, motion.seconds))
    parts, _ = stages.segment(clip(motion, captions=said), replace(CONFIG, longest=3.0))
    assert all(Caption("all", "me") in p.captions for p in parts)
    assert [len(p.captions) for p in parts] == [1] * (len(parts) - 1) + [2]
    late = parts[-1].captions[1]
    assert late.end == pytest.approx(parts[-1].motion.seconds, abs=0.05)


def test_segment_gap_is_the_least_distance():
    g = torch.Generator().manual_seed(0)
    a, b, c, d = torch.randn(4, 50, 3, generator=g)
    t = torch.linspace(0, 1, 101)
    on = [x[:, None] + t[:, None] * (y - x)[:, None] for x, y in ((a, b), (c, d))]
    oracle = torch.cdist(on[0], on[1]).amin((1, 2))
    assert (gates.segment_gap(a, b, c, d) - oracle).abs().max() < 0.02


def test_copies_and_mirror_images_are_found(clips):
    parts, _ = stages.segment(clip(walk(clips)), replace(CONFIG, longest=2.0))
    motions = [p.motion for p in parts]
    motions += [motions[0].transform(0.5, (1, 0, 2)), motions[1].mirror()]
    points = torch.stack([duplicates.sketch(m) for m in motions]).numpy()
    seconds = [m.seconds for m in motions]
    n = len(parts)
    assert (0, n) in set(duplicates.pairs(points[:, 0], points[:, 0], seconds, 0.01))
    assert (1, n + 1) in set(duplicates.pairs(points[:, 0], points[:, 1], seconds, 0.01))


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A folder of small files, one of them broken, with copies."""
    folder, jumps = tmp_path_factory.mktemp("files") / "raw", rigs.jumps()
    for k in range(9):
        motion = jumps.crop(70 * k, 70 * k + 40)
        motif.save(motion, folder / "jumps" / f"{k:02d}_01.bvh")
        if k % 4 == 0:
            motif.save(motion.transform(0.1 * k), folder / "copies" / f"{k:02d}_01.bvh")
    (folder / "broken.bvh").write_text("HIERARCHY\nROOT a\n{\n")
    return folder


def corpus_bytes(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


def test_a_run_is_the_same_stopped_and_resumed_and_in_any_order(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "CHUNK_FILES", 3)
    todo, work = pipeline.prepare([raw], tmp_path / "a", CONFIG)

    def serial(chunks, work, progress):
        return [pipeline.run_chunk(chunk, work) for chunk in chunks]

    first = pipeline.curate([raw], tmp_path / "a", CONFIG, serial)
    assert len(first) and first.check() == []
    for k in (3, 0, 2):  # a run that did some chunks in another order and was stopped
        _, other = pipeline.prepare([raw], tmp_path / "b", CONFIG)
        pipeline.run_chunk(todo[k], other)
    (other / "half.parquet.tmp").write_bytes(b"x")
    pipeline.curate([raw], tmp_path / "b", CONFIG, serial)
    assert corpus_bytes(tmp_path / "a") == corpus_bytes(tmp_path / "b")
    reasons = first.card["rejects"]
    assert reasons["unreadable"] == 1 and reasons["duplicate"] >= 1
    assert sum(1 for _ in first.rejects()) == sum(reasons.values())
    plan = join.plan([work / f"{c.key}.parquet" for c in todo], [raw], CONFIG)
    assert plan["clips"] == len(first) and plan["rejects"] == reasons


def test_processes_give_the_same_corpus(raw, tmp_path, monkeypatch):
    serial = pipeline.curate([raw], tmp_path / "a", CONFIG, lambda c, w, p: [pipeline.run_chunk(x, w) for x in c])
    spread = pipeline.curate([raw], tmp_path / "b", CONFIG)
    assert corpus_bytes(tmp_path / "a") == corpus_bytes(tmp_path / "b")
    assert len(serial) == len(spread)


def test_splits_keep_groups_together():
    assert {join.split_of(f"s{k}") for k in range(200)} == {"train", "val", "test"}
    rule = next(r for r in sources.KNOWN if r.name == "cmu-mocap")
    assert rule.group_of("60_01") == rule.group_of("61_09") == "cmu:60+61"
    assert rule.group_of("05_02") == "cmu:5"


def test_sources_of_ones_own(tmp_path):
    (tmp_path / sources.OWN).write_text(
        json.dumps([{"name": "mine", "match": "takes/", "licence": "ours", "free": True, "subject": "^([a-z]+)_"}])
    )
    (rule,) = sources.own(tmp_path)
    assert sources.of(tmp_path / "takes" / "ann_1.bvh", (rule,)).subject_of("ann_1") == "ann"
    (tmp_path / sources.OWN).write_text(json.dumps([{"name": "mine", "match": "(", "licence": "ours"}]))
    with pytest.raises(MotifError, match="regular expression"):
        sources.own(tmp_path)
    (tmp_path / sources.OWN).write_text(json.dumps([{"nmae": "mine"}]))
    with pytest.raises(MotifError, match="'nmae'"):
        sources.own(tmp_path)


def test_what_cannot_be_done_is_refused_before_any_work(raw, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    for folder, says in ((raw, "lies in"), (tmp_path / "mine", "is no corpus"), (raw.parent, "lies in")):
        with pytest.raises(MotifError, match=says):
            pipeline.prepare([raw], folder, CONFIG)
    with pytest.raises(MotifError, match="no motion files"):
        pipeline.prepare([tmp_path / "mine"], tmp_path / "new", CONFIG)


def test_a_killed_worker_changes_nothing(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "CHUNK_FILES", 3)
    todo, work = pipeline.prepare([raw], tmp_path / "a", CONFIG)
    plain = [pipeline.run_chunk(chunk, work) for chunk in todo]
    _, other = pipeline.prepare([raw], tmp_path / "b", CONFIG)
    killed = []

    def kill(fraction):
        if not killed:
            for child in active_children():
                killed.append(child.pid)
                os.kill(child.pid, signal.SIGKILL)

    parts = run_local.run(todo, other, kill, workers=2)
    assert killed
    assert [p.read_bytes() for p in parts] == [p.read_bytes() for p in plain]


def test_ray_gives_the_same_parts(raw, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="needs Ray: pip install '.[ray]'")
    from motif.curate import run_ray

    monkeypatch.setattr(pipeline, "CHUNK_FILES", 6)
    todo, work = pipeline.prepare([raw], tmp_path / "a", CONFIG)
    plain = [pipeline.run_chunk(chunk, work).read_bytes() for chunk in todo]
    _, other = pipeline.prepare([raw], tmp_path / "b", CONFIG)
    assert [p.read_bytes() for p in run_ray.run(todo, other, workers=1)] == plain


def test_a_clip_that_brings_a_stage_down_is_a_reject(monkeypatch):
    def broken(clip, config):
        raise IndexError("out of range")

    monkeypatch.setattr(stages, "STAGES", (broken,))
    kept, (reject,) = pipeline._curated(clip(rigs.jumps()), CONFIG)
    assert kept == [] and reject.reason == "failed" and "IndexError: out of range" in reject.detail
