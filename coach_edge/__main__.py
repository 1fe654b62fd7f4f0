"""``python -m coach_edge``: the same as ``edge``."""

from coach_edge.cli import main

main()
