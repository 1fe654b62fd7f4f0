"""The figures of deltas, on a small model: what is promised, in the form that is promised."""

from __future__ import annotations

import json

import pytest

from coach_edge.bench import deltas


def test_every_figure() -> None:
    figures = deltas.figures(rounds=5, widths=(3, 200, 200, 12, 1))
    found = {figure["id"]: figure for figure in figures}
    assert len(found) == len(figures)
    assert set(found) >= {"delta_ratio_sparse", "delta_ratio_dense", "delta_rebuild_ms"}
    for figure in figures:
        assert set(figure) == {"id", "value", "unit", "control", "control_value", "ratio", "n", "note"}
        assert figure["note"]
    for name in ("delta_ratio_sparse", "delta_ratio_dense"):
        assert found[name]["ratio"] == found[name]["value"] / found[name]["control_value"]
        assert found[name]["value"] < 0.6
    worst = max(found["delta_ratio_scattered"]["value"], found["delta_ratio_one_layer"]["value"])
    assert found["delta_ratio_sparse"]["value"] == worst
    assert json.loads(json.dumps(figures)) == figures


@pytest.mark.slow
def test_a_sparse_retune_of_five_megabytes_stays_below_its_limit() -> None:
    """Sizes and not times: the same on every machine, but for what its zlib makes of them."""
    found = {figure["id"]: figure["value"] for figure in deltas.figures(rounds=5)}
    assert found["delta_ratio_sparse"] <= 0.06
    assert found["delta_ratio_dense"] <= 0.4
