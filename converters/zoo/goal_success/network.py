"""The ensemble's network: a Keras model, trained by one compiled step that every fit reuses.

The whole evaluation fits dozens of small networks. ``model.fit`` spends most of such a fit on building and
calling its own machinery; here the model and the training step are compiled once and each fit only puts its
own starting weights, optimiser state and dropout seeds into the variables.

All randomness (starting weights, order of rows, dropout) comes from the generator that the caller passes, so
neither TensorFlow's nor Python's global seeds are touched. Deterministic kernels are switched on for the
process: on one machine the same generator gives the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.ensemble import Dense
from converters.frameworks import tensorflow
from converters.zoo.goal_success.settings import Settings

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """Trained layers, and after how many passes over the rows they were best."""

    layers: tuple[Dense, ...]
    epochs: int


@dataclass(frozen=True, eq=False)
class Rows:
    """Standardised features float32 [n, F] and labels float32 [n]."""

    features: F32
    labels: F32


class NetworkTrainer:
    """Fits networks of one shape, one after the other."""

    def __init__(self, inputs: int, settings: Settings) -> None:
        self._settings = settings
        tf = tensorflow()
        tf.config.experimental.enable_op_determinism()
        layers = tf.keras.layers
        stack: list[Any] = [tf.keras.Input((inputs,))]
        self._dropouts = []
        for units, rate in zip(settings.hidden, settings.dropout, strict=True):
            stack.append(layers.Dense(units, activation="relu"))
            if rate > 0:
                self._dropouts.append(layers.Dropout(rate, seed=0))
                stack.append(self._dropouts[-1])
        # The last unit gives the logit: cross-entropy of a logit cannot overflow. Its sigmoid is added when
        # the layers are handed on.
        stack.append(layers.Dense(1))
        self._model = tf.keras.Sequential(stack)
        self._optimizer = tf.keras.optimizers.Adam(settings.learning_rate)
        self._optimizer.build(self._model.trainable_variables)
        self._fresh = [variable.numpy() for variable in self._optimizer.variables]
        self._epoch, self._loss = _compile(tf, self._model, self._optimizer, inputs, settings.batch)

    def fit(self, rows: Rows, rng: np.random.Generator, *, epochs: int) -> FittedNetwork:
        """Train for exactly ``epochs`` passes over ``rows``."""
        self._reset(rng)
        for _ in range(epochs):
            self._epoch(rows.features, rows.labels, rng.permutation(len(rows.labels)).astype(np.int32))
        return FittedNetwork(self._layers(), epochs)

    def fit_until(self, rows: Rows, stop: Rows, rng: np.random.Generator) -> FittedNetwork:
        """Train on ``rows`` while the loss on ``stop`` gets better; keep the best weights."""
        self._reset(rng)
        best, best_epoch, best_loss = self._layers(), 0, np.inf
        for epoch in range(1, self._settings.epochs + 1):
            self._epoch(rows.features, rows.labels, rng.permutation(len(rows.labels)).astype(np.int32))
            loss = float(self._loss(stop.features, stop.labels))
            if loss < best_loss:
                best, best_epoch, best_loss = self._layers(), epoch, loss
            elif epoch - best_epoch >= self._settings.patience:
                break
        return FittedNetwork(best, best_epoch)

    def _reset(self, rng: np.random.Generator) -> None:
        for variable in self._model.trainable_variables:
            if len(variable.shape) == 2:  # Glorot and Bengio 2010, uniform
                limit = np.sqrt(6.0 / sum(variable.shape))
                variable.assign(rng.uniform(-limit, limit, variable.shape).astype(np.float32))
            else:
                variable.assign(np.zeros(variable.shape, np.float32))
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        for dropout in self._dropouts:
            dropout.seed_generator.state.assign(rng.integers(2**31, size=2))

    def _layers(self) -> tuple[Dense, ...]:
        weights = [variable.numpy() for variable in self._model.trainable_variables]
        pairs = list(zip(weights[0::2], weights[1::2], strict=True))
        last = len(pairs) - 1
        return tuple(Dense(k, b, "sigmoid" if at == last else "relu") for at, (k, b) in enumerate(pairs))


def _compile(
    tf: Any, model: Any, optimizer: Any, inputs: int, batch: int
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """One pass over all rows in a given order, and the loss without dropout, each as one compiled call."""
    rows = tf.TensorSpec([None, inputs], tf.float32)
    column = tf.TensorSpec([None], tf.float32)
    order = tf.TensorSpec([None], tf.int32)

    def cross_entropy(features: Any, labels: Any, *, training: bool) -> Any:
        logits = tf.squeeze(model(features, training=training), axis=1)
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))

    def step(features: Any, labels: Any) -> None:
        with tf.GradientTape() as tape:
            loss = cross_entropy(features, labels, training=True)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    def epoch(features: Any, labels: Any, order: Any) -> Any:
        # A last batch that is not full is left out; the order is new in each pass, so it is not always the same.
        steps = tf.maximum(tf.shape(order)[0] // batch, 1)

        def body(at: Any) -> tuple[Any]:
            chosen = order[at * batch : (at + 1) * batch]
            step(tf.gather(features, chosen), tf.gather(labels, chosen))
            return (at + 1,)

        return tf.while_loop(lambda at: at < steps, body, (tf.constant(0),), parallel_iterations=1)

    def loss(features: Any, labels: Any) -> Any:
        return cross_entropy(features, labels, training=False)

    return (
        tf.function(epoch, input_signature=[rows, column, order], autograph=False),
        tf.function(loss, input_signature=[rows, column], autograph=False),
    )
