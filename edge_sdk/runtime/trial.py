"""Trying a model out in a child process, so that one which kills its process kills only that.

The child gets everything through a pipe: the bytes never touch a disk. It loads the model as the host would,
answers, measures, and reports one line of JSON. What it may use is limited; what it says is not trusted beyond
that.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from edge_sdk.contract.tolerance import Tolerance
from edge_sdk.errors import (
    EdgeError,
    FormatError,
    InputError,
    NotAvailable,
    UpdateRequired,
    VerificationError,
)
from edge_sdk.runtime.children import child_environment, ending
from edge_sdk.runtime.engines import ENGINE_NAMES

_BOOT = (
    "import sys, json\n"
    "pipe = sys.stdin.buffer\n"
    "job = json.loads(pipe.readline())\n"
    "sys.path[:] = job['path']\n"
    "from edge_sdk.runtime.trial_child import main\n"
    "main(job, pipe)\n"
)
_REPORT_LIMIT = 1 << 20
_OUT_OF_TIME = getattr(
    signal, "SIGXCPU", 1 << 20
)  # a status that nothing has, where the system sets no limit
# glibc then fills memory that is handed out and taken back. A model that makes the library read what nobody wrote loads
# as long as that happens to be zeros, as in a young process, and kills an older one. Not where a trial measures.
_FILLED = {"MALLOC_PERTURB_": "165"}
_FAMILIES: Mapping[str, type[EdgeError]] = {
    family.__name__: family for family in (FormatError, UpdateRequired, VerificationError, InputError)
}


class ModelCrashed(VerificationError):
    """The model ended the process that tried it out, or broke a limit. Never load it in this one."""


class ModelTooSlow(ModelCrashed):
    """The model was not done within the time that a trial may take."""


class TrialUnavailable(NotAvailable):
    """No child process can be started here, which says nothing about the model."""


@dataclass(frozen=True, slots=True)
class TrialLimits:
    """What a trial may use.

    Attributes:
        wall_s: from the start of the child process, its imports included; then it is killed.
        cpu_s: processor time after the imports (POSIX).
        memory_bytes: address space beyond what the loaded engine takes (Linux).
    """

    wall_s: float = 60.0
    cpu_s: int = 60
    memory_bytes: int = 4 << 30

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise InputError(f"{name} must be positive, not {value}")


@dataclass(frozen=True, slots=True)
class TrialReport:
    """What a model showed in its trial.

    Attributes:
        load_ms: from bytes to a session.
        run_ms_p50, run_ms_p99: of single runs, after the first; 0 where nothing was run.
        memory_bytes: what the process grew by, the model's bytes included.
        runs: how many runs were timed.
        compared: output tensors compared with golden cases, each case twice.
    """

    load_ms: float
    run_ms_p50: float
    run_ms_p99: float
    memory_bytes: int
    runs: int
    compared: int


def try_out(
    payload: bytes,
    engine: str,
    *,
    state: str | None = None,
    cases: bytes | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    limits: TrialLimits | None = None,
    executable: str | None = None,
) -> TrialReport:
    """Load and run a model in a child process.

    With golden cases, each is answered twice, and must be right both times. Without, the model is run on
    zeros where its shapes are fixed (but for the number of rows).

    Args:
        payload: the model.
        engine: its engine's name.
        state: as for ``open_model``.
        cases: the content of ``golden/cases.json``.
        tolerances: by output; needed with ``cases``.
        limits: time and memory.
        executable: a Python interpreter; this process's own by default.

    Raises:
        ModelCrashed: the child died, or broke a limit (``ModelTooSlow``: of time).
        VerificationError: an answer is wrong.
        FormatError: the engine cannot read the bytes, or the cases are malformed.
        UpdateRequired: the model needs a newer engine.
        TrialUnavailable: no child process could do it; the model is not to blame.
        InputError: no such engine, or cases without tolerances.
    """
    limits = limits or TrialLimits()
    if engine not in ENGINE_NAMES:
        raise InputError(f"no engine is called {engine!r}; choose one of {', '.join(ENGINE_NAMES)}")
    if (cases is None) != (tolerances is None):
        raise InputError("golden cases and tolerances go together")
    job = {
        "path": [os.path.abspath(entry) for entry in sys.path],
        "engine": engine,
        "state": state,
        "payload_bytes": len(payload),
        "cases_bytes": None if cases is None else len(cases),
        "tolerances": {name: tolerance.to_json() for name, tolerance in (tolerances or {}).items()},
        "cpu_s": limits.cpu_s,
        "memory_bytes": limits.memory_bytes,
    }
    head = json.dumps(job).encode() + b"\n"
    environment = child_environment() | (_FILLED if cases is None else {})
    parts = (head, payload, cases or b"")
    said, status, late = _child(parts, limits.wall_s, executable or sys.executable, environment)
    ready, _, report = said.partition(b"\n")
    if late:
        raise ModelTooSlow(f"the model was not done after {limits.wall_s:g} s in a child process")
    if ready != b"ready":
        reason = report.decode("utf-8", "replace") or ending(status)
        raise TrialUnavailable(f"a child process cannot try the model out: {reason}")
    if status == -_OUT_OF_TIME:
        raise ModelTooSlow(f"the model took more than {limits.cpu_s} s of processor time in a child process")
    if status != 0:
        raise ModelCrashed(f"the model ended the process that tried it out: {ending(status)}")
    return _told(report)


def _child(
    parts: tuple[bytes, ...], wall_s: float, executable: str, environment: Mapping[str, str]
) -> tuple[bytes, int, bool]:
    """What the child said, how it ended, and whether it was killed for being late."""
    if getattr(sys, "frozen", False) or not executable:
        raise TrialUnavailable("there is no Python interpreter to start; prove the model elsewhere")
    try:
        child = subprocess.Popen(
            [executable, "-I", "-c", _BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
        )
    except OSError as error:
        raise TrialUnavailable(f"cannot start a child process: {error.strerror}") from error
    late = threading.Event()

    def kill() -> None:
        late.set()
        child.kill()

    timer = threading.Timer(wall_s, kill)
    timer.daemon = True
    timer.start()
    with child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            _hand_over(child.stdin.write, child.stdin.close, parts)
            # The child writes a few hundred bytes only, so it never waits for this side to read.
            said = _everything(child.stdout.read)
            child.wait()
        finally:
            timer.cancel()
            child.kill()  # does nothing to one that has ended
    return said, child.returncode, late.is_set()


def _hand_over(
    write: Callable[[bytes | memoryview], int | None], close: Callable[[], None], parts: tuple[bytes, ...]
) -> None:
    try:
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[write(rest) or 0 :]
        close()
    except OSError:
        pass  # it has died; how, its status tells


def _everything(read: Callable[[int], bytes]) -> bytes:
    said = b""
    while len(said) < _REPORT_LIMIT and (more := read(_REPORT_LIMIT)):
        said += more
    return said


def _told(report: bytes) -> TrialReport:
    try:
        told = json.loads(report)
        if "error" in told:
            raise _FAMILIES.get(told["error"], ModelCrashed)(str(told["message"]))
        return TrialReport(**told)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelCrashed("the process that tried the model out ended without a report") from error
