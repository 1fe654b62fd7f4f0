"""Features of a million users from forty million events, beside SQL written by hand and pandas.

Each contender computes the same ten features from the same files in a process of its own, in turn with the others, and
their numbers are compared. Writes the plot ``bench-warehouse.svg`` into the current folder.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from coach_edge.bench import warehouse_data
from coach_edge.bench.plot import log_log
from coach_edge.bench.warehouse_data import EVENTS_PER_USER
from feature_spec.errors import FeatureSpecError
from feature_spec.prebuilt import PREBUILT

SIZES: Final = (10_000, 100_000, 1_000_000)
PLOT: Final = "bench-warehouse.svg"
TOLERANCE: Final = 1e-6
_EVENTS_A_ROUND: Final = 12_000_000
"""The larger a size, the fewer the rounds that fit into a few minutes, and the less a round scatters."""


@dataclass
class _Size:
    users: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)

    def middle(self, name: str) -> float:
        return median(self.seconds[name])


def run(rounds: int = 15, sizes: Sequence[int] = SIZES, plot: Path = Path(PLOT)) -> list[dict[str, Any]]:
    """Measure.

    Args:
        rounds: how often at the smallest size, at most five; three times at the largest, pandas once.
        sizes: numbers of users, growing.
        plot: where to write it.

    Returns:
        The figures, in the form that ``edge bench`` prints.

    Raises:
        FeatureSpecError: a contender fails, or gives other numbers.
    """
    measured = [_measure(users, rounds) for users in sizes]
    plot.write_text(
        log_log(
            "Ten features from 40 events a user: seconds by users",
            {name: [(size.users, size.middle(name)) for size in measured] for name in measured[0].seconds},
        ),
        encoding="utf-8",
    )
    return _figures(measured, plot)


def _measure(users: int, rounds: int) -> _Size:
    size = _Size(users)
    turns = min(rounds, max(3, min(5, _EVENTS_A_ROUND // (users * EVENTS_PER_USER))))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warehouse_data.write(folder, users, seed=users)
        for turn in range(turns):
            contenders = (
                ["ours", "handwritten", "pandas"]
                if turn == 0 or users < SIZES[-1]
                else ["ours", "handwritten"]
            )
            # Who goes first finds colder files: that is somebody else every time.
            for contender in contenders if turn % 2 else contenders[::-1]:
                told = _contend(contender, folder)
                size.seconds.setdefault(contender, []).append(told["seconds"])
                size.peak[contender] = max(size.peak.get(contender, 0.0), told["peak_gib"])
            if turn == 0:
                check_agreement({contender: folder / f"{contender}.parquet" for contender in contenders})
    return size


def _contend(contender: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "coach_edge.bench.warehouse_rivals", contender, str(folder)]
    done = subprocess.run(
        [*command, str(folder / f"{contender}.parquet")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise FeatureSpecError(
            f"the contender {contender} failed: {done.stderr.strip().splitlines()[-1]:.200}"
        )
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def check_agreement(files: dict[str, Path]) -> None:
    """Whether all contenders gave the same numbers.

    Raises:
        FeatureSpecError: they did not, by more than ``TOLERANCE``.
    """
    tables = {
        name: warehouse_data.parquet.read_table(path).sort_by("user_id") for name, path in files.items()
    }
    ours = tables["ours"]
    users = ours["user_id"].to_pylist()
    for name, table in tables.items():
        if table["user_id"].to_pylist() != users:
            raise FeatureSpecError(f"the contender {name} has other users")
        for feature in PREBUILT.names:
            left, right = (np.asarray(each[feature].to_numpy(), np.float64) for each in (ours, table))
            worst = float((np.abs(left - right) / np.maximum(1, np.abs(left))).max())
            if not worst <= TOLERANCE:
                raise FeatureSpecError(f"the contender {name} gives another {feature}: {worst:.2g} apart")


def _figures(measured: list[_Size], plot: Path) -> list[dict[str, Any]]:
    largest = measured[-1]
    events = largest.users * EVENTS_PER_USER
    ours, theirs, pandas = (largest.middle(name) for name in ("ours", "handwritten", "pandas"))
    slopes = [
        math.log(after.middle("ours") / before.middle("ours")) / math.log(after.users / before.users)
        for before, after in pairwise(measured)
    ]
    peak = max(size.peak["ours"] for size in measured)
    sizes = ", ".join(f"{size.users:,} users {size.middle('ours'):.3g} s" for size in measured)
    count = len(largest.seconds["ours"])
    at = f"{largest.users:,} users, {events:,} events"
    sql = "the same features in SQL written by hand for the same engine"
    return [
        _figure("vs_handwritten_sql", ours / theirs, "ratio", sql, 1.0, count, at),
        _figure("events_per_s", events / ours, "events/s", sql, events / theirs, count, at),
        _figure(
            "peak_gib", peak, "GiB", sql, max(s.peak["handwritten"] for s in measured), count, "whole process"
        ),
        _figure(
            "growth_exponent",
            max(slopes),
            "",
            "proportional",
            1.0,
            len(measured),
            f"the steepest step; {sizes}; plotted in {plot}",
        ),
        _figure(
            "pandas_speedup",
            pandas / ours,
            "ratio",
            "vectorised pandas",
            1.0,
            len(largest.seconds["pandas"]),
            at,
        ),
    ]


def _figure(
    name: str, value: float, unit: str, control: str, control_value: float, n: int, note: str
) -> dict[str, Any]:
    return {
        "id": name,
        "value": value,
        "unit": unit,
        "control": control,
        "control_value": control_value,
        "ratio": value / control_value,
        "n": n,
        "note": note,
    }
