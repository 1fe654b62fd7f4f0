"""Parity: golden cases x devices x tolerances, and the verdict.

Golden cases carry the outputs that the bundle's own target gave when it was sealed. A device must reproduce
the cases of its bundle and, where another target of the same model, version and recipe is given too, the
cases of that one: so the targets are compared with each other and not only each with itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from device_tests import devices
from device_tests.device import Device
from device_tests.errors import ParityError
from device_tests.recording import RecordedArtifact, Recording
from edge_sdk.contract import bundle, golden
from edge_sdk.contract.record import BundleContent
from edge_sdk.contract.tolerance import Comparison, compare

WARM_UP = 3
REPEATS = 200
"""Timed runs a device: with fewer, a p99 is the largest value and says little."""

Timer = Callable[[], int]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Cell:
    """One device on the cases of one bundle."""

    device: str
    artifact: str
    cases_of: str
    comparisons: tuple[tuple[str, Comparison], ...]
    """Case id and outcome for one output."""
    p99_ms: float | None
    budget_ms: float

    @property
    def failures(self) -> list[str]:
        """Why the cell fails, a line each; empty when it passes."""
        lines = []
        for case, found in self.comparisons:
            if not found.ok:
                how = found.problem or f"off by {found.error:.3g}, {found.excess:.3g} times the tolerance"
                lines.append(f"{self.device}: case {case}, output {found.output}: {how}")
        if not self.comparisons:
            lines.append(f"{self.device}: nothing was compared")
        if self.p99_ms is not None and not self.p99_ms <= self.budget_ms:
            lines.append(
                f"{self.device}: p99 {self.p99_ms:.4g} ms exceeds the budget of {self.budget_ms:g} ms"
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        errors = [found.error for _, found in self.comparisons]
        worst = max(errors, default=float("inf"))
        return {
            "device": self.device,
            "artifact": self.artifact,
            "cases_of": self.cases_of,
            "cases": len({case for case, _ in self.comparisons}),
            "comparisons": len(self.comparisons),
            "max_error": worst if np.isfinite(worst) else None,
            "p99_ms": self.p99_ms,
            "budget_ms": self.budget_ms,
            "verdict": "fail" if self.failures else "pass",
        }


@dataclass(frozen=True)
class Verdict:
    """All cells; it passes only if there is at least one comparison and every cell passes."""

    cells: tuple[Cell, ...]

    @property
    def failures(self) -> list[str]:
        if not self.cells:
            return ["nothing was compared"]
        return [line for cell in self.cells for line in cell.failures]

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": "fail" if self.failures else "pass",
            "comparisons": sum(len(cell.comparisons) for cell in self.cells),
            "cells": [cell.to_json() for cell in self.cells],
            "failures": self.failures,
        }


def label(content: BundleContent) -> str:
    """How reports name an artifact: ``model version target-recipe``."""
    record = content.record
    return f"{record.model} {record.model_version} {record.target}-{record.recipe}"


def run(
    contents: Sequence[BundleContent],
    names: Sequence[str] = devices.USUAL,
    *,
    timer: Timer = time.perf_counter_ns,
    progress: Progress = lambda stage, done, total: None,
    open_device: Callable[[str, BundleContent], Device] = devices.open_device,
) -> Verdict:
    """Run golden cases on this machine's devices.

    Args:
        contents: verified bundles.
        names: the devices to use; one that fits none of the bundles is an error, not a silent skip.
        timer: nanoseconds, for the p99 of each device.
        open_device: how a device comes to life with a bundle's payload in it.

    Raises:
        ParityError: a device has no bundle that it can run, or there is no bundle.
    """
    if not contents:
        raise ParityError("name at least one bundle")
    pairs = [(name, c) for name in names for c in contents if c.record.target == devices.target_of(name)]
    for name in names:
        if name not in [chosen for chosen, _ in pairs]:
            raise ParityError(f"device {name} runs {devices.target_of(name)}, and no such bundle was given")
    cells = []
    for done, (name, content) in enumerate(pairs):
        progress("parity", done, len(pairs))
        device = open_device(name, content)
        try:
            for other in contents:
                if _comparable(content, other):
                    cells.append(_cell(name, device, content, other, timer if other is content else None))
        finally:
            device.close()
    progress("parity", len(pairs), len(pairs))
    return Verdict(tuple(cells))


def compare_recording(content: BundleContent, recording: Recording, served_sha256: str) -> Verdict:
    """Judge what a phone recorded against the golden cases of the bundle that it ran.

    Raises:
        ParityError: the recording is of another artifact, or lacks a case.
    """
    record, said = content.record, recording.artifact
    ours = RecordedArtifact(record.model, record.model_version, record.target, record.recipe, served_sha256)
    for field, value in vars(ours).items():
        if getattr(said, field) != value:
            raise ParityError(
                f"the recording has {field} {getattr(said, field)}, the bundle {value}: "
                "compare it with the bundle that the phone ran"
            )
    recorded = {case.id: case for case in recording.cases}
    comparisons = []
    cases = golden.from_bytes(bytes(content.files[bundle.GOLDEN_NAME]))
    recording.check_cases([case.id for case in cases])
    for case in cases:
        found = recorded[case.id]
        for comparison in compare(case.outputs, found.outputs, content.record.tolerances):
            said_why = (
                replace(comparison, problem=f"the device reported: {found.error}")
                if found.error
                else comparison
            )
            comparisons.append((case.id, said_why))
    times = [value for case in recording.cases for value in case.latency_ms]
    cell = Cell(
        recording.device.name,
        label(content),
        label(content),
        tuple(comparisons),
        float(np.percentile(times, 99)) if times else float("inf"),
        content.record.budgets.p99_ms,
    )
    return Verdict((cell,))


def _comparable(one: BundleContent, other: BundleContent) -> bool:
    def key(content: BundleContent) -> tuple[str, str, str]:
        return content.record.model, content.record.model_version, content.record.recipe

    return one is other or (key(one) == key(other) and one.record.target != other.record.target)


def _cell(
    name: str, device: Device, content: BundleContent, other: BundleContent, timer: Timer | None
) -> Cell:
    cases = golden.from_bytes(bytes(other.files[bundle.GOLDEN_NAME]))
    comparisons = []
    for case in cases:
        for comparison in compare(case.outputs, device.run(case.inputs), content.record.tolerances):
            comparisons.append((case.id, comparison))
    p99 = _p99_ms(device, cases, timer) if timer else None
    return Cell(name, label(content), label(other), tuple(comparisons), p99, content.record.budgets.p99_ms)


def _p99_ms(device: Device, cases: Sequence[golden.Case], timer: Timer) -> float:
    times = []
    for index in range(-WARM_UP, REPEATS):
        inputs: Mapping[str, Any] = cases[index % len(cases)].inputs
        start = timer()
        device.run(inputs)
        elapsed = timer() - start
        if index >= 0:
            times.append(elapsed / 1e6)
    return float(np.percentile(times, 99))
