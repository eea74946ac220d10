"""Key frames: three poses are met, in passing, at 1, 3 and 5 seconds."""

import torch

import motif


def make() -> list[motif.Motion]:
    """The poses as a motion of three frames, and two takes that meet them."""
    clip, frames = motif.demo_clip(), (170, 330, 480)
    edit = motif.Edit.keyframes([(t, clip.crop(k, k + 1)) for t, k in zip((1, 3, 5), frames)], seconds=6)
    return [clip.select(torch.tensor(frames)), *motif.vary(clip, n=2, seed=1, edit=edit)]
