"""A small bundle, complete in every part; its payload is no real model, since no vector runs one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from device_tests.vectors import keys, rules_page
from edge_sdk.contract import bundle, framing, golden
from edge_sdk.contract.record import Budgets, FeatureInput, FileDigest, Record, TensorSpec, bundle_files
from edge_sdk.contract.rules import Rules
from edge_sdk.contract.tolerance import Tolerance
from edge_sdk.crypto import sealing, streaming
from feature_spec.canonical import canonical_json

FEATURE_SPEC = canonical_json(
    {"format": "coach-edge/features/1", "note": "a stand-in; its digest is what counts"}
)
CASES = tuple(
    golden.Case(
        f"case-{n}",
        {"features": np.array([[n / 10, n]], np.float32)},
        {
            "probability": np.array([[0.7 - n / 8]], np.float32),
            "contributions": np.array([[0.1, -n / 16]], np.float32),
        },
    )
    for n in (1, 2)
)
GOLDEN = golden.to_bytes(CASES)
TOLERANCES = {"probability": Tolerance(1e-5), "contributions": Tolerance(1e-4, 1e-3)}


def noise(label: str, size: int) -> bytes:
    """Bytes that look random and are not: SHA-256 of a label and a counter."""
    blocks = (hashlib.sha256(f"{label} {n}".encode()).digest() for n in range(-(-size // 32)))
    return b"".join(blocks)[:size]


PAYLOADS: Mapping[str, Mapping[str, bytes]] = {
    "tflite": {"model.tflite": noise("model", 300)},
    "onnx": {"model.onnx": noise("model", 300)},
    "coreml": {
        "model.mlpackage/Data/weights.bin": noise("model", 200),
        "model.mlpackage/Manifest.json": b"{}",
    },
}


def rest(target: str = "tflite") -> dict[str, bytes]:
    """The files of the sample bundle but for the record."""
    return {bundle.FEATURE_SPEC_NAME: FEATURE_SPEC, bundle.GOLDEN_NAME: GOLDEN, **PAYLOADS[target]}


def record(files: Mapping[str, bytes], target: str = "tflite", version: str = "1.0.0") -> Record:
    """The record that describes ``files``."""
    return Record(
        model="goal-success",
        model_version=version,
        target=target,
        recipe="fp32",
        state="none",
        files={name: FileDigest.of(data) for name, data in files.items()},
        inputs=(TensorSpec("features", "float32", (-1, 2), "", per_feature=True),),
        outputs=(
            TensorSpec("probability", "float32", (-1, 1), "probability"),
            TensorSpec("contributions", "float32", (-1, 2), "probability", per_feature=True),
        ),
        feature_spec_sha256=hashlib.sha256(FEATURE_SPEC).hexdigest(),
        features=(
            FeatureInput("completion_rate", "ratio", 0.0, 1.0, 0.5),
            FeatureInput("streak_length", "day", 0.0, 90.0, 0.0),
        ),
        tolerances=TOLERANCES,
        budgets=Budgets(),
        rules=Rules.from_json({**rules_page.RULES, "actions": rules_page.RULES["actions"][:3]}),
        fallback={"probability": 0.5},
        about={"licence": "Apache-2.0"},
    )


def plain(target: str = "tflite", version: str = "1.0.0", **change: bytes) -> bytes:
    """The plain bytes of the sample bundle."""
    files = {**rest(target), **change}
    return bundle.write(bundle_files(record(files, target, version), files))


def sealed(
    target: str = "tflite",
    *,
    release: int = 7,
    version: str = "1.0.0",
    app_key: sealing.AppKey | None = None,
) -> sealing.Sealed:
    """The sample bundle as it is served, with codec ``none``: no two zlibs deflate alike."""

    def random(size: int) -> bytes:
        return keys.secret(f"random {size}" + ("" if version == "1.0.0" else f" {version}"))[:size]

    data = plain(target, version)
    made = sealing.seal(
        data, channel="stable", release=release, requires=target, app_key=app_key, random=random
    )
    served = data
    if app_key is not None:
        bound = made.entry.associated_data
        data_key, salt = random(streaming.DATA_KEY_BYTES), random(streaming.SALT_BYTES)
        served = streaming.encrypt(data, data_key, bound, salt, random(streaming.PREFIX_BYTES))
    segments = framing.segment_list(served)
    digest = hashlib.sha256(segments).hexdigest()
    return sealing.Sealed(served, segments, replace(made.entry, codec="none", segments_sha256=digest))


def digests(files: Mapping[str, bytes | memoryview]) -> dict[str, dict[str, Any]]:
    """Length and SHA-256 by name, as the outputs of vectors list files."""
    return {
        name: {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }
