from dataclasses import replace

import pytest
import torch

from motif import contact, post, rotation
from motif.edit import Edit
from motif.features import Features, Start
from motif.metrics import physical
from motif.metrics.body import bodies
from motif.post import feet
from rigs import RIGS, jumps, standing_on, tree, walk


@pytest.fixture(scope="module")
def clip():
    return jumps().crop(0, 300)


def slid(motion):
    """The motion with its root drifting to and fro, so that its feet slide."""
    t = torch.arange(len(motion))[:, None] * motion.frame_time
    shift = 0.1 * torch.cat((torch.sin(1.3 * t), torch.zeros_like(t), torch.sin(0.9 * t)), -1)
    positions = motion.positions.clone()
    positions[:, 0] += shift
    return replace(motion, positions=positions)


def jerk(motion):
    return motion.world()[1].diff(n=3, dim=0).norm(dim=-1).mean(-1)


def test_labels_of_a_foot_that_steps():
    s = tree()
    still = walk(s, 60, 30, 0)
    q, p = rotation.identity(60, len(s)), s.offset_tensor().expand(60, -1, -1).clone()
    up = torch.zeros(60)
    up[20:40] = torch.sin(torch.linspace(0, torch.pi, 20)) * 0.3
    p[:, s.index("LeftLeg"), 1] += up
    on = contact.labels(s.fk(q, p)[1][:, list(s.contacts)], s, still.frame_time)
    left = [i for i, j in enumerate(s.contacts) if "Left" in s.names[j]]
    assert bool(on[:18, left].all())
    assert not bool(on[23:37, left].any())
    right = [i for i in range(len(s.contacts)) if i not in left]
    assert bool(on[:, right].all())


def test_short_runs_and_gaps_are_noise():
    def flags(text):
        return torch.tensor([c == "1" for c in text])[:, None]

    assert torch.equal(contact.without_short(flags("00100011111011110000"), 3), flags("00000011111111110000"))
    assert torch.equal(contact.without_short(flags("1111"), 1), flags("1111"))


def test_the_lock_stills_feet_and_pops_nothing(clip):
    s, bad = clip.skeleton, slid(clip)
    on = contact.labels(clip.root_and_feet[2], s, clip.frame_time)
    on[130:190] = False
    fixed = replace(bad, rotations=feet.lock(s, (bad.rotations, bad.positions), on, clip.frame_time))
    before, after = (physical.slip(b).nanmean() for b in bodies([bad, fixed], [clip])[0])
    assert after < 0.7 * before
    assert float(jerk(fixed).max()) < 1.3 * float(jerk(bad).max())
    pull = fixed.world()[1] - bad.world()[1]
    assert float(pull.diff(n=2, dim=0).norm(dim=-1).max()) < 0.2 * float(pull.norm(dim=-1).max())  # no corners
    reach = contact.without_short(on.any(1, keepdim=True), 1)[:, 0].float()
    near = torch.nn.functional.max_pool1d(reach[None, None], 21, 1, 10)[0, 0] > 0
    assert not bool(near.all())
    assert torch.equal(fixed.rotations[~near], bad.rotations[~near])
    legs = {j for chain, _ in feet.contact_limbs(s) for j in chain}
    others = [j for j in range(len(s)) if j not in legs]
    assert torch.equal(fixed.rotations[:, others], bad.rotations[:, others])


@pytest.mark.parametrize(("start", "stop"), [(100, 160), (30, 50), (120, 121)])
def test_held_limbs_are_not_turned_and_their_neighbours_do_not_jump(clip, start, stop):
    s, bad = clip.skeleton, slid(clip)
    on = contact.labels(clip.root_and_feet[2], s, clip.frame_time)
    held = torch.zeros(len(bad), len(s), dtype=torch.bool)
    held[start:stop] = True

    def locked(fixed):
        return replace(bad, rotations=feet.lock(s, (bad.rotations, bad.positions), on, clip.frame_time, fixed=fixed))

    def kinks(motion):
        """How abruptly the correction of the feet changes, per frame."""
        pull = (motion.world()[1] - bad.world()[1])[:, list(s.contacts)]
        return pull.diff(n=2, dim=0).norm(dim=-1).amax(1)

    fixed = locked(held)
    assert torch.equal(fixed.rotations[start:stop], bad.rotations[start:stop])
    assert float(kinks(fixed)[start - 6 : stop + 5].max()) < float(kinks(locked(None)).max())
    assert float(jerk(fixed)[start - 6 : stop + 5].max()) < 1.3 * float(jerk(bad).max())


@pytest.mark.parametrize("rig", RIGS)
def test_any_rig_is_labelled_and_locked(rig):
    motion = walk(RIGS[rig](), 60, 30, 0)
    s = motion.skeleton
    on = contact.labels(motion.root_and_feet[2], s, motion.frame_time)
    assert on.shape == (60, len(s.contacts))
    pose = motion.rotations.expand(2, -1, -1, -1), motion.positions.expand(2, -1, -1, -1)
    out = feet.lock(s, pose, on.expand(2, -1, -1), 1 / 30)
    assert out.shape == (2, 60, len(s), 4)
    assert bool(out.isfinite().all())


