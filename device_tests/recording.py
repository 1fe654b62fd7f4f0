"""Recordings: what a phone measured when it ran a bundle's golden cases (docs/protocol/recorder.md)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from device_tests.errors import ParityError
from edge_sdk.contract import document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError

FORMAT: Final = "coach-edge/recording/1"
MAX_BYTES: Final = 16_000_000
MAX_CASES: Final = 10_000
MAX_LATENCIES: Final = 10_000
MAX_TEXT: Final = 200

Tensor = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RecordedDevice:
    """Where the cases ran, in the words of the device itself."""

    name: str
    platform: str
    os_version: str
    runtime: str
    runtime_version: str

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            _text(value, f"device: {key}")


@dataclass(frozen=True)
class RecordedArtifact:
    """What ran: ``sha256`` is the digest of the bundle as served."""

    model: str
    model_version: str
    target: str
    recipe: str
    sha256: str

    def __post_init__(self) -> None:
        try:
            for key in ("model", "target", "recipe"):
                identifiers.name(getattr(self, key), key)
            identifiers.model_version(self.model_version)
            identifiers.sha256_hex(self.sha256)
        except FormatError as error:
            raise ParityError(f"recording: artifact: {error}") from error


@dataclass(frozen=True)
class RecordedCase:
    """One golden case on the device: outputs and latencies in milliseconds, or the error that came instead."""

    id: str
    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    latency_ms: tuple[float, ...] = ()
    error: str = ""

    def __post_init__(self) -> None:
        what = f"recording: case {self.id!r}"
        if bool(self.error) == bool(self.outputs) or bool(self.error) == bool(self.latency_ms):
            raise ParityError(f"{what} must have either outputs with latencies, or an error")
        if len(self.latency_ms) > MAX_LATENCIES:
            raise ParityError(f"{what} has more than {MAX_LATENCIES} latencies")
        if not all(0 <= value < float("inf") for value in self.latency_ms):
            raise ParityError(f"{what} has a latency that is negative or not finite")
        for name, tensor in self.outputs.items():
            if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
                raise ParityError(f"{what}: output '{name}' is not float32, or not finite")
        if self.error:
            _text(self.error, f"case {self.id!r}: error")
        object.__setattr__(self, "outputs", MappingProxyType(dict(self.outputs)))


@dataclass(frozen=True)
class Recording:
    """A parsed recording; valid by construction."""

    device: RecordedDevice
    artifact: RecordedArtifact
    cases: tuple[RecordedCase, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.cases) <= MAX_CASES:
            raise ParityError(f"recording: it has {len(self.cases)} cases; 1 to {MAX_CASES} are allowed")
        if len({case.id for case in self.cases}) != len(self.cases):
            raise ParityError("recording: a case id is repeated; write every golden case once")

    def check_cases(self, golden_ids: Collection[str]) -> None:
        """Refuse a recording that leaves out a golden case of the bundle or has one too many.

        Raises:
            ParityError: the ids differ.
        """
        if odd := {case.id for case in self.cases} ^ set(golden_ids):
            raise ParityError(
                f"recording: it and the bundle disagree on whether there is a case {min(odd)!r};"
                " record this very bundle again"
            )

    def to_bytes(self) -> bytes:
        """JSON; every float32 is written as the double that equals it."""
        value = {
            "format": FORMAT,
            "device": dict(vars(self.device)),
            "artifact": dict(vars(self.artifact)),
            "cases": [_case_to_json(case) for case in self.cases],
        }
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Recording:
        """The recording in a file.

        Raises:
            ParityError: malformed; the message names the case and the field.
        """
        try:
            f = Fields(document.parse(data, "recording", max_bytes=MAX_BYTES), "recording")
            f.format(FORMAT)
            device = Fields(f.mapping("device"), "recording: device")
            artifact = Fields(f.mapping("artifact"), "recording: artifact")
            return cls(
                RecordedDevice(**{key: device.text(key) for key in RecordedDevice.__dataclass_fields__}),
                RecordedArtifact(
                    **{key: artifact.text(key) for key in RecordedArtifact.__dataclass_fields__}
                ),
                tuple(_case_from_json(value) for value in f.array("cases")),
            )
        except FormatError as error:
            raise ParityError(str(error)) from error


def _text(value: str, what: str) -> None:
    if not 1 <= len(value) <= MAX_TEXT:
        raise ParityError(f"recording: {what} has {len(value)} characters; 1 to {MAX_TEXT} are allowed")


def _case_to_json(case: RecordedCase) -> dict[str, Any]:
    if case.error:
        return {"id": case.id, "error": case.error}
    outputs = {name: tensor.astype(np.float64).tolist() for name, tensor in case.outputs.items()}
    return {"id": case.id, "outputs": outputs, "latency_ms": list(case.latency_ms)}


def _case_from_json(value: object) -> RecordedCase:
    f = Fields(value, "recording: case")
    case_id = f.text("id")
    f = Fields(value, f"recording: case {case_id!r}")
    assert isinstance(value, Mapping)
    if "error" in value:
        if {"outputs", "latency_ms"} & set(value):
            raise ParityError(f"{f.what} has an error and outputs or latencies; write one or the other")
        return RecordedCase(case_id, error=f.text("error"))
    latencies = f.array("latency_ms")
    if not all(type(item) in (int, float) for item in latencies):
        raise ParityError(f"{f.what}: 'latency_ms' is not a list of numbers")
    outputs = {
        name: _tensor(item, f"{f.what}: output '{name}'") for name, item in f.mapping("outputs").items()
    }
    return RecordedCase(case_id, outputs, tuple(float(item) for item in latencies))


def _tensor(value: object, what: str) -> Tensor:
    try:
        if not _numeric(value):
            raise TypeError("text, a truth value or null")  # which NumPy would turn into numbers
        with np.errstate(over="ignore"):
            return np.asarray(value, np.float64).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise ParityError(f"{what} is not a tensor of numbers") from error


def _numeric(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_numeric, value))
    return type(value) in (int, float)
