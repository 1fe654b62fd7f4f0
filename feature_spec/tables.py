"""Files (CSV, Parquet) as columns of text, and cells as numbers; every complaint names file, row and column."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from feature_spec import parquet_tables
from feature_spec.errors import DataError

MAX_COUNT: Final = 1_000_000
"""Largest count in one row: more in a day is a wrong column, and float32 must hold the sums exactly."""

MAX_VALUE: Final = 1_000_000.0
"""Largest magnitude of a value in one row."""

_BATCH: Final = 65_536
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}(\.0*)?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)

T = TypeVar("T")


@dataclass(frozen=True)
class Table:
    """A CSV file with a header; row numbers are those a spreadsheet shows, the header being row 1.

    Attributes:
        name: what messages call it, the file's name.
        columns: cells by column name, all columns of one length.
        rows: how many rows follow the header, or are in this part of the file.
        before: how many rows came before this part.
    """

    name: str
    columns: dict[str, Sequence[str]]
    rows: int
    before: int = 0

    def need(self, column: str, hint: str) -> Sequence[str]:
        """The cells of ``column``.

        Raises:
            DataError: there is no such column.
        """
        if column not in self.columns:
            raise DataError(f"{self.name}: no column '{column}' (it has {', '.join(self.columns)}); {hint}")
        return self.columns[column]

    def parse(self, column: str, cells: Iterable[str], read: Callable[[str], T]) -> list[T]:
        """Read every cell with ``read``, distinct texts once.

        Raises:
            DataError: from ``read``, with file, row and column put in front.
        """
        texts = list(cells)
        known: dict[str, T] = {}
        for text in dict.fromkeys(texts):
            try:
                known[text] = read(text)
            except DataError as error:
                raise DataError(f"{self.at(texts.index(text), column)}: {error}") from None
        return [known[text] for text in texts]

    def at(self, index: int, column: str) -> str:
        """Where in the file the cell ``index`` of ``column`` is, for messages."""
        return f"{self.name}, row {self.before + index + 2}, column {column}"


def read_table(path: Path) -> Table:
    """Read a file of rows: CSV (UTF-8, comma, a header, every row as long as the header), or Parquet by its name.

    Raises:
        DataError: the file cannot be read, is not such a file, or holds no rows.
        MissingExtraError: it is Parquet, and the extra ``warehouse`` is not installed.
    """
    parts = list(read_parts(path))
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Sequence[str]] = {
        name: [cell for part in parts for cell in part.columns[name]] for name in parts[0].columns
    }
    return Table(path.name, columns, sum(part.rows for part in parts))


def read_parts(path: Path, rows: int | None = None) -> Iterator[Table]:
    """Read a file of rows some at a time; CSV as one part without ``rows``.

    Raises:
        DataError: the file cannot be read, is not such a file, or holds no rows.
        MissingExtraError: it is Parquet, and the extra ``warehouse`` is not installed.
    """
    if path.suffix.lower() in parquet_tables.SUFFIXES:
        before = 0
        for columns, count in parquet_tables.read_parts(path, rows or _BATCH):
            yield Table(path.name, columns, count, before)
            before += count
        if not before:
            raise DataError(f"{path.name}: there are no rows; give at least one")
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _parts(path.name, csv.reader(file, strict=True), rows)
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path.name}: not readable as CSV ({error}); check quotes and line ends") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _parts(name: str, lines: Iterator[list[str]], size: int | None) -> Iterator[Table]:
    header: list[str] | None = None
    before = 0
    while True:
        rows = list(islice(lines, size))
        ended = size is None or len(rows) < size
        while not ended and rows and not rows[-1]:
            more = next(lines, None)  # blank lines at the end are no rows, and elsewhere they are
            ended = more is None
            rows += [] if more is None else [more]
        while ended and rows and not rows[-1]:
            rows.pop()
        if header is None:
            if not rows:
                raise DataError(f"{name}: the file is empty; it needs a header and rows")
            header, *rows = rows
            repeated = sorted(column for column, times in Counter(header).items() if times > 1)
            if repeated:
                raise DataError(f"{name}: the header names the column '{repeated[0]}' twice; rename one")
            if not rows:
                raise DataError(f"{name}: there are no rows after the header; give at least one")
        if rows:
            yield _table(name, header, rows, before)
        before += len(rows)
        if ended:
            return


def _table(name: str, header: list[str], rows: list[list[str]], before: int) -> Table:
    width = len(header)
    for index, row in enumerate(rows, before):
        if len(row) != width:
            raise DataError(
                f"{name}, row {index + 2}: {len(row)} cells where the header has {width}; check commas and quotes"
            )
    return Table(name, dict(zip(header, zip(*rows, strict=True), strict=True)), len(rows), before)


def read_count(text: str) -> float:
    """A count: a whole number, 0 to a million."""
    number = read_whole(text)
    if number < 0:
        raise DataError(f"the count {text} is negative; counts start at 0")
    if number > MAX_COUNT:
        raise DataError(f"the count {text} is above {MAX_COUNT:,}; this looks like another column")
    return float(number)


def read_value(text: str) -> float:
    """A value: a finite number; NaN for an empty cell, which means that there is none."""
    if text == "":
        return math.nan
    if not _NUMBER.fullmatch(text):
        raise DataError(f"'{text[:40]}' is not a finite number; leave the cell empty where there is no value")
    if abs(float(text)) > MAX_VALUE:
        raise DataError(f"the value {text[:40]} is beyond {MAX_VALUE:,.0f}; check its unit")
    return float(text)


def read_whole(text: str) -> int:
    """A whole number; ``5.0`` is one too, since exports write days so."""
    if not _INTEGER.fullmatch(text):
        raise DataError(
            f"'{text[:40]}' is not a whole number" if text else "the cell is empty; give a whole number"
        )
    return int(text.partition(".")[0])


def read_day(text: str) -> int:
    """A day number: a whole number within a century of day 0."""
    number = read_whole(text)
    if abs(number) > 36_525:
        raise DataError(f"day {text} is more than a century from day 0; check the column")
    return number


def read_amount(text: str) -> int:
    """A number of days or goals: a whole number, not negative."""
    number = read_whole(text)
    if not 0 <= number <= MAX_COUNT:
        raise DataError(f"{text} is outside 0..{MAX_COUNT:,}; check the column")
    return number


def read_label(text: str) -> int:
    """An outcome: a whole number from 0 to 100; -1 for an empty cell, which means that it is unknown."""
    if text == "":
        return -1
    try:
        number = read_whole(text)
    except DataError:
        number = -1
    if not 0 <= number <= 100:
        raise DataError(f"'{text[:40]}' is not a label; give 0 or 1 (at most 100), or leave the cell empty")
    return number


def optional(read: Callable[[str], int | float]) -> Callable[[str], float]:
    """``read`` for cells that may be empty; an empty cell is NaN, unknown."""
    return lambda text: math.nan if text == "" else float(read(text))


def read_name(text: str) -> str:
    """An identifier: any text that is not empty."""
    if not text.strip():
        raise DataError("the cell is empty; give an identifier")
    return text
