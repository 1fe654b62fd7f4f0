"""Every computed feature of the registry as a TFLite, ONNX and Core ML graph: no threshold jumps, no sum drifts."""

from __future__ import annotations

import numpy as np
import pytest

from converters.days import DayInputs
from converters.gates import run_artifact
from converters.pipeline import convert_source
from converters.sources import features_source
from converters.targets import plan
from feature_spec.registry import REGISTRY
from feature_spec.tensorflow_evaluator import FEATURES_OUTPUT
from feature_spec.vector_cases import ACCEPTED
from feature_spec.vectors import apply
from quantization.recipes import FP32
from tests.feature_spec.inputs import random_input

pytestmark = [pytest.mark.convert, pytest.mark.timeout(600)]
SPEC = REGISTRY.computed


@pytest.mark.parametrize(
    ("target", "people"),
    [
        ("tflite", 10_000),
        ("onnx", 10_000),
        ("coreml", 1_000),  # one after the other
        pytest.param("coreml", 10_000, marks=pytest.mark.slow),
    ],
)
def test_all_of_them(target: str, people: int) -> None:
    vectors = [apply(case.document()) for case in ACCEPTED]
    daily, context = random_input(31, people)
    days = DayInputs(
        SPEC,
        np.concatenate([daily, np.stack([one.daily for one in vectors])]),
        np.concatenate([context, np.stack([one.context for one in vectors])]),
    )
    expected = days.features.astype(np.float64)
    given = run_artifact(convert_source(plan(target, FP32.name), features_source(SPEC)), days)[
        FEATURES_OUTPUT
    ]
    assert given.shape == expected.shape
    assert np.isfinite(given).all()
    apart = (np.abs(given - expected) / np.maximum(1, np.abs(expected))).max(axis=0)
    assert {name: far for name, far in zip(SPEC.names, apart.tolist(), strict=True) if far > 1e-5} == {}
