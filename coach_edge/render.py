"""Results as text: a dict as lines, a list of dicts as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

INDENT = "  "


def render(result: object, console: Console | None = None) -> None:
    """Print what a command returned for a person to read."""
    _render(console or Console(soft_wrap=True, highlight=False), result, "")


def _render(console: Console, value: object, indent: str) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if _is_plain(item):
                console.print(f"{indent}{key}: {cell(item)}", markup=False)
            else:
                console.print(f"{indent}{key}:", markup=False)
                _render(console, item, indent + INDENT)
    elif _is_table(value):
        console.print(table(value))  # type: ignore[arg-type]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            _render(console, item, indent)
    else:
        console.print(f"{indent}{cell(value)}", markup=False)


def table(rows: Sequence[Mapping[str, object]]) -> Table:
    """Rows of the same columns; columns are those of the first row that has them, in order."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    result = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        result.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        result.add_row(*(cell(row.get(column)) for column in columns))
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
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(cell(item) for item in value)
    return str(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, Mapping):
        return not value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(not isinstance(item, Mapping | Sequence) or isinstance(item, str) for item in value)
    return True


def _is_table(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(item, Mapping) for item in value)
        and all(_is_plain(cell) or isinstance(cell, Mapping) for item in value for cell in item.values())
    )
