"""One thread, every shape annotation of motif checked at run time, and the folders of real data where they are here."""

import typing
from pathlib import Path

import beartype
import pytest
import torch
from jaxtyping import AbstractArray, install_import_hook


def _has_shape(annotation: object) -> bool:
    array = isinstance(annotation, type) and issubclass(annotation, AbstractArray)
    return array or any(map(_has_shape, typing.get_args(annotation)))


def checked(function):
    """Beartype for shapes alone: what a user passes by mistake, motif itself has to answer."""
    function.__annotations__ = {name: a for name, a in function.__annotations__.items() if _has_shape(a)}
    return beartype.beartype(function)


install_import_hook("motif", f"{__name__}.checked")  # before anything imports motif
torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """The longest first, so that no worker is left with it at the end."""
    items.sort(key=lambda item: "distributed" not in item.nodeid)


ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of single real clips."""
    folder = ROOT.parent / "shared" / "data" / "clips"
    if not folder.is_dir():
        pytest.skip("needs the real clips in ../shared/data/clips")
    return folder


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder that archives of real motion are unpacked into."""
    folder = ROOT / ".data"
    if not folder.is_dir():
        pytest.skip("needs archives of real motion unpacked into .data")
    return folder
