"""Made-up feature rows, for proofs that must not carry anybody's data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.ensemble import Ensemble

F32 = NDArray[np.float32]

GOLDEN_ROWS = 24
_FIXED = 5


def golden_rows(ensemble: Ensemble, rng: np.random.Generator, n: int = GOLDEN_ROWS) -> F32:
    """Rows [n, F] that go through the whole range of the inputs: the inputs of golden cases.

    In this order: the baseline; all features at their lowest; all at their highest; all a little below and a
    little above their range (a twin that forgets to clip is caught); the baseline with one feature at an
    extreme, for as many features as there is room for; then random rows, half of them near the baseline,
    where people are. Nothing is taken from training rows but their median.

    Raises:
        ValueError: ``n`` is less than 5.
    """
    if n < _FIXED:
        raise ValueError(f"golden rows need at least {_FIXED}, not {n}")
    low, high, baseline = ensemble.low, ensemble.high, ensemble.baseline
    beyond = (high - low) * np.float32(0.01)
    rows = [baseline, low, high, low - beyond, high + beyond]
    for column in range(min(len(low), n - _FIXED)):
        row = baseline.copy()
        row[column] = (low, high)[column % 2][column]
        rows.append(row)
    rest = n - len(rows)
    return np.concatenate([np.stack(rows), _random(ensemble, rng, rest)]).astype(np.float32)


def sampled_rows(ensemble: Ensemble, quantiles: F32, rng: np.random.Generator, n: int) -> F32:
    """Rows [n, F] to compare twins on: three quarters like the training rows, a quarter from anywhere.

    A row like the training rows draws each feature on its own from that feature's distribution, so it is
    typical in every column and is nobody's.

    Args:
        ensemble: Whose inputs these are.
        quantiles: Evenly spaced quantiles of the training rows, [k, F], k at least 2.
        rng: Where the draws come from.
        n: How many rows.
    """
    anywhere = n // 4
    grid = np.linspace(0, 1, len(quantiles))
    draws = rng.random((n - anywhere, len(ensemble.feature_names)))
    typical = np.stack(
        [np.interp(draws[:, at], grid, quantiles[:, at]) for at in range(draws.shape[1])], axis=1
    )
    return np.concatenate([typical.astype(np.float32), _random(ensemble, rng, anywhere)])


def _random(ensemble: Ensemble, rng: np.random.Generator, n: int) -> F32:
    """Uniform within the ranges, every other row drawn in towards the baseline."""
    uniform = rng.uniform(ensemble.low, ensemble.high, (n, len(ensemble.low)))
    uniform[1::2] = ensemble.baseline + 0.3 * (uniform[1::2] - ensemble.baseline)
    return uniform.astype(np.float32)
