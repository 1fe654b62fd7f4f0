"""Specs: valid by construction, and read from records."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from edge_sdk.contract.record import Budgets, FeatureInput, Record, TensorSpec
from edge_sdk.contract.rules import Condition, Rule, Rules
from edge_sdk.contract.tolerance import Tolerance
from edge_sdk.errors import FormatError
from edge_sdk.predict import PredictorSpec

RULES = Rules((Rule("costly", (Condition("contribution", "rate", "<", 0.0),)),))
SPEC = PredictorSpec("goal", "1.0.0", 3, "features", ("rate", "streak"), (0.5, 0.0), ("probability",))


def tensor(name: str, *shape: int, per_feature: bool = False) -> TensorSpec:
    return TensorSpec(name, "float32", shape, "1", per_feature)


def record(**changes: Any) -> Record:
    features = (
        FeatureInput("rate", "share", 0.0, 1.0, 0.5),
        FeatureInput("streak", "days", 0.0, 90.0, 0.0),
    )
    outputs = changes.pop(
        "outputs",
        (tensor("probability", -1, 1), tensor("contributions", -1, 2, per_feature=True)),
    )
    fields: dict[str, Any] = {
        "model": "goal",
        "model_version": "1.0.0",
        "target": "tflite",
        "recipe": "fp32",
        "state": "none",
        "files": {},
        "inputs": (tensor("features", -1, 2),),
        "outputs": outputs,
        "feature_spec_sha256": "0" * 64,
        "features": features,
        "tolerances": {output.name: Tolerance(1e-6) for output in outputs},
        "budgets": Budgets(),
        "rules": RULES,
        "fallback": {"probability": 0.5},
        "about": {},
    }
    return Record(**{**fields, **changes})


def test_from_a_record() -> None:
    assert PredictorSpec.from_record(record(), release=3, max_feature_age_s=60) == PredictorSpec(
        model="goal",
        model_version="1.0.0",
        release=3,
        input="features",
        features=("rate", "streak"),
        defaults=(0.5, 0.0),
        outputs=("probability",),
        contributions="contributions",
        fallback={"probability": 0.5},
        rules=RULES,
        max_feature_age_s=60,
        feature_spec_sha256="0" * 64,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": (tensor("daily", 90, 8, 3),)}, "goal takes tensors, not one row of named features"),
        ({"inputs": (tensor("a", -1, 2), tensor("b", -1, 2))}, "takes tensors"),
        ({"inputs": (tensor("features", -1, 3),)}, "takes tensors"),
        ({"features": (), "feature_spec_sha256": "", "rules": Rules()}, "takes tensors"),
        (
            {"outputs": (tensor("probability", -1, 1), tensor("embedding", -1, 8)), "rules": Rules()},
            "output embedding is not one number a row",
        ),
        (
            {
                "outputs": (
                    tensor("probability", -1, 1),
                    tensor("some", -1, 2, per_feature=True),
                    tensor("others", -1, 2, per_feature=True),
                )
            },
            "several outputs with contributions",
        ),
        (
            {"outputs": (tensor("probability", -1, 1),)},
            "rule costly needs contributions, which it does not have",
        ),
        (
            {"outputs": (tensor("only", -1, 2, per_feature=True),), "fallback": {}},
            "has no output with one number a row",
        ),
    ],
)
def test_records_that_are_no_predictors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        PredictorSpec.from_record(record(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": (), "defaults": ()}, "features with different names"),
        ({"features": ("rate", "rate")}, "features with different names"),
        ({"defaults": (0.5,)}, "one finite default for each of 2"),
        ({"defaults": (0.5, math.nan)}, "one finite default"),
        ({"outputs": ()}, "no output"),
        ({"fallback": {"score": 1.0}}, "fallback for 'score'"),
        ({"fallback": {"probability": math.nan}}, "fallback for 'probability' is nan"),
        ({"max_feature_age_s": -1}, "max_feature_age_s is -1"),
        ({"max_feature_age_s": math.nan}, "max_feature_age_s is nan"),
        ({"rules": RULES}, "needs contributions"),
        ({"rules": Rules((Rule("r", (Condition("feature", "x", "<", 0.0),)),))}, "unknown feature 'x'"),
    ],
)
def test_specs_are_valid_by_construction(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        replace(SPEC, **changes)


def test_a_spec_does_not_change_with_its_source() -> None:
    source = {"probability": 0.5}
    spec = replace(SPEC, fallback=source)
    source["probability"] = 0.9
    assert spec.fallback["probability"] == 0.5
