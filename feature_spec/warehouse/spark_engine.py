"""Spark, in local mode or on a cluster that the caller's session belongs to."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from feature_spec.errors import DataError, MissingExtraError
from feature_spec.extras import require
from feature_spec.warehouse.files import csv_header, distinct, is_parquet, parquet_header
from feature_spec.warehouse.packages import ibis
from feature_spec.warehouse.sql import to_sql

EXTRA: Final = "spark"

_IBIS: Final = {
    "boolean": "boolean",
    "string": "string",
    "bigint": "int64",
    "int": "int32",
    "double": "float64",
    "float": "float32",
}
"""The only types that tables here have."""


class Spark:
    """An engine for ``feature_spec.warehouse``; a context manager that stops a session that it started.

    Args:
        session: a ``pyspark.sql.SparkSession`` whose time zone is UTC; one in this process by default.
        memory_gib: what a session started here may hold.
        threads: how many it computes with; one a core by default.

    Raises:
        MissingExtraError: the extra ``spark`` or a Java runtime is not installed.
    """

    def __init__(self, session: Any = None, memory_gib: float = 3.0, threads: int | None = None) -> None:
        self._own = session is None
        self._session = _start(memory_gib, threads) if session is None else session
        # Ibis compiles for Spark only after its options for Spark are there.
        require("ibis.backends.pyspark", extra=EXTRA).Backend().register_options()
        self._tables = 0

    def __enter__(self) -> Spark:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop what was kept, and stop a session that was started here."""
        for number in range(1, self._tables + 1):
            self._session.catalog.dropTempView(f"warehouse_{number}")
        if self._own:
            self._session.stop()

    def register(self, arrow: Any) -> Any:
        """See ``Engine``."""
        return self._named(self._session.createDataFrame(arrow))

    def keep(self, expression: Any) -> Any:
        """See ``Engine``."""
        return self._named(self._session.sql(to_sql(expression, "pyspark")).localCheckpoint())

    def fetch(self, expression: Any) -> Any:
        """See ``Engine``."""
        return self._session.sql(to_sql(expression, "pyspark")).toArrow()

    def read(self, path: Path) -> Any:
        """See ``Engine``."""
        # Not a URI: Hadoop takes what is percent-encoded for the name. And a name is the file's and no pattern.
        source = "file://" + re.sub(r"([\\{}\[\]*?])", r"\\\1", path.resolve().as_posix())
        reader = self._session.read
        try:
            if is_parquet(path):
                header = parquet_header(path)
                frame = reader.parquet(source)
            else:
                header = csv_header(path)
                schema = ", ".join(f"c{place} STRING" for place in range(len(header)))
                options = {
                    "header": True,
                    "mode": "FAILFAST",
                    "escape": '"',
                    "multiLine": True,
                    "enforceSchema": True,
                }
                frame = reader.options(**options).schema(schema).csv(source)
            types = frame.dtypes
            plain = (f"{_plain(*types[place])} AS {_quoted(name)}" for place, name in distinct(header))
            return self._named(frame.selectExpr(*plain))
        except require("pyspark.errors", extra=EXTRA).PySparkException as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise DataError(
                f"{path}: cannot be read by Spark ({lines[0]:.200}); check the path and the file"
            ) from error

    def _named(self, frame: Any) -> Any:
        self._tables += 1
        name = f"warehouse_{self._tables}"
        frame.createOrReplaceTempView(name)
        return ibis.table({column: _IBIS[kind] for column, kind in frame.dtypes}, name=name)


def _start(memory_gib: float, threads: int | None) -> Any:
    pyspark = require("pyspark.sql", extra=EXTRA)
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.memory": f"{int(memory_gib * 1024)}m",
        "spark.ui.enabled": "false",
        # Nobody else is to reach it.
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.log.level": "ERROR",
    }
    builder = pyspark.SparkSession.builder.master(f"local[{threads or '*'}]").appName("coach-edge")
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # what it says of pandas does not concern us
            return builder.getOrCreate()
    except require("pyspark.errors", extra=EXTRA).PySparkRuntimeError as error:
        raise MissingExtraError(
            "Spark did not start; it needs a Java runtime, 17 or newer (Debian: apt-get install default-jre-headless)"
        ) from error


def _plain(name: str, kind: str) -> str:
    """A column as one of the types that everybody has."""
    column = _quoted(name)
    if kind.startswith("timestamp"):
        return f"unix_millis(CAST({column} AS TIMESTAMP))"
    if kind in ("tinyint", "smallint", "int", "bigint", "boolean"):
        return f"CAST({column} AS BIGINT)"
    if kind in ("float", "double") or kind.startswith("decimal"):
        return f"CAST({column} AS DOUBLE)"
    if kind in ("string", "date"):
        return f"NULLIF(CAST({column} AS STRING), '')"
    # Nobody reads it, so it may be of any type.
    return "CAST(NULL AS STRING)"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
