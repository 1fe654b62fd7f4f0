"""The day input of one user: its vectors, its laws, and that files give the same as a phone."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_spec import PREBUILT
from feature_spec.canonical import fingerprint
from feature_spec.dataset import DataFiles, load
from feature_spec.day_input import REASONS, Context, Event, day_input
from feature_spec.errors import DayInputError
from feature_spec.instants import last_instant, parse_date
from feature_spec.instants import zone as zone_named
from feature_spec.numpy_evaluator import evaluate
from feature_spec.vectors import apply, vector_files
from feature_spec.vocabulary import EVENT_TYPES
from tests.feature_spec.one_by_one import (
    Compute,
    Index,
    compute_with,
    hours_by_24,
    one_by_one,
    present_offset,
    written_offset,
)

VECTORS = Path(__file__).parents[2] / "docs/protocol/vectors/day-input"
ACCEPT = json.loads((VECTORS / "accept.json").read_text("utf-8"))
REFUSE = json.loads((VECTORS / "refuse.json").read_text("utf-8"))
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
)
START = datetime(2026, 2, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_the_published_files_are_what_the_code_makes() -> None:
    made = vector_files()
    assert sorted(made) == sorted(path.name for path in VECTORS.iterdir())
    for name, content in made.items():
        assert (VECTORS / name).read_bytes() == content, (
            f"{name}: run `edge features vectors --out {VECTORS.name}`"
        )


def test_there_are_enough_of_them_and_each_has_its_own_name() -> None:
    names = [vector["name"] for vector in (*ACCEPT["vectors"], *REFUSE["vectors"])]
    assert len(ACCEPT["vectors"]) >= 200
    assert len(REFUSE["vectors"]) >= 120
    assert all(vector["description"] for vector in (*ACCEPT["vectors"], *REFUSE["vectors"]))
    assert len(set(names)) == len(names)
    assert {vector["reason"] for vector in REFUSE["vectors"]} == set(REASONS), "a vector for every reason"


def test_the_published_definitions_are_the_prebuilt_ones() -> None:
    document = json.loads((VECTORS / "feature_spec.json").read_text("utf-8"))
    assert fingerprint(document) == ACCEPT["feature_spec_sha256"] == PREBUILT.fingerprint()


@pytest.mark.parametrize("vector", ACCEPT["vectors"], ids=lambda vector: vector["name"])
def test_accepts(vector: dict[str, Any]) -> None:
    result = apply(vector["input"])
    daily = np.zeros((90, 8, 3), np.float32)
    for day, kind, channel, value in vector["output"]["cells"]:
        daily[day, kind, channel] = value
    assert np.array_equal(result.daily, daily)
    assert result.context.tolist() == np.array(vector["output"]["context"], np.float32).tolist()
    features = evaluate(PREBUILT, result.daily[None], result.context[None])[0]
    assert features.tolist() == np.array(vector["output"]["features"], np.float32).tolist()


@pytest.mark.parametrize("vector", REFUSE["vectors"], ids=lambda vector: vector["name"])
def test_refuses(vector: dict[str, Any]) -> None:
    with pytest.raises(DayInputError) as caught:
        apply(vector["input"])
    assert caught.value.reason == vector["reason"]
    assert "\n" not in str(caught.value)


def wrong_vectors(compute: Compute) -> set[str]:
    """The names of the vectors to accept whose tensors another day input gets wrong."""
    wrong = set()
    for vector in ACCEPT["vectors"]:
        given, output = vector["input"], vector["output"]
        events = [Event.from_json(item) for item in given["events"]]
        result = compute(events, given["as_of"], given["zone"], Context.from_json(given["context"]))
        cells = [[*map(int, where), float(result.daily[tuple(where)])] for where in np.argwhere(result.daily)]
        expected = [[*cell[:3], float(np.float32(cell[3]))] for cell in output["cells"]]
        context = np.array(output["context"], np.float32)
        if cells != expected or not np.array_equal(result.context, context):
            wrong.add(vector["name"])
    return wrong


def test_a_day_input_written_event_by_event_passes() -> None:
    assert wrong_vectors(one_by_one) == set()


@pytest.mark.parametrize(
    ("index_of", "caught_by"),
    [
        (hours_by_24, {"midnight-utc", "dst-days-are-not-24-hours", "window-edge-early", "skipped-day"}),
        (present_offset, {"dst-offset-of-the-event", "window-edge-new-york", "skipped-day-kwajalein"}),
        (written_offset, {"midnight-berlin", "kathmandu", "as-of-day-is-local", "date-line-east"}),
    ],
)
def test_a_wrong_way_to_number_days_is_caught(index_of: Index, caught_by: set[str]) -> None:
    """The control: whoever implements this page wrongly sees it in vectors whose descriptions say why."""
    wrong = wrong_vectors(compute_with(index_of))
    assert caught_by <= wrong
    assert len(wrong) >= 15


def test_the_example_of_the_page_is_a_vector() -> None:
    text = (VECTORS.parents[1] / "day-input.md").read_text("utf-8")
    blocks = [json.loads(part.split("```")[0]) for part in text.split("```json\n")[1:]]
    vector = next(v for v in ACCEPT["vectors"] if v["name"] == "worked-example")
    output = {key: vector["output"][key] for key in ("cells", "context")}
    assert blocks == [vector["input"], output]


def test_the_page_names_vectors_that_exist() -> None:
    text = (VECTORS.parents[1] / "day-input.md").read_text("utf-8")
    table = text.split("## Who gets it wrong")[1].split("##")[0]
    named = re.findall(r"`([a-z0-9-]+)`", table)
    assert len(named) > 20
    assert set(named) <= {vector["name"] for vector in ACCEPT["vectors"]}


@pytest.mark.parametrize("year", [1970, 1999, 2000, 2024, 2100, 2199])
def test_the_date_number_of_the_page(year: int) -> None:
    def date_number(year: int, month: int, day: int) -> int:
        y = year - (1 if month <= 2 else 0)
        era = y // 400
        of_era = y - era * 400
        of_year = (153 * (month + (9 if month <= 2 else -3)) + 2) // 5 + day - 1
        return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468

    first = date(year, 1, 1)
    for day in (first + timedelta(days=count) for count in range(366)):
        assert date_number(day.year, day.month, day.day) == (day - date(1970, 1, 1)).days


@pytest.mark.parametrize("field", ["events", "as_of", "zone"])
def test_a_wrong_vector_would_be_noticed(field: str) -> None:
    """The control: with another instant, zone or event the cells of this vector change."""
    vector = next(v for v in ACCEPT["vectors"] if v["name"] == "midnight-berlin")
    other = {"events": [], "as_of": "2026-07-11T08:00:00Z", "zone": "UTC"}
    changed = apply(vector["input"] | {field: other[field]})
    assert not np.array_equal(changed.daily, apply(vector["input"]).daily)


EVENTS = st.builds(
    lambda minutes, kind, count, value: Event(
        (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ"), kind, count, value
    ),
    st.integers(0, 120 * 24 * 60),
    st.sampled_from(EVENT_TYPES),
    st.integers(0, 50),
    st.none() | st.integers(-400, 400).map(lambda quarter: quarter / 4),
)


@given(st.lists(EVENTS, min_size=1, max_size=40), st.sampled_from(ZONES))
def test_files_give_the_same_as_a_phone(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], zone: str
) -> None:
    """Batch and device must agree, or models are trained on other features than they are fed."""
    folder = tmp_path_factory.mktemp("log")
    with (folder / "events.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "timestamp", "event_type", "count", "value"])
        # Somebody else's event starts the log early, so that the window is full.
        writer.writerow(["other", "2026-01-01T00:00:00Z", "session", 1, ""])
        for event in events:
            value = "" if event.value is None else event.value
            writer.writerow(["u", event.timestamp, event.event_type, event.count, value])
    (folder / "labels.csv").write_text(
        "user_id,start_date,goal_start,goal_total_days,account_since,won\n"
        "u,2026-02-01,2026-02-10,200,2025-12-31,1\nother,2026-02-01,,,,0\n"
    )
    snapshot = load(DataFiles(folder / "events.csv", folder / "labels.csv"), zone).snapshot(100)
    user = snapshot.users.index("u")
    # Day 100 from 1 February is 12 May.
    end = EPOCH + timedelta(milliseconds=last_instant(parse_date("2026-05-12"), zone_named(zone)))
    gains = [
        e.value for e in events if e.event_type == "progress" and e.value is not None and _before(e, end)
    ]
    any_gain = any(e.event_type == "progress" and e.value is not None for e in events)
    known = Context(
        observed_since="2026-01-01",
        account_since="2025-12-31",
        goal_start="2026-02-10",
        goal_total_days=200,
        progress=min(1.0, max(0.0, sum(gains))) if any_gain else None,
    )
    phone = day_input(events, end.isoformat(timespec="milliseconds"), zone, known)
    assert np.array_equal(snapshot.daily[user], phone.daily)
    assert np.array_equal(snapshot.context[user], phone.context)


def test_a_day_that_is_yet_to_come_counts_nowhere(tmp_path: Path) -> None:
    """In St. John's clocks went back at 00:01 to 23:01 of the day before: an earlier event lies on a later day.

    No index is below 0: Python would write to the oldest day, other languages beyond the tensor.
    """
    zone, seconds = "America/St_Johns", ("02:29:30", "02:30:30", "02:31:00")
    stamps = [f"2006-10-29T{second}Z" for second in seconds]
    events = [Event(stamp, "session", 10**place) for place, stamp in enumerate(stamps)]
    known = Context(observed_since="2006-10-28")
    assert not day_input(events[1:2], "2006-10-29T02:45:00Z", zone).daily.any()
    rows = [f"u,{stamp},session,{10**place}" for place, stamp in enumerate(stamps)]
    (tmp_path / "events.csv").write_text("\n".join(["user_id,timestamp,event_type,count", *rows, ""]))
    (tmp_path / "labels.csv").write_text("user_id,start_date,won\nu,2006-10-28,1\n")
    dataset = load(DataFiles(tmp_path / "events.csv", tmp_path / "labels.csv"), zone)
    for day, as_of in enumerate(("2006-10-29T03:29:59Z", "2006-10-30T03:29:59Z")):
        phone = day_input(events, as_of.replace("Z", ".999Z"), zone, known).daily
        assert np.array_equal(dataset.snapshot(day).daily[0], phone)
        assert phone[:, 0, 0].nonzero()[0].tolist() == [[0], [0, 1]][day]
        assert phone[: day + 1, 0, 0].tolist() == [[101.0], [10.0, 101.0]][day]


def _before(event: Event, end: datetime) -> bool:
    return event.instant <= end.timestamp() * 1000
