"""Spark in local mode: the same expressions, another engine. Without Java one clear skip, and a failure in CI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from feature_spec import PREBUILT
from feature_spec.errors import DataError
from feature_spec.numpy_evaluator import evaluate as reference
from feature_spec.vector_cases import ACCEPTED
from feature_spec.vectors import apply
from feature_spec.warehouse.compute import compute
from feature_spec.warehouse.operators import ELEMENTWISE
from feature_spec.warehouse.spark_engine import Spark
from feature_spec.warehouse.tensors import evaluate
from tests.feature_spec.inputs import random_input
from tests.feature_spec.warehouse.logs import features, tables
from tests.feature_spec.warehouse.random_specs import random_spec
from tests.feature_spec.warehouse.test_agreement import TOLERANCE, worst
from tests.feature_spec.warehouse.test_events import expected_features, random_users

# Spark talks to its own Java process over loopback; what it leaves open is not ours.
pytestmark = [
    pytest.mark.loopback,
    pytest.mark.enable_socket,
    pytest.mark.sampled,
    pytest.mark.xdist_group("spark"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def spark(tool: Callable[[str], str]) -> Iterator[Spark]:
    tool("java")
    with Spark(threads=2, memory_gib=2) as opened:
        yield opened


def test_a_thousand_users(spark: Spark) -> None:
    daily, context = random_input(41, 1_000)
    assert worst(reference(PREBUILT, daily, context), evaluate(PREBUILT, daily, context, spark)) <= TOLERANCE


def test_every_vector_from_its_events(spark: Spark) -> None:
    documents = [(case.name, case.document()) for case in ACCEPTED]
    days = [apply(document) for _, document in documents]
    expected = reference(
        PREBUILT, np.stack([one.daily for one in days]), np.stack([one.context for one in days])
    )
    assert worst(expected, features(spark, *tables(documents))) <= TOLERANCE


@pytest.mark.parametrize("seed", range(2))
def test_random_expressions(spark: Spark, seed: int) -> None:
    spec = random_spec(seed)
    daily, context = random_input(seed, 30)
    assert worst(reference(spec, daily, context), evaluate(spec, daily, context, spark)) <= TOLERANCE


def test_files(spark: Spark, tmp_path: Path) -> None:
    users = random_users(42, 20)
    paths = [tmp_path / "log.parquet", tmp_path / "asked.parquet"]
    for path, table in zip(paths, tables(users), strict=True):
        parquet.write_table(table, path)
    found = compute(PREBUILT, spark, *(spark.read(path) for path in paths))
    columns = np.stack([found[name].to_numpy() for name in PREBUILT.names], axis=1)
    assert worst(expected_features(users, PREBUILT), columns) <= TOLERANCE


@pytest.mark.parametrize("name", ["e[1]", "a b", "ä", "zone=Asia%2FTokyo"])
def test_a_file_is_read_and_none_beside_it(spark: Spark, tmp_path: Path, name: str) -> None:
    (tmp_path / "e1.csv").write_text("not what was asked for", encoding="utf-8")
    folder = tmp_path / name
    folder.mkdir()
    path = folder / f"{name}.csv"
    path.write_text(",user_id,count,Count\n0,1,3,9\n", encoding="utf-8")
    assert spark.fetch(spark.read(path)).to_pylist() == [{"user_id": "1", "count": "3"}]


def test_dates_and_instants_are_told_apart(spark: Spark, tmp_path: Path) -> None:
    path = tmp_path / "asked.parquet"
    parquet.write_table(pa.table({"user_id": ["1"], "as_of": [date(2026, 3, 31)]}), path)
    with pytest.raises(DataError, match="the as_of of user '1' is '2026-03-31'; write it like"):
        compute(PREBUILT, spark, spark.register(tables(random_users(42, 2))[0]), spark.read(path))


def test_a_wrong_rule_is_caught(spark: Spark) -> None:
    daily, context = random_input(43, 100)
    wrong = ELEMENTWISE | {"min": ELEMENTWISE["max"]}
    found = evaluate(PREBUILT, daily, context, spark, elementwise=wrong)
    assert worst(reference(PREBUILT, daily, context), found) > 0.01
