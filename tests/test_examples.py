"""The examples of the gallery run, on the clip that ships with motif."""

import importlib.util
import sys
from pathlib import Path

import pytest

from motif.motion import Motion

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", [p for p in EXAMPLES if p.stem != "gallery"], ids=lambda p: p.stem)
def test_example(path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(path)])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    made = example.make()
    assert made and all(isinstance(m, Motion) and bool(m.rotations.isfinite().all()) for m in made)


def test_the_gallery_shows_every_example():
    shown = (Path(__file__).parents[1] / "docs" / "gallery.md").read_text()
    missing = [p.stem for p in EXAMPLES if p.stem != "gallery" and f"gallery/{p.stem}.png" not in shown]
    assert not missing
