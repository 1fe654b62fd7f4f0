"""Replay records: what one prediction was made from and what came of it, in a few hundred bytes, bit for bit.

A record holds what somebody's features were. It is made only where the app asks for it, stays where the app puts it,
and nothing here sends it anywhere (docs/protocol/predicting.md).
"""

from __future__ import annotations

import base64
import hashlib
import platform
import struct
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge_sdk.contract import document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError, InputError
from edge_sdk.predict.prediction import Prediction, Reason
from edge_sdk.predict.spec import PredictorSpec
from feature_spec.canonical import canonical_json

FORMAT: Final = "coach-edge/replay/1"
MAX_BYTES: Final = 64_000
_MAX_RECORDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """One prediction.

    Attributes:
        model, model_version, release: which model answered.
        artifact: SHA-256 of its served bundle, which says everything else about it.
        engine, engine_version, machine: what computed it: ``litert``, ``2.1.0``, ``x86_64``; empty where not known.
        given: the numbers as they were given, or filled, in the order of the model's features.
        filled: names of those that were filled.
        feature_age_s: as it was given.
        reason: why the answer was what it was.
        values: the model's scalar outputs, in the order of its record.
        contributions: in the order of the features; empty where the model has none, or for a fallback.
        risk_factors, actions: keys of the rules that applied.
    """

    model: str
    model_version: str
    release: int
    artifact: str
    engine: str
    engine_version: str
    machine: str
    given: tuple[float, ...]
    filled: tuple[str, ...]
    feature_age_s: float
    reason: Reason
    values: tuple[float, ...]
    contributions: tuple[float, ...]
    risk_factors: tuple[str, ...]
    actions: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Canonical JSON, one line; every number as the bits of a double."""
        body = {
            "model": self.model,
            "model_version": self.model_version,
            "release": self.release,
            "artifact": self.artifact,
            "engine": self.engine,
            "engine_version": self.engine_version,
            "machine": self.machine,
            "given": _packed(self.given),
            "filled": list(self.filled),
            "feature_age_s": _packed((self.feature_age_s,)),
            "reason": self.reason.value,
            "values": _packed(self.values),
            "contributions": _packed(self.contributions),
            "risk_factors": list(self.risk_factors),
            "actions": list(self.actions),
        }
        # A bit that fell over in a file must not look like one that the model computes differently.
        return canonical_json({"format": FORMAT, "sha256": _digest(body), **body})

    @classmethod
    def from_bytes(cls, data: bytes) -> ReplayRecord:
        """A record as it was exported.

        Raises:
            FormatError: malformed, changed, or of a later format.
        """
        parsed = document.parse(data, "replay record", max_bytes=MAX_BYTES)
        f = Fields(parsed, "replay record")
        f.format(FORMAT)
        body = {key: value for key, value in parsed.items() if key not in ("format", "sha256")}
        if _digest(body) != f.text("sha256"):
            raise FormatError("replay record: its content does not have its digest; it was changed")
        age = f.checked("feature_age_s", _unpacked)
        if len(age) != 1:
            raise FormatError("replay record: 'feature_age_s' is not one number")
        return cls(
            f.checked("model", lambda value: identifiers.name(value, "model")),
            f.checked("model_version", identifiers.model_version),
            f.integer("release"),
            f.checked("artifact", identifiers.sha256_hex),
            f.text("engine"),
            f.text("engine_version"),
            f.text("machine"),
            f.checked("given", _unpacked),
            _texts(f, "filled"),
            age[0],
            f.checked("reason", _reason),
            f.checked("values", _unpacked),
            f.checked("contributions", _unpacked),
            _texts(f, "risk_factors"),
            _texts(f, "actions"),
        )


def record_of(
    prediction: Prediction,
    given: tuple[float, ...],
    filled: tuple[str, ...],
    spec: PredictorSpec,
    artifact: str,
    engine: str,
    engine_version: str,
) -> ReplayRecord:
    """The record of a prediction.

    Args:
        prediction: what was answered.
        given, filled: what the predictor made of the features.
        spec: of the predictor.
        artifact: digest of the served bundle.
        engine, engine_version: what computed it.

    Raises:
        InputError: the prediction is of another model or release, or was made from other features.
    """
    wanted = spec.model_version, spec.release, filled, set(spec.outputs)
    made = prediction.model_version, prediction.release, prediction.filled, set(prediction.values)
    if made != wanted and not (prediction.reason is Reason.FALLBACK and made[:3] == wanted[:3]):
        raise InputError(
            f"the prediction is not one of {spec.model} {spec.model_version}, release {spec.release}, from these "
            "features; give a prediction and the features that it was made from to the model that made it"
        )
    return ReplayRecord(
        model=spec.model,
        model_version=spec.model_version,
        release=spec.release,
        artifact=artifact,
        engine=engine,
        engine_version=engine_version,
        machine=platform.machine(),
        given=given,
        filled=filled,
        feature_age_s=float(prediction.feature_age_s),
        reason=prediction.reason,
        values=tuple(prediction.values[name] for name in spec.outputs if name in prediction.values),
        contributions=tuple(prediction.contributions[name] for name in spec.features)
        if prediction.contributions
        else (),
        risk_factors=prediction.risk_factors,
        actions=prediction.actions,
    )


class ReplayLog:
    """The latest records, in memory; any thread may add one.

    Args:
        capacity: records; the oldest gives way.
    """

    def __init__(self, capacity: int = 100) -> None:
        if not 1 <= capacity <= _MAX_RECORDS:
            raise InputError(f"a replay log holds 1 to {_MAX_RECORDS} records, not {capacity}")
        self._records: deque[bytes] = deque(maxlen=capacity)

    def add(self, record: ReplayRecord) -> None:
        """Keep one more."""
        self._records.append(record.to_bytes())

    def __len__(self) -> int:
        return len(self._records)

    def clear(self) -> None:
        """Forget all; what was exported stays where it is."""
        self._records.clear()

    def export(self) -> bytes:
        """All records, oldest first, one a line: for a file that ``edge replay`` reads."""
        return b"".join(record + b"\n" for record in tuple(self._records))


def parse_log(data: bytes) -> list[ReplayRecord]:
    """The records of an export.

    Raises:
        FormatError: a line is no record; it is named.
    """
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    if not lines or len(lines) > _MAX_RECORDS:
        raise FormatError(f"a replay file holds 1 to {_MAX_RECORDS} records, not {len(lines)}")
    records = []
    for number, line in lines:
        try:
            records.append(ReplayRecord.from_bytes(line))
        except FormatError as error:
            raise FormatError(f"line {number}: {error}") from error
    return records


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(body)).hexdigest()


def _packed(numbers: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}d", *numbers)).decode("ascii")


def _unpacked(value: object) -> tuple[float, ...]:
    if not isinstance(value, str):
        raise FormatError("it is not a string")
    data = document.decode_base64(value, "it")
    if len(data) % 8:
        raise FormatError("it does not hold doubles")
    return struct.unpack(f"<{len(data) // 8}d", data)


def _reason(value: object) -> Reason:
    try:
        return Reason(str(value))
    except ValueError as error:
        raise FormatError(f"no reason is called {value!r}") from error


def _texts(fields: Fields, key: str) -> tuple[str, ...]:
    found: list[Any] = fields.array(key)
    if not all(isinstance(item, str) for item in found):
        raise FormatError(f"replay record: '{key}' is not a list of strings")
    return tuple(found)
