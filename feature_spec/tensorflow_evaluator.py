"""The graph evaluator: the same program as TensorFlow operators, traced into a TFLite *feature model*."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from feature_spec.definition import FeatureSpec
from feature_spec.extras import require
from feature_spec.numpy_evaluator import constant, event_weights
from feature_spec.numpy_operators import operator
from feature_spec.program import Program, Step
from feature_spec.tensorflow_operators import operators
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES, WINDOW_DAYS

DAILY_INPUT: Final = "daily"
CONTEXT_INPUT: Final = "context"
FEATURES_OUTPUT: Final = "features"
"""Names in the signature ``serving_default`` of a feature model."""

INPUTS: Final[dict[str, tuple[int, ...]]] = {
    DAILY_INPUT: (WINDOW_DAYS, len(EVENT_TYPES), len(CHANNELS)),
    CONTEXT_INPUT: (len(CONTEXT),),
}
"""The inputs' shapes, without the users."""


_BEYOND: Final = np.float32(3e38)
"""So much more than any number of the input that whatever is this far below it is below any constant."""


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
    signature = [tf.TensorSpec((None, *shape), tf.float32, name=name) for name, shape in INPUTS.items()]

    def compute(daily: Any, context: Any) -> dict[str, Any]:
        return {FEATURES_OUTPUT: run(tf, spec.program, daily, context)}

    module.compute = tf.function(compute, input_signature=signature, autograph=False)
    concrete = module.compute.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return bytes(converter.convert())


def run(tf: Any, program: Program, daily: Any, context: Any) -> Any:
    """Emit ``program`` as operators of ``tf`` in float32; the tensors are those of ``feature_model``."""
    return _Emitter(tf, daily, context).emit(program)


class _Emitter:
    """Walks a program once; what depends on no input is computed now, and not on the device."""

    def __init__(self, tf: Any, daily: Any, context: Any) -> None:
        self._tf = tf
        self._daily = daily
        self._context = context
        self._operators = operators(tf)
        self._values: list[Any] = []
        """For each step a tensor of float32 or bool, or an array where nothing of the input is in it."""

    def emit(self, program: Program) -> Any:
        leaves = self._daily_leaves([step for step in program.steps if step.op == "daily"])
        for step in program.steps:
            self._values.append(leaves[step] if step in leaves else self._step(step))
        features = self._tf.concat([self._output(index) for index in program.outputs], axis=1)
        # 0 of an input that no step reads: converters leave out what no output needs.
        read = {step.op for step in program.steps}
        for leaf, cell in (("daily", self._daily[:, 0, 0, :1]), ("context", self._context[:, :1])):
            if leaf not in read:
                features += self._tf.minimum(self._tf.abs(cell), 0.0)
        return features

    def _daily_leaves(self, steps: list[Step]) -> dict[Step, Any]:
        """All weighted sums over event types by one multiplication of matrices, each [n, 90]."""
        if not steps:
            return {}
        tf, cells = self._tf, len(EVENT_TYPES) * len(CHANNELS)
        weights = np.zeros((len(EVENT_TYPES), len(CHANNELS), len(steps)), np.float32)
        for number, step in enumerate(steps):
            weights[:, CHANNELS.index(str(step.value[0])), number] = event_weights(step.value)
        days = tf.reshape(self._daily, [-1, cells])
        sums = tf.matmul(days, tf.constant(weights.reshape(cells, len(steps))))
        sums = tf.transpose(tf.reshape(sums, [-1, WINDOW_DAYS, len(steps)]), [0, 2, 1])
        # Side by side in one row each is one piece of memory, and cheap to cut out.
        rows = tf.reshape(sums, [-1, len(steps) * WINDOW_DAYS])
        return {
            step: rows[:, number * WINDOW_DAYS : (number + 1) * WINDOW_DAYS]
            for number, step in enumerate(steps)
        }

    def _step(self, step: Step) -> Any:
        if step.op == "context":
            index = CONTEXT.index(str(step.value[0]))
            return self._context[:, index : index + 1]
        if not step.args:
            return constant(step.op, step.value)
        if all(isinstance(self._values[index], np.ndarray) for index in step.args):
            # In doubles: a threshold that was rounded on the way would let a float32 change sides.
            with np.errstate(all="ignore"):
                return operator(step.op, step.value)(*[self._values[index] for index in step.args])
        return self._applied(step)

    def _applied(self, step: Step) -> Any:
        if step.op == "where":
            condition, then, otherwise = step.args
            chosen = (self._truth(condition), self._number(then), self._number(otherwise))
            return self._operators["where"](*chosen)
        if step.op == "quantile_days":
            values, taken = step.args
            q = float(step.value[0])  # type: ignore[arg-type]
            return self._operators["quantile_days"](q, self._number(values), self._truth(taken))
        if step.op == "less":
            smaller, larger = step.args
            return self._operators["less"](self._threshold(smaller, -np.inf), self._threshold(larger, np.inf))
        if step.op == "div":
            left, right = step.args
            never_zero = isinstance(self._values[right], np.ndarray) and bool(self._number(right).all())
            return self._operators["div"](self._number(left), self._divisor(left, right), never_zero)
        return self._operators[step.op](*[self._number(index) for index in step.args])

    def _divisor(self, left: int, right: int) -> Any:
        value = self._number(right)
        if not isinstance(value, np.ndarray) or isinstance(self._values[left], np.ndarray):
            return value
        if (np.abs(np.frexp(value)[0]) == 0.5).all():
            return value
        # Converters turn a division by a constant into a multiplication by its reciprocal, and 41 * (1 / 41) is less
        # than 1 in float32. So they must not see that it is one; by a power of two it makes no difference.
        return self._tf.maximum(self._context[:, :1] - _BEYOND, value)

    def _threshold(self, index: int, away: float) -> Any:
        """A side of a comparison; a constant is rounded to where every float32 keeps its side of it."""
        exact, value = self._values[index], self._number(index)
        if not isinstance(exact, np.ndarray):
            return value
        beyond = value > exact if away < 0 else value < exact
        return np.where(beyond, np.nextafter(value, np.float32(away)), value)

    def _number(self, index: int) -> Any:
        """The value of a step as float32."""
        value = self._values[index]
        if isinstance(value, np.ndarray):
            return value.astype(np.float32)
        return self._tf.cast(value, self._tf.float32)  # no operator where it is float32 already

    def _truth(self, index: int) -> Any:
        """Where the value of a step is not 0."""
        value = self._values[index]
        if isinstance(value, np.ndarray):
            return value != 0
        return value if value.dtype == self._tf.bool else self._tf.not_equal(value, 0.0)

    def _output(self, index: int) -> Any:
        value = self._number(index)
        # A zero for each user repeats an output that depends on no input.
        return self._tf.zeros_like(self._context[:, :1]) + value if isinstance(value, np.ndarray) else value
