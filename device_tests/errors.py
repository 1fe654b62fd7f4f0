"""What can go wrong in this package; every message says what to do."""


class ParityError(Exception):
    """Root of every error of this package."""
