"""Definitions: valid by construction, read strictly, fingerprinted."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from feature_spec import PREBUILT, Feature, FeatureSpec, canonical_json, fingerprint
from feature_spec.errors import DefinitionError
from feature_spec.expression import Expression, context, day, log1p
from feature_spec.vocabulary import (
    CHANNELS,
    CONTEXT,
    CONTEXT_RANGES,
    EVENT_TYPES,
    LAYOUT_VERSION,
    WINDOW_DAYS,
)

TEN = (
    "completion_rate",
    "streak_length",
    "engagement_score",
    "activity_trend",
    "user_experience",
    "days_since_last_activity",
    "goal_velocity",
    "consistency_score",
    "momentum_score",
    "progress_vs_time",
)
GOOD = Feature("f", 1, "share", 0, 10, 5, "meaning", "source", context("progress"))


def _nested(depth: int) -> Expression:
    tree = context("progress")
    for _ in range(depth - 1):
        tree = log1p(tree)
    return tree


def _wide(levels: int) -> Expression:
    tree = context("progress")
    for _ in range(levels):
        tree = tree + tree
    return tree


def test_the_vocabulary_is_that_of_the_format() -> None:
    events = "session message task_due task_done progress check_in content_view feedback"
    context_entries = (
        "days_observed account_age_days goal_age_days goal_total_days goals_completed_before progress "
        "hours_since_last_act weekday hour_of_day day_of_month day_of_year morning_acts goals_active goals_overdue"
    )
    assert " ".join(EVENT_TYPES) == events
    assert " ".join(CHANNELS) == "count values sum"
    assert " ".join(CONTEXT) == context_entries
    assert tuple(CONTEXT_RANGES) == CONTEXT
    assert (LAYOUT_VERSION, WINDOW_DAYS) == (2, 90)


def test_the_ten_in_their_order() -> None:
    assert PREBUILT.names == TEN


def test_a_spec_survives_json_with_its_fingerprint() -> None:
    again = FeatureSpec.from_json(json.loads(canonical_json(PREBUILT.to_json())))
    assert again == PREBUILT
    assert again.fingerprint() == PREBUILT.fingerprint() == fingerprint(PREBUILT.to_json())


@pytest.mark.parametrize(
    "change",
    [{"high": 2.0}, {"missing": 0.25}, {"ttl_s": 60}, {"version": 2}, {"expression": context("progress")}],
)
def test_any_change_of_meaning_changes_the_fingerprint(change: dict[str, Any]) -> None:
    first, *rest = PREBUILT.features
    assert FeatureSpec((replace(first, **change), *rest)).fingerprint() != PREBUILT.fingerprint()


def test_order_is_meaning() -> None:
    assert FeatureSpec(PREBUILT.features[::-1]).fingerprint() != PREBUILT.fingerprint()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Bad Name"}, "lower_case_words"),
        ({"version": 0}, "positive integer"),
        ({"version": True}, "positive integer"),
        ({"meaning": ""}, "meaning is empty"),
        ({"source": "a\ud800"}, "source holds a lone surrogate"),
        ({"low": float("nan")}, "low is nan"),
        ({"high": "10"}, "high is '10'"),
        ({"low": 10}, "low < high"),
        ({"missing": 11}, "low <= missing <= high"),
        ({"expression": day()}, "one number a day"),
        ({"known": day()}, "one number a day"),
        ({"high": 1e39}, "high is 1e\\+39; give a finite number that float32 holds"),
        ({"low": -1e-39}, "low is -1e-39; give a finite number that float32 holds"),
        (
            {"expression": context("weekday"), "unit": "days", "dtype": "int32", "high": 2.0**24 + 1},
            "beyond 2\\^24",
        ),
        ({"expression": _nested(63)}, "feature f, with its range and known: .*deeper than 64"),
        ({"known": _nested(64)}, "feature f, with its range and known: .*deeper than 64"),
        ({"expression": _wide(11)}, "feature f, with its range and known: .* has 4097 operators"),
    ],
)
def test_refuses_a_definition_that_does_not_hold(change: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        replace(GOOD, **change)


def test_refuses_a_name_twice_and_no_feature() -> None:
    with pytest.raises(DefinitionError, match="f is defined twice"):
        FeatureSpec((GOOD, GOOD))
    with pytest.raises(DefinitionError, match="at least one"):
        FeatureSpec(())
    with pytest.raises(DefinitionError, match="made of features, got 3"):
        FeatureSpec((GOOD, 3))  # type: ignore[arg-type]


def test_a_definition_as_large_as_can_be_is_computed() -> None:
    for tree in (_nested(62), _wide(10)):
        assert FeatureSpec((replace(GOOD, expression=tree),)).program.outputs


def test_an_unknown_feature_is_one_clear_line() -> None:
    with pytest.raises(DefinitionError, match="unknown feature 'mood'; the features are completion_rate"):
        PREBUILT["mood"]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("version",), 1, "version 1: this reader knows version 2; write the document anew"),
        (("version",), True, "this reader knows version 2"),
        (("input", "window_days"), 60, "another day input"),
        (("input", "event_types"), list(EVENT_TYPES[::-1]), "another day input"),
        (("features",), {}, "not a list"),
        (("features",), [3], "not int"),
        (("extra",), 1, "unknown key 'extra'"),
        (("features", 0, "colour"), "red", "unknown key 'colour'"),
        (("features", 0, "known"), 3.5, None),
        (("features", 0, "expression"), ["eval", "1"], "unknown operator"),
    ],
)
def test_reads_documents_strictly(path: tuple[Any, ...], value: Any, says: str | None) -> None:
    document = copy.deepcopy(PREBUILT.to_json())
    target = document
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    if says is None:  # the control: a change that is fine is read, and is another spec
        assert FeatureSpec.from_json(document) != PREBUILT
    else:
        with pytest.raises(DefinitionError, match=says):
            FeatureSpec.from_json(document)


@pytest.mark.parametrize("key", ["version", "input", "features"])
def test_refuses_a_document_with_a_part_missing(key: str) -> None:
    document = PREBUILT.to_json()
    del document[key]
    with pytest.raises(DefinitionError, match=f"missing key '{key}'"):
        FeatureSpec.from_json(document)


def test_refuses_a_document_that_nobody_could_compute() -> None:
    document = PREBUILT.to_json()
    one = GOOD.to_json()
    document["features"] = [
        one | {"name": f"f{n}", "expression": ["add", ["context", "progress"], n]} for n in range(4100)
    ]
    with pytest.raises(DefinitionError, match="more than 16384 distinct steps; split"):
        FeatureSpec.from_json(document)
