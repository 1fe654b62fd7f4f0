"""The feature model of every target against the reference, on ten thousand users and all golden vectors."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from converters.sources import features_source
from converters.sources.feature_graph import program_source
from feature_spec import PREBUILT
from feature_spec.expression import Expression, const, context, daily, less, sum_days, where
from feature_spec.numpy_evaluator import evaluate
from feature_spec.numpy_plan import Plan
from feature_spec.operators import CORE, OPERATORS
from feature_spec.program import flatten
from feature_spec.registry import REGISTRY
from feature_spec.vectors import apply
from feature_spec.vocabulary import CONTEXT
from tests.converters.sources.feature_runs import Cells, Run, distance, runners
from tests.feature_spec import every_operator
from tests.feature_spec.inputs import random_input

pytestmark = [pytest.mark.convert, pytest.mark.timeout(600), pytest.mark.xdist_group("feature graphs")]

VECTORS = Path(__file__).parents[3] / "docs/protocol/vectors/day-input/accept.json"
TARGETS = ("tflite", "onnx", "coreml")
TOLERANCE = 1e-5
USERS = 10_000


SPECS = {"prebuilt": PREBUILT, "registry": REGISTRY.computed}


@cache
def made(spec: str) -> dict[str, Run]:
    return runners(features_source(SPECS[spec]))


@cache
def all_operators() -> dict[str, Run]:
    return runners(program_source(every_operator.PROGRAM))


@cache
def users() -> tuple[Cells, Cells]:
    return random_input(26, USERS)


def golden() -> tuple[Cells, Cells, Cells]:
    vectors = json.loads(VECTORS.read_text("utf-8"))["vectors"]
    inputs = [apply(vector["input"]) for vector in vectors]
    expected = np.array([vector["output"]["features"] for vector in vectors], np.float32)
    return np.stack([one.daily for one in inputs]), np.stack([one.context for one in inputs]), expected


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", SPECS)
def test_ten_thousand_users_and_not_one_jump(target: str, name: str) -> None:
    spec = SPECS[name]
    daily, context = users()
    apart = distance(evaluate(spec, daily, context), made(name)[target](daily, context))
    assert apart.shape == (USERS, len(spec.features))
    worst = dict(zip(spec.names, apart.max(axis=0), strict=True))
    assert {feature: value for feature, value in worst.items() if value > TOLERANCE} == {}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", SPECS)
def test_cells_as_large_as_they_may_be(target: str, name: str) -> None:
    """Sums over 90 days of 2^24 are beyond what float32 counts, and still right to its last digits."""
    spec = SPECS[name]
    random = np.random.default_rng(3)
    _, context = random_input(3, 2000)
    some = random.random((2000, 90, 8, 3)) < random.choice([0.01, 0.3, 1], (2000, 1, 1, 1))
    daily = (random.integers(0, 2**24 + 1, some.shape) * some).astype(np.float32)
    apart = distance(evaluate(spec, daily, context), made(name)[target](daily, context))
    assert apart.max() <= TOLERANCE


@pytest.mark.parametrize("target", TARGETS)
def test_all_golden_vectors(target: str) -> None:
    daily, context, expected = golden()
    assert len(daily) >= 30
    assert distance(expected, made("prebuilt")[target](daily, context)).max() <= TOLERANCE


@pytest.mark.parametrize("target", TARGETS)
def test_one_user(target: str) -> None:
    daily, context = (array[:1] for array in users())
    assert (
        distance(evaluate(PREBUILT, daily, context), made("prebuilt")[target](daily, context)).max()
        <= TOLERANCE
    )


def test_the_formulas_have_every_operator() -> None:
    used = {op for tree in every_operator.FORMULAS.values() for op in every_operator.operators_of(tree)}
    assert used == set(OPERATORS)
    assert {step.op for step in every_operator.PROGRAM.steps} == CORE


@pytest.mark.parametrize("target", TARGETS)
def test_every_operator_on_ten_thousand_users(target: str) -> None:
    daily, context = users()
    apart = distance(every_operator.reference(daily, context), all_operators()[target](daily, context))
    assert apart.shape == (USERS, len(every_operator.NAMES))
    worst = dict(zip(every_operator.NAMES, apart.max(axis=0), strict=True))
    assert {name: value for name, value in worst.items() if value > TOLERANCE} == {}


@pytest.mark.parametrize("target", TARGETS)
def test_every_operator_on_all_golden_vectors(target: str) -> None:
    daily, context, _ = golden()
    apart = distance(every_operator.reference(daily, context), all_operators()[target](daily, context))
    worst = dict(zip(every_operator.NAMES, apart.max(axis=0), strict=True))
    assert {name: value for name, value in worst.items() if value > TOLERANCE} == {}


SESSIONS = sum_days(daily("count", "session"))
UNREAD = where(less(const(1), 0), context("days_observed"), sum_days(less(0, daily("count", "session"))))
"""Reads the context in a branch that is never taken."""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("tree", [SESSIONS, context("progress"), const(2) + 0.5, UNREAD], ids=str)
def test_a_model_takes_both_inputs_whatever_it_reads(target: str, tree: Expression) -> None:
    daily, context = (array[:5] for array in users())
    program = flatten([tree])
    found = runners(program_source(program))[target](daily, context)
    assert distance(Plan(program).many(daily.astype(np.float64), context), found).max() <= TOLERANCE


def test_thresholds_that_constants_make_keep_every_float32_on_its_side() -> None:
    tenths = range(1, 10)
    trees = [less(const(k) / 10, context("progress")) for k in tenths]
    trees += [less(context("progress"), const(k) / 10 + 0.1) for k in tenths]
    program = flatten(trees)
    daily, known = (array[:10].copy() for array in users())
    known[1:, CONTEXT.index("progress")] = [k / 10 for k in tenths]
    expected = Plan(program).many(daily.astype(np.float64), known.astype(np.float64))
    for run in runners(program_source(program)).values():
        assert (run(daily, known) == expected).all()