def test_giants_and_dwarfs_stand_alike(clip):
    s = clip.skeleton
    giant = replace(s, offsets=tuple((*(10 * x for x in o),) for o in s.offsets))
    here = contact.labels(clip.root_and_feet[2], s, clip.frame_time)
    there = contact.labels(
        giant.fk(clip.rotations, 10 * clip.positions)[1][:, list(giant.contacts)], giant, clip.frame_time
    )
    assert float((here == there).float().mean()) > 0.999


def test_standing_feet_stay_and_only_they_pull(clip):
    """Foot by foot: within a run of contact a foot keeps to its mean place."""
    s, bad = clip.skeleton, slid(clip)
    on = contact.labels(clip.root_and_feet[2], s, clip.frame_time)
    fixed = replace(bad, rotations=feet.lock(s, (bad.rotations, bad.positions), on, clip.frame_time))

    def spread(motion):
        p = motion.world()[1][:, list(s.contacts)]
        inner = [on[:, k].nonzero().flatten() for k in range(len(s.contacts))]
        steps = [p[f, k].diff(dim=0)[f.diff() == 1].norm(dim=-1) for k, f in enumerate(inner) if len(f) > 1]
        return float(torch.cat(steps).mean())

    assert spread(fixed) < 0.6 * spread(bad)
    none = feet.lock(s, (bad.rotations, bad.positions), torch.zeros_like(on), clip.frame_time)
    assert torch.equal(none, bad.rotations)


def test_rigs_without_contacts_come_back_untouched():
    motion = walk(RIGS["star"](), 30, 30, 0)
    s = motion.skeleton
    on = contact.labels(motion.root_and_feet[2], s, motion.frame_time)
    assert on.shape == (30, 0)
    assert torch.equal(feet.lock(s, (motion.rotations, motion.positions), on, motion.frame_time), motion.rotations)


def test_smoothing_keeps_the_level_and_the_ends():
    x = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(0))
    smooth = contact.smooth(x, 2.0)
    assert smooth.shape == x.shape
    assert torch.allclose(contact.smooth(torch.full((9, 1), 2.0), 3.0), torch.full((9, 1), 2.0))
    assert float(smooth.diff(dim=1).abs().mean()) < 0.4 * float(x.diff(dim=1).abs().mean())
    impulse = torch.zeros(41, 1)
    impulse[20] = 1
    spread = contact.smooth(impulse, 2.0)[:, 0]
    assert float(((torch.arange(41) - 20) ** 2 * spread).sum().sqrt()) == pytest.approx(2.0, rel=0.05)


def test_drift_is_the_speed_of_what_stands():
    s = tree()
    q, p = rotation.identity(60, len(s)), s.offset_tensor().expand(60, -1, -1).clone()
    p[:, 0, 0] += 0.01 * torch.arange(60)
    world = s.fk(q, p)[1]
    on = torch.ones(60, len(s.contacts), dtype=torch.bool)
    assert torch.allclose(
        contact.drift(world[:, list(s.contacts)], on, 1 / 30), torch.tensor([0.3, 0.0, 0.0]).expand(60, 3), atol=1e-3
    )
    assert float(contact.drift(world[:, list(s.contacts)], ~on, 1 / 30).abs().max()) == 0


@pytest.mark.parametrize("rig", RIGS)
def test_feet_alone_are_where_whole_bodies_have_them(rig):
    motion = walk(RIGS[rig](), 30, 30.0, 1)
    s = motion.skeleton
    assert torch.allclose(
        contact.feet(s, motion.rotations, motion.positions), motion.world()[1][:, list(s.contacts)], atol=1e-5
    )


def test_where_feet_stand_elsewhere_one_stays_and_the_other_steps():
    rig, dt = tree(), 1 / 30
    wide = torch.tensor([[0.1, 0.1, 0.3], [-0.1, 0.1, -0.3]]).double()
    close = torch.tensor([[0.1, 0.1, 0.0], [-0.1, 0.1, 0.0]]).double()
    hips = torch.tensor([0.0, 0.95, 0.0]).double().expand(60, 3)
    first, second = (standing_on(rig, hips, p[:, None].expand(2, 60, 3), 30.0) for p in (wide, close))
    features = Features.of([first, second])
    a, b = features.encode(first), features.encode(second)
    share = ((torch.arange(60) - 24) / 12.0).clamp(0, 1)[:, None]
    x = torch.lerp(a, b, share * share * (3 - 2 * share))
    assert float(x[:, features.slices["contacts"]].min()) > 0.5, "both feet are said to stand throughout"
    matched = torch.lerp(feet.with_feet(features, a, dt), feet.with_feet(features, b, dt), share)[:, features.width :]
    take = post.finalize_take(features, Edit(), torch.cat((x, matched), -1)[None], dt, Start(), True, "take")
    speed = contact.speed(take.root_and_feet[2], dt) / rig.height
    assert float(speed.amin(-1).max()) < 0.06, "one foot always stands"
    assert float(speed.amax()) > 0.5, "and the other steps"
    heights = take.root_and_feet[2][..., 1]
    assert float(heights.max() - heights[0].max()) > 0.01, "over the ground"
