"""The papers' GANs against what is known of them, and their losses against slow forms."""

import math
from dataclasses import replace

import pytest
import torch

from motif import api
from motif.data.domain import Domain
from motif.edit import Edit
from motif.errors import MotifError
from motif.metrics import papers
from motif.nets.ganimator import GanimatorNet, adjacency
from motif.nn.layers import conv_stack, receptive_field
from motif.nn.skeleton_conv import Assembled, SkeletonConv, assemble
from motif.nn.skeleton_layout import CLUSTERS, Blocks, Dense, cluster
from motif.paper_features import MIXAMO_24, PaperFeatures
from motif.recipes.base import PaperClip
from motif.recipes.ganimator import RECIPES, Ganimator, Level, Pyramid
from motif.recipes.ganimator_losses import DrawNoise, ImagePool, Losses, contact_loss
from motif.request import Request
from motif.train import Shard
from plain_ganimator import PlainLosses, flat_gradients, plain_gradients
from rigs import RIGS, walk


@pytest.fixture(scope="module")
def salsa(clips):
    return api.load(clips / "Salsa-Dancing-6.bvh")


@pytest.fixture(scope="module")
def pyramid(salsa):
    return RECIPES["ganimator"].prepare(Domain.of([salsa]))


def test_the_networks_are_the_published_ones(pyramid):
    near = adjacency(pyramid.clip.features.skeleton)
    counts = [8, 7, 6, 5, 5, 4, 7, 6, 5, 5, 4, 7, 8, 9, 6, 3, 7, 5, 4, 3, 7, 5, 4, 3, 5, 5, 6, 6, 12]
    assert near.sum(1).tolist() == counts
    assert round(float(near.float().mean()), 4) == 0.1986
    for critic, dense, used in ((False, 883_891, 176_191), (True, 657_953, 132_233)):
        net = GanimatorNet(near, critic)
        assert sum(layer.dense().numel() + layer.bias.numel() for layer in net.layers) == dense
        assert sum(p.numel() for p in net.parameters()) == used
    assert len(MIXAMO_24) == len(near) - 5


def test_the_receptive_field_is_seventeen_frames(pyramid):
    net = GanimatorNet(adjacency(pyramid.clip.features.skeleton), True)
    x = torch.randn(1, pyramid.clip.features.width, 41, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x)[0, 0, 20], x)
    seen = (slope.abs().sum((0, 1)) > 0).nonzero()[:, 0].tolist()
    assert seen == list(range(12, 29))


def test_lengths_and_noise_of_the_salsa(pyramid):
    assert [level.real.shape[1] for level in pyramid.levels] == [129, 172, 229, 305, 406, 541, 648]
    known = [0.543, 0.0503, 0.0363, 0.0274, 0.0201, 0.0149, 0.0157]
    assert [level.amplitude for level in pyramid.levels] == pytest.approx(known, abs=6e-4)


# Table 1 of the 2024 paper: batch, iterations in thousands (of seven levels), weights, transfer
TABLE_1 = {
    0: (1, 105, 1, 10, False),
    1: (1, 210, 1, 10, False),
    2: (1, 105, 5, 10, False),
    3: (1, 210, 5, 10, False),
    4: (16, 105, 5, 10, False),
    5: (16, 210, 5, 10, False),
    6: (16, 210, 5, 100, False),
    7: (16, [210, 210, 105, 52.5], 5, 100, True),
    8: (16, 210, [5, 5, 2.5, 1], [50, 75, 100, 100], False),
    9: (16, [210, 210, 105, 70], [5, 5, 2.5, 1], [50, 75, 100, 100], True),
    10: (24, 105, 5, 10, False),
    11: (24, 210, 5, 100, False),
}


def by_group(value):
    return list(value) if isinstance(value, list | tuple) else [value] * 4


