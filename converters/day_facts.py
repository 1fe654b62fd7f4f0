"""What a bundle says of a model that computes its own features, and the days that prove it on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.days import DayInputs
from converters.ensemble import Ensemble
from converters.errors import SourceError
from converters.gates import LIMITS
from converters.seal import ModelFacts, facts_of
from converters.zoo.model_dir import TrainedModel
from converters.zoo.population import PopulationSettings, synthesise
from edge_sdk.contract.rules import Rules
from feature_spec.tensorflow_evaluator import CONTEXT_INPUT, DAILY_INPUT, INPUTS
from feature_spec.vocabulary import LAYOUT_VERSION, UNKNOWN

F32 = NDArray[np.float32]

GOLDEN_DAYS: Final = 16
_GOLDEN_SEED: Final = 0
_CANDIDATES: Final = 200
_LAST_DIGITS: Final = 1e-6
"""How far features of two runtimes may lie apart, relative above 1; generous: a unit in the last place is 1e-7."""


def day_facts_of(model: TrainedModel) -> ModelFacts:
    """The facts of a zoo model converted with its features in front: it takes tensors and no named features.

    So there are no rules, which are about features; contributions follow ``about.day_input.features``.

    Raises:
        SourceError: as ``facts_of``; or too few of the made-up days are steady.
    """
    facts = facts_of(model)
    days = golden_days(model)
    return replace(
        facts,
        outputs={name: replace(fact, per_feature=False) for name, fact in facts.outputs.items()},
        cases={
            f"days-{number:02}": {name: tensor[number : number + 1] for name, tensor in days.tensors.items()}
            for number in range(len(days))
        },
        input_units={DAILY_INPUT: "day input", CONTEXT_INPUT: "day input"},
        features=(),
        feature_spec=b"",
        rules=Rules(),
        about={
            **facts.about,
            "day_input": {
                "version": LAYOUT_VERSION,
                "features": list(model.spec.names),
                "feature_spec_sha256": model.spec.fingerprint(),
            },
        },
    )


def golden_days(model: TrainedModel, n: int = GOLDEN_DAYS) -> DayInputs:
    """Made-up days for golden cases: nothing known at all, everything every day, and people who never were.

    Left out is who stands where a last digit of a feature is another branch of a tree: a device would answer rightly
    with other numbers, and be refused for it.

    Raises:
        SourceError: fewer than ``n`` of the candidates are left.
    """
    settings = PopulationSettings(people=_CANDIDATES)
    snapshot = synthesise(np.random.default_rng(_GOLDEN_SEED), settings).dataset().snapshot(None)
    nothing = np.zeros((1, *INPUTS[DAILY_INPUT]), np.float32)
    unknown = np.full((1, *INPUTS[CONTEXT_INPUT]), UNKNOWN, np.float32)
    candidates = DayInputs(
        model.spec,
        np.concatenate([nothing, nothing + 1, snapshot.daily]),
        np.concatenate([unknown, unknown, snapshot.context]),
    )
    kept = np.flatnonzero(_steady(model.ensemble, candidates.features))[:n]
    if len(kept) < n:
        raise SourceError(
            f"of {len(candidates)} made-up people only {len(kept)} get an answer that does not hang on the last digit "
            f"of a feature; {n} are needed to prove the model on a device"
        )
    return candidates.taken(kept)


def _steady(ensemble: Ensemble, features: F32) -> NDArray[np.bool_]:
    """[n] whether the answer stays within half its tolerance when all features move by their last digits."""
    shift = (_LAST_DIGITS * np.maximum(1, np.abs(features))).astype(np.float32)
    here = ensemble.predict(features)
    steady = np.ones(len(features), np.bool_)
    for moved in (features - shift, features + shift):
        steady &= _near(here, ensemble.predict(moved))
    return steady


def _near(one: Mapping[str, F32], other: Mapping[str, F32]) -> NDArray[np.bool_]:
    apart = [np.abs(one[name] - other[name]).max(axis=1) / limit for name, limit in LIMITS.items()]
    near: NDArray[np.bool_] = np.max(apart, axis=0) <= 0.5
    return near
