"""Expansion: two new seconds before the piece and three after it."""

import motif


def make() -> list[motif.Motion]:
    """The piece, and two longer takes around it."""
    clip = motif.demo_clip()
    piece = clip.crop(200, 320)
    edit = motif.Edit.expand(piece, before=2, after=3)
    return [piece, *motif.vary(clip, n=2, seed=1, edit=edit)]
