"""The warehouse fed with day inputs: what shows that it means by the expressions what the reference means."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from feature_spec.definition import FeatureSpec
from feature_spec.numpy_operators import event_weights
from feature_spec.vocabulary import CHANNELS, CONTEXT
from feature_spec.warehouse.compiler import Compiler
from feature_spec.warehouse.engine import Engine
from feature_spec.warehouse.packages import arrow


def evaluate(
    spec: FeatureSpec, daily: npt.ArrayLike, context: npt.ArrayLike, engine: Engine, **compiler: Any
) -> npt.NDArray[np.float32]:
    """Compute every feature of ``spec`` for n users.

    Args:
        spec: the definitions.
        daily: [n, 90, 8, 3]; not checked again.
        context: [n, 14], -1 where unknown.
        engine: where to compute.
        compiler: passed on to ``Compiler``.

    Returns:
        float32 [n, number of features].
    """
    cells, known = np.asarray(daily, np.float64), np.asarray(context, np.float64)
    compiled = Compiler(spec.program, keep=engine.keep, **compiler)
    request, day = np.nonzero(cells.any(axis=(2, 3)))
    there = cells[request, day]
    leaves = {
        compiled.columns.name(i): there[..., CHANNELS.index(str(step.value[0]))] @ event_weights(step.value)
        for i, step in compiled.leaves.items()
    }
    days = engine.register(arrow.table({"request": request, "day": day, **leaves}))
    entries = {name: known[:, CONTEXT.index(name)] for name in compiled.context.values()}
    requests = engine.register(arrow.table({"request": np.arange(len(known)), **entries}))
    found = engine.fetch(compiled.compile(requests, days, spec.names)).sort_by("request")
    return np.stack([found[name].to_numpy() for name in spec.names], axis=1)
