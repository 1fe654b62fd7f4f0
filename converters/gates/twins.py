"""The gate that no artifact passes unproven: every twin answers as the source does, on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.coreml_eval import CoreMLProgram
from converters.ensemble import OUTPUTS, Ensemble
from converters.errors import EvaluationError, GateError
from converters.frameworks import quiet_stderr
from converters.sources import INPUT
from converters.targets import Artifact, Target
from quantization.errors import LossError
from quantization.loss import measure

F32 = NDArray[np.float32]
Answers = Mapping[str, NDArray[Any]]

LIMITS: Final[Mapping[str, float]] = MappingProxyType(
    {"probability": 1e-5, "confidence": 1e-5, "contributions": 1e-4}
)
"""Largest absolute difference of a float32 twin; the figures are sums of float32 in another order, no more.
Contributions are differences of two probabilities of which each may be off."""

MIN_AGREEMENT: Final = 0.99
"""Share of decisions at 0.5 that a smaller recipe must leave as they are."""


@dataclass(frozen=True)
class Twin:
    """One artifact beside the source.

    Attributes:
        name: ``target-recipe``.
        exact: whether it stores the source's numbers as they are; then ``LIMITS`` hold, else ``MIN_AGREEMENT``.
        max_abs: largest absolute difference over all rows, by output.
        p99_probability: 99th percentile of the difference of the probability.
        agreement: share of rows with the same decision, yes meaning a probability of at least 0.5.
    """

    name: str
    exact: bool
    max_abs: Mapping[str, float]
    p99_probability: float
    agreement: float


@dataclass(frozen=True)
class TwinsReport:
    """How far the twins are apart.

    Attributes:
        rows: number of rows that every twin answered; never 0.
        twins: one for each artifact.
        spread: by output, the largest difference between any two of the source and the exact twins.
    """

    rows: int
    twins: tuple[Twin, ...]
    spread: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The report as `edge convert --json` prints it."""
        return {
            "rows": self.rows,
            "limits": {**LIMITS, "agreement": MIN_AGREEMENT},
            "spread": dict(self.spread),
            "artifacts": {
                twin.name: {
                    **twin.max_abs,
                    "p99_probability": twin.p99_probability,
                    "agreement": twin.agreement,
                }
                for twin in self.twins
            },
        }


def compare_twins(ensemble: Ensemble, artifacts: tuple[Artifact, ...], rows: F32) -> TwinsReport:
    """Run all artifacts and the source on the same rows and measure how far they are apart.

    Args:
        ensemble: the source; its NumPy answer is the reference.
        artifacts: what was made of it.
        rows: float32 [n, F], n at least 1.

    Raises:
        GateError: no rows, no artifacts, or one that does not run or answers in another form.
    """
    if not len(rows) or not artifacts:
        raise GateError(
            f"nothing to compare: {len(rows)} rows and {len(artifacts)} artifacts; give some of both"
        )
    reference = ensemble.predict(rows)
    exact: list[Answers] = [reference]
    twins = []
    for artifact in artifacts:
        answers = run_artifact(artifact, rows)
        twins.append(_twin(artifact, reference, answers, rows))
        if twins[-1].exact:
            exact.append(answers)
    spread = {
        name: float(np.ptp(np.stack([answers[name].astype(np.float64) for answers in exact]), axis=0).max())
        for name in OUTPUTS
    }
    return TwinsReport(len(rows), tuple(twins), MappingProxyType(spread))


def check(report: TwinsReport) -> None:
    """Let a report pass, or not.

    Raises:
        GateError: names artifact, output, figure and limit of the first that is too far off.
    """
    for twin in report.twins:
        if twin.exact:
            _within(twin.max_abs, f"{twin.name} differs from its source")
        elif not twin.agreement >= MIN_AGREEMENT:
            raise GateError(
                f"{twin.name} agrees on {twin.agreement:.2%} of {report.rows} decisions at 0.5, "
                f"at least {MIN_AGREEMENT:.0%} are needed; use another recipe"
            )
    _within(report.spread, "two of the float32 twins differ")


def run_artifact(artifact: Artifact, rows: F32) -> dict[str, NDArray[Any]]:
    """Answers of an artifact, by the engine that runs its target on this machine.

    Raises:
        GateError: it does not run.
        MissingExtraError: the engine is not installed.
    """
    return _RUNNERS[artifact.plan.target](artifact, rows)


def _with_runtime(artifact: Artifact, rows: F32, engine: str) -> dict[str, NDArray[Any]]:
    from edge_sdk.errors import EdgeError
    from edge_sdk.runtime import open_model

    try:
        # LiteRT announces its delegate on stderr when it first makes one.
        with quiet_stderr(), open_model(artifact.content, engine=engine, max_sessions=1) as model:
            return model.run({INPUT: rows})
    except EdgeError as error:
        raise GateError(f"{artifact.plan} does not run: {error}") from error


def _litert(artifact: Artifact, rows: F32) -> dict[str, NDArray[Any]]:
    return _with_runtime(artifact, rows, "litert")


def _onnxruntime(artifact: Artifact, rows: F32) -> dict[str, NDArray[Any]]:
    return _with_runtime(artifact, rows, "onnxruntime")


def _coreml(artifact: Artifact, rows: F32) -> dict[str, NDArray[Any]]:
    try:
        return CoreMLProgram.from_package(artifact.package).run_rows({INPUT: rows})
    except EvaluationError as error:
        raise GateError(f"{artifact.plan} does not run: {error}") from error


_RUNNERS: Final[Mapping[Target, Callable[[Artifact, F32], dict[str, NDArray[Any]]]]] = MappingProxyType(
    {"tflite": _litert, "onnx": _onnxruntime, "coreml": _coreml}
)


def _twin(artifact: Artifact, reference: Answers, answers: Answers, rows: F32) -> Twin:
    name = str(artifact.plan)
    if set(answers) != set(OUTPUTS):
        raise GateError(f"{name} has the outputs {sorted(answers)}, the source has {sorted(OUTPUTS)}")
    for output in OUTPUTS:
        expected, given = reference[output], answers[output]
        if given.dtype != expected.dtype or given.shape != expected.shape:
            raise GateError(
                f"{name} gives {output} as {given.dtype} {given.shape}, the source as {expected.dtype} {expected.shape}"
            )
        if not np.isfinite(given).all():
            raise GateError(f"{name} gives a {output} that is not finite")
    try:
        loss = measure(lambda _: reference, lambda _: answers, {INPUT: rows})
    except LossError as error:
        raise GateError(f"{name} cannot be compared: {error}") from error
    return Twin(
        name=name,
        exact=not artifact.plan.recipe.changes_weights,
        max_abs=MappingProxyType(
            {output: _furthest(reference[output], answers[output]) for output in OUTPUTS}
        ),
        p99_probability=loss.p99_abs,
        agreement=loss.agreement,
    )


def _furthest(expected: NDArray[Any], given: NDArray[Any]) -> float:
    return float(np.abs(expected.astype(np.float64) - given.astype(np.float64)).max())


def _within(figures: Mapping[str, float], what: str) -> None:
    for output, limit in LIMITS.items():
        # Asked this way round, because nothing is greater than a NaN.
        if not figures[output] <= limit:
            raise GateError(f"{what} in {output} by {figures[output]:.3g}, allowed are {limit:g}")
