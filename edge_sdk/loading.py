"""From the bytes of a served bundle to a model that predicts. Nothing here knows of networks or disks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge_sdk.contract import bundle, golden, tolerance
from edge_sdk.contract.manifest import Artifact
from edge_sdk.contract.record import BundleContent, Record
from edge_sdk.crypto import sealing
from edge_sdk.crypto.opening import Opened, Source, open_segments
from edge_sdk.errors import EdgeError, InputError, VerificationError
from edge_sdk.predict.prediction import Prediction, Reason
from edge_sdk.predict.predictor import Predictor
from edge_sdk.predict.results import CachingPredictor, ResultCache
from edge_sdk.predict.spec import PredictorSpec
from edge_sdk.runtime.engine import Array, Engine
from edge_sdk.runtime.engines import engine_version
from edge_sdk.runtime.model import Model, Warmed
from edge_sdk.runtime.opening import open_model

if TYPE_CHECKING:
    from edge_sdk.features.computing import Definitions
    from edge_sdk.features.vector import FeatureVector
    from edge_sdk.predict.replay import ReplayRecord
    from edge_sdk.predict.replaying import Replayed

Progress = Callable[[str, int, int], None]
"""Stage, how much is done, how much there is."""


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


class LoadedModel:
    """A verified model in memory; any thread may use it until it is closed.

    Attributes:
        record: everything that is known about it.
        artifact: what it was loaded from, with its entry.
        reason: why it answers, and not another.
        engine: name of what runs it.
        predict: from named numbers to a :class:`Prediction`; see :meth:`Predictor.predict`.
        predict_batch: the same for a table; see :meth:`Predictor.predict_batch`.
        run: from tensors to tensors; see :meth:`edge_sdk.runtime.Model.run`.
        feature_spec: the document of the definitions of its features; None where it takes tensors.
        definitions: the same, read, once a feature store has.
    """

    def __init__(
        self,
        model: Model,
        record: Record,
        artifact: Artifact,
        reason: Reason,
        engine: str | Engine,
        feature_spec: bytes | None = None,
    ) -> None:
        self.feature_spec = feature_spec
        self.definitions: Definitions | None = None
        self.record = record
        self.engine = engine if isinstance(engine, str) else engine.name
        self.artifact = artifact
        self.reason = reason
        self._model = model
        self._remembering: CachingPredictor | None = None
        self.run: Callable[..., dict[str, Array]] = model.run
        # Attributes and not methods: a method more on the way would cost every prediction.
        self.predict: Callable[..., Prediction] = self._takes_tensors
        self.predict_batch: Callable[..., Any] = self._takes_tensors
        if record.features:
            spec = PredictorSpec.from_record(record, release=artifact.entry.release)
            self._predictor = predictor = Predictor(model, spec, reason=reason)
            self.predict, self.predict_batch = predictor.predict, predictor.predict_batch
            self.counters = predictor.counters

    @property
    def name(self) -> str:
        """Of the model."""
        return self.record.model

    @property
    def release(self) -> int:
        """Under which it was installed."""
        return self.artifact.entry.release

    def remember(self, results: ResultCache) -> None:
        """Let ``predict`` answer again what it answered; before the model is handed out. Batches are computed."""
        if self.record.features:
            self._remembering = CachingPredictor(self._predictor, results)
            self.predict = self._remembering.predict

    def warm_up(self) -> Warmed:
        """Make all sessions and run each once; see :meth:`edge_sdk.runtime.Model.warm_up`."""
        return self._model.warm_up()

    def replay_record(
        self, prediction: Prediction, features: Mapping[str, float] | FeatureVector
    ) -> ReplayRecord:
        """What reproduces a prediction of this model bit for bit. It holds the features: keep it on the device.

        Args:
            prediction: as it was answered.
            features: that it was made from.

        Raises:
            InputError: they do not belong together, or to this model.
        """
        from edge_sdk.predict.replay import record_of

        predictor = self._predicting()
        given, filled = predictor.given(features)
        version = engine_version(self.engine)
        return record_of(
            prediction, given, filled, predictor.spec, self.artifact.sha256, self.engine, version
        )

    def replay(self, record: ReplayRecord) -> Replayed:
        """Compute the prediction of a record again and compare; nothing of it is counted.

        Raises:
            InputError: the record is of another bundle.
            FormatError: it does not fit this one's features.
        """
        from edge_sdk.predict.replaying import replay

        # Another release may have brought the same bytes since.
        spec = replace(self._predicting().spec, release=record.release)
        if (record.artifact, record.model) != (self.artifact.sha256, self.name):
            raise InputError(
                f"the record is of {record.model} {record.model_version}, not of {self.artifact.path}"
            )
        by_whom = Reason.FRESH if record.reason is Reason.STALE_FEATURES else record.reason
        predictor = Predictor(self._model, spec, reason=by_whom)
        return replay(record, predictor, self.engine, engine_version(self.engine))

    def forget(self) -> None:
        """Forget the answers that are remembered, and what the latest were made from; counts stay."""
        if self._remembering is not None:
            self._remembering.forget()
        if self.record.features:
            self.counters.recent.clear()

    def close(self) -> None:
        """Wait for the predictions in flight, then give the memory back; answers that are remembered are forgotten."""
        if self._remembering is not None:
            self._remembering.close()
        self._model.close()

    def _predicting(self) -> Predictor:
        if not self.record.features:
            self._takes_tensors()
        return self._predictor

    def _takes_tensors(self, *_: object, **__: object) -> Any:
        raise InputError(f"{self.record.model} takes tensors, not named features; use run")


def open_bundle(served: Source, artifact: Artifact, key: sealing.BundleKey | None, *, known: bool) -> Opened:
    """Verify and open the served bytes, in memory only.

    Args:
        served: the bytes.
        artifact: what they are, as it was signed.
        key: for sealed ones.
        known: they were opened here before, with all checks; see :func:`open_segments`.

    Raises:
        VerificationError: they are not what was signed, or do not open.
        InputError: the wrong key, or none.
    """
    if served.length != artifact.length:
        raise VerificationError(
            f"{artifact.path}: {served.length} bytes, signed are {artifact.length}; fetch it again"
        )
    entry = artifact.entry
    return open_segments(served, entry, sealing.data_key_of(entry, key), known=known)


def load(
    content: BundleContent,
    artifact: Artifact,
    engine: str | Engine,
    max_sessions: int,
    reason: Reason = Reason.FRESH,
) -> LoadedModel:
    """Load a verified bundle into an engine.

    Raises:
        NotAvailable: this engine runs other kinds of payload.
        FormatError: the engine cannot read it, or it does not fit its record.
        UpdateRequired: it needs a newer engine.
        MissingExtraError: the engine is not installed.
    """
    record = content.record
    payload: bytes | Mapping[str, bundle.Content]
    if record.target in bundle.FOLDERS:
        inside = len(record.payload) + 1
        payload = {name[inside:]: data for name, data in content.payload.items()}
    else:
        payload = bytes(content.payload[record.payload])
    model = open_model(payload, engine, max_sessions, state=record.state, proven=True)
    try:
        return LoadedModel(model, record, artifact, reason, engine, feature_spec_of(content))
    except BaseException:
        model.close()
        raise


def feature_spec_of(content: BundleContent) -> bytes | None:
    """The document of the definitions of a model's features; None where it takes tensors."""
    return bytes(content.files[bundle.FEATURE_SPEC_NAME]) if content.record.features else None


def prove(loaded: LoadedModel, content: BundleContent, progress: Progress = silent) -> int:
    """Run every golden case and compare within the record's tolerances.

    Returns:
        How many output tensors were compared; never 0.

    Raises:
        VerificationError: an output is wrong, or the model fails on a case.
        FormatError: the cases are malformed.
    """
    record = content.record
    cases = golden.from_bytes(bytes(content.files[bundle.GOLDEN_NAME]))
    compared = 0
    for done, case in enumerate(cases):
        progress("prove", done, len(cases))
        what = f"{loaded.artifact.path}: golden case {case.id}"
        for result in tolerance.compare(case.outputs, _run(loaded, case.inputs, what), record.tolerances):
            compared += 1
            if not result.ok:
                problem = (
                    result.problem or f"off by {result.error:.3g}, {result.excess:.3g} times the allowance"
                )
                raise VerificationError(
                    f"{what}: output {result.output}: {problem}; the model does not work on this device"
                )
    progress("prove", len(cases), len(cases))
    return compared


def _run(loaded: LoadedModel, inputs: Mapping[str, Array], what: str) -> dict[str, Array]:
    try:
        return loaded.run(inputs)
    except EdgeError as error:
        raise VerificationError(f"{what}: {error}") from error
