"""The feature model against the reference: random users, golden vectors, and evaluators broken on purpose."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from feature_spec import PREBUILT
from feature_spec.numpy_evaluator import evaluate
from feature_spec.vectors import apply
from tests.feature_spec.inputs import random_input

pytestmark = [
    pytest.mark.convert,
    pytest.mark.timeout(600),
    # TensorFlow's own imports and the interpreter it still ships announce their retirement.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
VECTORS = Path(__file__).parents[2] / "docs/protocol/vectors/day-input"
TOLERANCE = 1e-5
Run = Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def tf() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def model(tf: Any) -> bytes:
    from feature_spec.tensorflow_evaluator import feature_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return feature_model(PREBUILT)


@pytest.fixture(scope="module")
def run(model: bytes) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    signature = Interpreter(model_content=model).get_signature_runner("serving_default")
    return lambda daily, context: np.asarray(signature(daily=daily, context=context)["features"])


def worst(left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> float:
    """Largest difference, relative above 1 and absolute below; NaN counts as infinite."""
    assert left.shape == right.shape
    assert left.size
    difference = np.abs(left.astype(float) - right) / np.maximum(1.0, np.abs(left.astype(float)))
    return float(np.nan_to_num(difference, nan=np.inf).max())


def test_agrees_on_random_users(run: Run) -> None:
    daily, context = random_input(11, 1500)
    assert worst(evaluate(PREBUILT, daily, context), run(daily, context)) <= TOLERANCE


def test_agrees_on_the_golden_vectors(run: Run) -> None:
    vectors = json.loads((VECTORS / "accept.json").read_text("utf-8"))["vectors"]
    assert len(vectors) >= 30
    inputs = [apply(vector["input"]) for vector in vectors]
    expected = np.array([vector["output"]["features"] for vector in vectors], np.float32)
    daily, context = (np.stack([getattr(one, key) for one in inputs]) for key in ("daily", "context"))
    assert worst(expected, run(daily, context)) <= TOLERANCE


@pytest.mark.parametrize("users", [1, 3])
def test_any_number_of_users(run: Run, users: int) -> None:
    daily, context = random_input(users, users)
    assert worst(evaluate(PREBUILT, daily, context), run(daily, context)) <= TOLERANCE


def test_builtin_operators_in_float32_with_named_ends(model: bytes) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model)
    operators = {item["op_name"] for item in interpreter._get_ops_details()}
    assert not {name for name in operators if name.startswith(("Flex", "Custom", "CUSTOM"))}
    signature = interpreter.get_signature_runner("serving_default")
    ends = {**signature.get_input_details(), **signature.get_output_details()}
    assert sorted(ends) == ["context", "daily", "features"]
    assert {item["dtype"] for item in ends.values()} == {np.float32}


def _broken(tf: Any) -> dict[str, Callable[..., Any]]:
    """One mistake for each operator, of the kind that a port really makes."""
    return {
        "add": tf.subtract,
        "sub": tf.add,
        "mul": tf.maximum,
        "div": lambda a, b: a / (b + 1e-2),  # the usual way around 0 / 0
        "min": tf.maximum,
        "max": tf.minimum,
        "less": lambda a, b: tf.cast(tf.less_equal(a, b), tf.float32),
        "where": lambda c, a, b: tf.where(tf.greater(c, 1.0), a, b),
        "log1p": lambda x: tf.math.log(1.0 + x + 1e-3),
        "sum_days": lambda x: tf.reduce_mean(x, axis=1, keepdims=True),
        "min_days": lambda x: tf.reduce_max(x, axis=1, keepdims=True),
    }


def test_every_broken_operator_is_caught(tf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from feature_spec import tensorflow_evaluator

    right = tensorflow_evaluator._operators(tf)
    broken = _broken(tf)
    used = {step.op for step in PREBUILT.program.steps} & set(right)
    assert used == set(broken), "a control for every operator that the features use"
    daily, context = random_input(5, 400)
    expected = evaluate(PREBUILT, daily, context)

    def difference(operators: dict[str, Any]) -> float:
        monkeypatch.setattr(tensorflow_evaluator, "_operators", lambda _: operators)
        tensors = tf.constant(daily), tf.constant(context)
        return worst(expected, tensorflow_evaluator.run(tf, PREBUILT.program, *tensors).numpy())

    assert difference(right) <= TOLERANCE
    assert {
        op: difference({**right, op: wrong}) > 10 * TOLERANCE for op, wrong in broken.items()
    } == dict.fromkeys(broken, True)
