"""Run every example, draw what it makes, and write docs/gallery.md: ``python examples/gallery.py [--out docs]``."""

import argparse
import importlib
import inspect
import tempfile
from pathlib import Path

from PIL import Image

import motif

NAMES = (
    *("body_parts", "inpaint", "inbetween", "compose", "expand", "key_poses"),
    *("trajectory", "restyle", "loop", "mix", "crowd", "plain_tools"),
)
HEAD = """# Gallery

Made by `python examples/gallery.py`: every picture is what the code above it makes of the clip that ships with motif. Fields
of edits, edit files and what recipes cannot do: [edits](edits.md).
"""


def main() -> None:
    """Make, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "docs")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    options = parser.parse_args()
    pictures = options.out / "images" / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    lines = [HEAD]
    for name in NAMES:
        example = importlib.import_module(name)
        title, _, what = inspect.getdoc(example).partition(": ")
        code = inspect.getsource(example.make).split('"""')[-1]
        lines += [f"## {title}", "", what[0].upper() + what[1:], "", "```python", inspect.cleandoc(code), "```", ""]
        lines += [f"![{title}](images/gallery/{name}.png)", ""]
        if name in options.only:
            with tempfile.TemporaryDirectory() as folder:
                sheet = motif.show(example.make(), Path(folder) / "sheet.png")
                with Image.open(sheet) as whole:
                    small = whole.convert("RGB").resize((1000, round(whole.height * 1000 / whole.width)), Image.LANCZOS)
                small.quantize(96).save(pictures / f"{name}.png", optimize=True)
            print(pictures / f"{name}.png", flush=True)
    (options.out / "gallery.md").write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