@pytest.mark.parametrize("row", TABLE_1)
def test_every_row_of_the_table_is_a_recipe(row):
    batch, iterations, adversarial, reconstruction, transfer = TABLE_1[row]
    recipe = RECIPES["paper" if row == 9 else f"ablation-{row}"]
    groups = range(4)
    assert recipe.batch == batch
    assert [7 * recipe.at_group(recipe.samples, k) / 1000 for k in groups] == by_group(iterations)
    assert [recipe.at_group(recipe.adversarial, k) for k in groups] == by_group(adversarial)
    assert [recipe.at_group(recipe.reconstruction, k) for k in groups] == by_group(reconstruction)
    assert recipe.transfer == transfer
    published = Ganimator(recipe.samples, batch, recipe.adversarial, recipe.reconstruction, transfer=transfer)
    assert recipe == published
    assert (published.critic_steps, published.contact, published.lr, published.ratio) == (5, 5.0, 1e-4, 0.2)
    assert not published.weigh_penalty
    assert not published.transfer_critics


def test_both_baselines_exist():
    assert RECIPES["ganimator"] == replace(RECIPES["ablation-0"], reconstruction=(50.0,))
    assert len(RECIPES) == len(TABLE_1) + 1


def test_plans(pyramid):
    assert RECIPES["ganimator"].plan(pyramid) == [(f"levels {k}", 15_000) for k in (1, 2, 3, 4)]
    assert [steps for _, steps in RECIPES["paper"].plan(pyramid)] == [1875, 1875, 938, 625]
    assert [steps for _, steps in RECIPES["ablation-4"].plan(pyramid)] == [938] * 4
    assert [steps for _, steps in RECIPES["ablation-7"].plan(pyramid)] == [1875, 1875, 938, 469]


@pytest.mark.parametrize("over", [{"batch": 0}, {"batch": 51}])
def test_a_batch_fits_the_pool(over):
    with pytest.raises(MotifError, match=f"batch is {over['batch']}, pool 50"):
        Ganimator(**over)


def small_losses(dtype, group, **over):
    """Losses of one group of a small rig with a random clip: 24 frames, four levels."""
    rig = RIGS["quadruped"]()
    feet = [j for j in range(len(rig)) if not rig.children[j]][:2]
    rig = replace(rig, contacts=tuple(feet))
    features = PaperFeatures(rig, tuple(range(len(rig))))
    torch.manual_seed(0)
    levels = [
        Level(torch.randn(features.width, t, dtype=dtype), a) for t, a in ((8, 1.0), (13, 0.3), (17, 0.2), (24, 0.1))
    ]
    recipe = replace(RECIPES["paper"], batch=3, **over)
    pyramid = Pyramid(PaperClip(walk(rig, 24, 30.0, 0), features, levels[-1].real), levels)
    net = recipe.net(pyramid).to(dtype)
    net.reconstruction_noise.normal_()
    draws = DrawNoise(3, recipe.pool, [x.amplitude for x in levels], [x.real.shape[1] for x in levels])
    if group == 0:
        draws = DrawNoise(3, recipe.pool, [1.0, 0.3], [8, 13])
    drawn = draws.draw(torch.Generator().manual_seed(1), Shard())
    return Losses(recipe, net, pyramid, group), drawn._replace(noise=drawn.noise.to(dtype), alpha=drawn.alpha.to(dtype))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize("group", [0, 1])
@pytest.mark.parametrize("weigh", [False, True])
def test_the_fast_losses_and_all_their_gradients_are_the_plain_ones(dtype, tolerance, group, weigh):
    fast, draws = small_losses(dtype, group, weigh_penalty=weigh)
    for name in ("critic", "adversarial", "reconstruction"):
        loss, _ = getattr(fast, name)(draws, None)
        fast.net.zero_grad()
        loss.backward()
        total, compared = 0.0, 0
        for level in fast.levels:
            plain = PlainLosses(fast, level)
            value = plain.reconstruction() if name == "reconstruction" else getattr(plain, name)(draws)
            value.backward()
            total += float(value.detach())
            pair = (
                (fast.net.critics, plain.critic_net)
                if name == "critic"
                else (fast.net.generators, plain.generators[level])
            )
            ours, theirs = flat_gradients(pair[0][level]), plain_gradients(pair[1])
            scale = max(float(g.abs().max()) for g in theirs)
            for mine, his in zip(ours, theirs, strict=True):
                assert bool(mine.isfinite().all())
                assert float((mine - his).abs().max()) <= tolerance * scale
                compared += mine.numel()
        assert float(loss.detach()) == pytest.approx(total, rel=tolerance)
        nets = fast.critics if name == "critic" else fast.generators
        assert compared == sum(p.numel() for p in nets.parameters())


