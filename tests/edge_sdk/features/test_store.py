"""A feature store: what was recorded is computed from, by definitions of one model, for one user and goal."""

from __future__ import annotations

import errno
import math
import os
import stat
import threading
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device_tests.simulator.features import FEATURES_SPEC, stub
from edge_sdk.errors import InputError, NotAvailable, StoreError
from edge_sdk.features import FeatureSettings, FeatureStore, Recorded, Status, places
from edge_sdk.features.computing import Definitions
from edge_sdk.features.receipts import Dropped
from feature_spec.day_input import DayInput
from feature_spec.definition import FeatureSpec
from feature_spec.events import Event
from feature_spec.expression import context
from tests.edge_sdk.features.conftest import Clocks, World


def test_what_was_recorded_is_computed_from(world: World) -> None:
    store = world.open()
    done = store.record(world.event(ago=3600), world.event(ago=7200, event_id="a"))
    assert done == Recorded(2, 0, 0, Dropped())
    store.record(Event(world.at(days=2), "session", 3), user="u1")
    store.know("u1", "g", {"progress": 0.5})
    vector = store.vector("focus", "u1", "g")
    assert vector.values == pytest.approx({"effort": 0.05, "rest": 0.01, "luck": 0.5})
    assert {f.status for f in vector.features.values()} == {Status.FRESH}
    assert (vector.age_s, vector.is_stale, vector.cached, vector.problem) == (0, False, False, "")
    again = store.vector("focus", "u1", "g")
    assert again == vector._replace(cached=True)


def test_what_is_not_known_is_missing_and_gets_the_value_of_its_definition(world: World) -> None:
    store = world.open()
    store.record(world.event(ago=60))
    vector = store.vector("focus", "u1")
    luck = vector.features["luck"]
    assert (luck.value, luck.status, luck.age_s) == (0.25, Status.MISSING, math.inf)
    assert set(vector.used) == {"effort", "rest"}


def test_a_goal_has_a_context_of_its_own_over_that_of_all(world: World) -> None:
    store = world.open()
    store.know("u1", None, {"progress": 0.125, "goals_active": 2})
    store.know("u1", "g", {"progress": 0.75})
    assert store.vector("focus", "u1", "g").values["luck"] == 0.75
    assert store.vector("focus", "u1", "other").values["luck"] == 0.125
    assert store.vector("focus", "u1").values["luck"] == 0.125


def test_recording_makes_vectors_of_that_user_anew_and_of_no_other(world: World) -> None:
    store, other = world.open(), world.open()
    for user in ("u1", "u2"):
        store.record(world.event(user, ago=60))
        store.vector("focus", user)
        other.vector("focus", user)
    other.record(world.event("u1"))  # in another process
    assert not store.vector("focus", "u1").cached
    assert store.vector("focus", "u1").values["effort"] == pytest.approx(0.02)
    assert store.vector("focus", "u2").cached
    assert other.vector("focus", "u2").cached


