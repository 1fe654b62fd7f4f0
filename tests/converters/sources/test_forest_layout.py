"""The tables that a graph walks give each tree's answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.ensemble import Forest
from converters.sources.forest_layout import DUMMY, ForestTables, forest_tables
from tests.converters.sources.builders import HIGH, LOW, random_forest, random_rows


def walk(tables: ForestTables, rows: np.ndarray) -> np.ndarray:
    values = np.pad(rows, ((0, 0), (0, 1)), constant_values=DUMMY)
    feature, point, left = tables.first_step()
    node = left + (values[:, feature] > point)
    for _ in range(tables.depth - 1):
        column = tables.feature[node].astype(np.int64)
        node = node + tables.step[node] + (np.take_along_axis(values, column, 1) > tables.point[node])
    return tables.point[node]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), trees=st.integers(1, 6), depth=st.integers(0, 9), narrow=st.booleans())
def test_walking_the_tables_gives_the_leaf_values(seed: int, trees: int, depth: int, narrow: bool) -> None:
    forest = random_forest(np.random.default_rng(seed), trees=trees, depth=depth)
    rows = np.clip(random_rows(30, seed), LOW, HIGH)
    tables = forest_tables(forest, len(LOW), narrow=narrow)
    assert np.array_equal(walk(tables, rows), forest.leaf_values(rows).astype(np.float32))


def test_small_tables_take_a_byte_and_wide_ones_more() -> None:
    forest = random_forest(np.random.default_rng(0), trees=3, depth=4)
    tables = forest_tables(forest, len(LOW), narrow=True)
    assert (tables.feature.dtype, tables.step.dtype) == (np.uint8, np.uint8)
    tables = forest_tables(forest, 300, narrow=True)
    assert (tables.feature.dtype, tables.step.dtype) == (np.int16, np.uint8)
    tables = forest_tables(forest, len(LOW), narrow=False)
    assert (tables.feature.dtype, tables.step.dtype) == (np.int32, np.int32)


def complete_tree(depth: int) -> Forest:
    """A tree with all its nodes, in the order of a heap; leaf k has the value k / leaves."""
    inner, leaves = 2**depth - 1, 2**depth
    node = np.arange(inner)
    children = np.full(leaves, -1)
    middle = np.concatenate([(np.arange(2**level) + 0.5) / 2**level for level in range(depth)])
    return Forest(
        feature=np.concatenate([np.zeros(inner), children]),
        threshold=np.concatenate([middle, np.zeros(leaves)]),
        left=np.concatenate([2 * node + 1, children]),
        right=np.concatenate([2 * node + 2, children]),
        value=np.concatenate([np.zeros(inner), np.arange(leaves) / leaves]),
        roots=np.array([0]),
    )


@pytest.mark.parametrize("depth", [7, 9, 10])
def test_a_complete_tree_needs_wider_steps_and_stays_right(depth: int) -> None:
    forest = complete_tree(depth)
    rows = np.linspace(0, 0.999, 500, dtype=np.float32)[:, None]
    tables = forest_tables(forest, 1, narrow=True)
    assert tables.step.dtype == (np.uint8 if depth < 9 else np.int16)
    assert np.array_equal(walk(tables, rows), forest.leaf_values(rows).astype(np.float32))
    assert np.allclose(walk(tables, rows)[:, 0], np.floor(rows[:, 0] * 2**depth) / 2**depth, atol=2**-depth)
