"""SinMDM against what is known of it and slow forms; clip-flow's loss and sampler, and what it keeps."""

import itertools
import math

import pytest
import torch
from torch import nn

from motif import api, registry, resample
from motif.data.crops import stretch
from motif.data.domain import Domain
from motif.edit import Constraint, Edit
from motif.errors import MotifError
from motif.nets.clip_flow import FlowNet
from motif.nets.sinmdm import QnA, SinQna, SinUnet
from motif.nn.layers import PcaProjection, receptive_field, timestep_embedding
from motif.recipes.clip_flow import ClipFlow, flow_loss, sample_euler
from motif.recipes.sinmdm import RECIPES, SinMdm, cosine_alphas_cumprod, denoising_loss, sample_ddpm
from motif.train.optim import lr_factor
from rigs import RIGS, jumps, walk


# --- networks --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("net", "count", "millions"), [(SinUnet, 5_262_546, 5.26), (SinQna, 5_112_206, 5.11)])
def test_the_networks_have_the_published_size(net, count, millions):
    found = sum(p.numel() for p in net(174).parameters())
    assert found == count
    assert round(found / 1e6, 2) == millions


def projection(features, components):
    return PcaProjection(torch.ones(features), torch.zeros(features), torch.eye(features)[:, :components], 1.0)


def woken(net):
    """Weights that are zero at first, made random, so that everything that is seen shows."""
    for p in net.parameters():
        nn.init.normal_(p, std=0.05)
    return net.double().eval()


