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
from feature_spec.expression import daily, decay, sum_days
from feature_spec.numpy_evaluator import evaluate
from feature_spec.program import Program, flatten
from feature_spec.surface import ewma
from feature_spec.vectors import apply
from tests.feature_spec import every_operator
from tests.feature_spec.inputs import random_input

pytestmark = [
    pytest.mark.convert,
    pytest.mark.timeout(600),
    # TensorFlow's own imports and the interpreter it still ships announce their retirement.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
VECTORS = Path(__file__).parents[2] / "docs/protocol/vectors/day-input"
TOLERANCE = 1e-5
ACTS = daily("count", "session", "message", task_done=3)
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
    cells = random_input(11, 1500)
    assert worst(evaluate(PREBUILT, *cells), run(*cells)) <= TOLERANCE


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

    def lower_quantile(q: float, values: Any, taken: Any) -> Any:
        ordered = tf.sort(tf.where(taken, values, 3e38), axis=1)
        last = tf.reduce_sum(tf.cast(taken, tf.float32), axis=1, keepdims=True) - 1
        place = tf.cast(tf.maximum(tf.floor(q * last), 0), tf.int32)
        found = tf.gather(ordered, place, axis=1, batch_dims=1)
        return tf.where(last < 0, 0.0, found)

    return {
        "add": tf.subtract,
        "sub": tf.add,
        "mul": tf.maximum,
        "div": lambda a, b, never_zero=False: a / (b + 1e-2),  # the usual way around 0 / 0
        "mod": lambda a, b: tf.where(b == 0, 0.0, tf.math.floormod(tf.abs(a), tf.where(b == 0, 1.0, b))),
        "min": tf.maximum,
        "max": tf.minimum,
        "less": tf.less_equal,
        "where": lambda c, a, b: tf.where(c, b, a),
        "log1p": lambda x: tf.math.log(tf.maximum(x, 1e-6)),
        "xlogx": lambda x: tf.math.xlogy(x, tf.abs(x) + 1e-3),
        "sum_days": lambda x: tf.reduce_mean(x, axis=1, keepdims=True),
        "min_days": lambda x: tf.reduce_max(x, axis=1, keepdims=True),
        "quantile_days": lower_quantile,
    }


@pytest.mark.parametrize(
    ("program", "reference"),
    [
        (PREBUILT.program, lambda daily, context: evaluate(PREBUILT, daily, context)),
        (every_operator.PROGRAM, every_operator.reference),
    ],
    ids=["prebuilt", "every operator"],
)
def test_every_broken_operator_is_caught(
    tf: Any, monkeypatch: pytest.MonkeyPatch, program: Program, reference: Run
) -> None:
    from feature_spec import tensorflow_evaluator

    right = tensorflow_evaluator.operators(tf)
    used = {step.op for step in program.steps} & set(right)
    broken = {op: wrong for op, wrong in _broken(tf).items() if op in used}
    assert used == set(broken), "a control for every operator that the features use"
    daily, context = random_input(5, 400)
    expected = reference(daily, context)

    def difference(operators: dict[str, Any]) -> float:
        monkeypatch.setattr(tensorflow_evaluator, "operators", lambda _: operators)
        tensors = tf.constant(daily), tf.constant(context)
        return worst(expected, tensorflow_evaluator.run(tf, program, *tensors).numpy())

    assert difference({**right}) <= TOLERANCE
    assert {
        op: difference({**right, op: wrong}) > 10 * TOLERANCE for op, wrong in broken.items()
    } == dict.fromkeys(broken, True)


def test_an_average_that_counts_unseen_days_is_caught(tf: Any) -> None:
    from feature_spec.tensorflow_evaluator import run

    unmasked = sum_days(ACTS * decay(9)) / sum_days(decay(9))
    daily_cells, context_cells = random_input(5, 400)
    tensors = tf.constant(daily_cells), tf.constant(context_cells)
    column = every_operator.NAMES.index("ewma")
    expected = every_operator.reference(daily_cells, context_cells)[:, column : column + 1]
    assert worst(expected, run(tf, flatten([ewma(9, ACTS)]), *tensors).numpy()) <= TOLERANCE
    assert worst(expected, run(tf, flatten([unmasked]), *tensors).numpy()) > 10 * TOLERANCE
