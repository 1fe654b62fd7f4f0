"""The gate passes what agrees, and can fail: every way of disagreeing is shown to be caught."""

from __future__ import annotations

import dataclasses
import math
from types import MappingProxyType

import numpy as np
import pytest

from converters.errors import GateError
from converters.gates import LIMITS, MIN_AGREEMENT, Twin, TwinsReport, check, compare_twins, run_artifact
from converters.targets import Artifact, plan
from tests.converters.coreml_eval.packages import Op, package, program, value
from tests.converters.sources import built
from tests.converters.sources.builders import random_ensemble, random_rows

FINE = {"probability": 1e-7, "confidence": 1e-7, "contributions": 1e-6}


def report(*, exact: bool = True, agreement: float = 1.0, **figures: float) -> TwinsReport:
    twin = Twin("tflite-fp32", exact, MappingProxyType({**FINE, **figures}), 0.0, agreement)
    return TwinsReport(10, (twin,), MappingProxyType(FINE))


def test_twins_within_the_limits_pass() -> None:
    check(report())
    check(report(**LIMITS))
    check(report(exact=False, agreement=MIN_AGREEMENT, probability=0.3))


@pytest.mark.parametrize("output", LIMITS)
@pytest.mark.parametrize("factor", [1.01, math.inf, math.nan])
def test_each_output_beyond_its_limit_fails(output: str, factor: float) -> None:
    with pytest.raises(GateError, match=rf"tflite-fp32 differs from its source in {output} by .*allowed are"):
        check(report(**{output: LIMITS[output] * factor}))
    apart = dataclasses.replace(report(), spread=MappingProxyType({**FINE, output: LIMITS[output] * factor}))
    with pytest.raises(GateError, match=f"two of the float32 twins differ in {output}"):
        check(apart)


@pytest.mark.parametrize("agreement", [0.9899, 0.0, math.nan])
def test_a_smaller_recipe_that_changes_decisions_fails(agreement: float) -> None:
    with pytest.raises(GateError, match=r"decisions at 0\.5, at least 99%"):
        check(report(exact=False, agreement=agreement))


def test_a_missing_figure_is_an_error_and_not_a_pass() -> None:
    lacking = dataclasses.replace(report(), spread=MappingProxyType({"probability": 0.0}))
    with pytest.raises(KeyError):
        check(lacking)


def slice_of(name: str, begin: int, end: int, source: str = "features") -> Op:
    ends = {"begin": value(np.array([0, begin], np.int32)), "end": value(np.array([1, end], np.int32))}
    return Op("slice_by_index", (name, "float32", (1, end - begin)), {"x": source, **ends})


def by_hand(
    *operations: Op, outputs: tuple[str, ...] = ("probability", "confidence", "contributions")
) -> Artifact:
    """A Core ML artifact that answers with what it is given, unless operations say otherwise."""
    usual = {
        "probability": slice_of("probability", 0, 1),
        "confidence": slice_of("confidence", 1, 2),
        "contributions": slice_of("contributions", 0, 10),
    }
    body = list(
        {
            **{k: v for k, v in usual.items() if k in outputs},
            **{op.output[0]: op for op in operations},
        }.values()
    )
    inputs = [("features", "float32", (1, 10))]
    return Artifact.of(plan("coreml", "fp32"), package(program(body, outputs, inputs)))


def test_another_model_is_measured_as_such() -> None:
    rows = random_rows(20)
    model = random_ensemble()
    measured = compare_twins(model, (by_hand(),), rows)
    expected = np.abs(model.predict(rows)["contributions"].astype(float) - rows).max()
    assert measured.twins[0].max_abs["contributions"] == expected == measured.spread["contributions"]
    with pytest.raises(GateError, match="coreml-fp32 differs from its source in probability"):
        check(measured)


MALFORMED = {
    "fewer outputs": (by_hand(outputs=("probability", "confidence")), "has the outputs"),
    "other names": (
        by_hand(slice_of("y", 0, 1), outputs=("y", "probability", "confidence", "contributions")),
        "'y'",
    ),
    "other shape": (by_hand(slice_of("probability", 0, 2)), r"gives probability as float32 \(5, 2\)"),
    "other dtype": (
        by_hand(Op("cast", ("probability", "int32", (1, 10)), {"x": "features", "dtype": value("int32")})),
        "gives probability as int32",
    ),
    "not a number": (
        by_hand(Op("sqrt", ("contributions", "float32", (1, 10)), {"x": "features"})),
        "not finite",
    ),
    "does not run": (
        by_hand(Op("relu", ("probability", "float32", (1, 2)), {"x": "features"})),
        "does not run",
    ),
    "unknown operator": (by_hand(Op("lstm", ("probability", "float32", (1, 1)), {"x": "features"})), "lstm"),
    "no TFLite": (Artifact.of(plan("tflite", "fp32"), b"not a model"), "tflite-fp32 does not run"),
    "no ONNX": (Artifact.of(plan("onnx", "fp32"), b"not a model"), "onnx-fp32 does not run"),
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt:RuntimeWarning")
def test_twins_of_another_form_are_refused(case: str) -> None:
    twin, message = MALFORMED[case]
    with pytest.raises(GateError, match=message):
        compare_twins(random_ensemble(), (twin,), -np.abs(random_rows(5)) - np.float32(0.1))


def test_nothing_compared_is_a_failure() -> None:
    with pytest.raises(GateError, match="0 rows"):
        compare_twins(random_ensemble(), (by_hand(),), random_rows(0))
    with pytest.raises(GateError, match="0 artifacts"):
        compare_twins(random_ensemble(), (), random_rows(5))


@pytest.mark.convert
def test_all_twins_of_a_conversion_agree() -> None:
    made = built.conversion().twins
    check(made)
    assert made.rows == 1000
    assert [twin.name for twin in made.twins] == [
        "tflite-fp32",
        "coreml-fp32",
        "onnx-fp32",
        "tflite-weight-int8",
    ]
    assert [twin.exact for twin in made.twins] == [True, True, True, False]
    # Orders below the limits: the twins are the same model, not a similar one.
    assert made.spread["probability"] < 1e-6
    assert made.twins[3].max_abs["probability"] > made.twins[0].max_abs["probability"]


@pytest.mark.convert
@pytest.mark.parametrize("target", ["tflite", "coreml", "onnx"])
def test_a_source_that_is_slightly_another_is_caught(target: str) -> None:
    model = built.ensemble()
    other = dataclasses.replace(model, meta_bias=model.meta_bias + 1e-4)
    with pytest.raises(GateError, match=f"{target}-fp32 differs from its source in probability"):
        check(compare_twins(other, (built.artifact(target),), built.ROWS[:50]))


@pytest.mark.convert
def test_one_leaf_of_one_tree_is_caught() -> None:
    model = built.ensemble()
    leaves = np.flatnonzero(model.forest.feature < 0)
    changed = model.forest.value.copy()
    changed[leaves] += np.where(changed[leaves] < 0.5, 1e-3, -1e-3)
    other = dataclasses.replace(model, forest=dataclasses.replace(model.forest, value=changed))
    with pytest.raises(GateError, match="differs"):
        check(compare_twins(other, (built.artifact("tflite"),), built.ROWS))


@pytest.mark.convert
def test_running_says_nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    for artifact in built.conversion().artifacts:
        answers = run_artifact(artifact, built.ROWS[:2])
        assert answers["contributions"].shape == (2, 10)
    assert capfd.readouterr() == ("", "")
