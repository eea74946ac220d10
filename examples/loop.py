"""Loop: a take of six seconds whose first frame follows its last, shown twice over."""

import motif


def make() -> list[motif.Motion]:
    """One take, repeated."""
    clip = motif.demo_clip()
    (take,) = motif.vary(clip, n=1, seconds=6, seed=2, edit=motif.Edit(loop=True))
    return [take.repeat(2 * len(take))]
