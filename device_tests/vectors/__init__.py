"""Vectors for the protocol pages: generated from fixed seeds, read by every implementation.

``generate`` writes docs/protocol/vectors; a test makes them anew and compares.
"""

from device_tests.vectors.generator import generate, vectors

__all__ = ["generate", "vectors"]
