"""``edge inspect``: what is in an artifact or a bundle."""
