"""What holds of every log, however odd: a score from 0 to 1, a finding where something is bad, and little memory."""

from __future__ import annotations

import json
import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_spec.dataset import DataFiles
from feature_spec.population import People
from feature_spec.quality import Log, Subject, judge, reading
from feature_spec.quality.command import summary
from feature_spec.quality.page import html
from feature_spec.quality.rules import SHOWN
from feature_spec.vocabulary import EVENT_TYPES

pytestmark = pytest.mark.sampled

DAY_MS = 86_400_000
_UNKNOWN = st.one_of(st.just(math.nan), st.integers(-400, 400).map(float))


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    """Logs of days or time stamps, with and without ids and people, short and long."""
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    n, users = draw(st.sampled_from([0, 1, 2, 30, 1500])), draw(st.sampled_from([1, 2, 40]))
    timed, spread = draw(st.booleans()), draw(st.sampled_from([1, 20, 400, 60_000]))
    day = random.integers(0, spread, n) - (0 if timed else spread // 2)
    local_ms = random.integers(0, DAY_MS, n) * draw(st.sampled_from([0, 1]))
    value = np.where(
        random.random(n) < draw(st.floats(0, 1)), np.nan, random.normal(0, 10 ** random.integers(0, 6), n)
    )
    ids = draw(st.sampled_from([None, 1, 5, 10**9]))
    log = Log(
        users=tuple(f"u{number}" for number in range(users)),
        kinds=EVENT_TYPES,
        user=random.integers(0, users, n),
        kind=random.integers(0, draw(st.integers(1, 8)), n),
        day=day,
        count=random.integers(0, 10 ** random.integers(1, 7), n).astype(float),
        value=value,
        instant=day * DAY_MS + local_ms if timed else None,
        local_ms=local_ms if timed else None,
        event_id=None if ids is None else random.integers(0, ids, n),
        goal=None if draw(st.booleans()) else random.integers(0, 3, n),
        received=random.integers(0, 10**12, n) if timed and draw(st.booleans()) else None,
    )
    people = None
    if draw(st.booleans()):
        known = draw(st.integers(1, users + 2))
        columns = {
            name: np.array(draw(st.lists(_UNKNOWN, min_size=known, max_size=known)))
            for name in ("observed_from", "observed_until", "account_since")
        }
        labels = {name: random.integers(-1, 2, known).astype(np.int8) for name in ("goal_success", "churned")}
        people = People(tuple(f"u{number}" for number in range(known)), labels=labels, **columns)
    moment = draw(st.one_of(st.none(), st.integers(0, 60_000 * DAY_MS)))
    return Subject(log, people, due_for_all=draw(st.booleans()), now=moment, as_of=moment)


@settings(max_examples=150)
@given(subjects())
def test_every_log_has_a_score_and_every_fault_a_finding(subject: Subject) -> None:
    report = judge(subject)
    assert 0 <= report.score <= 1
    for check in report.checks:
        assert (check.score is None) == (check.found.n == 0)
        assert 0 <= check.found.bad <= check.found.n
        assert check.score is None or 0 <= check.score <= 1
        assert len(check.found.seen) <= SHOWN
        if check.found.bad:
            assert check.score is not None
            assert check.score < 1
            assert check.found.says
            assert "\n" not in check.finding
        else:
            assert check.score in (None, 1.0)
            assert not check.finding
    assert json.loads(report.to_bytes()) == json.loads(json.dumps(report.to_json()))
    json.dumps(summary(report, 0.95), allow_nan=False)
    assert (report.refusal(0.95) is None) == (report.score >= 0.95)
    assert "nan" not in html(report, subject, 0.95)


@settings(max_examples=30)
@given(subjects(), st.integers(0, 2**32 - 1))
def test_the_order_of_rows_is_no_quality(subject: Subject, seed: int) -> None:
    log = subject.log
    order = np.random.default_rng(seed).permutation(len(log))
    columns = {
        name: None if column is None else column[order]
        for name in (
            "user",
            "kind",
            "day",
            "count",
            "value",
            "instant",
            "local_ms",
            "goal",
            "received",
            "event_id",
        )
        for column in [getattr(log, name)]
    }
    # Which of several rows with one id is the first decides how many differ from it, but not whether any does.
    columns["event_id"] = None
    free = {**{name: getattr(log, name) for name in columns}, "event_id": None}
    one, two = (judge(replace(subject, log=Log(log.users, log.kinds, **part))) for part in (free, columns))
    assert one.dimensions == pytest.approx(two.dimensions)


def test_memory_grows_by_numbers_and_not_by_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PART_ROWS", 5_000)
    path = tmp_path / "events.csv"
    peaks = []
    for rows in (20_000, 80_000):
        text = (
            f"user-{row % 997},2026-01-{row % 28 + 1:02}T{row % 24:02}:{row % 60:02}:00Z,session,1,,event-{row:040}\n"
            for row in range(rows)
        )
        path.write_text("user_id,timestamp,event_type,count,value,event_id\n" + "".join(text))
        tracemalloc.start()
        judge(reading.read_subject(DataFiles(path), "Europe/Berlin"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 60_000 < 300, "the text of a row alone takes more in Python"
