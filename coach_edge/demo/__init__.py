"""``edge demo``: everything once, for real, on this machine."""
