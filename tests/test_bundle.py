"""Model files: there and back, and everything that may be wrong with one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from motif import api, bundle, registry
from motif.config import SampleConfig
from motif.data.domain import Domain
from motif.errors import MotifError
from motif.motion import Motion
from motif.recipes.clip_gan import ClipGan
from motif.seeds import take_rng
from motif.train import Optim, Stage, Update
from rigs import RIGS, walk


@pytest.fixture(scope="module", params=["clip-match", "clip-gan"])
def model(request):
    recipe = ClipGan(steps=3, batch=2, width=8) if request.param == "clip-gan" else request.param
    return api.fit(recipe, walk(RIGS["quadruped"](), 150, 30.0, 0), 4)


def rewritten(path, change, sign=True):
    """The file with its header changed, and its digest made to fit."""
    from safetensors import safe_open

    with safe_open(str(path), "pt") as file:
        header = json.loads(file.metadata()["motif"])
    tensors = load_file(path)
    change(header)
    if sign:
        header["digest"] = bundle.digest(tensors, header)
    save_file(tensors, path, {"motif": json.dumps(header)})
    return path


def test_a_model_comes_back_as_it_was(model, tmp_path):
    again = api.Model.load(model.save(tmp_path / "deep" / "m.safetensors"))
    assert (again.name, again.recipe, again.seed, again.precision) == (model.name, model.recipe, 4, model.precision)
    assert again.clips[0].skeleton == model.clips[0].skeleton
    assert again.clips[0].file_format == model.clips[0].file_format
    for field in ("rigs", "frame_time", "seconds"):
        assert getattr(again.domain, field) == getattr(model.domain, field)
    for a, b in zip(model.sample(2, 4.0, seed=1), again.sample(2, 4.0, seed=1), strict=True):
        assert torch.equal(a.rotations, b.rotations)
        assert torch.equal(a.positions, b.positions)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_precision_of_the_training_is_written_and_read(precision, tmp_path):
    clip, config = walk(RIGS["chain"](), 150, 30.0, 0), api.TrainConfig(precision=precision, device="cpu")
    model = api.fit(ClipGan(steps=2, batch=2, width=8), clip, 0, config)
    assert model.precision == precision
    assert api.Model.load(model.save(tmp_path / "m.safetensors")).precision == precision


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.update(version=99), "reads up to 3: update motif"),
        (lambda a: a.update(version=1), "was written by an older motif, in layout 1; fit it again"),
        (lambda a: a.update(recipe="other"), "no recipe 'other'"),
        (lambda a: a["params"].update(wrong=1), "has no parameter 'wrong'"),
        (lambda a: a["domain"].pop("clips"), "header is broken"),
        (lambda a: a.pop("domain"), "header is broken"),
        (lambda a: a["domain"]["rigs"][0].pop("names"), "header is broken"),
        (lambda a: a["domain"]["clips"][0].update(rig=7), "header is broken"),
    ],
)
def test_headers_that_cannot_be_read_say_why(model, tmp_path, change, message):
    path = rewritten(model.save(tmp_path / "m.safetensors"), change)
    with pytest.raises(MotifError, match=message):
        api.Model.load(path)


def leaves(values, path=()):
    """Every place of a header that holds a plain value."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield from leaves(value, (*path, key)) if isinstance(value, dict | list) and value else [(*path, key)]


def other(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    return {str: lambda: value + "x", list: lambda: [1], dict: lambda: {"a": 1}}.get(type(value), lambda: value + 1)()


def test_any_changed_header_field_is_noticed(model, tmp_path):
    path = model.save(tmp_path / "m.safetensors")
    whole, places = path.read_bytes(), []
    rewritten(path, lambda a: places.extend(leaves(a)), sign=False)
    assert len(places) > 100
    chosen = [p for p in places if p[0] != "domain"] + places[::37]
    for place in chosen:
        path.write_bytes(whole)

        def change(header, place=place):
            for key in place[:-1]:
                header = header[key]
            header[place[-1]] = other(header[place[-1]])

        with pytest.raises(MotifError, match=r"was changed or damaged|header is broken|update motif"):
            api.Model.load(rewritten(path, change, sign=False))
    path.write_bytes(whole)
    api.Model.load(path)


def test_a_file_of_the_first_layout_is_refused(model, tmp_path):
    path = tmp_path / "old.safetensors"
    header = {"version": 1, "motif": "0.1.0", "engine": "clip-match", "recipe": {}, "seed": 0, "digest": "0"}
    save_file({"x": torch.zeros(2)}, path, {"motif": json.dumps(header)})
    with pytest.raises(MotifError, match=r"was written by an older motif, in layout 1; fit it again"):
        api.Model.load(path)


def test_digests_are_of_bytes_of_any_kind():
    kinds = (torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.bool, torch.uint8)
    for kind in kinds:
        x = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).to(kind)
        digests = {bundle.digest({"x": y}) for y in (x, x.clone().T.contiguous(), x.T)}
        assert len(digests) == 1
        changed = x.clone()
        changed[0, 1] = 1
        assert bundle.digest({"x": changed}) not in digests
        assert bundle.digest({"y": x}) not in digests
        assert bundle.digest({"x": x.flatten()}) not in digests
        assert bundle.digest({"x": x}, {"a": 1}) not in digests
    assert len({bundle.digest({"x": torch.tensor(1).to(kind)}) for kind in kinds}) == len(kinds)
    assert bundle.digest({}, {"a": 1, "digest": "x"}) == bundle.digest({}, {"a": 1, "digest": "y"})


