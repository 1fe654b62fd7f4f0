"""What an engine is: it makes sessions from bytes, and a session runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import EdgeError

Array = NDArray[Any]


class RunFailed(EdgeError):
    """The engine failed on a checked input. Its session is replaced; report it with the model's version."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name, dtype and shape of one input or output; -1 in the shape is a dimension that may vary.

    ``scale`` and ``zero_point`` are those of quantized numbers: a raw number means
    ``scale * (raw - zero_point)``. Nothing converts them here: inputs and outputs are raw, as the file declares
    them. A scale of 0 means that the numbers stand for themselves.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0

    def __str__(self) -> str:
        sides = " x ".join("any" if side < 0 else str(side) for side in self.shape)
        return f"{self.name}: {self.dtype.name}[{sides}]"


@dataclass(frozen=True, slots=True)
class Signature:
    """A named entry point of a model."""

    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


class Session(Protocol):
    """A loaded model with its own working memory: for one thread at a time."""

    @property
    def inputs(self) -> tuple[TensorInfo, ...]: ...

    @property
    def outputs(self) -> tuple[TensorInfo, ...]: ...

    @property
    def signatures(self) -> tuple[Signature, ...]: ...

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute once. Names, dtypes and shapes are the caller's promise: nothing is checked again.

        What comes back is a copy, not a view of the working memory. After an exception the session may be
        in any state and must be closed.
        """

    def reset(self) -> None:
        """Forget what recurrent layers remember."""

    def close(self) -> None:
        """Give the memory back; the session must not be used afterwards."""


@runtime_checkable
class RunsSignatures(Protocol):
    """What a session may offer besides: entry points other than the main one."""

    def run_signature(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """``run`` for the signature of that name; the same promises hold."""


class Engine(Protocol):
    """A runtime library behind one verb."""

    @property
    def name(self) -> str: ...

    def load(self, model: bytes, threads: int = 1) -> Session:
        """Make a session from bytes that are already trusted.

        Raises:
            FormatError: the engine cannot read the bytes.
            UpdateRequired: the model needs an operator that this version of the engine lacks.
        """


@runtime_checkable
class LoadsPackages(Protocol):
    """What an engine may offer besides: models that are folders."""

    def load_package(self, files: Mapping[str, bytes | memoryview], threads: int = 1) -> Session:
        """``load`` for a package, given as bytes by path inside it."""
