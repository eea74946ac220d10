"""Mixing: from one clip to another within one take, by weights over time."""

import motif


def make() -> list[motif.Motion]:
    """Two pieces of the clip that stand for two clips, and a take that passes from one to the other."""
    clip = motif.demo_clip()
    first, second = clip.crop(0, 250), clip.crop(270, 516)
    mix = ((0, (1, 0)), (4, (1, 0)), (8, (0, 1)))
    return [first, second, *motif.vary([first, second], n=1, seed=1, edit=motif.Edit(seconds=12, clip_weights=mix))]
