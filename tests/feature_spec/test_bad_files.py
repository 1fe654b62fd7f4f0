"""Every malformed file is one line that names file, row and column or key, and says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from feature_spec.dataset import DataFiles, load
from feature_spec.errors import DataError, DefinitionError, FeatureSpecError
from feature_spec.mapping import load_mapping, parse_mapping, shipped

HEAD = "user_id,day,event_type,count,value,event_id\n"
GOOD = HEAD + "a,1,session,1,,\n"
LABELS = "user_id,won\na,1\n"
TIMES = "user_id,timestamp,event_type,count\na,2026-03-01T10:00:00Z,session,1\n"


def attempt(folder: Path, events: str | bytes, labels: str | bytes | None = None, **more: str) -> str:
    """Load and snapshot; the message of the error that must come."""
    contents: dict[str, str | bytes | None] = {"events": events, "labels": labels, **more}
    paths: dict[str, Path | None] = {}
    for name, content in contents.items():
        if content is None:
            continue
        path = folder / (f"{name}.toml" if name == "mapping" else f"{name}.csv")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        paths[name] = path
    with pytest.raises(FeatureSpecError) as caught:
        load(DataFiles(**paths)).snapshot(None)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


EVENT_TABLE = [
    ("missing column", "user_id,day,event_type\na,1,session\n", r"events.csv: no column 'count' .*; rename"),
    ("no day", "user_id,event_type,count\na,session,1\n", r"events.csv: no column 'day' or 'timestamp'"),
    (
        "both",
        "user_id,day,timestamp,event_type,count\na,1,x,session,1\n",
        r"events.csv: both .*give exactly one",
    ),
    (
        "unknown type",
        GOOD + "a,1,login,1,,\n",
        r"row 3, column event_type: unknown event type 'login'; .*mapping",
    ),
    ("bad day", GOOD + "a,tomorrow,session,1,,\n", r"row 3, column day: 'tomorrow' is not a whole number"),
    ("fraction", GOOD + "a,1.5,session,1,,\n", r"row 3, column day: '1.5' is not a whole number"),
    ("far day", GOOD + "a,20260301,session,1,,\n", r"row 3, column day: day 20260301 is more than a century"),
    ("empty day", GOOD + "a,,session,1,,\n", r"row 3, column day: the cell is empty"),
    ("nan", GOOD + "a,1,session,1,NaN,\n", r"row 3, column value: 'NaN' is not a finite number"),
    ("infinite", GOOD + "a,1,session,1,-inf,\n", r"row 3, column value: '-inf' is not a finite number"),
    ("overflow", GOOD + "a,1,session,1,1e999,\n", r"row 3, column value: .* beyond 1,000,000"),
    ("other digits", GOOD + "a,1,session,1,١,\n", r"row 3, column value: .*not a finite number"),
    ("nan count", GOOD + "a,1,session,nan,,\n", r"row 3, column count: 'nan' is not a whole number"),
    ("empty count", GOOD + "a,1,session,,,\n", r"row 3, column count: the cell is empty"),
    ("negative", GOOD + "a,1,session,-2,,\n", r"row 3, column count: the count -2 is negative"),
    ("huge", GOOD + "a,1,session,1000001,,\n", r"row 3, column count: the count 1000001 is above 1,000,000"),
    ("no user", GOOD + ",1,session,1,,\n", r"row 3, column user_id: the cell is empty"),
    (
        "conflict",
        GOOD + "a,1,session,1,,x\na,2,session,1,,x\n",
        r"row 4, column event_id: .* that of row 3, but",
    ),
    ("conflict value", GOOD + "a,1,session,1,,x\na,1,session,1,3,x\n", r"row 4, column event_id"),
    ("empty", "", r"events.csv: the file is empty"),
    ("only blank", "\n\n", r"events.csv: the file is empty"),
    ("only header", HEAD, r"events.csv: there are no rows after the header"),
    ("ragged", GOOD + "a,1,session\n", r"events.csv, row 3: 3 cells where the header has 6"),
    ("blank inside", GOOD + "\n" + "a,1,session,1,,\n", r"events.csv, row 3: 0 cells"),
    ("twice", "user_id,day,day,count\na,1,1,1\n", r"events.csv: the header names the column 'day' twice"),
    ("latin", GOOD.encode() + "ä,1,session,1,,\n".encode("latin-1"), r"events.csv: not UTF-8 text; save it"),
    ("quotes", GOOD + 'a,1,"session,1,,\n', r"events.csv: not readable as CSV .*check quotes"),
    (
        "bad time",
        TIMES + "a,2026-02-30T10:00:00Z,session,1\n",
        r"row 3, column timestamp: '2026-02-30T10:00:00Z'",
    ),
    ("no offset", TIMES + "a,2026-03-01T10:00:00,session,1\n", r"row 3, column timestamp: .*RFC 3339"),
    ("cell", HEAD + "a,1,session,1000000,,\n" * 17, r"user 'a' has more than 2\^24 of session"),
]


@pytest.mark.parametrize(
    ("events", "says"), [row[1:] for row in EVENT_TABLE], ids=[row[0] for row in EVENT_TABLE]
)
def test_bad_events(tmp_path: Path, events: str | bytes, says: str) -> None:
    assert re.search(says, attempt(tmp_path, events))


LABEL_TABLE = [
    ("missing column", "name,won\na,1\n", r"labels.csv: no column 'user_id'"),
    ("nobody", "user_id,won\nz,1\n", r"events.csv and labels.csv: none of the labelled users has an event"),
    ("twice", "user_id,won\na,1\nb,1\na,0\n", r"labels.csv, row 4, column user_id: .* already in row 2"),
    ("no label", "user_id,won\na,yes\n", r"labels.csv, row 2, column won: 'yes' is not a label"),
    ("negative", "user_id,won\na,-1\n", r"labels.csv, row 2, column won: '-1' is not a label"),
    ("bad number", "user_id,goal_total_days,won\na,soon,1\n", r"row 2, column goal_total_days: 'soon'"),
    ("negative goals", "user_id,goals_completed_before,won\na,-1,1\n", r"-1 is outside 0..1,000,000"),
    ("bad day", "user_id,observed_until,won\na,never,1\n", r"row 2, column observed_until: 'never'"),
    ("empty", "", r"labels.csv: the file is empty"),
    ("all gone", "user_id,observed_until,won\na,1,1\n", r"nobody was observed at the cut-off day"),
    ("bad zone", "user_id,zone,won\na,Moon,1\n", r"row 2, column zone: unknown time zone 'Moon'"),
]


@pytest.mark.parametrize(
    ("labels", "says"), [row[1:] for row in LABEL_TABLE], ids=[row[0] for row in LABEL_TABLE]
)
def test_bad_labels(tmp_path: Path, labels: str, says: str) -> None:
    assert re.search(says, attempt(tmp_path, GOOD, labels))


def test_dates_in_labels_of_a_log_of_timestamps(tmp_path: Path) -> None:
    message = attempt(tmp_path, TIMES, "user_id,start_date,won\na,01.03.2026,1\n")
    assert re.search(r"labels.csv, row 2, column start_date: '01.03.2026' is not a date", message)


def test_bad_assessments(tmp_path: Path) -> None:
    assert "assessments.csv: no column 'day'" in attempt(tmp_path, GOOD, LABELS, assessments="date\n1\n")
    assert "row 2, column day: 'soon'" in attempt(tmp_path, GOOD, LABELS, assessments="day,weight\nsoon,1\n")


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path, tmp_path / "absent.parquet"):
        with pytest.raises(DataError, match=r"cannot be read \(.*\); check the path"):
            load(DataFiles(path))


@pytest.mark.parametrize("zone", ["Moon", "", "../etc", "/etc/passwd", "America", "Europe/Berlin\n"])
def test_bad_default_zone(tmp_path: Path, zone: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(GOOD)
    with pytest.raises(DataError, match="unknown time zone"):
        load(DataFiles(path), zone)


MAPPING = 'version = 1\n[events]\nday = "when"\n[event_types]\nlogin = "session"\n'

MAPPING_TABLE = [
    ("not toml", "version = ", r"m.toml: not valid TOML"),
    ("no version", "[events]\n", r"m.toml: version is None; write version = 1"),
    ("version 2", "version = 2\n", r"version is 2"),
    ("version true", "version = true\n", r"version is True"),
    (
        "unknown table",
        MAPPING + "[rows]\n",
        r"m.toml: unknown key 'rows'; the keys there are version, events",
    ),
    ("unknown key", MAPPING.replace("day =", "days ="), r"unknown key 'events.days'"),
    ("unknown label key", MAPPING + "[labels]\ngrup = 'x'\n", r"unknown key 'labels.grup'"),
    ("unknown due key", MAPPING + "[due]\nwhen = 'x'\n", r"unknown key 'due.when'"),
    ("no moment", MAPPING.replace('day = "when"', ""), r"exactly one of the columns 'day' and 'timestamp'"),
    ("both moments", MAPPING.replace("day =", 'timestamp = "t"\nday ='), r"exactly one"),
    ("no types", 'version = 1\n[events]\nday = "when"\n', r"\[event_types\] is missing"),
    ("no such type", MAPPING + 'x = "visit"\n', r"event_types.x: 'visit' is no event type; the types are"),
    ("bad emission", MAPPING + "x = 3\n", r"event_types.x is an event type, or a list"),
    ("emission key", MAPPING + 'x = { as = "session", times = 2 }\n', r"unknown key 'event_types.x.times'"),
    (
        "bad scale",
        MAPPING + 'x = { as = "session", scale = "2" }\n',
        r"event_types.x.scale is '2'; give a number",
    ),
    (
        "nan scale",
        MAPPING + 'x = { as = "session", scale = nan }\n',
        r"event_types.x: the scale of 'session' is nan",
    ),
    ("column number", MAPPING.replace('"when"', "3"), r"events.day is 3; give the name of a column"),
    ("column empty", MAPPING.replace('"when"', '""'), r"events.day is ''; give the name"),
    ("columns text", MAPPING + "[labels]\ncolumns = 'won'\n", r"labels.columns is a table"),
    ("flag", MAPPING + "[labels]\ngoal_start = true\n", r"labels.goal_start is True"),
    ("start number", MAPPING + "[labels]\nstart_date = 3\n", r"labels.start_date is 3"),
    ("no table", 'version = 1\nevents = "x"\n', r"events is a table; write \[events\]"),
]


@pytest.mark.parametrize(
    ("text", "says"), [row[1:] for row in MAPPING_TABLE], ids=[row[0] for row in MAPPING_TABLE]
)
def test_bad_mappings(text: str, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_mapping(text, "m.toml")
    assert re.search(says, str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_mapping_that_names_a_missing_column(tmp_path: Path) -> None:
    events = "user_id,when,event_type\na,1,login\n"
    for change, says in [
        ('count = "clicks"', r"events.csv: no column 'clicks' \(it has user_id, when, event_type\)"),
        ('event_id = "id"', r"events.csv: no column 'id'"),
        (
            '[labels]\ngroup = "school"',
            r"labels.csv: no column 'school' \(it has user_id, won\); rename a column",
        ),
        ('[labels]\ncolumns = { won = "passed" }', r"labels.csv: no column 'passed'"),
        ('[labels]\nobserved_until = "left"', r"labels.csv: no column 'left'"),
    ]:
        head, tail = MAPPING.split("[event_types]")
        inside = change.startswith("[")
        mapping = MAPPING + change if inside else f"{head}{change}\n[event_types]{tail}"
        assert re.search(says, attempt(tmp_path, events, LABELS, mapping=mapping))


def test_mappings_by_name() -> None:
    assert "oulad" in shipped()
    for name in shipped():
        load_mapping(name)
    with pytest.raises(
        DefinitionError, match=r"mapping moodle: cannot be read .*; give a path or one of oulad"
    ):
        load_mapping("moodle")


def test_a_mapping_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DefinitionError, match="not UTF-8"):
        load_mapping(tmp_path / "m.toml")


def test_the_mapping_of_the_guide_is_one() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/mapping.md").read_text("utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    mapping = parse_mapping(text, "guide")
    assert [emission.event_type for emission in mapping.event_types["hand_in"]] == ["task_done", "progress"]
    assert mapping.event_types["heartbeat"] == ()
