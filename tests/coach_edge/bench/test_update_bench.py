"""The update bench on a small bundle: every figure, in the form that is promised, and controls that fail."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from coach_edge.bench import update, update_resume, update_rivals
from coach_edge.bench.update_driving import make_world
from coach_edge.bench.update_server import Fault
from feature_spec.errors import MissingExtraError

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

PROMISED = {
    "delta_ratio_dense",
    "delta_ratio_sparse",
    "resume_refetch_bytes_max",
    "usable_points_hf",
    "usable_points_ours",
    "usable_points_tuf",
    "vs_fastest",
    "warm_refresh_bytes",
}
WIDTH = 560  # 1.25 MB: two segments
DELTA_WIDTHS = (3, 200, 200, 12, 1)


@pytest.mark.sampled
def test_every_promised_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = [[Fault("damage", 9)], [Fault("reset", 5)]]
    monkeypatch.setattr(update_rivals, "network_plan", lambda length: plan)
    figures = {
        figure["id"]: figure
        for figure in update.run(rounds=1, width=WIDTH, delta_widths=DELTA_WIDTHS, kills=3)
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
    ours = figures["usable_points_ours"]
    assert (ours["value"], ours["n"], figures["healed_points_ours"]["value"]) == (5, 5, 5)
    assert figures["usable_points_hf"]["value"] < 5, "it takes damaged bytes for good"
    assert "damage 1" in figures["usable_points_hf"]["note"]


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


def test_kills_are_spread_over_the_calls() -> None:
    calls = ["open", "write", "write", "write", "write", "rename", "write"]
    points = [("open", 1), ("write", 1), ("write", 2), ("write", 4), ("rename", 1), ("write", 5)]
    assert update_rivals.kill_plan(calls, 25) == points
    assert update_rivals.kill_plan(calls, 2) == [points[0], points[-1]]


def test_the_same_goes_wrong_for_all() -> None:
    plan = update_rivals.network_plan(10_000_000)
    assert {fault.kind for faults in plan for fault in faults} == {
        *("reset", "truncate", "stall", "damage", "busy")
    }
    assert all(0 <= fault.at < 10_000_000 for faults in plan for fault in faults)
    assert len(plan) == 20


def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match="needs the extra 'bench'"):
        update_rivals.figures(make_world(8), tmp_path, 1, 3)
