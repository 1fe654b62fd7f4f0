"""What can go wrong in this package; every message says what to do."""


class QuantizationError(Exception):
    """Root of every error of this package."""
