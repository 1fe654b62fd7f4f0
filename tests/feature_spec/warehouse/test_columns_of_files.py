"""What a file is called and what types its columns have: read as meant, or refused; never another file or a default."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from feature_spec import PREBUILT
from feature_spec.errors import DataError
from feature_spec.warehouse.compute import compute
from feature_spec.warehouse.duckdb_engine import DuckDB
from feature_spec.warehouse.relations import DATES, NUMBERS

pytestmark = pytest.mark.sampled

NOON = "2026-03-31T12:00:00Z"
EVENTS = {
    "user_id": ["1", "1"],
    "timestamp": ["2026-03-31T10:00:00Z", "2026-03-30T10:00:00Z"],
    "event_type": ["session", "task_done"],
}
REQUESTS = {"user_id": ["1"], "as_of": [NOON]}
OF_EVENTS = ("user_id", "timestamp", "event_type", "count", "value", "event_id", "goal_id")
OF_REQUESTS = ("user_id", "as_of", "goal_id", "zone", "progress", *DATES, *NUMBERS)


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDB]:
    with DuckDB(threads=2) as opened:
        yield opened


def row(engine: DuckDB, folder: Path, log: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """The first row of the result, from Parquet files with these columns."""
    for name, columns in (("log", EVENTS | log), ("asked", REQUESTS | asked)):
        parquet.write_table(pa.table(columns), folder / f"{name}.parquet")
    tables = [engine.read(folder / f"{name}.parquet") for name in ("log", "asked")]
    return dict(compute(PREBUILT, engine, *tables).to_pylist()[0])


@pytest.mark.parametrize("name", OF_EVENTS)
@pytest.mark.parametrize("cell", [b"1", [1], {"a": 1}], ids=["bytes", "list", "struct"])
def test_columns_of_events_that_nobody_can_read_are_refused(
    engine: DuckDB, tmp_path: Path, name: str, cell: Any
) -> None:
    with pytest.raises(DataError, match=rf"log.parquet: the column '{name}' has the type .*; write"):
        row(engine, tmp_path, {name: [cell, cell]}, {})


@pytest.mark.parametrize("name", OF_REQUESTS)
def test_columns_of_requests_that_nobody_can_read_are_refused(
    engine: DuckDB, tmp_path: Path, name: str
) -> None:
    with pytest.raises(DataError, match=rf"asked.parquet: the column '{name}' has the type binary; write"):
        row(engine, tmp_path, {}, {name: [b"Europe/Berlin"]})


def test_what_nobody_reads_may_have_any_type(engine: DuckDB, tmp_path: Path) -> None:
    others = {"props": [[1], [2]], "": [1, 2], "User_ID": [1, 2], "raw": [b"x", b"y"], "rows_": [1, 2]}
    assert row(engine, tmp_path, others, {}) == row(engine, tmp_path, {}, {})


ALIKE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an unsigned count": ({"count": pa.array([7, 7], pa.uint64())}, {"count": [7, 7]}),
    "true and false": ({"count": [True, False]}, {"count": [1, 0]}),
    "an unsigned value": ({"value": pa.array([7, 7], pa.uint64())}, {"value": [7.0, 7.0]}),
    "unsigned users": ({"user_id": pa.array([1, 1], pa.uint64())}, {}),
    "half precision": ({"value": pa.array([0.5, 0.25], pa.float16())}, {"value": [0.5, 0.25]}),
    "decimals": ({"value": [Decimal("0.50"), Decimal("0.25")]}, {"value": [0.5, 0.25]}),
    "no type": ({"value": pa.nulls(2), "count": pa.nulls(2)}, {}),
    "a dictionary": ({"event_type": pa.array(EVENTS["event_type"]).dictionary_encode()}, {}),
    "views": ({"user_id": pa.array(["1", "1"], pa.string_view())}, {}),
    "time stamps of a zone": (
        {
            "timestamp": pa.array(
                [datetime(2026, 3, 31, 10, tzinfo=UTC), datetime(2026, 3, 30, 10, tzinfo=UTC)],
                pa.timestamp("ns", "Asia/Tokyo"),
            )
        },
        {},
    ),
    "a name twice but for its case": ({"Count": [9, 9], "count": [2, 3]}, {"count": [2, 3]}),
}


@pytest.mark.parametrize("what", ALIKE)
def test_other_types_say_the_same(engine: DuckDB, tmp_path: Path, what: str) -> None:
    given, same = ALIKE[what]
    assert row(engine, tmp_path, given, {}) == row(engine, tmp_path, same, {})


def test_event_ids_may_be_of_any_readable_type(engine: DuckDB, tmp_path: Path) -> None:
    once = {name: [cells[0], cells[0]] for name, cells in EVENTS.items()}
    for ids in ([7, 7], pa.array([7, 7], pa.uint64()), [str(uuid.UUID(int=7))] * 2):
        found = row(engine, tmp_path, once | {"event_id": ids}, {})
        assert found == row(engine, tmp_path, {name: cells[:1] for name, cells in EVENTS.items()}, {})


def test_texts_without_letters_are_missing(engine: DuckDB, tmp_path: Path) -> None:
    once = {name: [cells[0], cells[0]] for name, cells in EVENTS.items()}
    missing = row(engine, tmp_path, once, {})
    empty = {"event_id": ["", ""], "goal_id": ["", "g"], "value": ["", ""]}
    assert row(engine, tmp_path, once | empty, {"zone": [""], "observed_since": [""]}) == missing
    with pytest.raises(DataError, match="the user_id of user '' is empty; give an identifier"):
        row(engine, tmp_path, {"user_id": ["", "1"]}, {})


def test_a_date_is_no_instant(engine: DuckDB, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the as_of of user '1' is '2026-03-31'; write it like 2026-03-01T08"):
        row(engine, tmp_path, {}, {"as_of": [date(2026, 3, 31)]})
    with pytest.raises(DataError, match="the timestamp of user '1' is '2026-03-31'; write it like"):
        row(engine, tmp_path, {"timestamp": [date(2026, 3, 31)] * 2}, {})


def test_a_number_is_no_date_and_a_date_is(engine: DuckDB, tmp_path: Path) -> None:
    asked = {"observed_since": [date(2026, 3, 1)]}
    assert row(engine, tmp_path, {}, asked) == row(engine, tmp_path, {}, {"observed_since": ["2026-03-01"]})
    with pytest.raises(DataError, match="the observed_since of user '1' is '2026'; write a date like"):
        row(engine, tmp_path, {}, {"observed_since": [2026]})


BAD_NUMBERS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a huge count": ({"count": [1e30, 1e30]}, {}, "the count of user '1' is '1e\\+30'"),
    "a count that is not a number": ({"count": [float("nan")] * 2}, {}, "the count of user '1' is 'nan'"),
    "an instant that is not a number": ({}, {"as_of": [float("nan")]}, "the as_of of user '1' is 'nan'"),
    "a huge instant": ({"timestamp": [1e300, 0.0]}, {}, "the timestamp of user '1' is '1e\\+300'"),
    "half a millisecond": ({"timestamp": [0.5, 0.0]}, {}, "the timestamp of user '1' is '0.5'"),
    "wide decimals": (
        {"value": pa.array([Decimal("1.5")] * 2, pa.decimal256(50, 3))},
        {},
        r"the column 'value' has the type decimal256\(50, 3\)",
    ),
}


@pytest.mark.parametrize("what", BAD_NUMBERS)
def test_numbers_that_make_no_sense(engine: DuckDB, tmp_path: Path, what: str) -> None:
    log, asked, message = BAD_NUMBERS[what]
    with pytest.raises(DataError, match=message):
        row(engine, tmp_path, log, asked)


def test_a_column_named_twice(engine: DuckDB, tmp_path: Path) -> None:
    columns = [*EVENTS.items(), ("count", [1, 1]), ("count", [2, 2])]
    table = pa.Table.from_arrays([pa.array(cells) for _, cells in columns], [name for name, _ in columns])
    parquet.write_table(table, tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r"log\.parquet: the header names the column 'count' twice"):
        engine.read(tmp_path / "log.parquet")


CSV = "user_id,timestamp,event_type,count\n1,2026-03-31T10:00:00Z,session,{}\n"


@pytest.mark.parametrize("name", ["e[1]", "e*", "e?", "it's", "{a,b}", "e;--", "ä", "[[1]", "~"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_is_read_and_none_beside_it(engine: DuckDB, tmp_path: Path, name: str, form: str) -> None:
    for other in (f"e1.{form}", f"e2.{form}", f"ex.{form}"):
        (tmp_path / other).write_text("not what was asked for", encoding="utf-8")
    path = tmp_path / f"{name}.{form}"
    if form == "csv":
        path.write_text(CSV.format(3), encoding="utf-8")
    else:
        parquet.write_table(pa.table({"user_id": ["1"], "count": ["3"]}), path)
    assert engine.fetch(engine.read(path).select("user_id", "count")).to_pylist() == [
        {"user_id": "1", "count": "3"}
    ]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_folders_are_no_columns(engine: DuckDB, tmp_path: Path, form: str) -> None:
    folder = tmp_path / "user_id=9" / "zone=Asia%2FTokyo" / "[x]*"
    folder.mkdir(parents=True)
    path = folder / f"asked.{form}"
    if form == "csv":
        path.write_text(f"user_id,as_of\n1,{NOON}\n", encoding="utf-8")
    else:
        parquet.write_table(pa.table(REQUESTS), path)
    assert engine.fetch(engine.read(path)).to_pylist() == [{"user_id": "1", "as_of": NOON}]


def test_csv_columns_that_nobody_reads_may_have_any_name(engine: DuckDB, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(
        ',user_id,User_ID,timestamp,event_type,\'; DROP TABLE x; --,"a""b",Count,count,Count \n'
        f"0,1,2,{NOON},session,x,y,8,3,7\n",
        encoding="utf-8",
    )
    found = engine.fetch(engine.read(path).select("user_id", "count")).to_pylist()
    assert found == [{"user_id": "1", "count": "3"}]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("1,2\n", "Expected Number of Columns: 4 Found: 2"),
        (f"1,{NOON},session,1,2\n", "Expected Number of Columns: 4 Found: 5"),
        (f'1,{NOON},session,"1\n', "Value with unterminated quote found"),
    ],
)
def test_a_broken_row_is_named(engine: DuckDB, tmp_path: Path, bad: str, reason: str) -> None:
    path = tmp_path / "it's = a log.csv"
    path.write_text(CSV.format(1) + bad, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        compute(PREBUILT, engine, engine.read(path), engine.register(pa.table(REQUESTS)))
    assert str(caught.value) == f"it's = a log.csv, line 3: {reason}; check commas and quotes"
