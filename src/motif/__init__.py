"""motif: one clip in, endless motion out."""