@pytest.mark.parametrize(("net", "field"), [(SinUnet, 23), (SinQna, 17)])
def test_the_networks_see_as_far_as_published(net, field):
    net = woken(net(174))
    for module in net.modules():
        if isinstance(module, nn.GroupNorm):  # over all frames: not what "receptive field" counts
            module.forward = lambda x: x
    x = torch.randn(1, 174, 61, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x, torch.tensor([500.0]).double())[0, :, 30].sum(), x)
    seen = (slope.abs().sum((0, 1)) > 0).nonzero()[:, 0].tolist()
    assert seen == list(range(30 - field // 2, 31 + field // 2))


def test_the_flow_sees_as_far_as_it_says():
    net = woken(FlowNet(projection(40, 6), 16, (1, 2, 4)))
    x = torch.randn(1, 41, 6, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x, torch.tensor([0.5]).double())[0, 20].sum(), x)
    seen = (slope.abs().sum((0, 2)) > 0).nonzero()[:, 0].tolist()
    assert (seen[0], seen[-1]) == (20 - 8, 20 + 8)
    assert receptive_field((1, 2, 4)) == 17


def test_query_and_attend_is_its_definition():
    torch.manual_seed(0)
    layer = QnA(8, 2).double()
    nn.init.normal_(layer.position_bias)
    nn.init.normal_(layer.key_bias)
    x = torch.randn(1, 8, 5, dtype=torch.float64)
    v = layer.value(x)[0]
    expected = torch.zeros(8, 5, dtype=torch.float64)
    for head in range(2):
        mine = slice(4 * head, 4 * head + 4)
        q = layer.query[mine] / (layer.query[mine].norm() + 1e-6) / 2
        for t in range(5):
            top, total = torch.zeros(4, dtype=torch.float64), 0.0
            for k in (-1, 0, 1):
                if 0 <= t + k < 5:
                    key = x[0, :, t + k] @ layer.key[:, mine] + layer.key_bias[mine]
                    weight = math.exp(float(q @ key) + float(layer.position_bias[head, 0, k + 1]))
                    top, total = top + weight * v[mine, t + k], total + weight
            expected[mine, t] = top / total
    assert torch.allclose(layer(x)[0], layer.out_proj(expected[None])[0], atol=1e-10)


def test_embeddings_of_time_are_cosines_then_sines():
    found = timestep_embedding(torch.tensor([3.0]), 4)[0]
    assert torch.allclose(found, torch.tensor([math.cos(3), math.cos(0.03), math.sin(3), math.sin(0.03)]), atol=1e-6)


# --- the diffusion ---------------------------------------------------------------------------------------------------
def test_the_schedule_is_the_cosine_one():
    alphas_cumprod, product = cosine_alphas_cumprod(1000), 1.0
    for t in range(1000):
        low, high = (math.cos((x / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for x in (t, t + 1))
        product *= 1 - min(1 - high / low, 0.999)
        assert math.isclose(float(alphas_cumprod[t]), product, rel_tol=1e-9)
    assert float(alphas_cumprod[-1]) < 1e-6


class Fixed(nn.Module):
    """A net whose answer is known."""

    def forward(self, x, t):
        return 0.3 * x + 0.01 * t.reshape(-1, 1, 1) ** 0.5


def test_the_training_loss_is_its_definition():
    alphas_cumprod, random = cosine_alphas_cumprod(1000), torch.Generator().manual_seed(0)
    real, noise = torch.randn(2, 3, 8, generator=random), torch.randn(2, 3, 8, generator=random)
    t, total = torch.tensor([10, 700]), 0.0
    for b, c, f in itertools.product(range(2), range(3), range(8)):
        bar = float(alphas_cumprod[t[b]])
        noised = math.sqrt(bar) * float(real[b, c, f]) + math.sqrt(1 - bar) * float(noise[b, c, f])
        total += (0.3 * noised + 0.01 * math.sqrt(int(t[b])) - float(real[b, c, f])) ** 2 / 48
    assert math.isclose(float(denoising_loss(Fixed(), alphas_cumprod, real, t, noise)), total, rel_tol=1e-5)


def test_the_sampler_is_the_published_one():
    alphas_cumprod = cosine_alphas_cumprod(20)
    found = sample_ddpm(Fixed(), alphas_cumprod, 20, (1, 1, 4), torch.Generator().manual_seed(3))
    random = torch.Generator().manual_seed(3)
    x = torch.randn(1, 1, 4, generator=random).double()
    for t in reversed(range(20)):
        bar, last = float(alphas_cumprod[t]), float(alphas_cumprod[t - 1]) if t else 1.0
        beta = 1 - bar / last
        clean = 0.3 * x + 0.01 * math.sqrt(t)
        mean = beta * math.sqrt(last) / (1 - bar) * clean + (1 - last) * math.sqrt(1 - beta) / (1 - bar) * x
        if t:
            x = mean + math.sqrt(beta * (1 - last) / (1 - bar)) * torch.randn(1, 1, 4, generator=random).double()
        else:
            x = mean
    assert torch.allclose(found.double(), x, atol=1e-5)
    few = sample_ddpm(Fixed(), alphas_cumprod, 5, (1, 1, 4), torch.Generator().manual_seed(3))
    assert bool(few.isfinite().all())


def test_windows_are_stretched_to_multiples_of_four_by_cubic_interpolation():
    real = torch.randn(3, 101)
    for factor, frames in ((0.75, 76), (1.0, 100), (1.25, 124)):
        found = stretch(real, factor)
        assert found.shape == (3, frames)
        assert torch.equal(found, nn.functional.interpolate(real[None, :, None], (1, frames), mode="bicubic")[0, :, 0])


def test_sinmdm_learns_and_samples(clips):
    clip = api.load(clips / "Salsa-Dancing-6.bvh").crop(0, 120)
    for name in ("sinmdm", "sinmdm-qna"):
        model = api.fit(registry.with_params(name, {"steps": 4, "batch": 2, "num_inference_steps": 20}), clip, 1)
        takes = model.sample(2, seconds=1.5, seed=2)
        assert [len(t) for t in takes] == [90, 90]
        assert not torch.equal(takes[0].rotations, takes[1].rotations)
        assert bool(takes[0].rotations.isfinite().all())
        with pytest.raises(MotifError, match=r"cannot be asked for a loop: .*clip-flow can"):
            model.sample(1, edit=Edit(loop=True))
    with pytest.raises(MotifError, match="learns one, clip-flow learns several"):
        api.fit("sinmdm", [clip, clip])


def test_the_schedule_of_the_learning_rate_is_the_published_one(clips):
    recipe = RECIPES["sinmdm"]
    assert isinstance(recipe, SinMdm)
    whole = recipe.prepare(Domain.of([api.load(clips / "Salsa-Dancing-6.bvh").crop(0, 120)]))
    (stage,) = recipe.stages(recipe.net(whole), whole, 0)
    optim = stage.updates[0].optim
    for step in (0, 100, 30_000, 60_000):
        assert math.isclose(optim.lr * lr_factor(optim, step, stage.steps), 1e-4 * 0.99998**step, rel_tol=1e-3)


# --- clip-flow -------------------------------------------------------------------------------------------------------
def test_the_flow_loss_and_the_sampler_are_their_definitions():
    net = FlowNet(projection(10, 3), 8, (1, 2))
    nn.init.normal_(net.out_proj.weight)
    random = torch.Generator().manual_seed(0)
    motion, noise = torch.randn(2, 9, 3, generator=random), torch.randn(2, 9, 3, generator=random)
    t = torch.tensor([0.2, 0.9])
    with torch.no_grad():
        missed = [
            net((1 - t[k]) * noise[k : k + 1] + t[k] * motion[k : k + 1], t[k : k + 1]) - (motion - noise)[k]
            for k in range(2)
        ]
        assert math.isclose(
            float(flow_loss(net, motion, noise, t)), float(torch.cat(missed).square().mean()), rel_tol=1e-5
        )
        x = noise
        for step in range(4):
            x = x + net(x, torch.full((2,), step / 4)) / 4
        assert torch.allclose(sample_euler(net, noise, 4), x, atol=1e-5)
        assert torch.allclose(sample_euler(net, noise, 4, lambda m: motion), motion, atol=1e-5)  # kept is kept


@pytest.mark.parametrize("rig", ["quadruped", "bird", "snake"])
def test_what_is_kept_reaches_the_flow_and_seams_are_clean(rig):
    exemplar = walk(RIGS[rig](), frames=150, fps=30, seed=0)
    model = api.fit(ClipFlow(steps=60, batch=4, width=32), exemplar, 1)
    piece = exemplar.crop(30, 60)
    takes = model.sample(2, seed=3, edit=Edit(seconds=6, constraints=(Constraint(piece, start=60),)))
    fastest = float(exemplar.world()[1].diff(n=3, dim=0).norm(dim=-1).quantile(0.99))
    for take in takes:
        world, truth = take.world()[1], exemplar.world()[1]
        assert float((world[60:90] - truth[30:60]).abs().max()) < 1e-4 * take.skeleton.height
        jerk = world.diff(n=3, dim=0).norm(dim=-1)
        assert float(torch.cat((jerk[50:65], jerk[82:97])).max()) < 3 * fastest + 1e-3
    assert float((takes[0].rotations[:55] - takes[1].rotations[:55]).abs().max()) > 1e-3


def test_the_flow_learns():
    clip = jumps()
    early, late = (api.fit(ClipFlow(steps=s, width=64, batch=8), clip, 1) for s in (10, 300))
    real = resample.resize(late.prepared.exemplar.fine[0], 200)
    random = torch.Generator().manual_seed(5)
    motion = late.net.pca(real)[None]
    noise, t = torch.randn(motion.shape, generator=random), torch.tensor([0.5])
    with torch.no_grad():
        losses = [float(flow_loss(m.net, motion, noise, t)) for m in (early, late)]
    assert losses[1] < 0.6 * losses[0]
