"""Model files: there and back, and everything that may be wrong with one."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from motif import api
from motif.errors import MotifError
from rigs import RIGS, walk


@pytest.fixture(scope="module", params=["clip-match", "clip-gan"])
def model(request):
    dials = {"steps": 3, "batch": 2, "width": 8} if request.param == "clip-gan" else {}
    return api.fit(request.param, walk(RIGS["quadruped"](), 150, 30.0, 0), 4, **dials)


def rewritten(path, change):
    """The file with its header changed."""
    from safetensors import safe_open

    with safe_open(str(path), "pt") as file:
        about = json.loads(file.metadata()["motif"])
    change(about)
    save_file(load_file(path), path, {"motif": json.dumps(about)})
    return path


def test_a_model_comes_back_as_it_was(model, tmp_path):
    again = api.Model.load(model.save(tmp_path / "deep" / "m.safetensors"))
    assert again.recipe == model.recipe
    assert again.clips[0].skeleton == model.clips[0].skeleton
    assert again.clips[0].file_format == model.clips[0].file_format
    for a, b in zip(model.sample(2, 4.0, seed=1), again.sample(2, 4.0, seed=1), strict=True):
        assert torch.equal(a.rotations, b.rotations)
        assert torch.equal(a.positions, b.positions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.update(version=99), "reads up to 1: update motif"),
        (lambda a: a.update(engine="other"), "no engine 'other'"),
        (lambda a: a["recipe"].update(wrong=1), "has no dial 'wrong'"),
        (lambda a: a.pop("clips"), "header is broken"),
        (lambda a: a["skeletons"][0].pop("names"), "header is broken"),
    ],
)
def test_headers_that_cannot_be_read_say_why(model, tmp_path, change, message):
    path = rewritten(model.save(tmp_path / "m.safetensors"), change)
    with pytest.raises(MotifError, match=message):
        api.Model.load(path)


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
    model = api.fit("clip-gan", walk(RIGS["chain"](), 150, 30.0, 0), 0, steps=2, batch=2, width=8)
    path = rewritten(model.save(tmp_path / "m.safetensors"), lambda a: a["recipe"].update(width=16))
    with pytest.raises(MotifError, match="weights do not fit"):
        api.Model.load(path)
