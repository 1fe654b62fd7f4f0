"""The load bench on small models: every figure, in the form that is promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coach_edge.bench import load
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.errors import InputError
from edge_sdk.runtime.engine import RunFailed

PROMISED = {"extra_ms_10mb", "extra_ms_10mb_deflate", "peak_memory_ratio", "import_extra_ms"}


@pytest.mark.sampled
def test_every_promised_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_LEAST_ROUNDS", 1)  # every round costs six processes
    figures = load.run(rounds=1, widths=(3, 64, 64, 1))
    ids = [figure["id"] for figure in figures]
    assert set(ids) >= PROMISED
    assert len(set(ids)) == len(ids)
    for figure in figures:
        assert set(figure) == {"id", "value", "unit", "control", "control_value", "ratio", "n", "note"}
        assert figure["ratio"] == pytest.approx(figure["value"] / figure["control_value"])
        assert figure["control_value"] > 0
    notes = {figure["id"]: figure["note"] for figure in figures}
    for name in PROMISED:
        assert "tier app-key" in notes[name]
    assert "tier none" in notes["extra_ms_10mb_clear"]
    assert "codec deflate" in notes["extra_ms_10mb_deflate"]
    assert json.loads(json.dumps(figures)) == figures


def test_the_large_model_has_ten_megabytes_and_the_codecs_that_the_ids_say(tmp_path: Path) -> None:
    model = dense_tflite(load.WIDTHS)
    assert len(model) == pytest.approx(10e6, rel=0.01)
    assert load.install(tmp_path / "random", model).codec == "none"


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    site = load.Site(tmp_path, tmp_path / "missing.tflite", "none", "none", 0)
    with pytest.raises(RunFailed, match="missing"):
        load._child(load._TIMED, load._THEIRS, site)


def test_too_few_rounds() -> None:
    with pytest.raises(InputError, match="at least 5 rounds, not 4"):
        load.run(rounds=4)
