"""The record: ``bundle.json``, everything about the artifact (docs/protocol/bundle.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from edge_sdk.contract import bundle, document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.contract.entry import STATES
from edge_sdk.contract.rules import Rules
from edge_sdk.contract.tolerance import Tolerance
from edge_sdk.errors import FormatError
from feature_spec.canonical import canonical_json

FORMAT = "coach-edge/record/1"
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of the signature; -1 in ``shape`` is the batch, free to choose."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    unit: str
    per_feature: bool = False
    """The last axis follows the ordered features (contributions)."""

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "int32", "int8", "uint8", "bool"):
            raise FormatError(f"tensor {self.name!r}: dtype {self.dtype!r} is not supported")
        if not self.name or not all(type(size) is int and (size == -1 or size > 0) for size in self.shape):
            raise FormatError(f"tensor {self.name!r}: bad name or shape {self.shape}")

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "unit": self.unit,
            "per_feature": self.per_feature,
        }

    @classmethod
    def from_json(cls, value: object) -> TensorSpec:
        f = Fields(value, "record: tensor")
        shape = tuple(f.array("shape"))
        return cls(f.text("name"), f.text("dtype"), shape, f.text("unit"), f.flag("per_feature"))


@dataclass(frozen=True)
class FeatureInput:
    """One ordered feature of the model's input: clipped to [low, high] in the graph, ``default`` when missing."""

    name: str
    unit: str
    low: float
    high: float
    default: float

    def __post_init__(self) -> None:
        if not self.low <= self.default <= self.high or not np.isfinite([self.low, self.high]).all():
            raise FormatError(f"feature {self.name}: the default must lie in a finite range")

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "low": self.low,
            "high": self.high,
            "default": self.default,
        }

    @classmethod
    def from_json(cls, value: object) -> FeatureInput:
        f = Fields(value, "record: feature")
        return cls(f.text("name"), f.text("unit"), f.number("low"), f.number("high"), f.number("default"))


@dataclass(frozen=True)
class Budgets:
    """What the artifact may cost on a device: its bundle is refused when sealed, its p99 judged by parity."""

    bundle_bytes: int = 10_000_000
    load_ms: float = 500.0
    p99_ms: float = 100.0
    session_bytes: int = 50_000_000

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if not 0 < value < float("inf"):
                raise FormatError(f"budget {key} is {value}, but a budget is a positive number")

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_json(cls, value: object) -> Budgets:
        f = Fields(value, "record: budgets")
        return cls(
            f.integer("bundle_bytes", 1),
            f.number("load_ms"),
            f.number("p99_ms"),
            f.integer("session_bytes", 1),
        )


