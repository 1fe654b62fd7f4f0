"""What a check is: a rule with a weight and a harm, and what was measured by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_spec.quality.log import Log, Subject

SHOWN: Final = 3
"""How many rows or users a finding names."""


@dataclass(frozen=True)
class Measured:
    """What a rule found.

    Attributes:
        n: how many things were looked at; 0 means that there was nothing to look at.
        bad: how much of it is not as it should be.
        seen: the first of the bad ones, for people to look up.
        says: what is wrong, in words; empty where nothing is.
    """

    n: int
    bad: float
    seen: tuple[str, ...] = ()
    says: str = ""


NOTHING: Final = Measured(0, 0)


@dataclass(frozen=True)
class Rule:
    """A check.

    Attributes:
        name: as reports and tests call it.
        dimension: completeness, consistency, accuracy or timeliness.
        weight: its part in the score of its dimension.
        harm: how much worse than its share of the whole a bad thing is.
        asks: what is looked at, in words.
        advice: what to do about it.
        measure: looks.
    """

    name: str
    dimension: str
    weight: int
    harm: float
    asks: str
    advice: str
    measure: Callable[[Subject], Measured]

    def check(self, subject: Subject) -> Check:
        """Measure; the score is ``1 - harm * bad / n``, at least 0. With infinite harm one bad thing makes it 0."""
        found = self.measure(subject)
        if found.n == 0:
            return Check(self, found, None)
        share = found.bad / found.n
        return Check(self, found, float(max(0.0, 1.0 - self.harm * share)) if share else 1.0)


@dataclass(frozen=True)
class Check:
    """A rule and what it found; ``score`` is None where there was nothing to look at."""

    rule: Rule
    found: Measured
    score: float | None

    @property
    def finding(self) -> str:
        """What is wrong, where, and what to do; empty where nothing is."""
        if not self.found.bad:
            return ""
        where = f" ({', '.join(self.found.seen)})" if self.found.seen else ""
        return f"{self.found.says}{where}; {self.rule.advice}"

    def to_json(self) -> dict[str, Any]:
        """As in ``quality.json``."""
        return {
            "check": self.rule.name,
            "score": self.score,
            "weight": self.rule.weight,
            "n": self.found.n,
            "bad": float(self.found.bad),
            "says": self.found.says,
            "seen": list(self.found.seen),
            "advice": self.rule.advice if self.found.bad else "",
        }


def rows_of(log: Log, index: npt.ArrayLike) -> tuple[str, ...]:
    """The first of some rows, as a spreadsheet numbers them."""
    first = np.sort(np.asarray(index, np.int64))[:SHOWN]
    return tuple(f"row {int(row) + log.first_row}" for row in first)


def names(found: Iterable[str]) -> tuple[str, ...]:
    """The first of some users."""
    return tuple(name[:40] for name, _ in zip(found, range(SHOWN), strict=False))


def bad_rows(log: Log, n: int, index: npt.NDArray[np.int64], says: str) -> Measured:
    """``n`` rows of which those at ``index`` are bad."""
    return Measured(n, len(index), rows_of(log, index), says if len(index) else "")


def bad_users(users: Iterable[str], n: int, bad: npt.NDArray[np.bool_], says: str) -> Measured:
    """``n`` users of whom those marked are bad; ``users`` in the order of ``bad``."""
    found = [name for name, wrong in zip(users, bad, strict=True) if wrong]
    return Measured(n, len(found), names(found), says if found else "")
