"""Every cell of a table judged in one pass, before any is used.

This pass reads everything and keeps nothing, so it should cost little: where the smallest and the largest of a column
say enough, no cell is judged by itself, and of a column of few different values each is judged once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feature_spec.errors import DataError
from feature_spec.warehouse.cells import Cell
from feature_spec.warehouse.engine import Engine
from feature_spec.warehouse.packages import ibis


@dataclass(frozen=True, eq=False)
class Rule:
    """What the cells of a column must be.

    Attributes:
        column: its name.
        cell: as read.
        need: what to do where one makes no sense.
        required: whether none may be empty.
        sized: whether its largest magnitude is wanted.
    """

    column: str
    cell: Cell
    need: str
    required: bool = False
    sized: bool = False


def check(
    engine: Engine,
    raw: Any,
    name: str,
    rules: Sequence[Rule],
    few: Callable[[Any], Rule] | None = None,
) -> tuple[int, float]:
    """Judge every cell.

    Args:
        engine: that has ``raw``.
        raw: the table, with a column user_id.
        name: what messages call it.
        rules: what to judge.
        few: the rule of one more column, which may not be empty and has few different values.

    Returns:
        The number of rows, and the largest magnitude in the columns that are ``sized``; 0 without any.

    Raises:
        DataError: a cell makes no sense, or is empty and may not be.
    """
    aggregates = _Aggregates()
    aggregates.add("rows", raw.count(), _sum)
    for i, rule in enumerate(rules):
        aggregates.judge(i, rule, raw)
    if few is None:
        row = engine.fetch(raw.aggregate(**aggregates.inner)).to_pylist()[0]
    else:
        column = few(raw).column
        groups = raw.group_by(**{column: raw[column]}).agg(**aggregates.inner)
        judged = few(groups).cell.good
        wrong = (~ibis.coalesce(judged, ibis.literal(False))).any()
        row = engine.fetch(groups.aggregate(few=wrong, **aggregates.outer(groups))).to_pylist()[0]
        if row["few"]:
            _refuse(engine, raw, name, few(raw))
    for i, rule in enumerate(rules):
        if _is_wrong(i, rule, row):
            _refuse(engine, raw, name, rule)
    return row["rows"] or 0, max((_size(i, row) for i, rule in enumerate(rules) if rule.sized), default=0.0)


class _Aggregates:
    """What is asked of all rows, or of groups of them and then of the groups."""

    def __init__(self) -> None:
        self.inner: dict[str, Any] = {}
        self._combine: dict[str, Callable[[Any], Any]] = {}

    def add(self, name: str, value: Any, combine: Callable[[Any], Any]) -> None:
        self.inner[name], self._combine[name] = value, combine

    def outer(self, groups: Any) -> dict[str, Any]:
        return {name: combine(groups[name]) for name, combine in self._combine.items()}

    def judge(self, i: int, rule: Rule, raw: Any) -> None:
        cell = rule.cell
        if cell.bounds is not None:
            self.add(f"low{i}", cell.value.min(), _min)
            self.add(f"high{i}", cell.value.max(), _max)
        else:
            self.add(f"bad{i}", (~cell.good).any(), _any)
            if rule.sized:
                self.add(f"size{i}", cell.value.abs().max(), _max)
        if rule.required:
            self.add(f"there{i}", raw[rule.column].count(), _sum)


def _sum(column: Any) -> Any:
    return column.sum()


def _min(column: Any) -> Any:
    return column.min()


def _max(column: Any) -> Any:
    return column.max()


def _any(column: Any) -> Any:
    return column.any()


def _is_wrong(i: int, rule: Rule, row: Mapping[str, Any]) -> bool:
    if rule.required and (row[f"there{i}"] or 0) < (row["rows"] or 0):
        return True
    if rule.cell.bounds is None:
        return bool(row[f"bad{i}"])
    low, high = rule.cell.bounds
    least, most = row[f"low{i}"], row[f"high{i}"]
    # Not a number is the largest of all numbers to every engine, so it is found here too.
    return least is not None and not (low <= least and most <= high)


def _size(i: int, row: Mapping[str, Any]) -> float:
    ends = (row.get(f"{end}{i}") for end in ("low", "high", "size"))
    return max((abs(end) for end in ends if end is not None), default=0.0)


def _refuse(engine: Engine, raw: Any, name: str, rule: Rule) -> None:
    wrong = rule.cell.wrong_or_empty if rule.required else rule.cell.wrong
    shown = {"user": raw.user_id.cast("string"), "cell": raw[rule.column].cast("string")}
    first = engine.fetch(raw.filter(wrong).select(**shown).limit(1)).to_pylist()[0]
    cell = "empty" if first["cell"] is None else f"'{first['cell']:.60}'"
    raise DataError(f"{name}: the {rule.column} of user '{first['user'] or '':.40}' is {cell}; {rule.need}")
