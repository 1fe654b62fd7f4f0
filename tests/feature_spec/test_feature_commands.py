"""`edge features`, as plain click commands that return what they found."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from feature_spec import PREBUILT
from feature_spec.commands import data_options, features, read_spec, write_atomically
from feature_spec.dataset import DataFiles, load
from feature_spec.errors import DataError, FeatureSpecError
from feature_spec.numpy_evaluator import evaluate
from feature_spec.registry import REGISTRY, STATUSES

EVENTS = "user_id,day,event_type,count\na,1,session,1\nb,2,message,4\na,3,task_due,1\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(features, list(arguments), standalone_mode=False)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(EVENTS)
    return path


def test_list_and_show_return_json() -> None:
    listed = run("list").return_value
    rows = {row["name"]: row for row in listed["features"]}
    assert list(rows) == list(REGISTRY.names)
    assert listed["prebuilt"] == PREBUILT.names
    for feature in PREBUILT.features:
        shown = {
            key: getattr(feature, key)
            for key in ("version", "unit", "low", "high", "missing", "ttl_s", "formula")
        }
        assert {key: rows[feature.name][key] for key in shown} == shown
    assert {rows["age"]["status"], rows["season"]["status"], rows["openness_score"]["status"]} == set(
        STATUSES
    )
    assert rows["age"]["formula"] is None
    assert listed["fingerprint"] == PREBUILT.fingerprint()
    shown = run("show", "completion_rate").return_value
    assert shown["formula"] == "ratio(sum_days(count[task_done]), sum_days(count[task_due]))"
    assert shown["known_where"] == "(0 < sum_days(count[task_due]))"
    json.dumps([listed, shown])
    assert {key: shown[key] for key in ("unit", "counts", "dtype", "ttl_s")} == {
        "unit": "share",
        "counts": "1",
        "dtype": "float32",
        "ttl_s": 3600,
    }
    assert shown["core"] == [
        "x0 = sum_days(count[task_due])",
        "= where((0 < x0), max(min((sum_days(count[task_done]) / x0), 1), 0), 0.5)",
    ]


def test_an_unknown_feature_is_wrong_usage() -> None:
    result = CliRunner().invoke(features, ["show", "mood"])
    assert result.exit_code == 2
    assert "did you mean current_mood_encoding?" in result.output


@pytest.mark.parametrize("name", REGISTRY.names)
def test_every_name_can_be_shown(name: str) -> None:
    shown = run("show", name).return_value
    json.dumps(shown)
    assert shown["name"] == name
    assert {"group", "status", "unit", "low", "high", "missing", "ttl_s", "meaning", "source"} <= set(shown)
    assert ("formula" in shown) == (shown["status"] == "computed") != ("why_declared" in shown)


def test_compute_writes_what_the_evaluator_says(events: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.csv"
    result = run("compute", "--events", str(events), "--cutoff-day", "2", "--out", str(out))
    assert result.exception is None
    assert result.return_value["users"] == 2
    json.dumps(result.return_value)
    with out.open(newline="") as file:
        header, *rows = csv.reader(file)
    snapshot = load(DataFiles(events)).snapshot(2)
    expected = evaluate(PREBUILT, snapshot.daily, snapshot.context)
    assert header == ["user_id", *PREBUILT.names]
    assert [row[0] for row in rows] == ["a", "b"]
    assert np.array_equal(np.array([row[1:] for row in rows], np.float32), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.csv", "features.csv"]


def test_compute_leaves_nothing_behind_on_failure(events: Path, tmp_path: Path) -> None:
    events.write_text(EVENTS + "a,3,login,1\n")
    out = tmp_path / "features.csv"
    out.write_text("before")
    result = run("compute", "--events", str(events), "--out", str(out))
    assert isinstance(result.exception, FeatureSpecError)
    assert out.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.csv", "features.csv"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["compute"],
        ["compute", "--out", "x.csv"],
        ["compute", "--labels", "l.csv", "--out", "x.csv"],
        ["compute", "--events", "e.csv", "--cutoff-day", "1", "--cutoff-day", "2", "--out", "x.csv"],
        ["compute", "--events", "e.csv", "--cutoff-day", "soon", "--out", "x.csv"],
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(features, arguments).exit_code == 2


def test_vectors_are_written(tmp_path: Path) -> None:
    result = run("vectors", "--out", str(tmp_path / "new" / "folder"))
    assert result.return_value["files"] == ["accept.json", "feature_spec.json", "refuse.json"]
    assert (
        sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == result.return_value["files"]
    )


def test_an_impossible_folder_is_one_line(events: Path) -> None:
    result = run("vectors", "--out", str(events / "below"))
    assert isinstance(result.exception, DataError)
    assert "choose another --out" in str(result.exception)
    with pytest.raises(DataError, match="cannot be written"):
        write_atomically(events / "below", b"")


def test_every_option_has_help() -> None:
    for command in features.commands.values():
        assert command.help
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, parameter.name


def test_the_options_for_other_commands(events: Path) -> None:
    @click.command()
    @data_options
    @click.option("--extra", help="Something of the command's own.")
    def command(**kwargs: Any) -> dict[str, Any]:
        return kwargs

    def returned(*arguments: str) -> Any:
        return CliRunner().invoke(command, list(arguments), standalone_mode=False).return_value

    assert returned("--extra", "x") == {"data": None, "cutoff_days": (), "zone": "UTC", "extra": "x"}
    full = returned(
        "--events",
        "e",
        "--mapping",
        "oulad",
        "--cutoff-day",
        "3",
        "--cutoff-day",
        "9",
        "--zone",
        "Asia/Tokyo",
    )
    assert full["data"] == DataFiles(Path("e"), mapping="oulad")
    assert (full["cutoff_days"], full["zone"]) == ((3, 9), "Asia/Tokyo")


def test_a_selection_is_a_spec_that_other_commands_read(tmp_path: Path) -> None:
    out = tmp_path / "spec.json"
    names = ["season", "sessions_last_7d", "momentum_score"]
    result = run("select", *names, "--out", str(out)).return_value
    spec = read_spec(out)
    assert list(spec.names) == names
    assert spec.fingerprint() == result["fingerprint"]
    assert spec["momentum_score"] == PREBUILT["momentum_score"]
    generated = run("codegen", "--lang", "typescript", "--spec", str(out), "--out", str(tmp_path / "made.ts"))
    assert generated.exception is None
    assert "sessions_last_7d" in (tmp_path / "made.ts").read_text()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "Missing argument"),
        (["season", "season"], "the feature season is defined twice"),
        (["age"], "age is not computed but comes from the account system"),
        (["openness_score"], "openness_score is not computed but comes from a text model on the device"),
        (["sesson"], "did you mean season?"),
    ],
)
def test_a_selection_that_cannot_be_is_wrong_usage(names: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(features, ["select", *names, "--out", str(tmp_path / "spec.json")])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert list(tmp_path.iterdir()) == []
