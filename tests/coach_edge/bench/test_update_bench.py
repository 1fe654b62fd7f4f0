"""The update bench on a small bundle: every figure, in the form that is promised, and controls that fail."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from coach_edge.bench import update, update_resume
from coach_edge.bench.update_driving import make_world

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

PROMISED = {"delta_ratio_dense", "delta_ratio_sparse", "resume_refetch_bytes_max", "warm_refresh_bytes"}
WIDTH = 560  # 1.25 MB: two segments


def test_every_promised_figure() -> None:
    figures = {
        figure["id"]: figure
        for figure in update.run(rounds=1, width=WIDTH, delta_widths=(3, 200, 200, 12, 1))
    }
    assert set(figures) >= PROMISED
    for figure in figures.values():
        assert set(figure) == {"id", "value", "unit", "control", "control_value", "ratio", "n", "note"}
        assert figure["ratio"] == pytest.approx(figure["value"] / figure["control_value"])
        assert figure["note"]
    assert json.loads(json.dumps(figures)) == figures
    assert 0 < figures["warm_refresh_bytes"]["value"] <= 1024 < figures["warm_refresh_bytes"]["control_value"]
    assert 0 <= figures["resume_refetch_bytes_max"]["value"] <= 1_048_576
    assert figures["resume_refetch_bytes_max"]["n"] >= 6


def test_the_ends_of_segments_are_among_the_positions() -> None:
    near = update_resume.positions(3 * 1_048_576 + 5, rounds=3)
    for end in (1_048_576, 2_097_152, 3_145_728):
        assert {end - 1, end, end + 1} <= set(near)
    assert {1, 3 * 1_048_576 + 4} <= set(near)
    assert near == sorted(set(near))


def test_a_client_that_loses_what_came_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill = os.kill

    def kill_and_lose(pid: int, number: int) -> None:
        kill(pid, number)
        shutil.rmtree(tmp_path / "work" / "cache" / "partial")

    monkeypatch.setattr(os, "kill", kill_and_lose)
    monkeypatch.setattr(update_resume, "positions", lambda length, rounds: [length - 1])
    world = make_world(64)
    (figure,) = update_resume.figures(world, tmp_path, 1)
    assert figure["value"] == len(world.new.served) - 1
