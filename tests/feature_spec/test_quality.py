"""Data quality: a clean log scores 1, and each defect lowers the one check that is meant for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from feature_spec.ingest import DataFiles, load
from feature_spec.instants import parse_instant
from feature_spec.quality import Report, judge
from feature_spec.quality.reading import read_subject
from feature_spec.quality.report import DIMENSIONS, RULES
from tests.feature_spec.quality_logs import AS_OF, COLUMNS, SPOILT, ZONE, Files, clean


def judged(files: Files, folder: Path) -> Report:
    now = parse_instant(AS_OF)
    return judge(read_subject(files.write(folder), ZONE, now=now, as_of=now))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return judged(clean(), tmp_path_factory.mktemp("clean"))


def test_a_clean_log_scores_one(good: Report) -> None:
    assert {check.rule.name: check.score for check in good.checks} == {
        rule.name: None if rule.name == "rows_once" else 1.0 for rule in RULES
    }, "with an id in every row there is nothing left that could repeat"
    assert good.score == 1.0
    assert good.dimensions == dict.fromkeys(DIMENSIONS, 1.0)
    assert good.worst is None
    assert good.refusal(1.0) is None


@pytest.mark.parametrize("defect", SPOILT)
def test_each_defect_lowers_its_check_and_no_other(defect: str, good: Report, tmp_path: Path) -> None:
    name, spoil = SPOILT[defect]
    files = clean()
    spoil(files)
    report = judged(files, tmp_path)
    low = {check.rule.name for check in report.checks if check.score is not None and check.score < 1}
    assert low == {name}
    (check,) = (check for check in report.checks if check.rule.name == name)
    assert check.found.bad > 0
    assert check.finding.endswith(check.rule.advice)
    assert "\n" not in check.finding
    assert report.score == report.dimensions[check.rule.dimension] < 1
    assert report.worst is check
    refusal = report.refusal(1.0)
    assert refusal is not None
    assert name in refusal


def test_every_check_has_a_defect() -> None:
    assert {name for name, _ in SPOILT.values()} == {rule.name for rule in RULES}
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert {rule.dimension for rule in RULES} == set(DIMENSIONS)


def test_the_report_is_canonical_and_repeats(good: Report, tmp_path: Path) -> None:
    assert judged(clean(), tmp_path).to_bytes() == good.to_bytes()
    document = json.loads(good.to_bytes())
    assert document["score"] == 1
    assert set(document["dimensions"]) == set(DIMENSIONS)


def test_wrong_clocks_do_not_hide_days_that_never_came(tmp_path: Path) -> None:
    files = clean()
    for defect in ("clocks years ahead", "days that never came"):
        SPOILT[defect][1](files)
    report = judged(files, tmp_path)
    assert {check.rule.name: check.found.bad for check in report.checks}["days_with_events"] == 4


def test_every_user_may_number_events_from_one(tmp_path: Path) -> None:
    files = clean()
    numbers: dict[str, int] = {}
    for row in files.events:
        numbers[row["user_id"]] = numbers.get(row["user_id"], 0) + 1
        row["event_id"] = numbers[row["user_id"]]
    assert judged(files, tmp_path).score == 1.0
    assert len(load(files.write(tmp_path), ZONE).count) == len(files.events)


def test_each_goal_may_be_reached(tmp_path: Path) -> None:
    files = clean()
    for row in files.events:
        row["goal_id"] = "g1"
    for goal in ("g2", "g3"):
        files.events += [
            row | {"goal_id": goal, "event_id": f"{goal} {row['event_id']}", "timestamp": row["received_at"]}
            for row in files.of("progress")
            if row["goal_id"] == "g1"
        ]
    files.kept = (*COLUMNS, "goal_id")
    assert judged(files, tmp_path).score == 1.0
    for row in files.of("progress"):
        row["goal_id"] = "g1"
    assert judged(files, tmp_path).worst.rule.name == "progress_sums"  # type: ignore[union-attr]


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("defect", ["nothing counts", "only what fell due"])
def test_a_log_in_which_nobody_did_anything(defect: str, labelled: bool, tmp_path: Path) -> None:
    files = clean()
    if defect == "nothing counts":
        for row in files.events:
            row["count"] = 0
    else:
        files.events = files.of("task_due")
    data = files.write(tmp_path)
    report = judge(read_subject(data if labelled else DataFiles(data.events), ZONE))
    assert report.score < 0.95
    assert report.worst is not None
    assert report.worst.rule.name in ("users_with_events", "labels_fit")
