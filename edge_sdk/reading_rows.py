"""Rows of features from JSON or CSV, as people write them; every refusal names source, row and column."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from edge_sdk.errors import InputError

IDS = ("id", "user_id")
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE
)
_Numbered = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """Numbers by feature name; what is unknown is left out. ``id`` is carried along, and may be None.

    ``number`` is what messages call it: objects count from 1, rows of CSV as a spreadsheet counts them.
    """

    number: int
    id: str | None
    features: dict[str, float]


def read_rows(text: str, source: str, features: Sequence[str]) -> list[Row]:
    """Rows from a JSON object, a JSON list of objects, or CSV with a header.

    A column ``id`` or ``user_id`` is carried along unless the model has such a feature. An empty cell and null
    are unknown.

    Args:
        text: what was given; JSON if it begins like it.
        source: names it in messages.
        features: that the model knows.

    Raises:
        InputError: naming source, row (from 1; the header of a CSV is its row 1) and column.
    """
    stripped = text.lstrip("\ufeff \t\r\n")
    if not stripped:
        raise InputError(f"{source} is empty; give a JSON object, a JSON list of them, or CSV with a header")
    labels = [name for name in IDS if name not in features]
    rows = _json(stripped, source) if stripped[0] in "{[" else _csv(stripped, source, labels)
    if not rows:
        raise InputError(f"{source} holds no row")
    return [_row(row, number, source, features, labels) for number, row in rows]


def _json(text: str, source: str) -> list[_Numbered]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) != len(pairs):
            raise InputError(f"{source} repeats a name within one object")
        return found

    def refuse(token: str) -> NoReturn:
        raise InputError(f"{source} contains {token}; features are finite numbers, or null where unknown")

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is not valid JSON: {error}") from error
    rows = list(enumerate(value if isinstance(value, list) else [value], start=1))
    for number, row in rows:
        if not isinstance(row, dict):
            raise InputError(f"{source}: row {number} is not an object of features")
    return rows


def _csv(text: str, source: str, labels: Sequence[str]) -> list[_Numbered]:
    try:
        header, *lines = csv.reader(io.StringIO(text), strict=True)
    except csv.Error as error:
        raise InputError(f"{source} is not valid CSV: {error}") from error
    names = [name.strip() for name in header]
    seen: set[str] = set()
    for name in names:
        if not name or name in seen:
            raise InputError(f"{source}: the header has the column {name!r} without a name or twice")
        seen.add(name)
    rows = []
    for number, cells in enumerate(lines, start=2):
        if not cells:
            continue
        if len(cells) != len(names):
            raise InputError(f"{source}: row {number} has {len(cells)} cells, the header has {len(names)}")
        row = {
            name: _number_in(cell, f"{source}: row {number}, column {name}") if name not in labels else cell
            for name, cell in zip(names, cells, strict=True)
        }
        rows.append((number, row))
    return rows


def _number_in(cell: str, where: str) -> float | None:
    text = cell.strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text):  # Python would take 1_0 and digits of other scripts as well
        raise InputError(f"{where}: {cell!r} is not a number")
    return float(text)


def _row(
    row: dict[str, Any], number: int, source: str, features: Sequence[str], labels: Sequence[str]
) -> Row:
    values, where = {}, f"{source}: row {number}"
    for name, value in row.items():
        if name in labels:
            continue
        if name not in features:
            raise InputError(f"{where}, column {name}: no such feature; the model has {', '.join(features)}")
        if value is None:
            continue
        real = float(value) if type(value) is float or _fits(value) else math.nan
        if not math.isfinite(real):
            raise InputError(f"{where}, column {name}: {value!r} is not a finite number")
        values[name] = real
    found: Any = next((row[name] for name in labels if row.get(name) is not None), None)
    label = None if found is None else str(found)
    if label is not None and not label.isprintable():
        raise InputError(f"{where}: the id {label!r} cannot be printed")
    return Row(number, label, values)


def _fits(value: object) -> bool:
    # A bool is an int to Python, and an integer may be beyond every double.
    return type(value) is int and abs(value) < 2**1023
