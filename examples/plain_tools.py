"""Plain tools: mirrored, a third slower, cut to a length."""

import motif


def make() -> list[motif.Motion]:
    """The piece, mirrored, slower, and its first two seconds."""
    piece = motif.demo_clip().crop(150, 300)
    return [piece, piece.mirror(), piece.retime(0.75), piece.crop(0, round(2 * piece.fps))]
