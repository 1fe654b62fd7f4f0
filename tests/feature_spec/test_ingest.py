"""Files in, day inputs out: the native format, mappings, due items, zones and cut-offs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feature_spec.dataset import DataFiles, Dataset, People, Snapshot, load
from feature_spec.errors import DataError
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES

MAPPING = """
version = 1
[events]
user = "who"
day = "when"
event_type = "what"
value = "points"
[event_types]
login = "session"
page = "content_view"
page2 = "content_view"
hand_in = [{ as = "task_done", scale = 0.01 }, { as = "progress", scale = 0.001 }]
noise = []
[due]
day = "deadline"
[labels]
user = "who"
columns = { won = "passed" }
group = "school"
observed_from = "joined"
observed_until = "left"
account_since = "joined"
goal_start = 0
goal_total_days = 50
goals_completed_before = "earlier"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, **texts: str) -> DataFiles:
    """Write the named files; ``mapping`` becomes TOML, the others CSV."""
    paths = {}
    for name, text in texts.items():
        paths[name] = folder / f"{name}.{'toml' if name == 'mapping' else 'csv'}"
        paths[name].write_text(text, "utf-8")
    return DataFiles(**paths)


def cell(snapshot: Snapshot, user: str, day: int, kind: str, channel: str = "count") -> float:
    where = (snapshot.users.index(user), day, EVENT_TYPES.index(kind), CHANNELS.index(channel))
    return float(snapshot.daily[where])


def known(snapshot: Snapshot, user: str) -> dict[str, float]:
    return dict(zip(CONTEXT, snapshot.context[snapshot.users.index(user)].tolist(), strict=True))


def test_native_days(folder: Path) -> None:
    files = write(
        folder,
        events="user_id,day,event_type,count,value\n"
        "b,0,session,1,\na,10,session,2,\na,10,session,3,\na,9,task_done,1,0.5\na,11,message,1,\na,5,feedback,2,\n",
    )
    snapshot = load(files).snapshot(10)
    assert snapshot.users == snapshot.groups == ("a", "b")
    assert cell(snapshot, "a", 0, "session") == 5, "rows with the same key add up"
    assert [cell(snapshot, "a", 1, "task_done", channel) for channel in CHANNELS] == [1, 1, 0.5]
    assert [cell(snapshot, "a", 5, "feedback", channel) for channel in CHANNELS] == [2, 0, 0]
    assert snapshot.daily.sum() == 5 + 2.5 + 2 + 1, "nothing else; day 11 is after the cut-off"
    assert known(snapshot, "a")["days_observed"] == 11, "the log began on day 0"
    assert known(snapshot, "a")["progress"] == -1, "a log without gains knows no progress"


def test_the_cutoff_day_is_inclusive_and_the_default_is_the_last_day(folder: Path) -> None:
    files = write(
        folder,
        events="user_id,day,event_type,count\na,3,session,1\na,7,session,2\na,7,task_due,1\na,99,task_due,1\n",
    )
    dataset = load(files)
    assert [cell(dataset.snapshot(day), "a", 0, "session") for day in (6, 7, None)] == [0, 2, 2]
    assert cell(dataset.snapshot(8), "a", 0, "session") == 0


@pytest.mark.parametrize("day", [10**6 + 1, -(10**40)])
def test_a_cutoff_centuries_away_is_refused(folder: Path, day: int) -> None:
    dataset = load(write(folder, events="user_id,day,event_type,count\na,3,session,1\n"))
    with pytest.raises(DataError, match="is centuries from day 0; check --cutoff-day"):
        dataset.snapshot(day)
    assert dataset.snapshot(100).users == ("a",)


def test_days_before_the_log_or_the_user_began_are_missing(folder: Path) -> None:
    files = write(
        folder,
        events="user_id,day,event_type,count\na,2,session,1\nb,-5,session,1\nb,2,session,1\n",
        labels="user_id,observed_from,won\na,,1\nb,2,0\nlate,6,0\n",
    )
    snapshot = load(files).snapshot(4)
    assert known(snapshot, "a")["days_observed"] == 10
    assert known(snapshot, "b")["days_observed"] == 3
    assert snapshot.users == ("a", "b")
    assert snapshot.daily.sum() == 2, "b was not observed on day -5"
    assert any("observation began after" in notice for notice in snapshot.notices)


