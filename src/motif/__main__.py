"""``python -m motif``."""

from .cli import main

main()
