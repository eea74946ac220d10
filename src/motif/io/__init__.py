"""Motion files in and out: one reader per format, chosen by the file's suffix."""