@pytest.mark.parametrize("make", [Blocks.of, Dense.of])
@pytest.mark.parametrize("outputs", [7, 1])
def test_layouts_are_the_dense_convolution(make, outputs):
    torch.manual_seed(0)
    near = (torch.rand(7, 7) < 0.4) | torch.eye(7).bool() if outputs == 7 else torch.ones(1, 7).bool()
    conv = SkeletonConv(near, 3, 2).double()
    x, g = torch.randn(2, 21, 9).double().requires_grad_(), torch.randn(2, 2 * outputs, 9).double().requires_grad_()
    u = torch.randn_like(x)

    def dense():
        return torch.conv1d(torch.nn.functional.pad(x, (2, 2), "reflect"), conv.dense(), conv.bias)

    layout = make(near, 3, 2)
    ready = Assembled(layout, assemble(conv.weight, layout), conv.bias)
    (back,) = torch.autograd.grad(dense(), x, g, create_graph=True)
    expected = [dense(), *torch.autograd.grad(dense(), (x, conv.weight, conv.bias), g.detach())]
    expected += [back, *torch.autograd.grad(back, (g, conv.weight), u)]
    y, turned = ready(x), ready.transpose(g)
    found = [y, *torch.autograd.grad(y, (x, conv.weight, conv.bias), g.detach(), retain_graph=True)]
    found += [turned, *torch.autograd.grad(turned, (g, conv.weight), u)]
    for ours, theirs in zip(found, expected, strict=True):
        assert float((ours - theirs).detach().abs().max()) < 1e-12


@pytest.mark.parametrize(("name", "products"), [("Salsa-Dancing-6", 0.457), ("xia-normal", 0.394)])
def test_clusters_hold_every_node_once_and_see_few(name, products, clips):
    clip = RECIPES["paper"].prepare(Domain.of([api.load(clips / f"{name}.bvh")])).clip
    near = adjacency(clip.features.skeleton)
    for count in CLUSTERS:
        groups, seen = cluster(near, count)
        assert sorted(node for group in groups for node in group) == list(range(len(near)))
        assert all(
            near[group].any(0).nonzero()[:, 0].tolist() == nodes for group, nodes in zip(groups, seen, strict=True)
        )
    layout = Blocks.of(near, 1, 1)
    assert layout.size / 5 / len(near) ** 2 == pytest.approx(products, abs=0.005)


def test_the_contact_loss_is_its_definition(pyramid):
    features, x = pyramid.clip.features, pyramid.levels[0].real
    motion = features.decode(x.T)
    world = motion.world()[1]
    total, small = 0.0, features.skeleton
    for k, joint in enumerate(small.contacts):
        for t in range(1, len(motion)):
            speed = float((world[t, joint] - world[t - 1, joint]).norm())
            total += speed / (1 + math.exp(-12 * (float(x[6 * len(small) + 6 * k, t]) - 0.5)))
    expected = total / (len(motion) * len(small.contacts))
    assert float(contact_loss(features, x[None])) == pytest.approx(expected, rel=1e-3)
    assert expected == pytest.approx(0.0618, abs=2e-3)  # spec: the salsa at 129 frames, before any training


