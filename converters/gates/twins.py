"""The gate that no artifact passes unproven: every twin answers as the source does, on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.coreml_eval import CoreMLProgram
from converters.days import DayInputs
from converters.ensemble import OUTPUTS, Ensemble
from converters.errors import EvaluationError, GateError
from converters.frameworks import quiet_stderr
from converters.sources import INPUT
from converters.targets import Artifact, Target
from quantization.errors import LossError
from quantization.loss import measure

F32 = NDArray[np.float32]
Answers = Mapping[str, NDArray[Any]]
Inputs = Mapping[str, F32]

LIMITS: Final[Mapping[str, float]] = MappingProxyType(
    {"probability": 1e-5, "confidence": 1e-5, "contributions": 1e-4}
)
"""Largest absolute difference of a float32 twin; the figures are sums of float32 in another order, no more.
Contributions are differences of two probabilities of which each may be off."""

MIN_AGREEMENT: Final = 0.99
"""Share of decisions at 0.5 that a smaller recipe must leave as they are."""

MIN_FUSED_AGREEMENT: Final = 0.998
"""Share of decisions that a float32 twin must leave as they are where it computes the features itself. Trees compare
features with thresholds: a last digit there is another branch, and rightly no digit of the answer is like before. So
``LIMITS`` hold for 99 rows of 100, and decisions for this many."""


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
        fused: whether the twins were fed days and computed the features themselves.
    """

    rows: int
    twins: tuple[Twin, ...]
    spread: Mapping[str, float]
    fused: bool = False

    def to_json(self) -> dict[str, Any]:
        """The report as `edge convert --json` prints it."""
        values = {"p99_probability": LIMITS["probability"]} if self.fused else LIMITS
        return {
            "rows": self.rows,
            "limits": {**values, "agreement": MIN_FUSED_AGREEMENT if self.fused else MIN_AGREEMENT},
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


def compare_twins(ensemble: Ensemble, artifacts: tuple[Artifact, ...], rows: F32 | DayInputs) -> TwinsReport:
    """Run all artifacts and the source on the same rows and measure how far they are apart.

    Args:
        ensemble: the source; its NumPy answer is the reference.
        artifacts: what was made of it.
        rows: float32 [n, F], n at least 1; or day inputs, for artifacts that compute the features themselves.

    Raises:
        GateError: no rows, no artifacts, or one that does not run or answers in another form.
    """
    if not len(rows) or not artifacts:
        raise GateError(
            f"nothing to compare: {len(rows)} rows and {len(artifacts)} artifacts; give some of both"
        )
    fused = isinstance(rows, DayInputs)
    reference = ensemble.predict(rows.features if isinstance(rows, DayInputs) else rows)
    exact: list[Answers] = [reference]
    twins = []
    for artifact in artifacts:
        answers = run_artifact(artifact, rows)
        twins.append(_twin(artifact, reference, answers))
        if twins[-1].exact:
            exact.append(answers)
    spread = {
        name: float(np.ptp(np.stack([answers[name].astype(np.float64) for answers in exact]), axis=0).max())
        for name in OUTPUTS
    }
    return TwinsReport(len(rows), tuple(twins), MappingProxyType(spread), fused)


def check(report: TwinsReport) -> None:
    """Let a report pass, or not.

    Raises:
        GateError: names artifact, output, figure and limit of the first that is too far off.
    """
    for twin in report.twins:
        if twin.exact and report.fused:
            _alike_enough(twin, report.rows)
        elif twin.exact:
            _within(twin.max_abs, f"{twin.name} differs from its source")
        elif not twin.agreement >= MIN_AGREEMENT:
            raise GateError(
                f"{twin.name} agrees on {twin.agreement:.2%} of {report.rows} decisions at 0.5, "
                f"at least {MIN_AGREEMENT:.0%} are needed; use another recipe"
            )
    if not report.fused:
        _within(report.spread, "two of the float32 twins differ")


def _alike_enough(twin: Twin, rows: int) -> None:
    if not twin.agreement >= MIN_FUSED_AGREEMENT:
        raise GateError(
            f"{twin.name} agrees on {twin.agreement:.2%} of {rows} decisions at 0.5, "
            f"at least {MIN_FUSED_AGREEMENT:.1%} are needed: it does not compute the features of its spec"
        )
    if not twin.p99_probability <= LIMITS["probability"]:
        raise GateError(
            f"{twin.name} differs from its source in the probability of more than one row in a hundred, by "
            f"{twin.p99_probability:.3g}; allowed are {LIMITS['probability']:g}"
        )


def run_artifact(artifact: Artifact, rows: F32 | DayInputs) -> dict[str, NDArray[Any]]:
    """Answers of an artifact, by the engine that runs its target on this machine.

    Raises:
        GateError: it does not run.
        MissingExtraError: the engine is not installed.
    """
    inputs = rows.tensors if isinstance(rows, DayInputs) else {INPUT: rows}
    return _RUNNERS[artifact.plan.target](artifact, inputs)


def _with_runtime(artifact: Artifact, inputs: Inputs, engine: str) -> dict[str, NDArray[Any]]:
    from edge_sdk.errors import EdgeError
    from edge_sdk.runtime import open_model

    try:
        # LiteRT announces its delegate on stderr when it first makes one.
        with quiet_stderr(), open_model(artifact.content, engine=engine, max_sessions=1) as model:
            return model.run(inputs)
    except EdgeError as error:
        raise GateError(f"{artifact.plan} does not run: {error}") from error


def _litert(artifact: Artifact, inputs: Inputs) -> dict[str, NDArray[Any]]:
    return _with_runtime(artifact, inputs, "litert")


def _onnxruntime(artifact: Artifact, inputs: Inputs) -> dict[str, NDArray[Any]]:
    return _with_runtime(artifact, inputs, "onnxruntime")


def _coreml(artifact: Artifact, inputs: Inputs) -> dict[str, NDArray[Any]]:
    try:
        return CoreMLProgram.from_package(artifact.package).run_rows(inputs)
    except EvaluationError as error:
        raise GateError(f"{artifact.plan} does not run: {error}") from error


_RUNNERS: Final[Mapping[Target, Callable[[Artifact, Inputs], dict[str, NDArray[Any]]]]] = MappingProxyType(
    {"tflite": _litert, "onnx": _onnxruntime, "coreml": _coreml}
)


def _twin(artifact: Artifact, reference: Answers, answers: Answers) -> Twin:
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
        loss = measure(lambda _: reference, lambda _: answers, {})
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
