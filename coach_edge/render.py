"""Results as text: a dict as lines, a list of dicts as a table, nothing folded."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby, zip_longest
from typing import TypeGuard

import click

INDENT = "  "
_GAP = "  "
_FOLD = 44
_WIDE = 176


def render(result: object) -> None:
    """Print what a command returned for a person to read."""
    for line in lines(result, ""):
        click.echo(line)


def lines(value: object, indent: str) -> list[str]:
    """The text of a value, each line behind ``indent``."""
    if isinstance(value, Mapping):
        return _mapping(value, indent)
    if _is_table(value):
        rows = table(value, indent)
        if max(map(len, rows)) <= _WIDE:
            return rows
        blocks = ([f"{indent}{number}.", *lines(row, indent + INDENT)] for number, row in enumerate(value, 1))
        return [line for block in blocks for line in block]
    if _is_list(value) and any(_is_list(item) for item in value):
        return [indent + json.dumps(value)]  # a tree: as text there is no better form
    if _is_list(value):
        return [line for item in value for line in lines(item, indent)]
    return [indent + cell(value)]


def table(rows: Sequence[Mapping[str, object]], indent: str = "") -> list[str]:
    """Rows under the names of their columns, in the order in which columns first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    numeric = [all(isinstance(row.get(column), int | float | None) for row in rows) for column in columns]
    body = [[_wrapped(row.get(column)) for column in columns] for row in rows]
    heads = [[column] for column in columns]
    widths = [max(len(text) for texts in part for text in texts) for part in zip(heads, *body, strict=True)]
    result = []
    for texts in (heads, *body):
        for line in zip_longest(*texts, fillvalue=""):
            aligned = [
                text.rjust(width) if right else text.ljust(width)
                for text, width, right in zip(line, widths, numeric, strict=True)
            ]
            result.append((indent + _GAP.join(aligned)).rstrip())
    return result


def _mapping(value: Mapping[str, object], indent: str) -> list[str]:
    """A line an item; figures of the same parts that follow each other become the rows of one table."""
    result: list[str] = []
    for parts, group in groupby(value.items(), key=lambda pair: _parts(pair[1])):
        items = list(group)
        if parts and len(items) > 1:
            rows = [{"": key, **item} for key, item in items if isinstance(item, Mapping)]
            result += table(rows, indent)
            continue
        for key, item in items:
            if _is_short(item):
                result.append(f"{indent}{key}: {cell(item)}")
            else:
                result += [f"{indent}{key}:", *lines(item, indent + INDENT)]
    return result


def _wrapped(value: object) -> list[str]:
    """The lines of a cell: lists and sentences are folded between their parts, and nothing else is."""
    text = cell(value)
    if len(text) <= _FOLD:
        return [text]
    return textwrap.wrap(text, _FOLD, break_long_words=False, break_on_hyphens=False)


def cell(value: object) -> str:
    """One value: floats to four significant digits, lists joined, a dash for nothing."""
    if value is None or value == [] or value == {} or value == ():
        return "-"
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


def _parts(value: object) -> tuple[str, ...]:
    """The names in a figure, a mapping of plain values such as a metric with its interval; else nothing."""
    if isinstance(value, Mapping) and all(_is_short(item) for item in value.values()):
        return tuple(map(str, value))
    return ()


def _is_table(value: object) -> TypeGuard[Sequence[Mapping[str, object]]]:
    return (
        _is_list(value)
        and len(value) > 0
        and all(
            isinstance(item, Mapping) and all(_is_short(part) or _parts(part) for part in item.values())
            for item in value
        )
    )