def test_who_stopped_being_observed_on_or_before_the_cutoff_is_dropped(folder: Path) -> None:
    files = write(
        folder,
        events="user_id,day,event_type,count\na,1,session,1\nb,1,session,1\nc,1,session,1\n",
        labels="user_id,observed_until,won\na,5,0\nb,6,1\nc,,1\n",
    )
    snapshot = load(files).snapshot(5)
    assert snapshot.users == ("b", "c")
    assert snapshot.labels["won"].tolist() == [1, 1]
    assert snapshot.labels["won"].dtype == np.int8
    assert any("left out 1 of 3 users whose observation ended" in notice for notice in snapshot.notices)


def test_a_last_day_far_behind_all_others_is_refused(folder: Path) -> None:
    rows = "".join(f"a,2026-03-01T08:{minute:02}:00Z,session,1\n" for minute in range(60)) * 2
    head = "user_id,timestamp,event_type,count\n"
    far = load(write(folder, events=head + rows + "b,2031-01-01T00:00:00Z,session,1\n"))
    with pytest.raises(
        DataError, match="only 1 of 121 rows lie in the 90 days up to 2031-01-01, the log's last"
    ):
        far.snapshot(None)
    assert load(write(folder, events=head + rows)).snapshot(None).notices == ()


def test_labels_without_events_and_events_without_labels(folder: Path) -> None:
    files = write(
        folder,
        events="user_id,day,event_type,count\na,1,session,1\nstranger,1,session,1\n",
        labels="user_id,group,won\nidle,g,\na,g,1\n",
    )
    snapshot = load(files).snapshot(1)
    assert snapshot.users == ("a", "idle")
    assert snapshot.groups == ("g", "g")
    assert snapshot.labels["won"].tolist() == [1, -1], "an empty label is unknown"
    assert snapshot.daily[1].sum() == 0
    assert "1 of 2 labelled users have no event: their history is empty" in snapshot.notices
    assert "left out the events of 1 users without a label" in snapshot.notices


def test_event_ids_count_once(folder: Path) -> None:
    files = write(
        folder,
        events="user_id,timestamp,event_type,count,value,event_id\n"
        "a,2026-03-01T10:00:00Z,session,1,,x\n"
        "a,2026-03-01T11:00:00+01:00,session,1,,x\n"
        "a,2026-03-01T10:00:00Z,session,1,,\n"
        "a,2026-03-01T10:00:00Z,session,1,,\n",
    )
    assert cell(load(files).snapshot(None), "a", 0, "session") == 3


def test_timestamps_fall_on_local_days_of_each_user(folder: Path) -> None:
    files = write(
        folder,
        events="user_id,timestamp,event_type,count\n"
        "a,2026-03-01T23:30:00Z,session,1\nb,2026-03-01T23:30:00Z,session,1\nc,2026-03-01T23:30:00Z,session,1\n",
        labels="user_id,start_date,zone,won\n"
        "a,2026-03-01,,1\nb,2026-03-01,Asia/Tokyo,1\nc,2026-02-28,Asia/Tokyo,1\n",
        users="user_id,zone\nc,America/New_York\n",
    )
    snapshot = load(files, "Europe/Berlin").snapshot(1)
    assert cell(snapshot, "a", 0, "session") == 1, "half past midnight in Berlin, the second of March"
    assert cell(snapshot, "b", 0, "session") == 1, "half past eight in Tokyo"
    assert cell(snapshot, "c", 0, "session") == 1, "the users file wins; its day 1 is the first of March"
    assert cell(load(files, "UTC").snapshot(1), "a", 1, "session") == 1


def test_a_cutoff_in_a_log_of_timestamps_needs_start_dates(folder: Path) -> None:
    files = write(folder, events="user_id,timestamp,event_type,count\na,2026-03-01T23:30:00Z,session,1\n")
    assert load(files).snapshot(None).users == ("a",)
    with pytest.raises(DataError, match="user 'a' has no start_date to count --cutoff-day from"):
        load(files).snapshot(3)


def test_dates_of_people_become_ages(folder: Path) -> None:
    files = write(
        folder,
        events="user_id,timestamp,event_type,count,value\n"
        "a,2026-03-01T10:00:00Z,progress,1,0.25\na,2026-03-03T10:00:00Z,progress,1,0.25\na,2026-03-09T10:00:00Z,progress,1,0.25\n",
        labels="user_id,start_date,account_since,goal_start,goal_total_days,goals_completed_before,goals_active,goals_overdue,won\n"
        "a,2026-03-01,2026-01-01,2026-03-02,30,2,3,0,1\n",
    )
    assert known(load(files).snapshot(4), "a") == {
        "days_observed": 5,
        "account_age_days": 63,
        "goal_age_days": 3,
        "goal_total_days": 30,
        "goals_completed_before": 2,
        "progress": 0.5,
        "hours_since_last_act": pytest.approx(
            62, abs=1e-3
        ),  # from 10:00 on the third to the end of the fifth
        "weekday": 3,  # 2026-03-05 was a Thursday
        "hour_of_day": 23,
        "day_of_month": 5,
        "day_of_year": 64,
        "morning_acts": 2,
        "goals_active": 3,
        "goals_overdue": 0,
    }
    assert known(load(files).snapshot(0), "a")["goal_age_days"] == -1, "the goal was not set yet"


