"""Ids: what makes two events one, and which texts are the same."""

from __future__ import annotations

from typing import Final

from feature_spec.vector_cases.case import MORNING, Case, ago, at

CASES: Final[tuple[Case, ...]] = (
    Case("add-up", "events without an id add up, even when they are equal", (at(MORNING), at(MORNING))),
    Case(
        "duplicate-id",
        "an id delivered twice with the same content counts once",
        (at(MORNING, event_id="a1"), at(MORNING, event_id="a1")),
    ),
    Case(
        "duplicate-id-thrice",
        "and so it does when it comes three times, with others in between",
        (
            at(MORNING, event_id="a1"),
            at(MORNING, count=2),
            at(MORNING, event_id="a1"),
            at(MORNING, event_id="a2", count=4),
            at(MORNING, event_id="a1"),
        ),
    ),
    Case(
        "duplicate-id-other-offset",
        "content is compared by instant: another offset is the same content",
        (at(MORNING, event_id="a1"), at("2026-03-31T11:00:00+02:00", event_id="a1")),
    ),
    Case(
        "duplicate-id-defaults",
        "content is compared after defaults: a count of 1 is the same as none given",
        (at(MORNING, event_id="a1"), at("2026-03-31T09:00:00.000Z", event_id="a1", count=1)),
    ),
    Case(
        "duplicate-id-below-milliseconds",
        "instants are compared as whole milliseconds: what is finer was dropped before",
        (
            at("2026-03-31T09:00:00.1231Z", event_id="a1"),
            at("2026-03-31T09:00:00.123999999Z", event_id="a1"),
        ),
    ),
    Case(
        "duplicate-id-number-forms",
        "2 and 2.0 are one number, 0 and -0.0 too",
        (
            at(MORNING, event_id="a1", count=2, value=0),
            at(MORNING, event_id="a1", count=2.0, value=-0.0),
        ),
    ),
    Case(
        "duplicate-id-null",
        "null is the same content as an absent key",
        (at(MORNING, event_id="a1"), at(MORNING, event_id="a1", value=None, goal_id=None, count=None)),
    ),
    Case(
        "duplicate-id-with-everything",
        "value and goal are part of the content; here they are the same",
        (
            at(MORNING, "task_done", event_id="a1", value=0.5, goal_id="g1"),
            at(MORNING, "task_done", event_id="a1", value=0.5, goal_id="g1"),
        ),
    ),
    Case(
        "duplicate-id-future",
        "an event that does not count yet does not count twice either",
        (at("2026-04-02T09:00:00Z", event_id="a1"), at("2026-04-02T09:00:00Z", event_id="a1"), at(MORNING)),
    ),
    Case(
        "duplicate-id-old",
        "nor does one that lies before the window",
        (ago(200, event_id="a1"), ago(200, event_id="a1"), at(MORNING)),
    ),
    Case(
        "two-ids",
        "equal content under two ids counts twice",
        (at(MORNING, event_id="a1"), at(MORNING, event_id="a2")),
    ),
    Case(
        "id-and-none",
        "an event without an id repeats none that has one",
        (at(MORNING, event_id="a1"), at(MORNING), at(MORNING, event_id=None)),
    ),
    Case(
        "id-case",
        "ids are compared exactly: upper and lower case are two ids",
        (at(MORNING, event_id="a1"), at(MORNING, event_id="A1", count=2)),
    ),
    Case(
        "id-spaces",
        "ids are not trimmed, and a space is a text that is not empty",
        (
            at(MORNING, event_id="a1"),
            at(MORNING, event_id=" a1", count=2),
            at(MORNING, event_id=" ", count=4),
        ),
    ),
    Case(
        "id-digits",
        "ids are texts, not numbers: 1, 01 and 1.0 are three",
        (
            at(MORNING, event_id="1"),
            at(MORNING, event_id="01", count=2),
            at(MORNING, event_id="1.0", count=4),
        ),
    ),
    Case(
        "id-non-ascii",
        "any text is an id, and counts once like any other",
        (
            at(MORNING, event_id="żółć-目標-ҽ"),
            at(MORNING, event_id="żółć-目標-ҽ"),
            at(MORNING, event_id="目標", count=2),
        ),
    ),
    Case(
        "id-emoji",
        "emoji of several code points are texts too: who runs and who walks are two",
        (
            at(MORNING, event_id="🏃🏽‍♀️"),
            at(MORNING, event_id="🏃🏽‍♀️"),
            at(MORNING, event_id="🚶🏽‍♀️", count=2),
        ),
    ),
    Case(
        "id-normal-forms",
        "ids are compared by code points, not normalised: é in one and in two code points are two ids",
        (at(MORNING, event_id="caf\u00e9"), at(MORNING, event_id="cafe\u0301", count=2)),
    ),
    Case(
        "id-zero-character",
        "an id does not end at a zero character",
        (at(MORNING, event_id="a\u0000b"), at(MORNING, event_id="a\u0000c", count=2)),
    ),
    Case(
        "id-names-of-objects",
        "ids that mean something to a programming language are only texts",
        (
            at(MORNING, event_id="__proto__"),
            at(MORNING, event_id="constructor", count=2),
            at(MORNING, event_id="__proto__"),
            at(MORNING, event_id="null", count=4),
        ),
    ),
    Case(
        "id-long",
        "ids may be long: these differ in the last of 300 characters",
        (at(MORNING, event_id="x" * 299 + "a"), at(MORNING, event_id="x" * 299 + "b", count=2)),
    ),
    Case(
        "goal-id",
        "the goal of an event does not matter to the counts",
        (at(MORNING, goal_id="g1"), at(MORNING, goal_id="目標 🎯")),
    ),
)
