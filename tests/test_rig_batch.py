"""Rigs side by side are each what they are alone."""

from dataclasses import replace

import pytest
import torch

from motif import rotation
from motif.features import Features, Start
from motif.rig_batch import CHANNELS, WIDTH, RigBatch
from rigs import RIGS, along_x, sliding, tree, under_a_node, walk

FRAMES, DT = 60, 1 / 30


@pytest.fixture(scope="module")
def motions():
    plain = [walk(RIGS[name](), FRAMES, 30, 0).transform(0.7, (2, 0, 1)) for name in RIGS]
    noded = under_a_node(sliding(walk(RIGS["bird"](), FRAMES, 30, 1)))
    names = ("Scene", *noded.skeleton.names[1:])
    twice = under_a_node(replace(noded, skeleton=replace(noded.skeleton, names=names)))
    return [*plain, noded, along_x(walk(tree(), FRAMES, 30, 2)), twice]


@pytest.fixture(scope="module")
def batch(motions):
    return RigBatch.of([m.skeleton for m in motions])


def poses(batch, motions):
    return batch.pad([m.rotations for m in motions]), batch.pad([m.positions for m in motions])


def starts(motions):
    each = [Features.of([m]).start(m) for m in motions]
    return Start(*(torch.tensor([getattr(s, n) for s in each]) for n in ("x", "z", "heading")))


def test_kinematics_are_those_of_each_rig(batch, motions):
    assert len(batch.above) == 2  # a rig whose body root is two joints down is among them
    q, p = batch.fk(*poses(batch, motions))
    for m, world_q, world_p in zip(motions, batch.unpad(q), batch.unpad(p), strict=True):
        assert torch.equal(world_q, m.world()[0])
        assert torch.equal(world_p, m.world()[1])
    assert torch.equal(
        q[~batch.mask[:, None].expand(q.shape[:3])], rotation.identity(int((~batch.mask).sum()) * FRAMES)
    )
    assert float(p[~batch.mask[:, None].expand(p.shape[:3])].abs().max()) == 0
    at_rest = batch.unpad(batch.fk(poses(batch, motions)[0])[1])
    for m, places in zip(motions, at_rest, strict=True):
        assert torch.equal(places, m.skeleton.fk(m.rotations)[1])


def test_features_are_those_of_each_rig(batch, motions):
    x = batch.encode(*poses(batch, motions), DT)
    assert x.shape == (len(motions), FRAMES, batch.mask.shape[1], WIDTH)
    for m, mine in zip(motions, batch.unpad(x), strict=True):
        features, s = Features.of([m]), m.skeleton
        theirs, at = features.encode(m), features.slices
        close = lambda a, b: torch.allclose(a, b, atol=1e-5)  # noqa: E731
        assert close(mine[:, s.root, CHANNELS["root"]], theirs[:, : at["root_tilt"].start])
        assert close(mine[:, s.root, CHANNELS["rotation"]], theirs[:, at["root_tilt"]])
        assert close(mine[:, list(features.rotating), CHANNELS["rotation"]].flatten(1), theirs[:, at["rotations"]])
        assert close(mine[:, list(features.translating), CHANNELS["position"]].flatten(1), theirs[:, at["positions"]])
        assert torch.equal(mine[:, list(s.contacts), CHANNELS["contact"]].flatten(1), theirs[:, at["contacts"]])
        others = [j for j in range(len(s)) if j != s.root]
        assert float(mine[:, others, CHANNELS["root"]].abs().max()) == 0
        assert float(mine[:, [j for j in range(len(s)) if j not in s.contacts], 13:].abs().sum()) == 0
    assert float(x[~batch.mask[:, None].expand(x.shape[:3])].abs().max()) == 0


def test_round_trip(batch, motions):
    x = batch.encode(*poses(batch, motions), DT)
    q, p = batch.decode(x, DT, starts(motions))
    world = batch.fk(q, p)[1]
    for m, places in zip(motions, batch.unpad(world), strict=True):
        assert torch.allclose(places, m.world()[1], atol=1e-4 * m.skeleton.height)
        features = Features.of([m])
        own = features.decode(features.encode(m), DT, features.start(m))
        assert torch.allclose(places, m.skeleton.fk(*own)[1], atol=1e-4 * m.skeleton.height)


def test_nothing_in_the_padding_is_read_and_gradients_are_finite(batch, motions):
    q, p = poses(batch, motions)
    hole = ~batch.mask[:, None, :, None]
    bad = torch.tensor(float("nan"))
    x = batch.encode(q, p, DT)
    assert torch.equal(batch.encode(torch.where(hole, bad, q), torch.where(hole, bad, p), DT), x)
    assert all(map(torch.equal, batch.fk(torch.where(hole, bad, q), torch.where(hole, bad, p)), batch.fk(q, p)))
    assert all(map(torch.equal, batch.decode(torch.where(hole, bad, x), DT), batch.decode(x, DT)))
    for start in (x, torch.zeros_like(x), torch.where(hole, bad, x)):
        leaf = start.clone().requires_grad_()
        batch.fk(*batch.decode(leaf, DT))[1].square().sum().backward()
        assert leaf.grad is not None
        assert bool(leaf.grad.isfinite().all())
        assert float(torch.where(hole, leaf.grad, 0.0).abs().max()) == 0


def test_a_rig_is_the_same_in_any_batch(motions):
    several, alone = RigBatch.of([m.skeleton for m in motions]), RigBatch.of([motions[3].skeleton])
    x = alone.encode(motions[3].rotations[None], motions[3].positions[None], DT)
    assert torch.equal(several.unpad(several.encode(*poses(several, motions), DT))[3], x[0])
    decoded = several.decode(several.pad([*several.unpad(several.encode(*poses(several, motions), DT))]), DT)
    assert torch.equal(several.unpad(decoded[0])[3], alone.decode(x, DT)[0][0])


def test_everything_stays_on_its_device(motions):
    batch = RigBatch.of([m.skeleton for m in motions], "meta")
    q, p = (x.to("meta") for x in poses(batch, motions))
    x = batch.encode(q, p, DT)
    assert x.device.type == "meta"
    assert all(t.device.type == "meta" for t in batch.fk(*batch.decode(x, DT)))
