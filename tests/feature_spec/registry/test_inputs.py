"""Declared inputs: what they take, what they refuse, what becomes of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from feature_spec.errors import DataError, DefinitionError
from feature_spec.registry import REGISTRY, Input

INPUTS = [item for _, item in REGISTRY if isinstance(item, Input)]


def declared(name: str) -> Input:
    item = REGISTRY.find(name)[1]
    assert isinstance(item, Input)
    return item


@pytest.mark.parametrize("item", INPUTS, ids=lambda item: item.name)
def test_every_declaration_is_data_and_encodes_nothing_and_its_ends(item: Input) -> None:
    assert Input.from_json(json.loads(json.dumps(item.to_json()))) == item
    ends = item.categories or (item.low, item.high)
    for value in (None, *ends):
        encoded = item.encode(value)
        assert len(encoded) == len(item.columns)
        assert all(isinstance(number, float) and math.isfinite(number) for number in encoded)
    if item.categories:
        assert [item.encode(name).index(1.0) for name in item.categories] == list(range(len(item.categories)))
        assert item.encode(None) == item.encode("unknown")


def test_a_category_is_one_column_each() -> None:
    tier = declared("subscription_tier")
    assert tier.columns[:2] == ("subscription_tier.unknown", "subscription_tier.free")
    assert tier.encode("free") == (0, 1, 0, 0, 0, 0)
    assert declared("age").columns == ("age",)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("age", 12, "age is 12; give a whole number from 13 to 120, or nothing"),
        ("age", 30.5, "a whole number"),
        ("age", "thirty", "a whole number"),
        ("age", True, "a whole number"),
        ("stress_level", math.nan, "a number from 0 to 1"),
        ("stress_level", math.inf, "a number from 0 to 1"),
        ("external_events_impact", -1.01, "a number from -1 to 1"),
        ("is_holiday", 2, "0 or 1"),
        ("is_holiday", 0.5, "0 or 1"),
        ("gender", "Woman", "one of unknown, woman, man"),
        ("gender", 1, "one of unknown"),
        ("gender", ["woman"], "one of unknown"),
        ("emotional_range", 1.5, "a number from 0 to 1"),
    ],
)
def test_a_wrong_report_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        declared(name).encode(value)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("age", {"name": "Age"}, "lower_case_words"),
        ("age", {"version": 0}, "version is 0"),
        ("age", {"ttl_s": True}, "ttl_s is True"),
        ("age", {"unit": ""}, "unit is empty"),
        ("age", {"why_declared": ""}, "why_declared is empty"),
        ("age", {"dtype": "float16"}, "dtype is 'float16'"),
        ("age", {"origin": "guessed"}, "origin is 'guessed'"),
        ("age", {"low": math.nan}, "finite numbers low < high"),
        ("age", {"low": 120}, "finite numbers low < high"),
        ("age", {"missing": 5}, "missing is 5"),
        ("age", {"missing": "unknown"}, "missing is 'unknown'"),
        ("age", {"categories": ("unknown", "a", "b")}, "only a category"),
        ("external_events_impact", {"low": -0.5, "missing": -1}, "missing is -1"),
        ("is_holiday", {"high": 2}, "a flag is 0 or 1"),
        ("gender", {"categories": ("unknown", "a")}, "at least two"),
        ("gender", {"categories": ("unknown", "a", "a")}, "different"),
        ("gender", {"categories": ("unknown", "a", "B")}, "lower_case_words"),
        ("gender", {"categories": ("a", "b", "unknown")}, "first category"),
        ("gender", {"missing": "woman"}, "first category"),
        ("gender", {"high": 5}, "low 0 and high 1"),
    ],
)
def test_a_declaration_that_does_not_hold_is_refused(name: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        replace(declared(name), **change)


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        {**declared("age").to_json(), "extra": 1},
        {**declared("age").to_json(), "categories": "ab"},
        {**declared("age").to_json(), "categories": [1]},
    ],
)
def test_other_json_is_refused(data: object) -> None:
    with pytest.raises(DefinitionError):
        Input.from_json(data)
