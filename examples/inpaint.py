"""In-painting: seconds 8 to 12 of the clip are made anew, the rest is untouched."""

import motif


def make() -> list[motif.Motion]:
    """The clip, and two takes that differ from it, and from each other, in the middle."""
    clip = motif.demo_clip().crop(120, 480)
    edit = motif.Edit.inpaint(clip, 4, 8)
    return [clip, *motif.vary(motif.demo_clip(), n=2, seed=1, edit=edit)]
