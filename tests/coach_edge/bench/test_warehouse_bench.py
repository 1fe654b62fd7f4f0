"""The warehouse bench on a few users: every figure, numbers that agree, and a contender who cheats."""

from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from coach_edge.bench import warehouse
from feature_spec import PREBUILT
from feature_spec.errors import FeatureSpecError

PROMISED = {"vs_handwritten_sql", "events_per_s", "peak_gib", "growth_exponent", "pandas_speedup"}


@pytest.mark.sampled
def test_every_promised_figure(tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    figures = {figure["id"]: figure for figure in warehouse.run(rounds=1, sizes=(50, 200), plot=plot)}
    assert figures.keys() == PROMISED
    json.dumps(figures)
    assert all(math.isfinite(figure["value"]) for figure in figures.values())
    assert all(figure["ratio"] == figure["value"] / figure["control_value"] for figure in figures.values())
    picture = ElementTree.parse(plot).getroot()
    assert len(picture.findall("{*}polyline")) == 3


def test_other_numbers_do_not_count(tmp_path: Path) -> None:
    columns = {name: [0.5] for name in PREBUILT.names}
    parquet.write_table(pa.table({"user_id": ["u"], **columns}), tmp_path / "ours.parquet")
    columns[PREBUILT.names[3]] = [0.50001]
    parquet.write_table(pa.table({"user_id": ["u"], **columns}), tmp_path / "pandas.parquet")
    with pytest.raises(FeatureSpecError, match="pandas gives another"):
        warehouse.check_agreement({name: tmp_path / f"{name}.parquet" for name in ("ours", "pandas")})
