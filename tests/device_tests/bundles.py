"""A small sealed bundle with a real TFLite model in it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_sdk.contract import bundle, golden
from edge_sdk.contract.record import (
    Budgets,
    BundleContent,
    FileDigest,
    Record,
    TensorSpec,
    bundle_files,
    open_plain,
)
from edge_sdk.contract.rules import Rules
from edge_sdk.contract.tolerance import Tolerance
from edge_sdk.runtime import open_model


def affine_bundle(
    make_model: Callable[..., bytes],
    *,
    target: str = "tflite",
    wrong_case: str = "",
    p99_ms: float = 100.0,
    cases: int = 4,
) -> bytes:
    """The plain bundle of the model that the ``affine`` fixture makes.

    Args:
        make_model: TFLite or ONNX writer.
        target: what ``make_model`` writes.
        wrong_case: id of a golden case whose expected output is wrong by ten tolerances.
        p99_ms: latency budget in the record.
        cases: how many golden cases.
    """
    model = make_model(1)
    engine = {"tflite": "litert", "onnx": "onnxruntime"}[target]
    rng = np.random.default_rng(7)
    listed = []
    with open_model(model, engine=engine) as runnable:
        for number in range(cases):
            inputs = {"features": rng.normal(size=(1, 3)).astype(np.float32)}
            outputs = dict(runnable.run(inputs))
            case_id = f"case-{number}"
            if case_id == wrong_case:
                outputs["score"] = outputs["score"] + np.float32(1e-4)
            listed.append(golden.Case(case_id, inputs, outputs))
    rest = {bundle.GOLDEN_NAME: golden.to_bytes(listed), bundle.PAYLOADS[target]: model}
    record = Record(
        model="affine",
        model_version="1.0.0",
        target=target,
        recipe="fp32",
        state="none",
        files={name: FileDigest.of(data) for name, data in rest.items()},
        inputs=(TensorSpec("features", "float32", (1, 3), ""),),
        outputs=(TensorSpec("score", "float32", (1, 4), ""),),
        feature_spec_sha256="",
        features=(),
        tolerances={"score": Tolerance(1e-5)},
        budgets=Budgets(p99_ms=p99_ms),
        rules=Rules(),
        fallback={},
        about={"licence": "Apache-2.0"},
    )
    return bundle.write(bundle_files(record, rest))


def affine_content(make_model: Callable[..., bytes], **options: object) -> BundleContent:
    """The same, opened."""
    return open_plain(affine_bundle(make_model, **options))  # type: ignore[arg-type]
