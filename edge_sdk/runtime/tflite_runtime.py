"""tflite-runtime 2.14, the last release under that name, as the engine of an old phone.

It needs an older Python and NumPy than this package, so it runs in a process of its own environment, one a session,
over pipes. A model that kills that process costs a session. For comparing, not for speed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from edge_sdk.errors import EdgeError, FormatError, NotAvailable, UpdateRequired
from edge_sdk.runtime import array_pipes
from edge_sdk.runtime.children import child_environment, ending
from edge_sdk.runtime.engine import Array, Session, Signature, TensorInfo

ENVIRONMENT = "old-phone"
"""Folder of its environment inside that of this process, where ``make old-phone`` puts it."""

_BOOT = (
    # Ours comes last: NumPy has to be the one of that environment.
    "import sys; sys.path.append(sys.argv[1]); from edge_sdk.runtime.tflite_runtime_child import main; main()"
)
_FAMILIES: Mapping[str, type[EdgeError]] = {
    family.__name__: family for family in (FormatError, UpdateRequired)
}


class TFLiteRuntime:
    """tflite-runtime.

    Args:
        python: the Python of an environment that has it; by default the one that ``make old-phone`` made.

    Raises:
        NotAvailable: there is no such Python.
    """

    name = "tflite-runtime"

    def __init__(self, python: str | os.PathLike[str] | None = None) -> None:
        self._python = Path(python or Path(sys.prefix) / ENVIRONMENT / "bin" / "python")
        if not self._python.exists():
            raise NotAvailable(
                f"tflite-runtime is not installed ({self._python} is not there); install it with: make old-phone"
            )

    def load(self, model: bytes, threads: int = 1) -> Session:
        """Make a session, and with it a process.

        Raises:
            FormatError: not a readable TFLite model, or one that kills the process.
            UpdateRequired: an operator or operator version that is younger than this library.
            NotAvailable: the process cannot be started, or has no tflite-runtime.
        """
        session = _ProcessSession(self._python)
        try:
            session.load(model, threads)
        except BaseException:
            session.close()
            raise
        return session


class _ProcessSession:
    def __init__(self, python: Path) -> None:
        home = str(Path(__file__).resolve().parents[2])
        try:
            self._child = subprocess.Popen(
                [str(python), "-I", "-c", _BOOT, home],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=child_environment(),
            )
        except OSError as error:
            raise NotAvailable(f"cannot start {python}: {error.strerror}") from error
        self._python = python
        self._to, self._from = cast(IO[bytes], self._child.stdin), cast(IO[bytes], self._child.stdout)
        self.inputs: tuple[TensorInfo, ...] = ()
        self.outputs: tuple[TensorInfo, ...] = ()
        self.signatures: tuple[Signature, ...] = ()

    def load(self, model: bytes, threads: int) -> None:
        try:
            array_pipes.receive(self._from)
        except EOFError as error:
            raise NotAvailable(
                f"{self._python} ended without having tflite-runtime: {self._ending()}; run: make old-phone"
            ) from error
        try:
            told, _ = self._ask(
                {"verb": "load", "threads": threads}, {"model": np.frombuffer(model, np.uint8)}
            )
        except RuntimeError as error:
            raise FormatError(f"tflite-runtime cannot load the model: {error}") from error
        self.inputs, self.outputs = _infos(told["inputs"]), _infos(told["outputs"])
        self.signatures = tuple(
            Signature(name, _infos(inputs), _infos(outputs)) for name, inputs, outputs in told["signatures"]
        )

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._ask({"verb": "run"}, inputs)[1]

    def run_signature(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._ask({"verb": "run_signature", "name": name}, inputs)[1]

    def reset(self) -> None:
        self._ask({"verb": "reset"}, {})

    def close(self) -> None:
        self._child.kill()  # it has nothing to save
        with suppress(BrokenPipeError):  # by what it did not take any more
            self._to.close()
        self._from.close()
        self._child.wait()

    def _ask(
        self, head: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> tuple[dict[str, Any], dict[str, Array]]:
        try:
            array_pipes.send(self._to, head, arrays)
            told, answer = array_pipes.receive(self._from)
        except (EOFError, OSError, ValueError) as error:
            raise RuntimeError(f"the process of tflite-runtime ended: {self._ending()}") from error
        if "error" in told:
            raise _FAMILIES.get(told["error"], RuntimeError)(told["message"])
        return told, answer

    def _ending(self) -> str:
        self._child.kill()  # does nothing to one that has ended
        return ending(self._child.wait())


def _infos(told: list[list[Any]]) -> tuple[TensorInfo, ...]:
    return tuple(
        TensorInfo(name, np.dtype(dtype), tuple(shape), scale, zero_point)
        for name, dtype, shape, scale, zero_point in told
    )
