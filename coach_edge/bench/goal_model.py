"""A goal-success model of the product's size from seeded noise: what a forest predicts does not change its cost."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np

from converters.ensemble import Dense, Ensemble, Forest
from converters.errors import ConversionError
from converters.sources import INPUT, ensemble_source
from converters.targets import tflite
from converters.zoo.catalogue import GOAL_SUCCESS
from converters.zoo.goal_success.settings import Settings
from edge_sdk.predict import PredictorSpec
from feature_spec.extras import require
from feature_spec.prebuilt import PREBUILT

_LOW = np.array([feature.low for feature in PREBUILT.features])
_HIGH = np.array([feature.high for feature in PREBUILT.features])
_EARLY_LEAF = 0.15  # share of nodes that end a way before the full depth, as in a trained forest


def goal_spec() -> PredictorSpec:
    """The contract of the goal-success model, with the zoo's rules."""
    return PredictorSpec(
        model=GOAL_SUCCESS.name,
        model_version="1.0.0",
        release=1,
        input=INPUT,
        features=PREBUILT.names,
        defaults=tuple(feature.missing for feature in PREBUILT.features),
        outputs=("probability", "confidence"),
        contributions="contributions",
        fallback={"probability": 0.5, "confidence": 0.0},
        rules=GOAL_SUCCESS.rules,
    )


def goal_rows(count: int, seed: int) -> list[dict[str, float]]:
    """Features within their ranges."""
    rows = np.random.default_rng(seed).uniform(_LOW, _HIGH, (count, len(_LOW)))
    return [dict(zip(PREBUILT.names, row, strict=True)) for row in rows.tolist()]


def goal_tflite(seed: int) -> bytes:
    """The float32 TFLite file.

    Converted in a child process: TensorFlow in this one would slow down what is measured next.

    Raises:
        MissingExtraError: the extra ``convert`` is not installed.
        ConversionError: the conversion failed.
    """
    if importlib.util.find_spec("tensorflow") is None:
        require("tensorflow", extra="convert")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "goal.tflite"
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(seed), str(path)], capture_output=True, text=True
        )
        if done.returncode:
            told = done.stderr.strip().splitlines() or ["no message"]
            raise ConversionError(f"cannot make the goal model: {told[-1]}")
        return path.read_bytes()


def _ensemble(seed: int) -> Ensemble:
    rng = np.random.default_rng(seed)
    settings = Settings()
    widths = (len(PREBUILT.names), *settings.hidden, 1)
    layers = tuple(
        Dense(
            (rng.normal(size=(wide, narrow)) * np.sqrt(2 / wide)).astype(np.float32),
            (rng.normal(size=narrow) / 10).astype(np.float32),
            "sigmoid" if narrow == 1 else "relu",
        )
        for wide, narrow in pairwise(widths)
    )
    return Ensemble(
        feature_names=PREBUILT.names,
        low=_LOW,
        high=_HIGH,
        mean=(_LOW + _HIGH) / 2,
        std=(_HIGH - _LOW) / 4,
        baseline=(_LOW + _HIGH) / 2,
        forest=_forest(rng, settings),
        layers=layers,
        meta_weights=np.array([3.0, 3.0]),
        meta_bias=-3.0,
    )


def _forest(rng: np.random.Generator, settings: Settings) -> Forest:
    feature: list[int] = []
    left: list[int] = []
    right: list[int] = []
    roots: list[int] = []

    def grow(level: int) -> int:
        here = len(feature)
        leaf = level == settings.depth or (level > 2 and rng.uniform() < _EARLY_LEAF)
        feature.append(-1 if leaf else int(rng.integers(len(_LOW))))
        left.append(-1)
        right.append(-1)
        if not leaf:
            left[here], right[here] = grow(level + 1), grow(level + 1)
        return here

    roots.extend(grow(0) for _ in range(settings.trees))
    columns = np.array(feature)
    return Forest(
        feature=columns,
        threshold=rng.uniform(_LOW[columns], _HIGH[columns]),
        left=np.array(left),
        right=np.array(right),
        value=rng.uniform(size=len(columns)),
        roots=np.array(roots),
    )


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(tflite.convert(ensemble_source(_ensemble(int(sys.argv[1])))))
