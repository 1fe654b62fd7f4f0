"""The report: every check, the score of each dimension, and the score of the whole."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

from feature_spec.canonical import canonical_json
from feature_spec.quality import accuracy, completeness, consistency, timeliness
from feature_spec.quality.log import Subject
from feature_spec.quality.rules import Check

FORMAT: Final = "coach-edge/quality/1"
THRESHOLD: Final = 0.95
"""Below it there is an alert (AI/ML integration guide, 3.3)."""

RULES: Final = (*completeness.RULES, *consistency.RULES, *accuracy.RULES, *timeliness.RULES)
DIMENSIONS: Final = ("completeness", "consistency", "accuracy", "timeliness")


@dataclass(frozen=True)
class Report:
    """What was found.

    The score of a dimension is the mean of its checks by weight; checks without anything to look at do not count.
    The score of the whole is that of its worst dimension: what is complete is no better for it when its units are
    wrong.
    """

    checks: tuple[Check, ...]
    rows: int
    users: int

    @functools.cached_property
    def dimensions(self) -> dict[str, float | None]:
        """Score of each dimension; None where nothing of it could be measured."""
        return {
            name: _mean([check for check in self.checks if check.rule.dimension == name])
            for name in DIMENSIONS
        }

    @property
    def score(self) -> float:
        """0 to 1."""
        return min((score for score in self.dimensions.values() if score is not None), default=1.0)

    @property
    def worst(self) -> Check | None:
        """The check that costs most in the worst dimension; None where nothing is wrong."""
        known = {name: score for name, score in self.dimensions.items() if score is not None}
        lowest = min(known, key=lambda name: known[name], default=None)
        bad = [check for check in self.checks if check.score is not None and check.score < 1.0]
        return max(
            bad,
            key=lambda check: (
                check.rule.dimension == lowest,
                check.rule.weight * (1.0 - (check.score or 0.0)),
            ),
            default=None,
        )

    def refusal(self, threshold: float) -> str | None:
        """One line that says why the data is refused, None where it is not."""
        if self.score >= threshold:
            return None
        worst = self.worst
        assert worst is not None
        return (
            f"data quality {self.score:.3f} is below {threshold:g}; worst is {worst.rule.dimension}, "
            f"{worst.rule.name}: {worst.finding}"
        )

    def to_json(self) -> dict[str, Any]:
        """The file ``quality.json``."""
        worst = self.worst
        return {
            "format": FORMAT,
            "score": self.score,
            "rows": self.rows,
            "users": self.users,
            "worst": None if worst is None else worst.rule.name,
            "dimensions": {
                name: {
                    "score": score,
                    "checks": [check.to_json() for check in self.checks if check.rule.dimension == name],
                }
                for name, score in self.dimensions.items()
            },
        }

    def to_bytes(self) -> bytes:
        """Canonical JSON: the same data gives the same bytes."""
        return canonical_json(self.to_json())


def judge(subject: Subject) -> Report:
    """Measure every rule."""
    return Report(
        tuple(rule.check(subject) for rule in RULES), rows=len(subject.log), users=len(subject.log.users)
    )


def _mean(checks: list[Check]) -> float | None:
    measured = [(check.rule.weight, check.score) for check in checks if check.score is not None]
    weight = sum(part for part, _ in measured)
    return sum(part * score for part, score in measured) / weight if weight else None
