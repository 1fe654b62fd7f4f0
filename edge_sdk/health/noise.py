"""The discrete Laplace distribution, exactly: integers and fair random bits, no floating point.

After Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020), algorithms 1 and 2. Noise
made from floating-point logarithms leaks what it hides through the numbers that it can never give (Mironov, "On
Significance of the Least Significant Bits for Differential Privacy", 2012).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Dice(Protocol):
    """Where chance comes from."""

    def below(self, bound: int) -> int:
        """Uniform in [0, bound)."""
        ...  # pragma: no cover

    def chance(self, part: int, whole: int) -> bool:
        """True with probability part / whole."""
        ...  # pragma: no cover


class BitDice:
    """Chance from random bytes, such as those of ``os.urandom``."""

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source

    def below(self, bound: int) -> int:
        """Uniform in [0, bound), by throwing away what is too large."""
        bits = (bound - 1).bit_length()
        size = (bits + 7) // 8
        while True:
            value = int.from_bytes(self._source(size), "big") >> (8 * size - bits)
            if value < bound:
                return value

    def chance(self, part: int, whole: int) -> bool:
        """True with probability part / whole."""
        return self.below(whole) < part


def chance_exp(part: int, whole: int, dice: Dice) -> bool:
    """True with probability exp(-part / whole), for 0 <= part <= whole (algorithm 1)."""
    k = 1
    while dice.chance(part, whole * k):
        k += 1
    return k % 2 == 1


def discrete_laplace(scale_part: int, scale_whole: int, dice: Dice) -> int:
    """An integer z with probability proportional to exp(-abs(z) * scale_whole / scale_part) (algorithm 2).

    Args:
        scale_part, scale_whole: their quotient is the scale: sensitivity divided by epsilon.
        dice: chance.
    """
    while True:
        remainder = dice.below(scale_part)
        if not chance_exp(remainder, scale_part, dice):
            continue
        whole = 0
        while chance_exp(1, 1, dice):
            whole += 1
        size = (remainder + scale_part * whole) // scale_whole
        negative = dice.chance(1, 2)
        if negative and size == 0:
            continue  # there is one zero, not two
        return -size if negative else size
