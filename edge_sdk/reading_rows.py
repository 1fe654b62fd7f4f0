"""Rows of features from JSON or CSV, as people write them; every refusal names source, row and column."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from edge_sdk.errors import InputError

ID = "id"


@dataclass(frozen=True)
class Row:
    """Numbers by feature name; what is unknown is left out. ``id`` is carried along, and may be None."""

    id: str | None
    features: dict[str, float]


def read_rows(text: str, source: str, features: Sequence[str]) -> list[Row]:
    """Rows from a JSON object, a JSON list of objects, or CSV with a header.

    A column ``id`` is carried along unless the model has such a feature. An empty cell and null are unknown.

    Args:
        text: what was given; JSON if it begins like it.
        source: names it in messages.
        features: that the model knows.

    Raises:
        InputError: naming source, row (from 1, the header of a CSV not counted) and column.
    """
    stripped = text.lstrip("\ufeff \t\r\n")
    if not stripped:
        raise InputError(f"{source} is empty; give a JSON object, a JSON list of them, or CSV with a header")
    label = None if ID in features else ID
    rows = _json(stripped, source) if stripped[0] in "{[" else _csv(stripped, source, label)
    if not rows:
        raise InputError(f"{source} holds no row")
    return [_row(row, f"{source}: row {number}", features, label) for number, row in enumerate(rows, start=1)]


def _json(text: str, source: str) -> list[dict[str, Any]]:
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
    rows = value if isinstance(value, list) else [value]
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError(f"{source}: row {number} is not an object of features")
    return rows


def _csv(text: str, source: str, label: str | None) -> list[dict[str, Any]]:
    try:
        header, *lines = csv.reader(io.StringIO(text), strict=True)
    except csv.Error as error:
        raise InputError(f"{source} is not valid CSV: {error}") from error
    names = [name.strip() for name in header]
    for name in names:
        if not name or names.count(name) > 1:
            raise InputError(f"{source}: the header has the column {name!r} without a name or twice")
    rows = []
    for number, cells in enumerate((line for line in lines if line), start=1):
        if len(cells) != len(names):
            raise InputError(f"{source}: row {number} has {len(cells)} cells, the header has {len(names)}")
        rows.append(
            {
                name: _number_in(cell, f"{source}: row {number}, column {name}") if name != label else cell
                for name, cell in zip(names, cells, strict=True)
            }
        )
    return rows


def _number_in(cell: str, where: str) -> float | None:
    if not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(f"{where}: {cell!r} is not a number") from error


def _row(row: dict[str, Any], where: str, features: Sequence[str], label: str | None) -> Row:
    values = {}
    for name, value in row.items():
        if name == label:
            continue
        if name not in features:
            raise InputError(f"{where}, column {name}: no such feature; the model has {', '.join(features)}")
        if value is None:
            continue
        number = float(value) if type(value) is float or _fits(value) else math.nan
        if not math.isfinite(number):
            raise InputError(f"{where}, column {name}: {value!r} is not a finite number")
        values[name] = number
    found = row.get(label) if label is not None else None
    return Row(None if found is None else str(found), values)


def _fits(value: object) -> bool:
    # A bool is an int to Python, and an integer may be beyond every double.
    return type(value) is int and abs(value) < 2**1023
