"""The graph evaluator: the same program as TensorFlow operators, traced into a TFLite *feature model*."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from feature_spec.definition import FeatureSpec
from feature_spec.extras import require
from feature_spec.numpy_evaluator import constant, event_weights
from feature_spec.program import Program, Step
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES, WINDOW_DAYS

DAILY_INPUT: Final = "daily"
CONTEXT_INPUT: Final = "context"
FEATURES_OUTPUT: Final = "features"
"""Names in the signature ``serving_default`` of a feature model."""


def feature_model(spec: FeatureSpec) -> bytes:
    """Make the TFLite model that computes ``spec`` on the device.

    Inputs ``daily`` float32 [n, 90, 8, 3] and ``context`` float32 [n, 14], output ``features`` float32
    [n, number of features], n free; builtin operators only. The graph checks nothing: whoever fills the
    inputs keeps the rules of the day input.

    Raises:
        MissingExtraError: TensorFlow is not installed.
    """
    tf: Any = require("tensorflow", extra="convert")
    module = tf.Module()
    shapes = {
        DAILY_INPUT: (None, WINDOW_DAYS, len(EVENT_TYPES), len(CHANNELS)),
        CONTEXT_INPUT: (None, len(CONTEXT)),
    }
    signature = [tf.TensorSpec(shape, tf.float32, name=name) for name, shape in shapes.items()]

    def compute(daily: Any, context: Any) -> dict[str, Any]:
        return {FEATURES_OUTPUT: run(tf, spec.program, daily, context)}

    module.compute = tf.function(compute, input_signature=signature, autograph=False)
    concrete = module.compute.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return bytes(converter.convert())


def run(tf: Any, program: Program, daily: Any, context: Any) -> Any:
    """Emit ``program`` as operators of ``tf`` in float32; the tensors are those of ``feature_model``."""
    operators = _operators(tf)
    values: list[Any] = []
    for step in program.steps:
        if step.op in operators:
            values.append(operators[step.op](*[values[index] for index in step.args]))
        else:
            values.append(_leaf(tf, step, daily, context))
    # Adding a zero of the batch's length repeats an output that depends on no input for every user.
    batch = tf.zeros_like(context[:, :1])
    return tf.concat([values[index] + batch for index in program.outputs], axis=1)


def _leaf(tf: Any, step: Step, daily: Any, context: Any) -> Any:
    if step.op == "daily":
        channel = daily[:, :, :, CHANNELS.index(str(step.value[0]))]
        return tf.reduce_sum(channel * event_weights(step.value).astype(np.float32), axis=2)
    if step.op == "context":
        index = CONTEXT.index(str(step.value[0]))
        return context[:, index : index + 1]
    return tf.constant(constant(step.op, step.value).astype(np.float32))


def _operators(tf: Any) -> dict[str, Callable[..., Any]]:
    def divide(left: Any, right: Any) -> Any:
        # The divisor is replaced before dividing: selecting afterwards would let 0 / 0 = NaN into the graph.
        zero = tf.equal(right, 0.0)
        return tf.where(zero, 0.0, left / tf.where(zero, 1.0, right))

    return {
        "add": tf.add,
        "sub": tf.subtract,
        "mul": tf.multiply,
        "div": divide,
        "min": tf.minimum,
        "max": tf.maximum,
        "less": lambda left, right: tf.cast(tf.less(left, right), tf.float32),
        "where": lambda condition, then, otherwise: tf.where(tf.not_equal(condition, 0.0), then, otherwise),
        "log1p": lambda x: tf.math.log(1.0 + tf.maximum(x, 0.0)),
        # Scalars keep an axis of length one, as in NumPy.
        "sum_days": lambda x: tf.reduce_sum(x, axis=1, keepdims=True),
        "min_days": lambda x: tf.reduce_min(x, axis=1, keepdims=True),
    }
