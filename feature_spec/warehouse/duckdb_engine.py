"""DuckDB, in this process: bounded in memory, and on disk beyond that."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from feature_spec.errors import DataError
from feature_spec.warehouse.files import csv_header, distinct, is_parquet, parquet_header
from feature_spec.warehouse.packages import duckdb, ibis
from feature_spec.warehouse.sql import to_sql

MEMORY_GIB: Final = 3.0
"""What DuckDB may hold in memory before it writes to its temporary folder."""


class DuckDB:
    """An engine for ``feature_spec.warehouse``; a context manager that closes its database.

    Args:
        memory_gib: what it may hold in memory; more goes to ``scratch``.
        threads: how many it computes with; one a core by default.
        scratch: folder in which to make one for what does not fit into memory; the system's by default. It is for
            nobody else to read, and gone when the engine is closed.
    """

    def __init__(
        self, memory_gib: float = MEMORY_GIB, threads: int | None = None, scratch: Path | None = None
    ) -> None:
        self._connection = duckdb.connect(":memory:")
        # DuckDB's own choice would be a folder beside the data.
        self._scratch = tempfile.TemporaryDirectory(
            prefix="coach-edge-", dir=scratch, ignore_cleanup_errors=True
        )
        settings = {
            "temp_directory": self._scratch.name,
            "memory_limit": f"{int(memory_gib * 1024)}MiB",
            "preserve_insertion_order": "false",
            "TimeZone": "UTC",
            # Nothing is ever fetched: what DuckDB ships is all that is used.
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        if threads is not None:
            settings["threads"] = str(threads)
        for key, value in settings.items():
            self._connection.execute(f"SET {key} = {_literal(value)}")
        self._tables = 0

    def __enter__(self) -> DuckDB:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database, and remove what it wrote."""
        self._connection.close()
        self._scratch.cleanup()

    def register(self, arrow: Any) -> Any:
        """See ``Engine``."""
        name = self._next()
        self._connection.register(name, arrow)
        return self._table(name)

    def keep(self, expression: Any) -> Any:
        """See ``Engine``."""
        name = self._next()
        self._run(f"CREATE TEMP TABLE {name} AS {to_sql(expression, 'duckdb')}")
        return self._table(name)

    def fetch(self, expression: Any) -> Any:
        """See ``Engine``."""
        return self._run(to_sql(expression, "duckdb")).to_arrow_table()

    def read(self, path: Path) -> Any:
        """See ``Engine``."""
        # A name is the file's and no pattern, and the folders above say nothing of what is in it.
        source = _literal(re.sub(r"([*?\[])", r"[\1]", os.path.abspath(path)))
        if is_parquet(path):
            header = parquet_header(path)
            relation = f"read_parquet({source}, hive_partitioning = false)"
        else:
            header = csv_header(path)
            columns = ", ".join(f"c{place}: 'VARCHAR'" for place in range(len(header)))
            relation = (
                f"read_csv({source}, auto_detect = false, header = true, strict_mode = true, delim = ',', "
                "quote = '\"', escape = '\"', nullstr = '', hive_partitioning = false, "
                f"columns = {{{columns}}})"
            )
        name = self._next()
        try:
            described = self._connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
            plain = ", ".join(
                f"{_plain(described[place][0], described[place][1])} AS {_quoted(column)}"
                for place, column in distinct(header)
            )
            self._connection.execute(f"CREATE TEMP VIEW {name} AS SELECT {plain} FROM {relation}")
        except duckdb.Error as error:
            raise _unreadable(path, error) from error
        return self._table(name)

    def _run(self, sql: str) -> Any:
        try:
            return self._connection.execute(sql)
        except duckdb.OutOfMemoryException as error:
            raise DataError(
                f"DuckDB needs more memory or room on the disk ({_one_line(error)}); give it more with --memory-gib"
            ) from error
        except (duckdb.InvalidInputException, duckdb.IOException) as error:
            raise DataError(
                _broken_row(str(error)) or f"the data cannot be read ({_one_line(error)})"
            ) from error
        except RuntimeError as error:
            if "interrupted" in str(error):  # what becomes of Ctrl-C
                self._connection.interrupt()  # its other threads go on until they are told
                raise KeyboardInterrupt from error
            raise

    def _next(self) -> str:
        self._tables += 1
        return f"warehouse_{self._tables}"

    def _table(self, name: str) -> Any:
        described = self._connection.execute(f"DESCRIBE {name}").fetchall()
        return ibis.table({column: _IBIS[kind] for column, kind, *_ in described}, name=name)


_IBIS: Final = {
    "BOOLEAN": "boolean",
    "VARCHAR": "string",
    "BIGINT": "int64",
    "INTEGER": "int32",
    "DOUBLE": "float64",
    "FLOAT": "float32",
}
"""The only types that tables here have."""

_WHOLE: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "BOOLEAN")
_TEXT: Final = ("VARCHAR", "DATE", "UBIGINT", "HUGEINT", "UHUGEINT")


def _plain(column: str, kind: str) -> str:
    """A column as one of the types that everybody has."""
    name = _quoted(column)
    if kind.startswith("TIMESTAMP"):
        return f"epoch_ms({name})"
    if kind in _WHOLE:
        return f"{name}::BIGINT"
    if kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
        return f"{name}::DOUBLE"
    if kind in _TEXT or kind.startswith("ENUM"):
        return f"nullif({name}::VARCHAR, '')"
    # Nobody reads it, so it may be of any type.
    return "NULL::VARCHAR"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _unreadable(path: Path, error: Exception) -> DataError:
    form = "Parquet" if is_parquet(path) else "CSV"
    return DataError(f"{path}: cannot be read as {form} ({_one_line(error)}); check the path and the file")


def _broken_row(text: str) -> str:
    """What DuckDB says of a row of a CSV file in few words, without its advice on its own options; or nothing."""
    line, file = (
        re.search(r"CSV Error on Line: (\d+)", text),
        re.search(r"^  file = (.*)$", text, re.MULTILINE),
    )
    if line is None or file is None:
        return ""
    told = re.search(r"^(Expected Number of Columns: .*|Value with .*?)\.?$", text, re.MULTILINE)
    reason = told[1] if told else "not readable as CSV"
    return f"{Path(file[1]).name}, line {line[1]}: {reason}; check commas and quotes"


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines)[:200] or type(error).__name__


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