@dataclass(frozen=True)
class FileDigest:
    """Length and SHA-256 of one file of the bundle."""

    length: int
    sha256: str

    @classmethod
    def of(cls, data: bytes | memoryview) -> FileDigest:
        return cls(len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Record:
    """The parsed record; ``about`` holds what no reader acts on (metrics, quantization, licence, provenance).

    Unknown fields of later versions live on in ``about``.
    """

    model: str
    model_version: str
    target: str
    recipe: str
    state: str
    files: Mapping[str, FileDigest]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    feature_spec_sha256: str
    features: tuple[FeatureInput, ...]
    tolerances: Mapping[str, Tolerance]
    budgets: Budgets
    rules: Rules
    fallback: Mapping[str, float]
    about: Mapping[str, Any]

    def __post_init__(self) -> None:
        identifiers.name(self.model, "record: model")
        identifiers.model_version(self.model_version)
        identifiers.name(self.recipe, "record: recipe")
        if self.target not in bundle.PAYLOADS:
            raise FormatError(f"record: target {self.target!r} is not one of {', '.join(bundle.PAYLOADS)}")
        if self.state not in STATES:
            raise FormatError(f"record: state {self.state!r} is not one of {', '.join(STATES)}")
        if bundle.RECORD_NAME in self.files:
            raise FormatError("record: it lists itself, and no record can hold its own digest")
        if not self.inputs or not self.outputs:
            raise FormatError("record: a model has at least one input and one output")
        outputs = [tensor.name for tensor in self.outputs]
        for tensors in ([tensor.name for tensor in self.inputs], outputs, [f.name for f in self.features]):
            if len(set(tensors)) != len(tensors):
                raise FormatError("record: two tensors or two features have the same name")
        if set(self.tolerances) != set(outputs):
            raise FormatError("record: there must be exactly one tolerance for each output")
        if unknown := set(self.fallback) - set(outputs):
            raise FormatError(f"record: fallback names unknown output {min(unknown)!r}")
        if bool(self.features) != bool(self.feature_spec_sha256):
            raise FormatError("record: features and feature_spec_sha256 go together")
        if self.features:
            identifiers.sha256_hex(self.feature_spec_sha256, "record: feature_spec_sha256")
        self.rules.check_names(outputs, [f.name for f in self.features])
        for key in ("files", "tolerances", "fallback", "about"):
            object.__setattr__(self, key, MappingProxyType(dict(getattr(self, key))))

    @property
    def payload(self) -> str:
        """Name of the payload: a file, or for Core ML a folder."""
        return bundle.PAYLOADS[self.target]

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(
            {
                **self.about,
                "format": FORMAT,
                "model": self.model,
                "model_version": self.model_version,
                "target": self.target,
                "recipe": self.recipe,
                "state": self.state,
                "files": {name: dict(vars(digest)) for name, digest in self.files.items()},
                "inputs": [tensor.to_json() for tensor in self.inputs],
                "outputs": [tensor.to_json() for tensor in self.outputs],
                "feature_spec_sha256": self.feature_spec_sha256,
                "features": [feature.to_json() for feature in self.features],
                "tolerances": {name: tolerance.to_json() for name, tolerance in self.tolerances.items()},
                "budgets": self.budgets.to_json(),
                "rules": self.rules.to_json(),
                "fallback": dict(self.fallback),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """The record of ``bundle.json``.

        Raises:
            FormatError: malformed or inconsistent.
        """
        top = document.parse(data, "record", max_bytes=MAX_BYTES)
        f = Fields(top, "record")
        f.format(FORMAT)
        files = {}
        for name, value in f.mapping("files").items():
            item = Fields(value, f"record: file {name!r}")
            files[name] = FileDigest(item.integer("length"), item.checked("sha256", identifiers.sha256_hex))
        fallback = Fields(f.mapping("fallback"), "record: fallback")
        known = {
            "files": files,
            "inputs": tuple(TensorSpec.from_json(value) for value in f.array("inputs")),
            "outputs": tuple(TensorSpec.from_json(value) for value in f.array("outputs")),
            "features": tuple(FeatureInput.from_json(value) for value in f.array("features")),
            "tolerances": {
                name: Tolerance.from_json(value, f"record: tolerance of {name!r}")
                for name, value in f.mapping("tolerances").items()
            },
            "budgets": Budgets.from_json(f.mapping("budgets")),
            "rules": Rules.from_json(f.mapping("rules")),
            "fallback": {name: fallback.number(name) for name in f.mapping("fallback")},
        }
        texts = {
            key: f.text(key)
            for key in ("model", "model_version", "target", "recipe", "state", "feature_spec_sha256")
        }
        about = {key: value for key, value in top.items() if key not in {*known, *texts, "format"}}
        return cls(**texts, **known, about=about)  # type: ignore[arg-type]


@dataclass(frozen=True)
class BundleContent:
    """A verified bundle: its record and its files (bytes, or views of the plain bundle)."""

    record: Record
    record_bytes: bytes
    files: Mapping[str, bundle.Content]

    @property
    def payload(self) -> Mapping[str, bundle.Content]:
        """The payload's files by their names in the bundle."""
        name = self.record.payload
        if self.record.target in bundle.FOLDERS:
            return {key: data for key, data in self.files.items() if key.startswith(name + "/")}
        return {key: data for key, data in self.files.items() if key == name}


def open_plain(plain: bytes | bytearray | memoryview) -> BundleContent:
    """Read a plain bundle and check that the record and the files say the same.

    Every file is checked against the digest in the record, the record names exactly the files that are
    there, and what a bundle must hold is there.

    Raises:
        FormatError: anything else.
    """
    return open_files(bundle.read(plain))


def open_files(files: Mapping[str, memoryview], *, believed: bool = False) -> BundleContent:
    """What :func:`open_plain` does once the files are found.

    Args:
        files: of a canonical bundle.
        believed: the payload is taken as the record describes it: its bytes were proven otherwise.

    Raises:
        FormatError: as there.
    """
    if bundle.RECORD_NAME not in files:
        raise FormatError(f"the bundle has no {bundle.RECORD_NAME}")
    record_bytes = bytes(files[bundle.RECORD_NAME])
    record = Record.from_bytes(record_bytes)
    listed = {**record.files, bundle.RECORD_NAME: FileDigest.of(record_bytes)}
    if set(listed) != set(files):
        odd = min(set(listed) ^ set(files))
        raise FormatError(f"the record and the bundle disagree on whether there is a file {odd!r}")
    for name, digest in listed.items():
        if believed and name == record.payload and len(files[name]) == digest.length:
            continue
        if FileDigest.of(files[name]) != digest:
            raise FormatError(f"file {name!r} in the bundle is not what the record says")
    for name in (bundle.GOLDEN_NAME, *([bundle.FEATURE_SPEC_NAME] if record.features else [])):
        if name not in files:
            raise FormatError(f"the bundle has no {name}")
    if (
        record.features
        and record.feature_spec_sha256 != hashlib.sha256(files[bundle.FEATURE_SPEC_NAME]).hexdigest()
    ):
        raise FormatError("feature_spec.json is not the one that the record's fingerprint names")
    content = BundleContent(record, record_bytes, files)
    if not content.payload:
        raise FormatError(f"the bundle has no {record.payload}")
    if extra := [name for name in files if name not in content.payload and not _expected(name)]:
        raise FormatError(f"the bundle holds a file that has no place in it: {extra[0]!r}")
    return content


def _expected(name: str) -> bool:
    return name in (bundle.RECORD_NAME, bundle.FEATURE_SPEC_NAME) or name.startswith("golden/")


def bundle_files(record: Record, rest: Mapping[str, bytes]) -> dict[str, bytes]:
    """All files of a bundle: ``rest`` plus the record, whose ``files`` must describe ``rest``."""
    return {**rest, bundle.RECORD_NAME: record.to_bytes()}