def test_a_mapping_turns_a_foreign_log(folder: Path) -> None:
    files = write(
        folder,
        events="who,when,what,points,other\n"
        "a,1,login,,x\na,1,page,,\na,1,page2,,\na,2,hand_in,80,\na,2,noise,5,\nb,2,hand_in,,\nc,0,login,,\n",
        labels="who,passed,school,joined,left,earlier\na,1,s1,-30.0,,0\nb,0,s1,-3.0,5.0,\nc,0,s2,1,,3\n",
        assessments="deadline,weight\n1,5\n4,5\n7,5\n,100\n",
        mapping=MAPPING,
    )
    dataset = load(files)
    snapshot = dataset.snapshot(4)
    assert snapshot.groups == ("s1", "s1", "s2")
    assert cell(snapshot, "a", 3, "content_view") == 2, "many foreign types to one"
    assert [cell(snapshot, "a", 2, "task_done", c) for c in CHANNELS] == pytest.approx([1, 1, 0.8])
    assert cell(snapshot, "a", 2, "progress", "sum") == pytest.approx(0.08)
    assert [cell(snapshot, "b", 2, "task_done", c) for c in CHANNELS] == [1, 0, 0], "no score, no value"
    assert [cell(snapshot, "a", day, "task_due") for day in range(5)] == [1, 0, 0, 1, 0]
    assert (
        known(snapshot, "a")
        == pytest.approx(
            {
                "days_observed": 5,
                "account_age_days": 34,
                "goal_age_days": 4,
                "goal_total_days": 50,
                "goals_completed_before": 0,
                "progress": 0.08,
            }
            # Numbered days are no dates, and have no time of day.
            | dict.fromkeys(CONTEXT[6:], -1)
        )
    )
    assert known(snapshot, "c")["days_observed"] == 4
    assert known(snapshot, "b")["goals_completed_before"] == -1
    assert dataset.snapshot(7).users == ("a", "c")
    assert cell(dataset.snapshot(7), "a", 0, "task_due") == 1


def test_due_items_only_where_observation_covers_them() -> None:
    people = People(
        ("a", "b", "c"), observed_from=[0, 3, np.nan], observed_until=[5, np.nan, np.nan], origin=[0, 0, 0]
    )  # type: ignore[arg-type]
    dataset = Dataset.from_columns(
        user=["a", "b", "c"], day=[0, 3, 0], event_type=["session"] * 3, count=[1, 1, 1], people=people
    ).with_due([2, 3, 5])
    due = [(dataset.people.users[u], int(d)) for u, d in zip(dataset.user, dataset.day, strict=True)][3:]
    assert due == [("a", 2), ("a", 3), ("b", 3), ("b", 5), ("c", 2), ("c", 3), ("c", 5)]


def test_columns_in_memory_and_files_agree(folder: Path) -> None:
    files = write(
        folder,
        events="user_id,day,event_type,count,value\nb,1,session,2,\na,4,task_done,1,0.5\na,2,progress,1,0.1\n",
        labels="user_id,goal_total_days,won\nb,30,0\na,40,1\n",
    )
    memory = Dataset.from_columns(
        user=["b", "a", "a"],
        day=[1, 4, 2],
        event_type=["session", "task_done", "progress"],
        count=[2, 1, 1],
        value=[np.nan, 0.5, 0.1],
        people=People(
            ("b", "a"),
            labels={"won": np.array([0, 1], np.int8)},
            origin=np.zeros(2),
            goal_total_days=np.array([30.0, 40.0]),
        ),
    )
    left, right = load(files).snapshot(4), memory.snapshot(4)
    assert left.users == right.users
    assert np.array_equal(left.daily, right.daily)
    assert np.array_equal(left.context, right.context)
    assert left.labels["won"].tolist() == right.labels["won"].tolist() == [1, 0]


def test_a_byte_order_mark_blank_lines_and_quotes_are_fine(folder: Path) -> None:
    path = folder / "events.csv"
    path.write_bytes(b'\xef\xbb\xbfuser_id,day,event_type,count\r\n"a,b",1,session,1\r\n\r\n')
    assert load(DataFiles(path)).snapshot(1).users == ("a,b",)
