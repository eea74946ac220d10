"""One thread, every shape annotation of motif checked at run time, and the folders of real data where they are here."""

from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("motif", "beartype.beartype")  # before anything imports motif
torch.set_num_threads(1)

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
