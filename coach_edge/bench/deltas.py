"""How much of a bundle a delta is, for changes that publishers make; and what making the bundle from it costs a device.

Everything goes the real way: TFLite files, sealed bundles of the tier ``app-key``, deltas as ``edge bundle delta``
makes them. The control is the bundle as it is served, which no codec made smaller. Weights are made up, since how a
delta deflates depends on the sizes of the steps, which each note says, and hardly on the weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from converters.deltas import make_delta
from device_tests.simulator.models import sealed_model
from device_tests.simulator.tflite_writer import TFLiteWriter
from edge_sdk.contract.manifest import Artifact
from edge_sdk.crypto import deltas, sealing
from edge_sdk.crypto.sealing import AppKey, Sealed
from edge_sdk.runtime.engine import Array
from edge_sdk.runtime.engines import engine_named

WIDTHS: Final = (3, 1100, 1060, 64, 1)
"""Of a model of 5 MB in float32; the third layer has about 5 % of the weights."""
_LAYER: Final = 2
_SPARSE: Final = 0.01
"""Share of the weights that a sparse retune moves."""
_COARSE: Final = 0.01
_FINE: Final = 0.002
"""Standard deviation of a step, in that of the weights of its layer."""
_KEY: Final = AppKey(bytes(range(32)))

Weights = list[Array]


def figures(rounds: int = 15, seed: int = 0, widths: Sequence[int] = WIDTHS) -> list[dict[str, Any]]:
    """Measure.

    Args:
        rounds: of the one figure that is a time.
        seed: of weights and steps.
        widths: of the model, twice as wide for float16, so that the file is as long.

    Returns:
        The figures, in the form that ``edge bench`` prints.
    """
    rng = np.random.default_rng(seed)
    single = _initial(widths, rng)
    half = _initial([widths[0], *(round(width * 2**0.5) for width in widths[1:-1]), widths[-1]], rng)
    sparse = [_moved(layer, _COARSE, rng, _SPARSE) for layer in single]
    one = [_moved(layer, _COARSE, rng) if at == _LAYER else layer for at, layer in enumerate(single)]
    few = _Pair(single, sparse, "float32")
    last = _Pair(single, one, "float32")
    all_fine = _Pair(half, [_moved(layer, _FINE, rng) for layer in half], "float16")
    all_coarse = _Pair(half, [_moved(layer, _COARSE, rng) for layer in half], "float16")
    share = single[_LAYER].size / sum(layer.size for layer in single)
    step = "normal steps of {:.1%} of the layer's standard deviation"
    coarse, fine = step.format(_COARSE), step.format(_FINE)
    return [
        _figure(
            "delta_ratio_sparse",
            max(few, last, key=lambda pair: pair.ratio),
            f"float32; the larger of the two below, each with {coarse}",
        ),
        _figure("delta_ratio_scattered", few, f"float32, {_SPARSE:.0%} of the weights at random; {coarse}"),
        _figure(
            "delta_ratio_one_layer", last, f"float32, one layer with {share:.1%} of the weights; {coarse}"
        ),
        _figure("delta_ratio_dense", all_fine, f"float16, every weight; {fine}"),
        _figure("delta_ratio_dense_coarse", all_coarse, f"float16, every weight; {coarse}"),
        _rebuilding(few, rounds),
    ]


class _Pair:
    """A sealed model, its successor, and the delta between them."""

    def __init__(self, before: Weights, after: Weights, dtype: str) -> None:
        self.old, self.new = _sealed(before, dtype, 1), _sealed(after, dtype, 2)
        self.delta = make_delta(self.old, self.new, _KEY, _KEY)
        self.ratio = len(self.delta) / len(self.new.served)


def _initial(widths: Sequence[int], rng: np.random.Generator) -> Weights:
    return [rng.normal(size=(narrow, wide)) / np.sqrt(wide) for wide, narrow in pairwise(widths)]


def _moved(layer: Array, step: float, rng: np.random.Generator, share: float = 1.0) -> Array:
    moves = rng.normal(size=layer.shape) * layer.std() * step
    return np.asarray(layer + moves * (rng.uniform(size=layer.shape) < share))


def _network(weights: Weights, dtype: str) -> bytes:
    """Fully connected layers without biases; what is not float32 is widened when the model is loaded."""
    writer = TFLiteWriter()
    first = last = writer.tensor("x", (-1, weights[0].shape[1]))
    for number, layer in enumerate(weights):
        constant = writer.tensor(f"w{number}", layer.shape, layer, dtype=dtype)
        if dtype != "float32":
            widened = writer.tensor(f"f{number}", layer.shape)
            writer.operator("DEQUANTIZE", (constant,), (widened,))
            constant = widened
        made = writer.tensor(f"y{number}", (-1, layer.shape[0]))
        writer.operator("FULLY_CONNECTED", (last, constant, -1), (made,))
        last = made
    answer = writer.tensor("p", (-1, weights[-1].shape[0]))
    writer.operator("LOGISTIC", (last,), (answer,))
    return writer.finish({"features": first}, {"probability": answer})


def _sealed(weights: Weights, dtype: str, release: int) -> Sealed:
    model = _network(weights, dtype)
    sealed = sealed_model(
        model, engine=engine_named("litert"), release=release, version=f"{release}.0.0", app_key=_KEY
    )
    assert (
        sealed.entry.codec == "none"
    )  # what does not deflate: the control is the best that a server could send
    return sealed


def _rebuilding(pair: _Pair, rounds: int) -> dict[str, Any]:
    """From the delta to the bundle that was signed, beside opening that bundle, in turn."""
    base, wanted = (
        Artifact(sealed.entry.path, len(sealed.served), sealed.sha256, sealed.entry)
        for sealed in (pair.old, pair.new)
    )

    def ours() -> object:
        return deltas.rebuild_served(pair.delta, base, pair.old.served, wanted, _KEY, _KEY)

    def theirs() -> object:
        return sealing.open_served(pair.new.served, wanted.sha256, wanted.entry, _KEY)

    times = np.array([[_seconds(ours), _seconds(theirs)] for _ in range(rounds)])
    value, control = (float(middle) * 1e3 for middle in np.median(times, axis=0))
    return {
        "id": "delta_rebuild_ms",
        "value": value,
        "unit": "ms",
        "control": "verifying and opening the bundle",
        "control_value": control,
        "ratio": value / control,
        "n": rounds,
        "note": f"decrypt both, apply, encrypt, verify; in memory, a bundle of {len(pair.new.served)} bytes",
    }


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _figure(name: str, pair: _Pair, note: str) -> dict[str, Any]:
    """A figure that is a ratio: its control is 1 by definition."""
    return {
        "id": name,
        "value": pair.ratio,
        "unit": "ratio",
        "control": "the whole bundle as served",
        "control_value": 1.0,
        "ratio": pair.ratio,
        "n": len(pair.new.served),
        "note": f"{len(pair.delta)} of {len(pair.new.served)} bytes; {note}",
    }
