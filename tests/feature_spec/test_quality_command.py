"""`edge features check`: a verdict, a table, a page; and what it says of a real log."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from feature_spec.commands import features
from feature_spec.dataset import DataFiles
from feature_spec.errors import DataError, QualityError
from feature_spec.quality import judge
from feature_spec.quality.command import check
from feature_spec.quality.reading import read_subject
from feature_spec.quality.report import RULES
from tests.feature_spec.quality_logs import AS_OF, SPOILT, ZONE, clean

pytestmark = pytest.mark.sampled


def run(files: DataFiles, *arguments: str) -> Result:
    options = ["--events", str(files.events), "--labels", str(files.labels), "--zone", ZONE]
    return CliRunner().invoke(features, ["check", *options, *arguments], standalone_mode=False)


def spoilt(defect: str, folder: Path) -> DataFiles:
    files = clean()
    SPOILT[defect][1](files)
    return files.write(folder)


def test_a_good_log_passes(tmp_path: Path) -> None:
    result = run(clean().write(tmp_path), "--as-of", AS_OF)
    assert result.exception is None
    value: dict[str, Any] = result.return_value
    assert json.loads(json.dumps(value)) == value
    assert (value["score"], value["passed"], value["threshold"]) == (1.0, True, 0.95)
    assert [row["check"] for row in value["checks"]] == [rule.name for rule in RULES]
    assert value["findings"] == []


def test_a_bad_log_fails_with_its_worst_finding_and_the_report(tmp_path: Path) -> None:
    result = run(spoilt("scores in percent", tmp_path), "--as-of", AS_OF)
    error = result.exception
    assert isinstance(error, QualityError)
    assert re.fullmatch(
        r"data quality 0\.\d+ is below 0\.95; worst is accuracy, units: the values of task_done look like percent, "
        r"not a share from 0 to 1 \(row \d+, row \d+, row \d+\); convert them, or scale them in a --mapping",
        str(error),
    )
    assert error.report["passed"] is False
    assert (
        run(spoilt("scores in percent", tmp_path), "--as-of", AS_OF, "--threshold", "0.5").exception is None
    )


def test_the_page_needs_nothing_and_trusts_nothing(tmp_path: Path) -> None:
    files = clean()
    files.labels[0]["user_id"] = "<script>alert(1)</script>"
    page = tmp_path / "report.html"
    run(files.write(tmp_path), "--html", str(page))
    text = page.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"(src|href)=|https?:|@import|url\(", text)
    assert text.count("<svg") > len(RULES) - 5
    for rule in RULES:
        assert f"<b>{rule.name}</b>" in text


def test_the_page_is_written_for_refused_data_too(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert isinstance(
        run(spoilt("a robot", tmp_path), "--threshold", "1", "--html", str(page)).exception, QualityError
    )
    assert "not fit to learn from" in page.read_text("utf-8")
    with pytest.raises(DataError, match="choose another --html"):
        check(clean(3).write(tmp_path), ZONE, threshold=0, page=page / "below")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["check"], 2),
        (["check", "--events", "x", "--threshold", "2"], 2),
        (["check", "--events", "x", "--threshold", "nan"], 2),
    ],
)
def test_wrong_usage(arguments: list[str], status: int) -> None:
    assert CliRunner().invoke(features, arguments).exit_code == status


def test_a_moment_that_is_none(tmp_path: Path) -> None:
    error = run(clean(3).write(tmp_path), "--as-of", "yesterday").exception
    assert isinstance(error, DataError)
    assert str(error).startswith("--as-of: 'yesterday' is not an RFC 3339 timestamp")


def test_a_log_of_one_row_has_little_to_judge(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("user_id,day,event_type,count\na,1,session,1\n")
    report = judge(read_subject(DataFiles(tmp_path / "e.csv")))
    assert report.score == 1.0
    assert {check.rule.name for check in report.checks if check.score is not None} == {"rows_once", "counts"}


def test_the_real_log_is_fit_to_learn_from(oulad: Path) -> None:
    names = ("events", "labels", "assessments")
    files = DataFiles(*(oulad / f"{name}_bbb_2013b.csv" for name in names), mapping="oulad")
    value = check(files, "UTC", threshold=0.95)
    assert 0.975 < value["score"] < 0.99
    bad = {row["check"]: row["bad"] for row in value["checks"] if row["bad"]}
    # As the folder's README tells: 8 rows repeat a key, 16 submissions have no score, 230 users no event.
    assert (bad["rows_once"], bad["values"], bad["users_with_events"]) == (8, 16, 230)
    assert set(bad) == {"rows_once", "values", "users_with_events", "people", "observed"}
