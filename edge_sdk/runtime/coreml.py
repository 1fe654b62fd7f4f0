"""Core ML behind the engine interface: on macOS its framework, anywhere else what an app injects.

Core ML opens folders only, so for the time of loading the package lies in a private folder. That is the one place
where the plain bytes of an encrypted model touch a disk. The folder goes as soon as the model is open, or, had the
process ended before, at the next load. What Core ML itself caches is beyond this package.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edge_sdk.contract import bundle
from edge_sdk.errors import EdgeError, FormatError, NotAvailable
from edge_sdk.runtime.coreml_file import described
from edge_sdk.runtime.engine import Array, Session, Signature, TensorInfo

_PREFIX = "coach-edge-coreml-"


class CoreMLModel(Protocol):
    """An open Core ML model; ``coremltools.models.MLModel`` is one, too."""

    def predict(self, data: dict[str, Any]) -> Mapping[str, Any]:
        """Outputs by name for inputs by name, all of them arrays."""


OpenPackage = Callable[[Path], CoreMLModel]
"""Opens a folder ``….mlpackage``, which is gone once the call has returned."""


class CoreML:
    """Core ML.

    Args:
        open_package: what opens a package; by default the framework of macOS.

    Raises:
        NotAvailable: there is no Core ML here.
    """

    name = "coreml"

    def __init__(self, open_package: OpenPackage | None = None) -> None:
        if open_package is None:
            from edge_sdk.runtime.coreml_framework import Framework

            open_package = Framework()
        self._open = open_package

    def load(self, model: bytes, threads: int = 1) -> Session:
        """Refuse: a Core ML model is a folder.

        Raises:
            FormatError: always.
        """
        raise FormatError("a Core ML model is a folder, model.mlpackage; these are the bytes of a file")

    def load_package(self, files: Mapping[str, bytes | memoryview], threads: int = 1) -> Session:
        """Make a session of a package, given as bytes by path inside it.

        Raises:
            FormatError: Core ML cannot read it, or it takes or gives other things than arrays.
            NotAvailable: the temporary folder cannot be written.
        """
        bundle.check_names(list(files))
        inputs, outputs = described(files)
        with _private_folder() as folder:
            package = folder / "model.mlpackage"
            try:
                for name, content in files.items():
                    path = package / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
            except OSError as error:
                raise NotAvailable(f"cannot lay a model out for Core ML: {error.strerror}") from error
            try:
                model = self._open(package)
            except EdgeError:
                raise
            except Exception as error:  # of an injected library, whose classes are its own
                raise FormatError(f"Core ML cannot load the model: {' '.join(str(error).split())}") from error
        return _CoreMLSession(model, inputs, outputs)


class _CoreMLSession:
    def __init__(
        self, model: CoreMLModel, inputs: tuple[TensorInfo, ...], outputs: tuple[TensorInfo, ...]
    ) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.signatures = (Signature("main", inputs, outputs),)
        self._model: CoreMLModel | None = model

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if self._model is None:
            raise RuntimeError("this session was closed")
        answer = self._model.predict(dict(inputs))
        # Core ML may answer in another width than it declares, and with its own memory.
        return {info.name: np.array(answer[info.name], info.dtype) for info in self.outputs}

    def reset(self) -> None:
        """Nothing to forget: packages with state are refused."""

    def close(self) -> None:
        self._model = None


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that only this user may enter, removed at the end; those of dead processes are removed first."""
    here = Path(tempfile.gettempdir())
    for left in here.glob(f"{_PREFIX}*"):
        if _is_orphan(left):
            shutil.rmtree(left, ignore_errors=True)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=here))
    except OSError as error:
        raise NotAvailable(f"cannot make a temporary folder for Core ML: {error.strerror}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _is_orphan(folder: Path) -> bool:
    owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
    # Signal 0 asks whether a process is there, on POSIX only: elsewhere it would end it.
    if not owner.isascii() or not owner.isdigit() or sys.platform == "win32":
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass  # somebody else's process has that number now: leave it
    return False
