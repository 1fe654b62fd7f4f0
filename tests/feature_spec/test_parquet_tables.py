"""A Parquet file says what the CSV file says, whatever types its columns have."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from feature_spec.dataset import DataFiles, load
from feature_spec.errors import DataError
from feature_spec.quality import judge
from feature_spec.quality.reading import read_subject
from feature_spec.tables import read_parts, read_table
from tests.feature_spec.quality_logs import ZONE, clean

TYPES: dict[str, Callable[[str], Any]] = {
    "timestamp": lambda text: datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
    "count": int,
    "value": float,
    "account_since": date.fromisoformat,
    "observed_from": date.fromisoformat,
    "observed_until": date.fromisoformat,
    "goal_success": int,
    "churned": lambda text: text == "1",
}


def as_parquet(path: Path, types: dict[str, Callable[[str], Any]]) -> Path:
    """The same rows, the columns of ``types`` with types of their own."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {
        name: [types.get(name, str)(row[name]) if row[name] else None for row in rows] for name in rows[0]
    }
    out = path.with_suffix(".parquet")
    parquet.write_table(pa.table(columns), out, row_group_size=1000)
    return out


@pytest.mark.parametrize("types", [TYPES, {}], ids=["typed", "text"])
def test_both_formats_are_read_alike(types: dict[str, Callable[[str], Any]], tmp_path: Path) -> None:
    files = clean(users=10).write(tmp_path)
    assert files.labels is not None
    other = DataFiles(as_parquet(files.events, types), as_parquet(files.labels, types))
    one, two = load(files, ZONE), load(other, ZONE)
    for name in ("user", "day", "event_type", "count", "value"):
        assert np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True), name
    assert one.people.users == two.people.users
    ours, theirs = (judge(read_subject(each, ZONE)) for each in (files, other))
    assert ours.to_bytes() == theirs.to_bytes()


def test_cells_of_every_type(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    stamp = datetime(2026, 3, 1, 8, 30, 0, 250_000, tzinfo=UTC)
    columns = {
        "time": pa.array([stamp, None], pa.timestamp("us", "Europe/Berlin")),
        "naive": pa.array([stamp.replace(tzinfo=None, microsecond=0), None], pa.timestamp("ns")),
        "day": pa.array([date(2026, 3, 1), None]),
        "word": pa.array(["ü", None]).dictionary_encode(),
        "large": pa.array(["x", None], pa.large_string()),
        "small": pa.array([3, None], pa.int8()),
        "real": pa.array([1e6, 0.5]),
        "single": pa.array([float("nan"), float("-inf")], pa.float32()),
        "exact": pa.array([Decimal("1.50"), None]),
        "flag": pa.array([True, None]),
        "none": pa.array([None, None]),
    }
    parquet.write_table(pa.table(columns), path)
    table = read_table(path)
    assert {name: list(cells) for name, cells in table.columns.items()} == {
        "time": ["2026-03-01T08:30:00.250Z", ""],
        "naive": ["2026-03-01T08:30:00Z", ""],
        "day": ["2026-03-01", ""],
        "word": ["ü", ""],
        "large": ["x", ""],
        "small": ["3", ""],
        "real": ["1000000", "0.5"],
        "single": ["nan", "-inf"],
        "exact": ["1.50", ""],
        "flag": ["1", ""],
        "none": ["", ""],
    }
    assert [part.before for part in read_parts(path, 1)] == [0, 1]


BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("text", lambda p: p.write_text("user_id,day\n"), r"events.parquet: not readable as Parquet \(.*CSV"),
    ("cut", lambda p: p.write_bytes(p.read_bytes()[:-20]), "events.parquet: not readable as Parquet"),
    ("empty", lambda p: p.write_bytes(b""), "events.parquet: not readable as Parquet"),
    (
        "nested",
        lambda p: parquet.write_table(pa.table({"user_id": [["a"]]}), p),
        r"events.parquet, column user_id: cells of type list<.*> are not read",
    ),
    (
        "twice",
        lambda p: parquet.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, ["user_id"] * 2), p),
        "events.parquet: two columns are named 'user_id'; rename one",
    ),
    (
        "no rows",
        lambda p: parquet.write_table(pa.table({"user_id": pa.array([], pa.string())}), p),
        "events.parquet: there are no rows",
    ),
    (
        "negative",
        lambda p: parquet.write_table(
            pa.table({"user_id": ["a"], "day": [1], "event_type": ["session"], "count": [-3]}), p
        ),
        "events.parquet, row 2, column count: the count -3 is negative",
    ),
    (
        "not a number",
        lambda p: parquet.write_table(
            pa.table(
                {
                    "user_id": ["a"],
                    "day": [1],
                    "event_type": ["session"],
                    "count": [1],
                    "value": [float("nan")],
                }
            ),
            p,
        ),
        "events.parquet, row 2, column value: 'nan' is not a finite number",
    ),
]


@pytest.mark.parametrize(("spoil", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_files(spoil: Callable[[Path], object], says: str, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    parquet.write_table(
        pa.table({"user_id": ["a"], "day": [1], "event_type": ["session"], "count": [1]}), path
    )
    spoil(path)
    for read in (load, read_subject):
        with pytest.raises(DataError, match=says) as caught:
            read(DataFiles(path))
        assert "\n" not in str(caught.value)
