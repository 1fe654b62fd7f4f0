"""Files that come in and go out: CSV or Parquet, told apart by name."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from feature_spec.errors import DataError
from feature_spec.warehouse.packages import arrow, arrow_compute, arrow_csv, parquet

READ: Final = frozenset(
    {
        *("user_id", "timestamp", "event_type", "count", "value", "event_id", "goal_id", "as_of", "zone"),
        *("observed_since", "account_since", "goal_start", "goal_total_days", "goals_completed_before"),
        *("goals_active", "goals_overdue", "progress"),
    }
)
"""The columns of events and requests; others are ignored, whatever they are."""


def is_parquet(path: Path) -> bool:
    """Whether ``path`` is called like a Parquet file."""
    return path.suffix.lower() in {".parquet", ".pq"}


def csv_header(path: Path) -> list[str]:
    """The column names of a CSV file.

    Raises:
        DataError: the file cannot be read, is empty, or names a column twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file, strict=True), [])
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not UTF-8 text; save it as UTF-8") from error
    except (csv.Error, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path}: cannot be read ({reason}); check the path") from error
    if not header:
        raise DataError(f"{path.name}: the file is empty; it needs a header and rows")
    _refuse_twice(path, header)
    return header


def parquet_header(path: Path) -> list[str]:
    """The column names of a Parquet file.

    Raises:
        DataError: the file cannot be read, names a column twice, or has a column of ``READ`` in a type that engines do
            not read alike. Taken for absent it would mean something else: another zone, no duplicates, a count of 1.
    """
    try:
        schema = parquet.read_schema(path)
    except (arrow.ArrowException, OSError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).split("\n")[0][:120]
        raise DataError(
            f"{path}: cannot be read as Parquet ({reason}); check the path and the file"
        ) from error
    _refuse_twice(path, schema.names)
    for field in schema:
        if field.name in READ and not _is_plain(field.type):
            raise DataError(
                f"{path.name}: the column '{field.name}' has the type {str(field.type).splitlines()[0][:60]}; "
                "write texts, numbers, dates or time stamps"
            )
    return list(schema.names)


def distinct(names: Sequence[str]) -> list[tuple[int, str]]:
    """Places and names of the columns that an engine can tell apart: engines have no names without letters and do not
    look at case, and of two such columns the one that is read is kept.
    """
    taken = set(READ)
    kept = []
    for place, name in enumerate(names):
        if name in READ or (name.strip() and name.lower() not in taken):
            taken.add(name.lower())
            kept.append((place, name))
    return kept


def _refuse_twice(path: Path, header: Sequence[str]) -> None:
    repeated = sorted(name for name, times in Counter(header).items() if times > 1)
    if repeated:
        raise DataError(f"{path.name}: the header names the column '{repeated[0]}' twice; rename one")


def _is_plain(kind: Any) -> bool:
    types = arrow.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or (types.is_decimal(kind) and kind.precision <= 38)
        or types.is_boolean(kind)
        or types.is_null(kind)
        or types.is_timestamp(kind)
        or types.is_date(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
    )


def encode(table: Any, path: Path) -> bytes:
    """A ``pyarrow.Table`` as the bytes of a file called ``path``; its ``as_of`` in milliseconds becomes an instant."""
    if "as_of" in table.column_names:
        place = table.column_names.index("as_of")
        instants = table["as_of"].cast(arrow.timestamp("ms"))
        if is_parquet(path):
            shown = instants.cast(arrow.timestamp("ms", tz="UTC"))
        else:
            shown = arrow_compute.strftime(instants, format="%Y-%m-%dT%H:%M:%SZ")
        table = table.set_column(place, "as_of", shown)
    sink = arrow.BufferOutputStream()
    if is_parquet(path):
        parquet.write_table(table, sink)
    else:
        sink.write((",".join(table.column_names) + "\n").encode("utf-8"))
        options = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")
        arrow_csv.write_csv(table, sink, options)
    return bytes(sink.getvalue())
