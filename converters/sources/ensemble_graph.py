"""The whole ensemble as one graph of ordinary operators: clip, forest, network, meta-learner, contributions.

Contributions need the probability of each row with one feature at a time replaced by its baseline. Those rows
are computed together with the row itself: F + 1 rows where one came in, the given one first.

No shape is read at run time (``tf.shape``): a batch that varies only appears as -1 in reshapes, so that a
runtime can plan its memory once and hand everything to its fast kernels.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from converters.ensemble import OUTPUTS, Ensemble
from converters.sources.forest_layout import DUMMY, ForestTables, forest_tables
from converters.sources.source import INPUT, Source


def ensemble_source(ensemble: Ensemble) -> Source:
    """The source that all targets convert; its outputs are those of ``Ensemble.predict``."""
    return Source({INPUT: (len(ensemble.feature_names),)}, outputs=OUTPUTS, graph=partial(_graph, ensemble))


def _graph(ensemble: Ensemble, tf: Any, features: Any, *, batch: int | None) -> dict[str, Any]:
    clipped = tf.minimum(tf.maximum(features, tf.constant(ensemble.low)), tf.constant(ensemble.high))
    rows = _occluded(tf, clipped, ensemble.baseline)
    trees = _trees(tf, ensemble, rows, batch=batch)
    forest = tf.reduce_mean(trees, axis=1, keepdims=True)
    network = _network(tf, ensemble, clipped)
    weights, bias = ensemble.meta_weights.astype(np.float32), np.float32(ensemble.meta_bias)
    probability = tf.sigmoid(forest * weights[0] + network * weights[1] + bias)
    probability = tf.reshape(probability, [-1, len(ensemble.feature_names) + 1])
    own = probability[:, :1]
    return {
        "probability": own,
        "confidence": _confidence(tf, ensemble, trees),
        "contributions": own - probability[:, 1:],
    }


def _occluded(tf: Any, values: Any, replacement: np.ndarray[Any, Any]) -> Any:
    """[n, F] -> [n * (F + 1), F]: each row as it is, then with value i replaced, for every i."""
    width = len(replacement)
    replaced = np.concatenate([np.zeros((1, width)), np.eye(width)]).astype(np.float32)
    # Multiplying by 0 and 1 and adding is exact; a select would need the mask at full size in the file.
    rows = values[:, None, :] * tf.constant(1 - replaced) + tf.constant(replaced * replacement)
    return tf.reshape(rows, [-1, width])


def _trees(tf: Any, ensemble: Ensemble, rows: Any, *, batch: int | None) -> Any:
    """Leaf values [rows, trees] of each row."""
    width = len(ensemble.feature_names)
    # Core ML knows gathers with a batch from iOS16 on, and tables narrower than 32 bits from iOS17 on; a fixed
    # batch is what it gets, and there the place of each row in the flat input is a constant.
    tables = forest_tables(ensemble.forest, width, narrow=batch is None)
    values = tf.pad(rows, [[0, 0], [0, 1]], constant_values=DUMMY)
    point, feature, step = (tf.constant(table) for table in (tables.point, tables.feature, tables.step))
    if batch is not None:
        starts = np.arange(batch * (width + 1), dtype=np.int32)[:, None] * np.int32(width + 1)
        values_flat, row_start = tf.reshape(values, [-1]), tf.constant(starts)
    node = _after_roots(tf, tables, values)
    for _ in range(tables.depth - 1):
        column = _int32(tf, tf.gather(feature, node))
        if batch is None:
            value = tf.gather(values, column, axis=1, batch_dims=1)
        else:
            value = tf.gather(values_flat, column + row_start)
        right = tf.cast(value > tf.gather(point, node), tf.int32)
        node = node + _int32(tf, tf.gather(step, node)) + right
    return tf.gather(point, node)


def _after_roots(tf: Any, tables: ForestTables, values: Any) -> Any:
    """Where each row stands in each tree after its first comparison, [rows, trees]."""
    feature, point, left = tables.first_step()
    right = tf.gather(values, tf.constant(feature), axis=1) > tf.constant(point)
    return tf.constant(left) + tf.cast(right, tf.int32)


def _confidence(tf: Any, ensemble: Ensemble, trees: Any) -> Any:
    own = tf.reshape(trees, [-1, len(ensemble.feature_names) + 1, ensemble.forest.trees])[:, 0, :]
    # In two passes: the mean of squares minus the square of the mean would cancel where trees agree.
    deviation = own - tf.reduce_mean(own, axis=1, keepdims=True)
    return 1.0 - 2.0 * tf.sqrt(tf.reduce_mean(deviation * deviation, axis=1, keepdims=True))


def _network(tf: Any, ensemble: Ensemble, clipped: Any) -> Any:
    # Normalised before the rows are multiplied, not after: a multiplication right before the first layer would be
    # folded into its weights, and weights that carry the units of ten features cannot be quantized.
    scale = (1 / ensemble.std.astype(np.float64)).astype(np.float32)
    normalised = (clipped - tf.constant(ensemble.mean)) * tf.constant(scale)
    hidden = _occluded(tf, normalised, (ensemble.baseline - ensemble.mean) * scale)
    for layer in ensemble.layers:
        hidden = tf.matmul(hidden, tf.constant(layer.kernel)) + tf.constant(layer.bias)
        hidden = tf.nn.relu(hidden) if layer.activation == "relu" else tf.sigmoid(hidden)
    return hidden


def _int32(tf: Any, values: Any) -> Any:
    return values if values.dtype == tf.int32 else tf.cast(values, tf.int32)
