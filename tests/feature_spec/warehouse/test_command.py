"""``edge features compute`` with an engine, from files to files."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pyarrow.parquet as parquet
import pytest
from click.testing import CliRunner, Result

from feature_spec import PREBUILT
from feature_spec.canonical import canonical_json
from feature_spec.commands import features
from feature_spec.definition import FeatureSpec
from feature_spec.errors import DataError
from feature_spec.registry import REGISTRY
from tests.feature_spec.warehouse.logs import tables
from tests.feature_spec.warehouse.test_agreement import TOLERANCE, worst
from tests.feature_spec.warehouse.test_events import expected_features, random_users

pytestmark = pytest.mark.sampled

REQUESTS = """user_id,goal_id,as_of,zone
ä,g1,2026-03-31T22:30:00Z,Europe/Berlin
ä,g1,2026-03-31T22:30:00Z,
b,,2026-03-01T00:00:00.123Z,
"""
EVENTS = """user_id,timestamp,event_type,count,value
ä,2026-03-31T10:00:00Z,task_done,2,0.5
ä,2026-04-01T10:00:00Z,session,1,
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(features, ["compute", *arguments], standalone_mode=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "events.csv").write_text(EVENTS, encoding="utf-8")
    (tmp_path / "requests.csv").write_text(REQUESTS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_row_for_each_request(folder: Path) -> None:
    result = run("--events", "events.csv", "--requests", "requests.csv", "--out", "out.csv")
    assert result.exception is None, result.exception
    assert result.return_value["rows"] == 3
    assert result.return_value["notices"] == (
        "1 of 3 requests are of users without any event in events.csv: their history is empty",
    )
    with (folder / "out.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["user_id", "goal_id", "as_of", "zone", *PREBUILT.names]
    assert [row[:4] for row in rows] == [
        ["ä", "g1", "2026-03-31T22:30:00.000Z", "Europe/Berlin"],
        ["ä", "g1", "2026-03-31T22:30:00.000Z", "UTC"],
        ["b", "", "2026-03-01T00:00:00.123Z", "UTC"],
    ]
    since = header.index("days_since_last_activity")
    assert [row[since] for row in rows] == ["1", "0", "90"], "in Berlin it is tomorrow already"


def test_files_of_any_kind_say_the_same(folder: Path) -> None:
    users = random_users(31, 20)
    for name, table in zip(("log", "asked"), tables(users), strict=True):
        parquet.write_table(table, f"{name}.parquet")
        rows = [table.column_names, *zip(*(column.to_pylist() for column in table.columns), strict=True)]
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    for kind in ("csv", "parquet"):
        result = run("--events", f"log.{kind}", "--requests", f"asked.{kind}", "--out", "out.parquet")
        assert result.exception is None, result.exception
        found = parquet.read_table("out.parquet")
        columns = np.stack([found[name].to_numpy() for name in PREBUILT.names], axis=1)
        assert worst(expected_features(users, PREBUILT), columns) <= TOLERANCE


@pytest.mark.parametrize("engine", ["numpy", "duckdb"])
def test_another_spec(folder: Path, engine: str) -> None:
    spec = FeatureSpec((PREBUILT["days_since_last_activity"],))
    (folder / "spec.json").write_bytes(canonical_json(spec.to_json()))
    result = run("--events", "events.csv", "--spec", "spec.json", "--engine", engine, "--out", "out.csv")
    assert result.exception is None, result.exception
    lines = (folder / "out.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "user_id,days_since_last_activity"
    assert lines[1].endswith(",0")


def test_a_cutoff_gives_the_same_with_and_without_an_engine(folder: Path) -> None:
    for engine in ("numpy", "duckdb"):
        result = run("--events", "events.csv", "--engine", engine, "--out", f"{engine}.csv")
        assert result.exception is None, result.exception
    texts = [
        list(csv.reader((folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()))
        for name in ("numpy", "duckdb")
    ]
    assert texts[0][0] == texts[1][0]
    numbers = [np.array([row[1:] for row in text[1:]], np.float64) for text in texts]
    assert worst(*numbers) <= TOLERANCE


@pytest.mark.parametrize(
    "options",
    [
        ["--cutoff-day", "3"],
        ["--engine", "numpy"],
        ["--labels", "events.csv"],
    ],
)
def test_what_does_not_go_with_requests(folder: Path, options: list[str]) -> None:
    result = run("--events", "events.csv", "--requests", "requests.csv", "--out", "out.csv", *options)
    assert "--requests goes with" in str(result.exception)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", "user_id,timestamp,event_type\na,b\n", "log.csv, line 2: Expected"),
        ("log.csv", "", "log.csv: the file is empty"),
        ("log.csv", "user_id,user_id\n", "twice"),
        ("log.parquet", "no parquet", "cannot be read as Parquet"),
        ("log.csv", "user_id,day,event_type,count\na,1,session,1\n", "log.csv: no column 'timestamp'"),
    ],
)
def test_bad_files(folder: Path, name: str, content: str, message: str) -> None:
    (folder / name).write_text(content)
    result = run("--events", name, "--requests", "requests.csv", "--out", "out.csv")
    assert isinstance(result.exception, DataError)
    assert message in str(result.exception)
    assert not (folder / "out.csv").exists()


def test_a_missing_file_and_an_unknown_zone(folder: Path) -> None:
    for arguments in (["--events", "nothing.csv"], ["--events", "events.csv", "--zone", "Mars"]):
        result = run(*arguments, "--requests", "requests.csv", "--out", "out.csv")
        assert isinstance(result.exception, DataError)


def test_a_selection_of_the_registry_by_either_engine(folder: Path) -> None:
    names = [
        "season",
        "hour_of_day",
        "total_messages_sent",
        "procrastination_index",
        "recent_achievement_flag",
    ]
    (folder / "spec.json").write_bytes(canonical_json(REGISTRY.select(names).to_json()))
    log = ["--events", "events.csv", "--spec", "spec.json"]
    for out, more in (("numpy.csv", []), ("duckdb.csv", ["--engine", "duckdb"])):
        result = run(*log, "--out", out, *more)
        assert result.exception is None, result.exception
        assert list(result.return_value["features"]) == names
    texts = [(folder / f"{name}.csv").read_text("utf-8") for name in ("numpy", "duckdb")]
    assert [*csv.reader(texts[0].splitlines())] == [*csv.reader(texts[1].splitlines())], "but for quotes"
    assert run(*log, "--requests", "requests.csv", "--out", "asked.csv").exception is None
    with (folder / "asked.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[-5:] == names
    assert rows[0][-5:] == ["1", "0", "0", "0", "1"], (
        "half past midnight in April, two tasks worth a half each done"
    )
    assert run(*log, "--out", "spec.json").exception is not None, "the file that is read"


@pytest.mark.parametrize("engine", ["numpy", "duckdb"])
def test_a_feature_is_not_called_like_another_column(folder: Path, engine: str) -> None:
    spec = FeatureSpec((replace(PREBUILT.features[0], name="user_id"),))
    Path("spec.json").write_bytes(canonical_json(spec.to_json()))
    result = run("--events", "events.csv", "--spec", "spec.json", "--engine", engine, "--out", "out.csv")
    assert isinstance(result.exception, DataError)
    assert "the feature 'user_id' is called like another column of the result; rename it" in str(
        result.exception
    )
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("name", ["user_id", "goal_id", "as_of", "zone"])
def test_a_feature_is_not_called_like_a_column_of_requests(folder: Path, name: str) -> None:
    spec = FeatureSpec((replace(PREBUILT.features[0], name=name),))
    Path("spec.json").write_bytes(canonical_json(spec.to_json()))
    result = run(
        "--events", "events.csv", "--requests", "requests.csv", "--spec", "spec.json", "--out", "out.csv"
    )
    assert isinstance(result.exception, DataError)
    assert f"the feature '{name}' is called like another column" in str(result.exception)


def test_features_may_be_called_like_what_the_engine_uses(folder: Path) -> None:
    given = ("--events", "events.csv", "--requests", "requests.csv")
    assert run(*given, "--out", "plain.parquet").exception is None
    names = ("request", "rows_", "day", "weekday", "observed", "today", "d0", "s1", "present_", "zone_right")
    features = [replace(one, name=name) for one, name in zip(PREBUILT.features, names, strict=True)]
    Path("spec.json").write_bytes(canonical_json(FeatureSpec(tuple(features)).to_json()))
    result = run(*given, "--spec", "spec.json", "--out", "out.parquet")
    assert result.exception is None, result.exception
    found, plain = parquet.read_table("out.parquet"), parquet.read_table("plain.parquet")
    assert found.column_names[4:] == list(names)
    assert found.columns == plain.columns


@pytest.mark.parametrize("amount", ["nan", "inf", "1e300", "0.01", "-1"])
def test_an_amount_of_memory_that_is_none(folder: Path, amount: str) -> None:
    given = ("--events", "events.csv", "--requests", "requests.csv", "--out", "out.csv")
    result = run(*given, "--memory-gib", amount)
    assert isinstance(result.exception, click.BadParameter), result.exception
