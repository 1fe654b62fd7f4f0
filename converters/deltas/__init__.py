"""Making deltas between bundles: what lies where, what changed how, and when it is worth serving."""

from converters.deltas.making import make_delta

__all__ = ["make_delta"]
