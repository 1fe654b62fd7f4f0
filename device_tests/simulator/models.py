"""Small sealed models, and an engine that runs them and remembers what it was given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edge_sdk.contract import bundle, golden
from edge_sdk.contract.record import Budgets, FeatureInput, FileDigest, Record, TensorSpec, bundle_files
from edge_sdk.contract.rules import Rules
from edge_sdk.contract.tolerance import Tolerance
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.sealing import AppKey, Sealed, seal
from edge_sdk.errors import FormatError
from edge_sdk.runtime.engine import Array, Engine, LoadsPackages, Signature, TensorInfo

FEATURES = ("effort", "rest", "luck")
ROW = {"effort": 0.5, "rest": 0.25, "luck": 0.125}
_INPUT = TensorInfo("features", np.dtype(np.float32), (-1, 3))
_OUTPUT = TensorInfo("probability", np.dtype(np.float32), (-1, 1))
_HEAD = b"fake model: "


def fake_payload(weight: float) -> bytes:
    """A model whose probability is ``weight`` times the sum of the features; whatever follows a line end is idle."""
    return _HEAD + str(weight).encode()


class FakeEngine:
    """Runs fake payloads; ``loaded`` holds everything that ever reached it."""

    name = "fake"

    def __init__(self) -> None:
        self.loaded: list[bytes] = []

    def load(self, model: bytes, threads: int = 1) -> FakeSession:
        self.loaded.append(model)
        if not model.startswith(_HEAD):
            raise FormatError("not a fake model")
        return FakeSession(float(model.removeprefix(_HEAD).partition(b"\n")[0]))


class FakeSession:
    """One loaded fake payload."""

    inputs, outputs = (_INPUT,), (_OUTPUT,)
    signatures = (Signature("main", inputs, outputs),)

    def __init__(self, weight: float) -> None:
        self._weight = np.float32(weight)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        total = inputs["features"].sum(axis=1, keepdims=True, dtype=np.float32)
        return {"probability": np.asarray(total * self._weight, np.float32)}

    def reset(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to give back."""


def sealed_model(
    payload: bytes | Mapping[str, bytes],
    *,
    model: str = "focus",
    version: str = "1.0.0",
    release: int = 1,
    channel: str = "stable",
    recipe: str = "fp32",
    target: str = "tflite",
    requires: str = "tflite",
    app_key: AppKey | None = None,
    data_key: DataKey | None = None,
    compress: bool = True,
    engine: Engine | None = None,
    golden_shift: float = 0.0,
    stored: bytes | None = None,
    features: Sequence[str] = FEATURES,
    feature_spec: bytes = b"{}",
) -> Sealed:
    """A sealed bundle.

    Args:
        payload: a fake payload, or a model of the same signature (then give its engine); a folder as its files.
        golden_shift: makes the expected outputs wrong by so much.
        stored: what lies in the bundle in place of the payload.
        features: none for a model that takes tensors.
        feature_spec: their definitions; by default none that anybody could compute.
    """
    runner = engine or FakeEngine()
    name = bundle.PAYLOADS[target]
    if isinstance(payload, bytes):
        session, inside = runner.load(payload), {name: stored or payload}
    else:
        assert isinstance(runner, LoadsPackages)
        session = runner.load_package(payload)
        inside = {f"{name}/{path}": content for path, content in payload.items()}
    rows = np.array([[0, 0, 0], [0.5, 0.25, 0.125], [1, 1, 1]], np.float32)
    cases = []
    for number, row in enumerate(rows):
        output = session.run({"features": row[None]})["probability"] + np.float32(golden_shift)
        cases.append(golden.Case(f"case-{number}", {"features": row[None]}, {"probability": output}))
    session.close()
    rest = {bundle.GOLDEN_NAME: golden.to_bytes(cases), **inside}
    if features:
        rest[bundle.FEATURE_SPEC_NAME] = feature_spec
    record = Record(
        model=model,
        model_version=version,
        target=target,
        recipe=recipe,
        state="none",
        files={name: FileDigest.of(data) for name, data in rest.items()},
        inputs=(TensorSpec("features", "float32", (-1, 3), ""),),
        outputs=(TensorSpec("probability", "float32", (-1, 1), ""),),
        feature_spec_sha256=hashlib.sha256(feature_spec).hexdigest() if features else "",
        features=tuple(FeatureInput(name, "", 0.0, 1.0, 0.0) for name in features),
        tolerances={"probability": Tolerance(1e-5)},
        budgets=Budgets(),
        rules=Rules(),
        fallback={"probability": 0.5},
        about={},
    )
    plain = bundle.write(bundle_files(record, rest))
    return seal(
        plain,
        channel=channel,
        release=release,
        requires=requires,
        app_key=app_key,
        data_key=data_key,
        compress=compress,
    )


def fake_model(weight: float, release: int, **options: object) -> Sealed:
    """A sealed fake model; its version follows its release."""
    return sealed_model(fake_payload(weight), release=release, version=f"{release}.0.0", **options)  # type: ignore[arg-type]


def renamed(sealed: Sealed, **changes: object) -> Sealed:
    """The same bytes under a changed entry."""
    return replace(sealed, entry=replace(sealed.entry, **changes))  # type: ignore[arg-type]
