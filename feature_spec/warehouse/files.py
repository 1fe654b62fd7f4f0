"""Files that come in and go out: CSV or Parquet, told apart by name."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from feature_spec.errors import DataError
from feature_spec.warehouse.packages import arrow, arrow_compute, arrow_csv, parquet


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
    repeated = sorted(name for name, times in Counter(header).items() if times > 1)
    if repeated:
        raise DataError(f"{path.name}: the header names the column '{repeated[0]}' twice; rename one")
    return header


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
