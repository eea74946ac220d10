"""The papers' GANs against what is known of them, and their losses against slow forms."""

import math
from dataclasses import replace

import pytest
import torch

from motif import api
from motif.data.domain import Domain
from motif.edit import Edit
from motif.errors import MotifError
from motif.nets.ganimator import GanimatorNet, adjacency
from motif.nn.layers import conv_stack, receptive_field
from motif.paper_features import MIXAMO_24, PaperFeatures
from motif.recipes.ganimator import RECIPES, Ganimator, Losses, contact_loss, step
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
    generator, critic = GanimatorNet(near, False), GanimatorNet(near, True)
    assert sum(p.numel() for p in generator.parameters()) == 883_891
    assert sum(p.numel() for p in critic.parameters()) == 657_953
    used = sum(int((m.mask != 0).sum()) * m.kernel_size[0] + m.bias.numel() for m in generator.layers)
    assert used == 176_191
    assert len(MIXAMO_24) == len(near) - 5


def test_the_receptive_field_is_seventeen_frames(pyramid):
    net = GanimatorNet(adjacency(pyramid.clip.features.skeleton), True)
    x = torch.randn(1, pyramid.clip.features.width, 41, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x)[0, 0, 20], x)
    seen = (slope.abs().sum((0, 1)) > 0).nonzero()[:, 0].tolist()
    assert seen == list(range(12, 29))


def test_hidden_weights_never_matter(pyramid):
    net = GanimatorNet(adjacency(pyramid.clip.features.skeleton), False)
    x = torch.randn(1, pyramid.clip.features.width, 20)
    before = net(x)
    with torch.no_grad():
        for layer in net.layers:
            layer.weight.add_((1 - layer.mask) * 7)
    assert torch.equal(before, net(x))


def test_lengths_and_noise_of_the_salsa(pyramid):
    assert [level.real.shape[1] for level in pyramid.levels] == [129, 172, 229, 305, 406, 541, 648]
    known = [0.543, 0.0503, 0.0363, 0.0274, 0.0201, 0.0149, 0.0157]
    assert [level.amplitude for level in pyramid.levels] == pytest.approx(known, abs=6e-4)


def test_presets_are_the_rows_of_the_table():
    paper, baseline = RECIPES["paper"], RECIPES["ganimator"]
    assert (paper.batch, paper.transfer, paper.samples) == (16, True, (30_000, 30_000, 15_000, 10_000))
    assert paper.adversarial == (5.0, 5.0, 2.5, 1.0)
    assert paper.reconstruction == (50.0, 75.0, 100.0, 100.0)
    assert (baseline.batch, baseline.critic_steps, baseline.contact, baseline.reconstruction) == (1, 5, 5.0, (50.0,))
    assert len(RECIPES) == 12
    assert replace(RECIPES["ablation-8"], samples=paper.samples, transfer=True) == paper


def test_plans(pyramid):
    assert RECIPES["ganimator"].plan(pyramid) == [(f"levels {k}", 15_000) for k in (1, 2, 3, 4)]
    assert [steps for _, steps in RECIPES["paper"].plan(pyramid)] == [1875, 1875, 937, 625]


@pytest.fixture
def losses(pyramid):
    torch.manual_seed(0)
    recipe = replace(RECIPES["paper"], batch=3)
    return Losses(recipe, recipe.net(pyramid), pyramid, 1, 0)


def test_the_critic_loss_is_its_definition(losses, pyramid):
    loss, beside = losses.critic(None, torch.Generator().manual_seed(1))
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        fake = losses.fake(random)
    real, critic = pyramid.levels[1].real[None], losses.net.critics[1]
    alpha = torch.rand(3, 1, 1, generator=random)
    norms = []
    for k in range(3):
        x = (alpha[k] * real[0] + (1 - alpha[k]) * fake[k])[None].requires_grad_()
        (slope,) = torch.autograd.grad(critic(x).sum(), x)
        norms += [math.sqrt(sum(float(v) ** 2 for v in slope[0, :, t])) for t in range(0, x.shape[2])]
    penalty = sum((n - 1) ** 2 for n in norms) / len(norms)
    assert float(beside["gradient_penalty 2"]) == pytest.approx(penalty, rel=1e-4)
    expected = 5.0 * 0.5 * (critic(fake).mean().item() - critic(real).mean().item()) + penalty
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_the_generator_losses_are_their_definitions(losses, pyramid):
    loss, beside = losses.adversarial(None, torch.Generator().manual_seed(2))
    fake = losses.fake(torch.Generator().manual_seed(2))
    expected = -5.0 * float(losses.net.critics[1](fake).mean()) + 5.0 * float(beside["contact 2"])
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    losses.net.reconstruction_noise.normal_(generator=torch.Generator().manual_seed(0))
    x = step(losses.net, 0, torch.zeros_like(losses.net.reconstruction_noise), losses.net.reconstruction_noise)
    up = torch.nn.functional.interpolate(x, size=172, mode="linear", align_corners=False)
    x = step(losses.net, 1, up, torch.zeros(1, 1, 172))
    rebuilt, _ = losses.reconstruction(None, torch.Generator())
    assert float(rebuilt) == pytest.approx(50.0 * float((x - pyramid.levels[1].real).abs().mean()), rel=1e-4)


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


def test_old_fakes_are_kept_and_shown(losses):
    random = torch.Generator().manual_seed(0)
    fakes = [torch.full((1, losses.pyramid.clip.features.width, 172), float(k)) for k in range(90)]
    shown = [losses.pooled(fake, random) for fake in fakes]
    assert all(float(x.mean()) == k for k, x in enumerate(shown[:50]))
    late = [float(x.mean()) != k for k, x in enumerate(shown)][50:]
    assert 10 < sum(late) < 30


def test_a_transferred_generator_begins_with_the_lower_ones_layers(pyramid):
    recipe = replace(RECIPES["paper"], samples=(16,))
    net = recipe.net(pyramid)
    stages = recipe.stages(net, pyramid, 0)
    next(stages)
    next(stages)
    for layer, alike in zip(range(4), (True, True, False, False)):
        a, b = (net.generators[k].layers[layer].weight for k in (0, 2))
        assert torch.equal(a, b) == alike


def test_a_short_training_makes_takes_and_a_file(salsa, tmp_path):
    model = api.fit(Ganimator(samples=(1,), critic_steps=1), salsa, 1)
    take = model.sample(1, 3.0)[0]
    assert len(take) == round(3.0 * salsa.fps)
    assert take.skeleton == salsa.skeleton
    assert take.frame_time == salsa.frame_time
    again = api.Model.load(model.save(tmp_path / "g.safetensors")).sample(1, 3.0)[0]
    assert torch.equal(take.rotations, again.rotations)
    with pytest.raises(MotifError, match="cannot be asked for a loop: it makes takes from noise alone"):
        model.sample(1, edit=Edit(loop=True))


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