def test_files_that_are_no_models_say_why(model, tmp_path):
    path = model.save(tmp_path / "m.safetensors")
    whole = path.read_bytes()
    for cut in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.safetensors").write_bytes(whole[:cut])
        with pytest.raises(MotifError, match="cannot be read as safetensors"):
            api.Model.load(tmp_path / "cut.safetensors")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0x10
    (tmp_path / "flipped.safetensors").write_bytes(flipped)
    with pytest.raises(MotifError, match="changed or damaged"):
        api.Model.load(tmp_path / "flipped.safetensors")
    assert path.stat().st_mode & 0o444 == 0o444
    save_file({"x": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(MotifError, match="is not a motif model"):
        api.Model.load(tmp_path / "foreign.safetensors")
    with pytest.raises(MotifError, match="does not exist"):
        api.Model.load(tmp_path / "none.safetensors")
    with pytest.raises(MotifError, match=r"ends in \.safetensors"):
        model.save(tmp_path / "m.pt")


def test_weights_that_do_not_fit_say_so(tmp_path):
    model = api.fit(ClipGan(steps=2, batch=2, width=8), walk(RIGS["chain"](), 150, 30.0, 0))
    path = rewritten(model.save(tmp_path / "m.safetensors"), lambda a: a["params"].update(width=16))
    with pytest.raises(MotifError, match="weights do not fit"):
        api.Model.load(path)


# --- domains ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Toy:
    """Noise about a mean pose, all that it needs is a rig and statistics."""

    unsupported: ClassVar[Mapping[str, str]] = {"a loop": "it is a toy"}
    defaults: ClassVar[SampleConfig] = SampleConfig(variety=0.5)
    steps: int = 5

    def prepare(self, domain):
        return domain

    def net(self, prepared):
        return nn.Linear(3, 3, bias=False)

    def plan(self, prepared):
        return [("toy", self.steps)]

    def stages(self, net, prepared, seed):
        def loss(batch, generator):
            return net(torch.randn(4, 3, generator=generator)).square().mean(), {}

        yield Stage("toy", self.steps, (Update("toy", net, loss, Optim()),))

    def sample(self, net, prepared, request):
        rig, frames = prepared.rigs[0], round(request.edit.duration(prepared.seconds) / prepared.frame_time)
        variety = request.config.resolve(SampleConfig(variety=0.5, tempo=0.0, amplitude=0.0, completeness=0.0))[0]
        takes = []
        for k in range(request.n):
            noise = torch.randn(frames, 1, 3, generator=take_rng(request.seed, k))
            with torch.no_grad():
                positions = rig.offset_tensor(noise) + variety * net(noise)
            rotations = prepared.statistics["mean"].float().expand(frames, -1, -1)
            takes.append(Motion(rig, rotations, positions, prepared.frame_time, f"toy-{k}"))
        return takes


@pytest.fixture
def corpus(monkeypatch):
    """A domain without clips, and a recipe that is content with it."""
    monkeypatch.setitem(registry.RECIPES, "toy", Toy())
    rig = RIGS["quadruped"]()
    mean = torch.zeros(len(rig), 4, dtype=torch.bfloat16)
    mean[:, 0] = 1
    return Domain((rig,), 1 / 30, 2.0, {"mean": mean})


def test_a_model_without_clips_is_saved_loaded_and_sampled(corpus, tmp_path):
    model = api.fit(Toy(steps=7), corpus, 3)
    path = model.save(tmp_path / "toy.safetensors")
    assert set(load_file(path)) == {"net.weight", "statistics.mean"}
    again = api.Model.load(path)
    assert (again.clips, again.recipe, again.name) == ((), Toy(7), "toy")
    assert again.domain.rigs == corpus.rigs
    assert again.domain.statistics["mean"].dtype == torch.bfloat16
    for a, b in zip(model.sample(2, seed=1), again.sample(2, seed=1), strict=True):
        assert len(a) == 60
        assert torch.equal(a.positions, b.positions)
    assert [len(m) for m in again.crowd(3, seconds=1.0)] == [30] * 3


@pytest.mark.parametrize("name", ["clip-match", "clip-gan", "clip-flow", "ganimator", "sinmdm"])
def test_recipes_that_need_clips_say_so(name, corpus):
    with pytest.raises(MotifError, match=f"{name} learns from clips and the domain holds none"):
        api.fit(name, corpus)


def test_a_domain_is_of_its_clips():
    first, second = walk(RIGS["quadruped"](), 60, 30.0, 0), walk(RIGS["quadruped"](), 90, 30.0, 1)
    domain = Domain.of([first, second])
    assert (domain.rigs, domain.frame_time, domain.seconds) == ((first.skeleton,), 1 / 30, pytest.approx(10.0))
    other_rig = walk(RIGS["bird"](), 60, 30.0, 0)
    assert Domain.of([first, other_rig]).rigs == (first.skeleton, other_rig.skeleton)
    with pytest.raises(MotifError, match="no clip to learn from"):
        Domain.of([])
    with pytest.raises(MotifError, match=r"Domain.clips: .* is of a rig that is not among Domain.rigs"):
        replace(domain, clips=(other_rig,))
