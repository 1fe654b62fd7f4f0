"""The predictor: a model, its contract, and a deadline."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from math import isfinite, nan, prod

import numpy as np

from edge_sdk.errors import FormatError, InputError, RetryLater
from edge_sdk.features.vector import FeatureVector
from edge_sdk.predict.advice import Advisor
from edge_sdk.predict.batch import PredictionBatch
from edge_sdk.predict.counters import BROKEN, BUSY, FALLBACK, REFUSED, STALE, PredictionCounters, Seen
from edge_sdk.predict.prediction import Prediction, Reason
from edge_sdk.predict.rows import RowMaker
from edge_sdk.predict.spec import PredictorSpec
from edge_sdk.runtime.engine import Array, RunFailed
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.pool import Clock

_ROWS_AT_ONCE = 128
"""Keeps the working memory in the processor's cache, and a session from others for some 10 ms only."""
_LONGEST_MS = 86_400_000.0


class Predictor:
    """Answers with named numbers; any thread may ask.

    Args:
        model: the loaded model; the caller closes it.
        spec: the contract of its record.
        reason: why the answers are good when nothing else is the matter: ``FRESH``, or ``LAST_KNOWN_GOOD``
            when this model stands in for a newer one.
        counters: where answers are counted.

    Raises:
        FormatError: model and spec do not fit together.
    """

    def __init__(
        self,
        model: Model,
        spec: PredictorSpec,
        *,
        reason: Reason = Reason.FRESH,
        counters: PredictionCounters | None = None,
    ) -> None:
        _check_fit(model, spec)
        self.spec = spec
        self.counters = counters or PredictionCounters()
        self._model = model
        self._run = model.run_checked
        self._clock = model.pool.clock
        self._rows = RowMaker(spec.features, spec.defaults)
        self._make_row = self._rows.row
        self._advisor = Advisor(
            spec.rules, spec.outputs, spec.features, contributions=spec.contributions is not None
        )
        self._advise = self._advisor.advise
        self._has_rules = bool(spec.rules.risk_factors or spec.rules.actions)
        # A model that stands in says so, however old the features: how old, ``feature_age_s`` tells anyway.
        self._reason = reason
        self._reason_when_old = Reason.STALE_FEATURES if reason is Reason.FRESH else reason
        # What every prediction reads, in attributes of its own: each hop costs 20 ns.
        self._input, self._outputs = spec.input, spec.outputs
        self._contributions, self._features = spec.contributions, spec.features
        self._max_age = spec.max_feature_age_s
        self._version, self._release = spec.model_version, spec.release
        self._count, self._saw = self.counters.count, self.counters.saw
        self._pack = struct.Struct(f"={len(spec.features) + len(spec.outputs)}d").pack
        self._may_fall_back = bool(spec.fallback)

    def predict(
        self,
        features: Mapping[str, float] | FeatureVector,
        *,
        feature_age_s: float = 0.0,
        stale: bool = False,
        deadline_ms: float = 100.0,
    ) -> Prediction:
        """Predict from one row.

        Args:
            features: numbers by name, or what a feature store answered, which says itself how old and how good it is.
                What is missing gets the record's default and is named in ``filled``; numbers outside the feature's
                range are clipped by the model itself.
            feature_age_s: how old they are.
            stale: that they are not up to date, whatever their age.
            deadline_ms: what the answer may take, waiting included. One that takes longer is replaced by the
                record's fallback, so that the caller's time limit means the same wherever time was lost (a
                record without a fallback leaves a late answer as it is).

        Raises:
            InputError: an unknown name, a value that is no finite number, or a vector by other definitions.
            DeadlineExceeded, PoolBusy: not in time, and the record declares no fallback.
            PoolClosed: the model was closed.
            RunFailed: the engine failed, or answered with something that is no number.
        """
        clock = self._clock
        start = clock()
        if not 0 <= deadline_ms <= _LONGEST_MS:
            raise InputError(f"deadline_ms must lie between 0 and {_LONGEST_MS:g}, not {deadline_ms}")
        if type(features) is FeatureVector:
            self._check_definitions(features)
            feature_age_s, stale = max(features.age_s, feature_age_s), stale or features.is_stale
            features = features.used
        try:
            row, given, filled = self._make_row(features)  # type: ignore[arg-type]
        except InputError:
            self._count(REFUSED)
            raise
        deadline = start + int(deadline_ms * 1e6)
        try:
            outputs, lent = self._run({self._input: row}, deadline)
            done = clock()
            if done > deadline and self._may_fall_back:
                return self._fallback(filled, feature_age_s, start, lent, done)
            values: dict[str, float] = {}
            numbers: list[float] = []
            for name in self._outputs:  # a comprehension would be one function call more
                number = values[name] = outputs[name].item()
                numbers.append(number)
            contributions: dict[str, float] = {}
            if self._contributions is not None:
                (parts,) = outputs[self._contributions].tolist()
                contributions = dict(zip(self._features, parts))  # noqa: B905  lengths agree since __init__
                numbers += parts
            if not isfinite(sum(numbers)):
                self._refuse_no_number(numbers)
        except RetryLater:
            if not self._may_fall_back:
                self._count(BUSY)
                raise
            done = clock()
            return self._fallback(filled, feature_age_s, start, done, done)
        except RunFailed:
            self._count(BROKEN)
            raise
        self._count((lent - start, done - lent))
        factors, actions = self._advise([*numbers, *given]) if self._has_rules else ((), ())
        # Not Prediction(...), whose function in Python takes as long again.
        made = tuple.__new__(
            Prediction,
            (
                values,
                contributions,
                factors,
                actions,
                filled,
                self._reason if feature_age_s <= self._max_age and not stale else self._when_old(),
                self._version,
                self._release,
                feature_age_s,
                (lent - start) / 1e6,
                (done - lent) / 1e6,
                False,
            ),
        )
        self._saw(self._pack(*given, *values.values()) if not filled else self.seen(given, filled, values))
        return made

    def predict_batch(
        self,
        table: Mapping[str, Sequence[float]] | Array,
        *,
        feature_age_s: float = 0.0,
        deadline_ms: float = 10_000.0,
    ) -> PredictionBatch:
        """Predict from many rows.

        Args:
            table: columns by name (missing ones get the record's default), or an array [rows][features] in
                the model's order.
            feature_age_s: age of the oldest.
            deadline_ms: how long to wait for sessions. Computing that takes longer is not late; but where a session
                for some of the rows cannot be had in time, the record's fallback answers for all of them.

        Raises:
            InputError: an unknown name, columns of different length, or something that is no finite number.
            DeadlineExceeded, PoolBusy, PoolClosed, RunFailed: as in ``predict``.
        """
        clock = self._clock
        start = clock()
        if not 0 <= deadline_ms <= _LONGEST_MS:
            raise InputError(f"deadline_ms must lie between 0 and {_LONGEST_MS:g}, not {deadline_ms}")
        try:
            rows, given, filled = self._rows.table(table)
        except InputError:
            self._count(REFUSED)
            raise
        deadline = start + int(deadline_ms * 1e6)
        parts: dict[str, list[Array]] = {name: [np.empty(0, np.float32)] for name in self._outputs}
        contributed = [np.empty((0, len(self._features)), np.float32)]
        compute = 0
        try:
            for at in range(0, len(rows), _ROWS_AT_ONCE):
                chunk = rows[at : at + _ROWS_AT_ONCE]
                outputs, lent = self._run({self._input: chunk}, deadline, one_by_one=self._model.single_row)
                compute += clock() - lent
                for name in self._outputs:
                    parts[name].append(outputs[name].reshape(len(chunk)))
                if self._contributions is not None:
                    contributed.append(outputs[self._contributions])
        except RetryLater:
            if not self._may_fall_back:
                self._count(BUSY)
                raise
            return self._batch_fallback(len(rows), filled, feature_age_s, clock() - start - compute, compute)
        except RunFailed:
            self._count(BROKEN)
            raise
        values = {name: np.concatenate(column) for name, column in parts.items()}
        pieces = np.concatenate(contributed)
        numbers = np.column_stack(
            [*values.values(), *([] if self._contributions is None else [pieces]), given]
        ).astype(np.float64)
        if not np.isfinite(numbers).all():
            row = int(np.argmax(~np.isfinite(numbers).all(axis=1)))
            self._count(BROKEN)
            raise RunFailed(
                f"{self.spec.model} {self._version} answered row {row} with something that is no number"
            )
        factors, actions = self._advisor.advise_rows(numbers)
        queue = clock() - start - compute
        self._count((queue, compute))
        return PredictionBatch(
            values=values,
            contributions=(
                {} if self._contributions is None else dict(zip(self._features, pieces.T, strict=True))
            ),
            risk_factors=factors,
            actions=actions,
            filled=filled,
            reason=self._reason if feature_age_s <= self._max_age else self._when_old(),
            model_version=self._version,
            release=self._release,
            feature_age_s=feature_age_s,
            queue_ms=queue / 1e6,
            compute_ms=compute / 1e6,
        )

    @property
    def clock(self) -> Clock:
        """Nanoseconds, monotonic; by which deadlines are measured."""
        return self._clock

    def given(
        self, features: Mapping[str, float] | FeatureVector
    ) -> tuple[tuple[float, ...], tuple[str, ...]]:
        """What ``predict`` makes of its features: the numbers in the model's order, and the names that are filled.

        Raises:
            InputError: an unknown name, or a value that is no finite number.
        """
        if isinstance(features, FeatureVector):
            self._check_definitions(features)
            features = features.used
        try:
            _, given, filled = self._make_row(features)
        except InputError:
            self._count(REFUSED)
            raise
        return given, filled

    def _check_definitions(self, vector: FeatureVector) -> None:
        """Numbers by other definitions would fit, and mean something else."""
        if not vector.computed.spec.startswith(self.spec.feature_spec_sha256):
            self._count(REFUSED)
            raise InputError(
                f"the vector was computed for another model than {self.spec.model} {self._version}, which has other "
                "definitions of its features; pass the model itself to vector(), and predict with that"
            )

    def fallback(self, filled: tuple[str, ...], feature_age_s: float) -> Prediction:
        """The declared fallback, as the answer to a call that took no time; empty where none is declared."""
        return self._fallback(filled, feature_age_s, 0, 0, 0)

    def seen(self, given: tuple[float, ...], filled: tuple[str, ...], values: Mapping[str, float]) -> Seen:
        """What the counters keep of a prediction for a while."""
        known = [nan if name in filled else value for name, value in zip(self._features, given, strict=True)]
        return self._pack(*known, *values.values())

    def reason_for(self, feature_age_s: float, stale: bool = False) -> Reason:
        """Why an answer that was computed is what it is."""
        return self._reason if feature_age_s <= self._max_age and not stale else self._when_old()

    def _when_old(self) -> Reason:
        if self._reason_when_old is Reason.STALE_FEATURES:
            self._count(STALE)
        return self._reason_when_old

    def _fallback(
        self, filled: tuple[str, ...], feature_age_s: float, start: int, lent: int, done: int
    ) -> Prediction:
        self._count((lent - start, done - lent))
        self._count(FALLBACK)
        # No rules: they were written for what a model says about somebody, and this says nothing about anybody.
        return Prediction(
            values=dict(self.spec.fallback),
            contributions={},
            risk_factors=(),
            actions=(),
            filled=filled,
            reason=Reason.FALLBACK,
            model_version=self._version,
            release=self._release,
            feature_age_s=feature_age_s,
            queue_ms=(lent - start) / 1e6,
            compute_ms=(done - lent) / 1e6,
        )

    def _batch_fallback(
        self, rows: int, filled: tuple[str, ...], feature_age_s: float, queue: int, compute: int
    ) -> PredictionBatch:
        self._count((queue, compute))
        self._count(FALLBACK)
        return PredictionBatch(
            values={name: np.full(rows, value, np.float32) for name, value in self.spec.fallback.items()},
            contributions={},
            risk_factors={},
            actions={},
            filled=filled,
            reason=Reason.FALLBACK,
            model_version=self._version,
            release=self._release,
            feature_age_s=feature_age_s,
            queue_ms=queue / 1e6,
            compute_ms=compute / 1e6,
        )

    def _refuse_no_number(self, numbers: Sequence[float]) -> None:
        # By place: an output and the contribution of a feature may have the same name. There may be fewer numbers.
        for name, value in zip((*self._outputs, *self._features), numbers, strict=False):
            if not isfinite(value):
                raise RunFailed(f"{self.spec.model} {self._version} answered {value} for {name}")


def _check_fit(model: Model, spec: PredictorSpec) -> None:
    width = len(spec.features)
    only = model.inputs[0]
    if len(model.inputs) != 1 or only.name != spec.input or only.dtype != np.float32:
        told = ", ".join(map(str, model.inputs))
        raise FormatError(
            f"{spec.model}: the record says one float32 input {spec.input}, the model takes {told}"
        )
    if only.shape not in ((-1, width), (1, width)):
        raise FormatError(f"{spec.model}: the record names {width} features, the model takes {only}")
    sizes = {info.name: prod(info.shape[1:]) for info in model.outputs}
    wanted = dict.fromkeys(spec.outputs, 1)
    if spec.contributions is not None:
        wanted[spec.contributions] = width
    for name, size in wanted.items():
        if sizes.get(name) != size:
            has = ", ".join(map(str, model.outputs))
            raise FormatError(
                f"{spec.model}: the record says output {name} with {size} a row, the model has {has}"
            )
