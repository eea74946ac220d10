"""Re-style: what one clip does, as another one does it. Give two files: the content and the style."""

import sys

import motif


def make() -> list[motif.Motion]:
    """The content, the style, and the content in that style."""
    clip = motif.demo_clip()
    content, style = map(motif.load, sys.argv[1:3]) if len(sys.argv) > 2 else (clip.crop(0, 150).mirror(), clip)
    return [content, style, *motif.vary(style, n=1, seed=1, edit=motif.Edit.restyle(content))]
