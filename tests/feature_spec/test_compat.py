"""What a change of definitions breaks, explained; and that what is released has not been changed in place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from feature_spec import PREBUILT, Feature, FeatureSpec
from feature_spec.commands import features, read_spec
from feature_spec.compat import compat
from feature_spec.errors import CompatError, DataError, DefinitionError
from feature_spec.expression import (
    Expression,
    context,
    daily,
    day,
    decay,
    less,
    maximum,
    min_days,
    minimum,
    sum_days,
    where,
)
from feature_spec.surface import clip, equals, ewma, known, observed, recency, windowed_mean, windowed_sum
from feature_spec.units import UNITS

RELEASED = Path(__file__).parents[2] / "docs/protocol/vectors/day-input/feature_spec.json"
FIRST, SECOND, THIRD = PREBUILT.features[0], PREBUILT.features[1], PREBUILT.features[5]
OLD = FeatureSpec((FIRST, SECOND, THIRD))
NEW_ONE = Feature("progress_now", 1, "share", 0, 1, 0, "Progress.", "tests", context("progress"))
SESSIONS = sum_days(daily("count", "session")) / sum_days(daily("count", "message"))


TALKS = daily("count", "message")
SEEN = where(less(-0.5, context("days_observed")), context("days_observed"), 90)
WEIGHTS = decay(9) * less(day(), SEEN)
MEANINGS = [
    (windowed_sum(7, TALKS), sum_days(TALKS * less(day(), 7))),
    (windowed_mean(7, TALKS), sum_days(TALKS * less(day(), 7)) / minimum(SEEN, 7)),
    (equals(3, sum_days(TALKS)), 1 - (less(sum_days(TALKS), 3) + less(3, sum_days(TALKS)))),
    (observed(), SEEN),
    (
        ewma(9, TALKS),
        sum_days(TALKS * decay(9) * less(day(), SEEN)) / sum_days(WEIGHTS),
    ),
]
"""Surface operators, and what docs/protocol/features.md says that they mean."""


def test_the_released_features_have_not_been_changed_in_place() -> None:
    """If this fails: give the changed feature a higher version, or put it back. Never rewrite the file first."""
    assert [item.sentence for item in compat(read_spec(RELEASED), PREBUILT) if item.breaks] == []


def test_nothing_changed_is_no_difference() -> None:
    assert compat(PREBUILT, PREBUILT) == ()


def change(**fields: Any) -> Callable[[], FeatureSpec]:
    """The second feature changed."""
    return lambda: FeatureSpec((FIRST, replace(SECOND, **fields), THIRD))


CASES: dict[str, tuple[Callable[[], FeatureSpec], list[tuple[str, bool]], str]] = {
    "removed": (lambda: FeatureSpec((FIRST, THIRD)), [("removed", True)], "streak_length is gone"),
    "added last": (
        lambda: FeatureSpec((*OLD.features, NEW_ONE)),
        [("added", False)],
        "progress_now is new, last",
    ),
    "added first": (
        lambda: FeatureSpec((NEW_ONE, *OLD.features)),
        [("added", True)],
        "before released features, whose columns move; put it last",
    ),
    "moved": (
        lambda: FeatureSpec((SECOND, FIRST, THIRD)),
        [("moved", True), ("moved", True)],
        "streak_length is where completion_rate was, as number 1",
    ),
    "renamed": (
        lambda: FeatureSpec((FIRST, replace(SECOND, name="streak"), THIRD)),
        [("removed", True), ("added", True)],
        "streak_length is gone",
    ),
    "another formula": (
        change(expression=recency(daily("count", "session"))),
        [("formula", True)],
        r"the formula was streak\(.*\) and is recency\(.*\), but its version is still 1: .* raise the version",
    ),
    "another formula, said aloud": (
        change(expression=recency(daily("count", "session")), version=2),
        [("version", False), ("formula", False)],
        "version 1 became 2; train models anew",
    ),
    "a digit that no formula shows": (
        lambda: FeatureSpec((replace(FIRST, expression=FIRST.expression * 1.00000001), SECOND, THIRD)),
        [("formula", True)],
        r"is \(ratio\(",
    ),
    "the same, written differently": (
        lambda: FeatureSpec(
            (FIRST, SECOND, replace(THIRD, expression=min_days(where(THIRD.expression.args[0], day(), 90))))
        ),
        [("rewritten", False)],
        r"computes the same: recency\(.*\) is now min_days",
    ),
    "known elsewhere": (
        change(known=known(context("progress"))),
        [("known", True)],
        r"under which it is known was always and is known\(progress\)",
    ),
    "range": (change(high=30.0), [("range", True)], r"the range was 0.0..90.0 and is 0.0..30.0"),
    "missing": (change(missing=1), [("missing", True)], "value where nothing is known was 0.0 and is 1.0"),
    "unit": (change(unit="weeks"), [("unit", True)], "the unit was days and is weeks"),
    "dtype": (change(dtype="float32"), [("dtype", True)], "the dtype was int32 and is float32"),
    "ttl": (
        change(ttl_s=60),
        [("ttl", False)],
        "the time to live was 3600 s and is 60 s; the numbers are the same",
    ),
    "text": (change(meaning="Better said."), [("text", False)], "the numbers are the same"),
    "version only": (change(version=7), [("version", False)], "version 1 became 7"),
}


@pytest.mark.parametrize("name", CASES)
def test_every_change_is_explained(name: str) -> None:
    make, expected, says = CASES[name]
    found = compat(OLD, make())
    assert [(item.kind, item.breaks) for item in found] == expected
    assert found[0].feature in found[0].sentence
    assert re.search(says, found[0].sentence), found[0].sentence


def test_a_version_never_falls() -> None:
    second = FeatureSpec((replace(FIRST, version=2),))
    found = compat(second, FeatureSpec((FIRST,)))
    assert [(item.kind, item.breaks) for item in found] == [("version", True)]
    assert "the version fell from 2 to 1" in found[0].sentence


def test_two_formulas_that_read_alike_are_shown_with_every_digit() -> None:
    old = FeatureSpec((replace(FIRST, expression=SESSIONS * 1.0000001),))
    new = FeatureSpec((replace(FIRST, expression=SESSIONS * 1.0000002),))
    (found,) = compat(old, new)
    assert found.breaks
    assert "1.0000001" in found.sentence
    assert "1.0000002" in found.sentence


def test_a_clip_is_what_it_lowers_to() -> None:
    x = context("progress")
    old = FeatureSpec((replace(NEW_ONE, expression=clip(0, 0.5, x)),))
    new = FeatureSpec((replace(NEW_ONE, expression=maximum(minimum(x, 0.5), 0)),))
    assert [item.kind for item in compat(old, new)] == ["rewritten"]
    other = FeatureSpec((replace(NEW_ONE, expression=minimum(maximum(x, 0), 0.5)),))
    assert [item.breaks for item in compat(old, other)] == [True], "in doubt it breaks"


def write(path: Path, spec: FeatureSpec) -> str:
    path.write_text(json.dumps(spec.to_json()))
    return str(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(features, ["compat", *arguments], standalone_mode=False)


def test_the_command_fails_where_something_breaks(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", OLD)
    fine = run(old, write(tmp_path / "fine.json", CASES["added last"][0]()))
    assert fine.exception is None
    assert fine.return_value["breaks"] == 0
    assert [item["kind"] for item in fine.return_value["differences"]] == ["added"]
    bad = run(old, write(tmp_path / "bad.json", CASES["moved"][0]()))
    assert isinstance(bad.exception, CompatError)
    assert bad.exception.report["breaks"] == 2
    assert "(and 1 more)" in str(bad.exception)
    assert run(str(RELEASED)).return_value == {"breaks": 0, "differences": []}


def test_the_command_refuses_what_is_no_spec(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    assert isinstance(run(str(path)).exception, DataError)
    path.write_text("{")
    assert isinstance(run(str(path)).exception, DataError)
    path.write_text(json.dumps(OLD.to_json() | {"version": 1}))
    error = run(str(path)).exception
    assert isinstance(error, DefinitionError)
    assert "version 1: this reader knows version 2" in str(error)


def test_vectors_do_not_overwrite_what_is_released(tmp_path: Path) -> None:
    changed = replace(FIRST, expression=less(0, sum_days(daily("count", "session"))))
    released = FeatureSpec((changed, *PREBUILT.features[1:]))
    before = write(tmp_path / "feature_spec.json", released)
    result = CliRunner().invoke(features, ["vectors", "--out", str(tmp_path)], standalone_mode=False)
    assert isinstance(result.exception, CompatError)
    assert read_spec(Path(before)) == released
    assert [path.name for path in tmp_path.iterdir()] == ["feature_spec.json"]


@pytest.mark.parametrize(("short", "long"), MEANINGS, ids=[str(short) for short, _ in MEANINGS])
def test_an_operator_and_its_meaning_compute_the_same(short: Expression, long: Expression) -> None:
    def spec(tree: Expression) -> FeatureSpec:
        unit = next(name for name, unit in UNITS.items() if unit == tree.unit)
        return FeatureSpec((replace(NEW_ONE, expression=tree, unit=unit),))

    assert [(item.kind, item.breaks) for item in compat(spec(short), spec(long))] == [("rewritten", False)]
    other = compat(spec(short), spec(long + 1))
    assert [(item.kind, item.breaks) for item in other] == [("formula", True)]
