"""Parquet files as the same columns of text that CSV files are, so that one set of readers judges every cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from feature_spec.errors import DataError
from feature_spec.extras import Late

SUFFIXES: Final = frozenset({".parquet", ".pq"})

_arrow: Any = Late("pyarrow", extra="warehouse")
_parquet: Any = Late("pyarrow.parquet", extra="warehouse")

Columns = dict[str, Sequence[str]]


def read_parts(path: Path, rows: int) -> Iterator[tuple[Columns, int]]:
    """The columns of a Parquet file as text, some rows at a time, and how many rows.

    Null is an empty cell. Time stamps become RFC 3339 in UTC (those without a zone are taken for UTC), dates
    ``YYYY-MM-DD``, whole floating-point numbers whole numbers, truth values 1 and 0.

    Raises:
        DataError: the file cannot be read, is no such file, names a column twice, or holds nested columns.
        MissingExtraError: the extra ``warehouse`` is not installed.
    """
    try:
        with path.open("rb") as source, _parquet.ParquetFile(source) as file:
            names = list(file.schema_arrow.names)
            repeated = sorted(name for name, times in Counter(names).items() if times > 1)
            if repeated:
                raise DataError(f"{path.name}: two columns are named '{repeated[0]}'; rename one")
            for batch in file.iter_batches(batch_size=rows):
                columns = {
                    name: _texts(f"{path.name}, column {name}", batch.column(place))
                    for place, name in enumerate(names)
                }
                yield columns, batch.num_rows
    except _arrow.ArrowException as error:
        reason = str(error).split("\n")[0][:120]
        raise DataError(
            f"{path.name}: not readable as Parquet ({reason}); write it again, or as CSV"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error


def _texts(where: str, column: Any) -> Sequence[str]:
    types, kind = _arrow.types, column.type
    if types.is_dictionary(kind):
        return _texts(where, column.dictionary_decode())
    if types.is_timestamp(kind):
        return _stamps(column)
    if types.is_floating(kind):
        return ["" if x is None else _number(x) for x in column.to_pylist()]
    if types.is_boolean(kind):
        return ["" if x is None else str(int(x)) for x in column.to_pylist()]
    if types.is_null(kind):
        return [""] * len(column)
    if not (
        types.is_integer(kind)
        or types.is_decimal(kind)
        or types.is_date(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
    ):
        raise DataError(
            f"{where}: cells of type {kind} are not read; write texts, numbers, dates or time stamps"
        )
    return ["" if x is None else str(x) for x in column.to_pylist()]


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _stamps(column: Any) -> Sequence[str]:
    moments = column.cast(_arrow.timestamp("ms"), safe=False)
    numbers = moments.cast(_arrow.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    whole = not (numbers % 1000).any()
    texts = np.datetime_as_string(numbers.astype("datetime64[ms]"), unit="s" if whole else "ms")
    missing = column.is_null().to_numpy(zero_copy_only=False)
    return ["" if no else f"{text}Z" for text, no in zip(texts.tolist(), missing.tolist(), strict=True)]
