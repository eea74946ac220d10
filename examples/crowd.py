"""Crowd: takes side by side, at other speeds and headings, that never touch."""

import motif


def make() -> list[motif.Motion]:
    """Four of a crowd of twelve."""
    return motif.fit("clip-match", motif.demo_clip()).crowd(12, seconds=6, seed=1)[:4]