def test_old_fakes_are_kept_and_shown():
    draw = DrawNoise(4, 50, [1.0], [5])
    generator, pool, seen = torch.Generator().manual_seed(0), ImagePool(50, torch.zeros(2, 5)), []
    for k in range(60):
        fakes = torch.arange(4 * k, 4 * k + 4, dtype=torch.float32)[:, None, None].expand(-1, 2, 5)
        seen.append(pool(fakes, draw.draw(generator, Shard()))[:, 0, 0])
    shown = torch.cat(seen).long()
    assert shown[:52].tolist() == list(range(52))  # until it is full
    late = shown[52:] != torch.arange(52, 240)
    assert 70 < int(late.sum()) < 120
    assert bool((shown <= torch.arange(240)).all())
    assert int(shown[shown >= 50].bincount().max()) == 1, "what is shown from the pool is taken out"


def test_draws_are_shared_by_processes():
    draw = DrawNoise(4, 50, [1.0, 0.5], [5, 7])
    whole = draw.draw(torch.Generator().manual_seed(0), Shard())
    parts = [draw.draw(torch.Generator().manual_seed(0), Shard(k, 2)) for k in (0, 1)]
    for k, value in enumerate(whole):
        assert torch.equal(value, torch.cat([part[k] for part in parts]))
    with pytest.raises(MotifError, match="batches of 4 cannot be shared by 3"):
        draw.draw(torch.Generator(), Shard(0, 3))


@pytest.mark.parametrize("critics", [False, True])
def test_a_transferred_network_begins_with_the_lower_ones_layers(pyramid, critics):
    recipe = replace(RECIPES["paper"], samples=(16,), transfer_critics=critics)
    net = recipe.net(pyramid)
    stages = recipe.stages(net, pyramid, 0)
    next(stages)
    next(stages)
    for layer, alike in zip(range(4), (True, True, False, False)):
        for nets, copied in ((net.generators, alike), (net.critics, alike and critics)):
            assert torch.equal(nets[0].layers[layer].weight, nets[2].layers[layer].weight) == copied


def test_a_short_training_makes_takes_and_a_file(clips, tmp_path):
    xia = api.load(clips / "xia-normal.bvh")
    model = api.fit(Ganimator(samples=(1,), critic_steps=1), xia, 1)
    take = model.sample(1, 3.0)[0]
    assert len(take) == round(3.0 * xia.fps)
    assert take.skeleton == xia.skeleton
    assert take.frame_time == xia.frame_time
    again = api.Model.load(model.save(tmp_path / "g.safetensors")).sample(1, 3.0)[0]
    assert torch.equal(take.rotations, again.rotations)
    with pytest.raises(MotifError, match="cannot be asked for a loop: its networks reflect"):
        model.sample(1, edit=Edit(loop=True))
    measured = model.published(2, 3.0)
    raw = [x[:-6].T.double().numpy() for x in model.recipe.channels(model.net, model.prepared, Request(Edit(3.0), 2))]
    (exemplar,) = papers.channels([], [xia])[1]
    expected = [papers.compare(x, exemplar) for x in raw]
    for k, name in enumerate(papers.Published._fields):
        assert measured["raw"][name] == pytest.approx(sum(x[k] for x in expected) / 2, rel=1e-5)
    assert measured["takes"] == papers.measures(model.sample(2, 3.0), [xia])
    assert measured["takes"] != measured["raw"]


def test_other_rigs_are_refused():
    with pytest.raises(MotifError, match="the papers' features exist for"):
        RECIPES["paper"].prepare(Domain.of([walk(RIGS["quadruped"](), 120, 30.0, 0)]))


def test_paper_poses_have_gradients(pyramid):
    x = pyramid.levels[0].real[None].clone().requires_grad_()
    (slope,) = torch.autograd.grad(contact_loss(pyramid.clip.features, x), x)
    assert bool(slope.isfinite().all())
    assert isinstance(pyramid.clip.features, PaperFeatures)


def test_conv_stacks_see_as_far_as_they_say():
    net = conv_stack(3, 2, 8, (1, 2, 1, 2))
    x = torch.randn(1, 3, 41, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x)[0, 0, 20], x)
    seen = (slope.abs().sum((0, 1)) > 0).nonzero()[:, 0]
    assert int(seen.max()) - 20 == receptive_field((1, 2, 1, 2)) // 2 == 20 - int(seen.min())
