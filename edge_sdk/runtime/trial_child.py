"""The child's side of a trial: limit yourself, load, answer, measure, report. See ``trial``."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

from edge_sdk.contract import golden, tolerance
from edge_sdk.contract.tolerance import Tolerance
from edge_sdk.errors import EdgeError, FormatError, InputError, UpdateRequired, VerificationError
from edge_sdk.runtime.engine import Array, RunFailed, TensorInfo
from edge_sdk.runtime.engines import engine_named
from edge_sdk.runtime.memory import address_bytes, process_bytes
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.opening import open_model
from edge_sdk.runtime.zeros import FREE_SIDES, zeros

_LOADS = 8
_TIMED_RUNS = 50
_TIMED_NS = 250_000_000


def main(job: Mapping[str, Any], pipe: IO[bytes]) -> None:
    """Do the job whose payload and cases follow on ``pipe``, and end the process."""
    say = _own_the_output()
    try:
        engine_named(job["engine"])
    except Exception as error:
        say(b"\n" + " ".join(str(error).split()).encode())
        os._exit(1)
    _limit(job["cpu_s"], job["memory_bytes"])
    say(b"ready\n")
    before = process_bytes()
    try:
        payload = _exactly(pipe, job["payload_bytes"])
        cases = None if job["cases_bytes"] is None else _exactly(pipe, job["cases_bytes"])
        limits = {name: Tolerance(**value) for name, value in job["tolerances"].items()}
        told: dict[str, object] = _trial(payload, job["engine"], job["state"], cases, limits)
        told["memory_bytes"] = max(process_bytes() - before, 0)
    except EdgeError as error:
        told = {"error": _family(error), "message": " ".join(str(error).split())}
    except MemoryError:
        told = {"error": "ModelCrashed", "message": "the model needs more memory than a trial may use"}
    say(json.dumps(told).encode())
    # Without teardown: a damaged model's destructors are nothing that anybody needs.
    os._exit(0)


def _own_the_output() -> Callable[[bytes], object]:
    """Only reports may reach the pipe: what native code prints goes where errors go."""
    report = os.dup(1)
    os.dup2(2, 1)
    return lambda text: os.write(report, text)


def _limit(cpu_s: int, memory_bytes: int) -> None:
    """The one place that sets limits; where the system knows none, the time limit of the parent remains."""
    try:
        import resource
    except ImportError:
        return

    def lower(kind: int, value: int) -> None:
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(kind, (value, hard))

    # No core file, it would hold the model. Not 0: Linux hands the dump to a program then all the same.
    lower(resource.RLIMIT_CORE, 1)
    lower(resource.RLIMIT_CPU, int(time.process_time()) + 1 + cpu_s)
    if sys.platform == "linux" and (used := address_bytes()):
        lower(resource.RLIMIT_AS, used + memory_bytes)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) != length:  # the parent is gone
        os._exit(1)
    return data


def _family(error: EdgeError) -> str:
    for family in (FormatError, UpdateRequired, InputError):
        if isinstance(error, family):
            return family.__name__
    return VerificationError.__name__


def _trial(
    payload: bytes,
    engine: str,
    state: str | None,
    cases: bytes | None,
    tolerances: Mapping[str, Tolerance],
) -> dict[str, object]:
    started = time.perf_counter_ns()
    model = open_model(payload, engine, 1, state=state, proven=True)
    load_ms = (time.perf_counter_ns() - started) / 1e6
    if cases is None:
        _load_again(payload, engine, state)
    compared, times = 0, []
    if cases is not None:
        known = golden.from_bytes(cases)
        compared = sum(_prove(model, case, tolerances) for _ in range(2) for case in known)
        times = _time(model, [case.inputs for case in known])
    else:
        made = _run_zeros(model, model.inputs, None)
        times = [] if made is None else _time(model, [made], runs=2)
        for name, signature in model.signatures.items():
            if (signature.inputs, signature.outputs) != (model.inputs, model.outputs):
                _run_zeros(model, signature.inputs, name)
    p50, p99 = np.percentile(times, (50, 99)) if times else (0.0, 0.0)
    return {
        "load_ms": load_ms,
        "run_ms_p50": float(p50),
        "run_ms_p99": float(p99),
        "runs": len(times),
        "compared": compared,
    }


def _load_again(payload: bytes, engine: str, state: str | None) -> None:
    """Load as a host does for further sessions: what reads memory that nobody wrote may get away with it once."""
    begun = time.perf_counter_ns()
    for _ in range(_LOADS - 1):
        open_model(payload, engine, 1, state=state, proven=True).close()
        if time.perf_counter_ns() - begun > _TIMED_NS:
            break


def _prove(model: Model, case: golden.Case, tolerances: Mapping[str, Tolerance]) -> int:
    try:
        outputs = model.run(case.inputs)
    except EdgeError as error:
        raise VerificationError(f"golden case {case.id}: {error}") from error
    results = tolerance.compare(case.outputs, outputs, tolerances)
    for result in results:
        if not result.ok:
            problem = result.problem or f"off by {result.error:.3g}, {result.excess:.3g} times the allowance"
            raise VerificationError(
                f"golden case {case.id}: output {result.output}: {problem}; "
                "the model does not work on this device"
            )
    return len(results)


def _time(model: Model, inputs: list[Mapping[str, Array]], runs: int = _TIMED_RUNS) -> list[float]:
    times: list[float] = []
    begun = time.perf_counter_ns()
    while len(times) < runs:
        started = time.perf_counter_ns()
        model.run(inputs[len(times) % len(inputs)])
        ended = time.perf_counter_ns()
        times.append((ended - started) / 1e6)
        if ended - begun > _TIMED_NS:
            break
    return times


def _run_zeros(
    model: Model, inputs: tuple[TensorInfo, ...], signature: str | None
) -> Mapping[str, Array] | None:
    """Run on zeros, and return those that the model takes, if it takes any.

    Zeros need not make sense to a model: what fails here is an error and not the end.
    """
    for side in FREE_SIDES:
        made = zeros(inputs, side)
        if made is None:
            break
        try:
            model.run(made, signature=signature)
        except RunFailed:
            continue
        return made
    return None
