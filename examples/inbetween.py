"""In-betweening: two pieces of the clip are joined by 1.5 new seconds."""

import motif


def make() -> list[motif.Motion]:
    """The two pieces, and two takes that lead from one to the other."""
    clip = motif.demo_clip()
    first, second = clip.crop(60, 120), clip.crop(400, 460)
    edit = motif.Edit.inbetween(first, second, seconds=1.5)
    return [first, second, *motif.vary(clip, n=2, seed=1, edit=edit)]
