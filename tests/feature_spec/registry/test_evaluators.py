"""Every computed feature of the registry in the warehouse; tests/converters/test_registry_graph.py has the graphs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from feature_spec.numpy_evaluator import evaluate as reference
from feature_spec.registry import REGISTRY
from feature_spec.vector_cases import ACCEPTED
from feature_spec.vectors import apply
from feature_spec.warehouse.duckdb_engine import DuckDB
from feature_spec.warehouse.tensors import evaluate as in_warehouse
from tests.feature_spec.inputs import random_input

pytestmark = pytest.mark.sampled

SPEC = REGISTRY.computed
Cells = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def inputs() -> tuple[Cells, Cells]:
    """Ten thousand random users and every golden vector."""
    vectors = [apply(case.document()) for case in ACCEPTED]
    daily, context = random_input(21, 10_000)
    return (
        np.concatenate([daily, np.stack([one.daily for one in vectors])]),
        np.concatenate([context, np.stack([one.context for one in vectors])]),
    )


@pytest.fixture(scope="module")
def expected(inputs: tuple[Cells, Cells]) -> Cells:
    return reference(SPEC, *inputs)


def beyond(expected: Cells, found: Cells, tolerance: float) -> dict[str, float]:
    """Features that differ by more, absolute below 1 and relative above, with their largest difference."""
    assert expected.shape == found.shape
    wide = expected.astype(np.float64)
    difference = np.nan_to_num(np.abs(wide - found) / np.maximum(1, np.abs(wide)), nan=np.inf).max(axis=0)
    return {
        name: float(worst) for name, worst in zip(SPEC.names, difference, strict=True) if worst > tolerance
    }


def test_in_the_warehouse(inputs: tuple[Cells, Cells], expected: Cells) -> None:
    with DuckDB(threads=2) as engine:
        found = in_warehouse(SPEC, *inputs, engine)
    assert beyond(expected, found, 1e-6) == {}


def test_a_difference_is_noticed(expected: Cells) -> None:
    """The control: one flag of one user turned over, and one mean a millionth off."""
    for name in ("recent_setback_flag", "platform_usage_ratio"):
        other = expected.copy()
        column = SPEC.names.index(name)
        other[17, column] = 1 - other[17, column] if name.endswith("flag") else other[17, column] + 3e-6
        assert set(beyond(expected, other, 1e-6)) == {name}
