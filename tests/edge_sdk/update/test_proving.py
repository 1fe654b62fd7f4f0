"""A child process is the first to load a model; what it finds keeps the model out of the app's own process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from device_tests.simulator.models import sealed_model
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk import loading
from edge_sdk.contract.record import Budgets
from edge_sdk.errors import VerificationError
from edge_sdk.runtime import engine_named
from edge_sdk.runtime.trial import ModelCrashed, TrialReport, TrialUnavailable
from edge_sdk.update import UpdateStatus, proving
from tests.edge_sdk.conftest import MODEL, Device

REPORT = TrialReport(load_ms=2.0, run_ms_p50=0.01, run_ms_p99=9.0, memory_bytes=200_000, runs=50, compared=6)


@pytest.fixture
def offered(device: Device) -> Device:
    """A real model is there to be installed as release 2."""
    sealed = sealed_model(dense_tflite([3, 1]), release=2, version="2.0.0", engine=engine_named("litert"))
    device.repository.publish(sealed)
    return device


def test_a_real_model_is_proven_in_a_real_child(offered: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    reports, stages = [], []
    real = proving.try_out

    def watched(*args: Any, **options: Any) -> TrialReport:
        reports.append(real(*args, **options))
        return reports[-1]

    monkeypatch.setattr(proving, "try_out", watched)
    done = offered.open(engine="litert").update(MODEL, progress=lambda stage, *_: stages.append(stage))
    assert (done.status, done.release) == (UpdateStatus.INSTALLED, 2)
    assert reports[0].compared == 6, "three cases, twice"
    assert stages.index("try") < stages.index("prove")


def test_what_kills_the_child_never_reaches_this_process(
    offered: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> TrialReport:
        raise ModelCrashed("the model ended the process that tried it out: signal SIGSEGV")

    monkeypatch.setattr(proving, "try_out", crash)
    monkeypatch.setattr(loading, "open_model", lambda *_, **__: pytest.fail("loaded here"))
    client = offered.open(engine="litert")
    for _ in range(2):
        with pytest.raises(ModelCrashed, match=r"focus/stable/2/.*signal SIGSEGV"):
            client.update(MODEL)
    done = client.update(MODEL)
    assert (done.status, done.release) == (UpdateStatus.WITHHELD, 1)
    assert "SIGSEGV" in done.detail


def test_where_there_are_no_child_processes_the_app_proves_alone(
    offered: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any, **__: Any) -> TrialReport:
        raise TrialUnavailable("no child processes here")

    monkeypatch.setattr(proving, "try_out", none)
    assert offered.open(engine="litert").update(MODEL).release == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"load_ms": 501.0}, "loading took 501 ms on this device, and its budget is 500 ms"),
        ({"run_ms_p50": 100.5}, "a run takes 100 ms"),
        ({"memory_bytes": 51_000_000}, "a session needs 51 MB"),
    ],
)
def test_budgets(change: dict[str, float], message: str) -> None:
    proving.check_budgets(REPORT, Budgets(), "path")
    with pytest.raises(VerificationError, match=message):
        proving.check_budgets(replace(REPORT, **change), Budgets(), "path")  # type: ignore[arg-type]