def test_what_is_told_here_is_seen_where_files_look_alike(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of a file system ticks every few milliseconds, and a new file may get the inode of an old one."""
    stat = Clocks.stat

    def coarse(clocks: Clocks, path: Path) -> os.stat_result:
        found = list(stat(clocks, path))
        found[1] = 1  # inode
        return os.stat_result([*found[:7], 0, 0, 0])

    monkeypatch.setattr(Clocks, "stat", coarse)
    store = world.open(stub(FEATURES_SPEC, extra=("mood",)))
    for mood in (0.25, 0.75, 0.5e-1):
        store.report("u1", "mood", mood)
        assert store.vector("focus", "u1").values["mood"] == mood


def test_another_spec_never_reads_what_was_computed_by_an_older_one(world: World) -> None:
    store = world.open()
    store.record(world.event(ago=60))
    effort, *rest = FEATURES_SPEC.features
    changed = replace(effort, high=0.005, missing=0.0, version=2)
    old, new = stub(), stub(FeatureSpec((changed, *rest)))
    assert store.vector(old, "u1").values["effort"] == pytest.approx(0.01)
    assert store.vector(new, "u1").values["effort"] == pytest.approx(0.005)
    assert store.vector(old, "u1").cached


def test_an_event_comes_twice_and_counts_once(world: World) -> None:
    store = world.open()
    event = world.event(ago=60, event_id="é-1")
    assert store.record(event, event).repeated == 1
    assert world.open().record(event) == Recorded(0, 1, 0, Dropped())
    later = {**event, "timestamp": event["timestamp"].replace("+00:00", "Z")}
    assert store.record(later).repeated == 1
    with pytest.raises(InputError, match="other content"):
        store.record({**event, "count": 2})
    with pytest.raises(InputError, match="event 1: its event_id"):
        store.record(world.event(ago=1, event_id="b"), world.event(ago=2, event_id="b"))
    assert world.open().vector("focus", "u1").values["effort"] == pytest.approx(0.01)


def test_long_tails_are_merged_and_everything_survives_a_restart(world: World) -> None:
    store = world.open()
    for number in range(200):
        store.record(world.event(ago=number, event_id=f"e{number}", value=number / 7))
    assert len(list((world.folder / "features").glob("*.main"))) == 1
    for opened in (store, world.open()):
        assert opened.vector("focus", "u1").values["effort"] == pytest.approx(1.0)
        repeated = [
            opened.record(world.event(ago=n, event_id=f"e{n}", value=n / 7)).repeated for n in (0, 100, 199)
        ]
        assert repeated == [1, 1, 1]


def test_what_lies_beyond_the_window_is_not_kept(world: World) -> None:
    store = world.open()
    assert store.record(world.event(ago=95 * 86400)) == Recorded(0, 0, 1, Dropped())
    store.record(world.event(ago=80 * 86400), *[world.event(ago=n) for n in range(64)])
    world.clocks.pass_(20 * 86400)
    store.record(world.event())
    done = store.record(*[world.event(ago=n) for n in range(64)])
    assert done.dropped == Dropped(old=1)
    assert store.stats().dropped == Dropped(old=1)


def test_a_clock_that_is_set_far_forward_for_a_while_costs_no_events(world: World) -> None:
    store = world.open()
    store.record(*[world.event(ago=n) for n in range(60)])
    right = world.clocks.wall
    world.clocks.wall += timedelta(days=400)
    store.record(*[world.event(ago=n) for n in range(10)])
    world.clocks.wall = right
    assert store.vector("focus", "u1").values["effort"] == pytest.approx(0.6)
    assert store.stats().dropped == Dropped()


def test_of_a_user_with_too_many_events_the_oldest_days_count_as_not_observed(world: World) -> None:
    observed = context("days_observed") / 100
    days = replace(FEATURES_SPEC.features[0], name="days", unit="days", expression=observed)
    store = world.open(stub(FeatureSpec((days,))), max_events=100)
    for day in range(40, -1, -1):
        store.record(*[world.event(ago=day * 86400 + n) for n in range(10)])
    vector = store.vector("focus", "u1")
    stats = store.stats()
    assert 150 <= stats.dropped.crowded < 410
    # At most 164 are there: of 16 days, the last of which is not whole.
    assert 0.10 <= vector.values["days"] <= 0.16


def test_events_of_a_clock_that_was_wrong_crowd_nobody_out(world: World) -> None:
    store = world.open(max_events=100)
    store.record(*[world.event(ago=n) for n in range(80)])
    for _ in range(5):
        store.record(*[world.event(ago=-400 * 86400 - n) for n in range(90)])
    assert store.stats().dropped.crowded >= 90
    vector = store.vector("focus", "u1")
    assert (vector.problem, vector.values["effort"]) == ("", pytest.approx(0.8))


def test_at_most_max_bytes_are_on_the_disk_and_a_notice_says_what_went(world: World) -> None:
    store = world.open(max_bytes=65_536)
    total = Dropped()
    for number in range(40):
        world.clocks.pass_(1)
        done = store.record(*[world.event(f"user-{number}", ago=n) for n in range(60)])
        total += done.dropped
        assert store.stats().bytes <= 65_536
    stats = store.stats()
    assert total.users > 5
    assert total.user_events == 60 * total.users
    assert stats.dropped == total
    assert stats.users == 40 - total.users
    assert world.open().vector("focus", "user-39").values["effort"] == pytest.approx(0.6)
    assert world.open().stats().dropped == total


def test_files_count_as_the_blocks_that_they_take(world: World) -> None:
    store = world.open(max_bytes=65_536)
    for number in range(40):
        store.record(world.event(f"user-{number}"))
    assert store.stats().users <= 16
    assert store.stats().bytes == sum(
        -(-len(data) // 4096) * 4096 for name, data in world.content.items() if name.startswith("features/")
    )


def test_what_can_never_find_room_costs_nobody_anything(world: World) -> None:
    store = world.open(max_bytes=65_536)
    store.record(world.event("u1"))
    with pytest.raises(StoreError, match=r"no room for \d+ bytes more of one user"):
        store.record(*[world.event("u2", ago=n) for n in range(5_000)])
    assert store.stats().dropped == Dropped()
    assert store.vector("focus", "u1").used


def test_who_cannot_be_read_is_in_nobodys_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store = world.open(max_bytes=65_536)
    store.record(world.event("user-0"))
    (bad,) = (world.folder / "features").glob("*.tail")
    opened = Clocks.open

    def refuse(clocks: Clocks, path: Path, flags: int) -> int:
        if path == bad:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return opened(clocks, path, flags)

    with monkeypatch.context() as patched:
        patched.setattr(Clocks, "open", refuse)
        for number in range(1, 30):
            store.record(world.event(f"user-{number}"))
        assert store.stats().dropped.users > 5
    assert store.vector("focus", "user-0").used  # it was only then


def test_a_change_looks_at_the_files_of_others_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store, looked = world.open(), Counter[str]()
    for number in range(50):
        store.record(world.event(f"user-{number}"))
    stat = Clocks.stat

    def counted(clocks: Clocks, path: Path) -> os.stat_result:
        looked[path.name] += 1
        return stat(clocks, path)

    monkeypatch.setattr(Clocks, "stat", counted)
    for _ in range(10):
        store.record(world.event("user-7"))
    assert looked.total() < 100


def test_nothing_names_anybody_and_files_are_the_owners(world: World) -> None:
    store = world.open()
    store.record(world.event("user-canary", event_id="event-canary", goal_id="goal-canary"))
    store.know("user-canary", "goal-canary", {"progress": 0.5})
    for name, data in world.content.items():
        assert b"canary" not in data + name.encode()
        assert stat.S_IMODE((world.folder / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"event_type": "dance"}, "unknown event type 'dance'"),
        ({"timestamp": "yesterday"}, "RFC 3339"),
        ({"count": -1}, "count"),
        ({"value": math.nan}, "value"),
        ({"value": math.inf}, "value"),
        ({"mood": 1}, "unknown key 'mood'"),
        ({"user_id": ""}, "the user is ''"),
        ({"user_id": 7}, "the user is 7"),
    ],
)
def test_a_wrong_event_is_one_clear_error(world: World, change: dict[str, Any], message: str) -> None:
    store = world.open()
    with pytest.raises(InputError, match=message):
        store.record({**world.event(), **change})
    assert not (world.folder / "features").exists()


def test_wrong_calls_are_one_clear_error(world: World) -> None:
    store = world.open()
    with pytest.raises(InputError, match="nobody says whose"):
        store.record(Event(world.at(), "session"))
    with pytest.raises(InputError, match="several users"):
        store.record(world.event("u1"), world.event("u2"))
    with pytest.raises(InputError, match="no row of a log, but list"):
        store.record([world.event()])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at most 5,000"):
        store.record(*[world.event()] * 5_001)
    with pytest.raises(InputError, match="unknown time zone"):
        store.know("u1", zone="Mars/Base")
    with pytest.raises(InputError, match="progress"):
        store.know("u1", None, {"progress": 2})
    with pytest.raises(NotAvailable, match="nothing is known"):
        store.vector("focus", "u1")
    store.record(world.event())
    with pytest.raises(InputError, match="datetime with a zone"):
        store.vector("focus", "u1", now=datetime(2026, 1, 1))
    nowhere = world.open(zone=None)
    with pytest.raises(InputError, match="no zone is known"):
        nowhere.vector("focus", "u1")
    nowhere.know("u1", zone="Asia/Tokyo")
    assert nowhere.vector("focus", "u1").values["effort"] == pytest.approx(0.01)
    for wrong in (
        {"zone": "Mars"},
        {"max_bytes": 10_000_001},
        {"max_events": 0},
        {"offline_s": -1},
        {"offline_s": 10**5000},
        {"max_vectors": 0},
    ):
        with pytest.raises(InputError):
            FeatureSettings(**wrong)  # type: ignore[arg-type]


def test_what_is_no_name_of_a_user_or_goal_is_refused_whatever_was_computed(world: World) -> None:
    store = world.open()
    store.record(world.event())
    store.vector("focus", "u1")
    for goal in ("", 0, False, ["g"], "g" * 1_001):
        with pytest.raises(InputError, match="the goal is"):
            store.vector("focus", "u1", goal)  # type: ignore[arg-type]
    for user in ("", None, ["u1"], {}, 10**5000, "u" * 1_001):
        with pytest.raises(InputError, match="the user is"):
            store.vector("focus", user)  # type: ignore[arg-type]
    assert store.vector("focus", "u1").cached


def test_who_is_erased_while_he_is_computed_is_not_in_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, computed = world.open(), Definitions.compute
    store.record(world.event())

    def interrupted(definitions: Definitions, given: DayInput) -> dict[str, float | None]:
        store.erase("u1")
        return computed(definitions, given)

    monkeypatch.setattr(Definitions, "compute", interrupted)
    store.vector("focus", "u1")
    assert not store._vectors._kept


def test_a_damaged_file_of_a_user_is_noticed_and_he_begins_anew(world: World) -> None:
    store = world.open()
    store.record(world.event(ago=60))
    store.vector("focus", "u1")
    (path,) = (world.folder / "features").glob("*.tail")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    vector = store.vector("focus", "u1")
    assert vector.is_stale
    assert "damaged" in vector.problem
    assert vector.features["effort"].status is Status.STALE
    assert store.record(world.event()).dropped == Dropped(damaged=1)
    assert store.vector("focus", "u1").features["effort"].status is Status.FRESH


def test_the_secret_of_names_is_there_twice(world: World) -> None:
    store = world.open()
    for user in ("u1", "u2"):
        store.record(world.event(user))
    path, again = (world.folder / "features" / name for name in ("salt", "salt-again"))
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:32], bytes([whole[0] ^ 1]) + whole[1:]):
        path.write_bytes(damaged)
        opened = world.open()
        assert opened.vector("focus", "u1").used
        opened.record(world.event("u2"))
        assert path.read_bytes() == again.read_bytes() == whole
    again.unlink()
    world.open().record(world.event("u2"))
    assert again.read_bytes() == whole
    path.unlink()
    path.mkdir()  # nobody can read that
    assert world.open().vector("focus", "u1").used
    again.unlink()
    with pytest.raises(StoreError):  # and not another secret: perhaps it can be read tomorrow
        world.open().record(world.event("u2"))
    assert len(list(path.parent.glob("*.tail"))) == 2


def test_without_the_secret_of_names_nobody_stays_unfound(world: World) -> None:
    store = world.open()
    for finish in (lambda: store.erase("u1"), lambda: store.record(world.event("u3"))):
        for user in ("u1", "u2"):
            store.record(world.event(user, value=31.4159))
        for name in ("salt", "salt-again"):
            (world.folder / "features" / name).write_bytes(b"damaged")
        with pytest.raises(NotAvailable):
            store.vector("focus", "u1")
        finish()
        assert len([name for name in world.content if name.endswith(".tail")]) == store.stats().users <= 1
    assert store.stats().dropped == Dropped(damaged=2)
    assert store.vector("focus", "u3").used


def test_events_to_come_count_when_they_have_come(world: World) -> None:
    store = world.open()
    store.record(world.event(ago=-7200), world.event(ago=60))
    assert store.vector("focus", "u1").values["effort"] == pytest.approx(0.01)
    world.clocks.pass_(7300)
    assert store.vector("focus", "u1").values["effort"] == pytest.approx(0.02)


def test_the_as_of_moment_can_be_given(world: World) -> None:
    store = world.open()
    store.record(world.event(ago=3 * 86400), world.event(ago=60))
    then = world.clocks.wall - timedelta(days=1)
    assert store.vector("focus", "u1").values["effort"] == pytest.approx(0.02)
    assert store.vector("focus", "u1", now=then).values["effort"] == pytest.approx(0.01)
    assert store.vector("focus", "u1").values["effort"] == pytest.approx(0.02)


def test_what_is_reported_is_as_the_registry_declares_it(world: World) -> None:
    store = world.open()
    store.report("u1", "current_mood_encoding", "calm")
    store.report("u1", "stress_level", 0.25)
    store.report("u1", "our_own_number", -12)
    assert store.reported("u1", "current_mood_encoding.calm").value == 1
    assert store.reported("u1", "current_mood_encoding.tense").value == 0
    assert store.reported("u1", "our_own_number").value == -12
    world.clocks.pass_(3601)  # moods hold for four hours, other numbers for one
    assert store.reported("u1", "stress_level").status is Status.FRESH
    assert store.reported("u1", "our_own_number").status is Status.STALE
    for name, value, message in (
        ("current_mood_encoding", "merry", "one of unknown, energised"),
        ("stress_level", 7, "a number from 0 to 1"),
        ("stress_level", None, "then report nothing"),
        ("completion_rate", 0.5, "is computed from events"),
        ("our_own_number", "much", "report a finite number"),
        ("our_own_number", math.nan, "report a finite number"),
        ("our_own_number", 10**5000, "report a finite number"),
        ("stress_level", 10**5000, "a number from 0 to 1"),
        ("current_mood_encoding.calm", 7, "is a part of current_mood_encoding; report that"),
        ("Our Number", 1, "lower_case_words"),
    ):
        with pytest.raises(InputError, match=message):
            store.report("u1", name, value)  # type: ignore[arg-type]
    for ttl in (math.nan, -1, math.inf, "3", True):
        with pytest.raises(InputError, match="ttl_s must be a number of seconds from 0"):
            store.reported("u1", "our_own_number", ttl_s=ttl)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="yet to come"):
        store.report("u1", "stress_level", 0.5, at=world.clocks.wall + timedelta(seconds=1))
    for number in range(56):  # besides six moods, a stress and a number of our own
        store.report("u1", f"name_{number}", number)
    with pytest.raises(InputError, match="at most 64 names"):
        store.report("u1", "one_more", 1)


def test_where_the_system_has_no_locks_a_file_stands_in(world: World) -> None:
    world.clocks.locks = False
    stores = [world.open(), world.open()]

    def work(store: FeatureStore, me: int) -> None:
        for number in range(5):
            store.record(world.event(ago=60, event_id=f"{me}-{number}"))

    threads = [threading.Thread(target=work, args=(store, me)) for me, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].vector("focus", "u1").values["effort"] == pytest.approx(0.1)
    assert not (world.folder / f"{places.LOCK}.held").exists()
