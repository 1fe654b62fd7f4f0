"""Trials in a child process: what a model proves there, and that its death is one clear error here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.contract import golden
from edge_sdk.contract.tolerance import Tolerance
from edge_sdk.errors import EdgeError, FormatError, InputError, UpdateRequired, VerificationError
from edge_sdk.runtime import ModelCrashed, ModelTooSlow, TrialLimits, TrialUnavailable, open_model, try_out
from edge_sdk.runtime.tflite_file import Memory, memory_of, signature_graphs
from tests.edge_sdk.runtime.fakes import expected

ROWS = np.random.default_rng(8).normal(size=(2, 3)).astype(np.float32)
TOLERANCES = {"score": Tolerance(1e-5)}


def cases(shift: float = 0.0) -> bytes:
    return golden.to_bytes(
        [golden.Case("one", {"features": ROWS}, {"score": np.float32(shift) + expected(ROWS)})]
    )


def test_a_good_model_is_measured_and_compared_twice(affine: Callable[..., bytes]) -> None:
    report = try_out(affine(), "litert", cases=cases(), tolerances=TOLERANCES)
    assert report.compared == 2
    assert report.runs > 0
    assert 0 < report.run_ms_p50 <= report.run_ms_p99
    assert report.load_ms > 0
    assert report.memory_bytes > 0


def test_a_wrong_answer_is_refused(affine: Callable[..., bytes]) -> None:
    with pytest.raises(VerificationError, match="golden case one: output score: off by"):
        try_out(affine(), "litert", cases=cases(0.01), tolerances=TOLERANCES)


def test_a_model_that_remembers_fails_the_second_time(counter: bytes) -> None:
    one, two = np.ones((1, 1), np.float32), np.full((1, 1), 2, np.float32)
    known = golden.to_bytes([golden.Case("twice", {"x": two}, {"total": two * one})])
    with pytest.raises(VerificationError, match="output total: off by 2"):
        try_out(counter, "litert", state="none", cases=known, tolerances={"total": Tolerance(1e-6)})
    for state in (None, "variables"):
        report = try_out(counter, "litert", state=state, cases=known, tolerances={"total": Tolerance(1e-6)})
        assert report.compared == 2


def test_what_the_engine_refuses_in_the_child_is_the_same_error_here(affine: Callable[..., bytes]) -> None:
    with pytest.raises(UpdateRequired, match="too old"):
        try_out(affine(version=99), "litert")
    with pytest.raises(FormatError, match="cannot load"):
        try_out(b"????TFL3" + bytes(100), "litert")


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("echo ready; kill -ABRT $$", ModelCrashed, "signal SIGABRT"),
        ("echo ready; kill -SEGV $$", ModelCrashed, "signal SIGSEGV"),
        ("echo ready; exit 3", ModelCrashed, "exit status 3"),
        ("echo ready; echo nonsense", ModelCrashed, "without a report"),
        ("echo ready; exec sleep 100", ModelTooSlow, "not done after 0.3 s"),
        ("exit 1", TrialUnavailable, "exit status 1"),
    ],
)
def test_the_end_of_the_child_is_one_clear_error(
    script: str, error: type[EdgeError], message: str, tmp_path: Path, affine: Callable[..., bytes]
) -> None:
    child = tmp_path / "python"
    child.write_text(f"#!/bin/sh\n{script}\n")
    child.chmod(0o700)
    with pytest.raises(error, match=message):
        try_out(affine(), "litert", limits=TrialLimits(wall_s=0.3), executable=str(child))


def test_no_interpreter_to_start_is_not_the_models_fault(affine: Callable[..., bytes]) -> None:
    with pytest.raises(TrialUnavailable, match="cannot start a child process"):
        try_out(affine(), "litert", executable="/no/such/python")


def test_wrong_arguments(affine: Callable[..., bytes]) -> None:
    with pytest.raises(InputError, match="no engine"):
        try_out(affine(), "tensorrt")
    with pytest.raises(InputError, match="go together"):
        try_out(affine(), "litert", cases=cases())
    with pytest.raises(InputError, match="wall_s must be positive"):
        TrialLimits(wall_s=0)


def test_unproven_bytes_are_tried_and_proven_ones_are_not(
    affine: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    monkeypatch.setattr("edge_sdk.runtime.trial.try_out", lambda content, engine, state: tried.append(engine))
    open_model(affine()).close()
    assert tried == ["litert"]
    open_model(affine(), proven=True).close()
    assert tried == ["litert"]


def test_the_file_tells_what_it_remembers(counter: bytes, affine: Callable[..., bytes]) -> None:
    assert memory_of(counter) is Memory.TENSORS
    assert memory_of(affine()) is Memory.NONE
    assert signature_graphs(affine()) == {"serving_default": 0}
    for cut in range(0, len(counter), 7):
        memory_of(counter[:cut]), signature_graphs(counter[:cut])
    with open_model(counter) as model:
        answers = [model.run({"x": [[2.0]]})["total"].item() for _ in range(3)]
    assert answers == [2, 2, 2]
