"""The page of the public API is what its maker makes."""

import re
import subprocess
import sys
from pathlib import Path

import motif

ROOT = Path(__file__).parents[1]


def test_the_page_is_current():
    done = subprocess.run([sys.executable, ROOT / "tools" / "api_page.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "run python tools/api_page.py"


def test_it_has_every_name():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    missing = [
        name
        for name in motif.__all__
        if f"- `{name}(" not in text and not re.search(rf"^## {name}\b", text, re.MULTILINE)
    ]
    assert not missing
