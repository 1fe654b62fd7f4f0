"""Results as text: a dict as lines, a list of dicts as a table, nothing folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

import click

INDENT = "  "
_GAP = "  "


def render(result: object) -> None:
    """Print what a command returned for a person to read."""
    for line in lines(result, ""):
        click.echo(line)


def lines(value: object, indent: str) -> list[str]:
    """The text of a value, each line behind ``indent``."""
    if isinstance(value, Mapping):
        result = []
        for key, item in value.items():
            if _is_short(item):
                result.append(f"{indent}{key}: {cell(item)}".rstrip())
            else:
                result += [f"{indent}{key}:", *lines(item, indent + INDENT)]
        return result
    if _is_table(value):
        return table(value, indent)
    if _is_list(value):
        return [line for item in value for line in lines(item, indent)]
    return [indent + cell(value)]


def table(rows: Sequence[Mapping[str, object]], indent: str = "") -> list[str]:
    """Rows under the names of their columns, in the order in which columns first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    body = [[cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, texts)) for texts in zip(columns, *body, strict=True)]
    numeric = [all(isinstance(row.get(column), int | float | None) for row in rows) for column in columns]
    result = []
    for texts in (columns, *body):
        aligned = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(texts, widths, numeric, strict=True)
        ]
        result.append((indent + _GAP.join(aligned)).rstrip())
    return result


def cell(value: object) -> str:
    """One value: floats to four significant digits, lists joined, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell(item)}" for key, item in value.items())
    if _is_list(value):
        return ", ".join(cell(item) for item in value)
    return str(value)


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_short(value: object) -> bool:
    """Fits on the line of its name: no mapping, and no list of sentences."""
    if isinstance(value, Mapping):
        return not value
    if _is_list(value):
        return all(
            not isinstance(item, Mapping) and not _is_list(item) and " " not in str(item) for item in value
        )
    return True


def _is_figure(value: object) -> bool:
    """A mapping of numbers, such as a metric with its interval: one cell."""
    return isinstance(value, Mapping) and all(not isinstance(item, Mapping) for item in value.values())


def _is_table(value: object) -> TypeGuard[Sequence[Mapping[str, object]]]:
    return (
        _is_list(value)
        and len(value) > 0
        and all(
            isinstance(item, Mapping) and all(_is_short(part) or _is_figure(part) for part in item.values())
            for item in value
        )
    )
