"""Composition: one combination of punches, twice, in a new take; it goes on from wherever the take has got to."""

import motif


def make() -> list[motif.Motion]:
    """The piece, and a take that holds it at 2 s and at 7 s."""
    clip = motif.demo_clip()
    piece = clip.crop(150, 210)
    kept = tuple(motif.Constraint(piece, start=round(t * clip.fps), world_space=False) for t in (2, 7))
    return [piece, *motif.vary(clip, n=1, seed=1, edit=motif.Edit(seconds=11, constraints=kept))]
