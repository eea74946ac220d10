"""Body parts: the legs and the path of the clip are kept, the upper body is new."""

import motif


def make() -> list[motif.Motion]:
    """The clip, and two takes that share its lower body."""
    clip = motif.demo_clip()
    edit = motif.Edit.keep(clip, ["lower"])
    return [clip, *motif.vary(clip, n=2, seed=1, edit=edit)]
