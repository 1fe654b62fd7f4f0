"""From a converted artifact to a sealed bundle: record, golden cases, feature definitions, payload.

The same model and artifact give the same plain bundle, byte for byte; its encryption never repeats.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from converters.coreml_eval import CoreMLProgram
from converters.errors import GateError, SourceError
from converters.gates import LIMITS, Twin
from converters.sources import INPUT
from converters.targets import Artifact
from converters.zoo.model_dir import TrainedModel
from converters.zoo.rows import golden_rows
from edge_sdk.contract import bundle, golden
from edge_sdk.contract.golden import Case
from edge_sdk.contract.record import Budgets, FeatureInput, FileDigest, Record, TensorSpec, bundle_files
from edge_sdk.contract.rules import Rules
from edge_sdk.contract.tolerance import Tolerance
from edge_sdk.crypto import sealing
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.sealing import AppKey, Sealed
from edge_sdk.errors import EdgeError, FormatError
from feature_spec.extras import require

Arrays = Mapping[str, NDArray[Any]]
Inputs = Mapping[str, NDArray[np.float32]]

_GOLDEN_SEED: Final = 0
"""The same made-up rows for every target and recipe of a model, so that their goldens can be laid side by side."""

_UNITS: Final = {"probability": "probability", "confidence": "share", "contributions": "probability"}
_PER_FEATURE: Final = frozenset({"contributions"})
_IOS: Final = "coreml-ios15"
"""The one deployment target that the converter writes."""


@dataclass(frozen=True)
class OutputFacts:
    """What nobody can see in a graph about one of its outputs."""

    unit: str
    tolerance: Tolerance
    per_feature: bool = False


@dataclass(frozen=True)
class ModelFacts:
    """What a record says of a model besides what is in the artifact; features may be absent.

    Attributes:
        outputs: facts by name, in the order of the record.
        cases: inputs of the golden cases by case id, one row each.
        input_units: by name; an input without features has its own unit.
        features: the columns of the only input, in order; empty for a model that takes tensors.
        feature_spec: the canonical document that defines them; empty without features.
        rules: what predictions mean.
        fallback: what to answer when the model cannot, for outputs of one number a row.
        budgets: what the artifact may cost on a device.
        state: whether recurrent layers remember (``variables``) or nothing does (``none``).
        about: what no reader acts on: metrics, licence, provenance.
    """

    outputs: Mapping[str, OutputFacts]
    cases: Mapping[str, Inputs]
    input_units: Mapping[str, str] = field(default_factory=dict)
    features: tuple[FeatureInput, ...] = ()
    feature_spec: bytes = b""
    rules: Rules = field(default_factory=Rules)
    fallback: Mapping[str, float] = field(default_factory=dict)
    budgets: Budgets = field(default_factory=Budgets)
    state: str = "none"
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.cases:
            raise SourceError(
                "a bundle needs golden cases, else a device could prove nothing; give some inputs"
            )
        if bool(self.features) != bool(self.feature_spec):
            raise SourceError(
                "features and the feature spec that defines them go together; give both or none"
            )


def facts_of(model: TrainedModel) -> ModelFacts:
    """The facts of a zoo model: features and ranges from its spec, rules from the zoo, metrics from training.

    Raises:
        SourceError: the ensemble clips its inputs to other ranges than the spec's.
    """
    ensemble, training = model.ensemble, model.training
    for feature, low, high in zip(model.spec.features, ensemble.low, ensemble.high, strict=True):
        if (np.float32(feature.low), np.float32(feature.high)) != (low, high):
            raise SourceError(
                f"feature {feature.name} is {feature.low}..{feature.high} by feature_spec.json, but the ensemble "
                f"clips it to {low}..{high}; train again"
            )
    rows = golden_rows(ensemble, np.random.default_rng(_GOLDEN_SEED))
    data = {name: value for name, value in training.data.to_json().items() if name != "notices"}
    return ModelFacts(
        outputs={
            name: OutputFacts(_UNITS[name], Tolerance(LIMITS[name]), name in _PER_FEATURE)
            for name in model.zoo.outputs
        },
        cases={f"row-{number:02}": {INPUT: row[None]} for number, row in enumerate(rows)},
        input_units={INPUT: "as the features"},
        features=tuple(
            FeatureInput(feature.name, feature.unit, feature.low, feature.high, feature.missing)
            for feature in model.spec.features
        ),
        feature_spec=model.feature_spec_bytes,
        rules=model.zoo.rules,
        fallback={name: value for name, value in model.fallback.items() if name not in _PER_FEATURE},
        about={
            "metrics": dict(training.metrics),
            "licence": {"data": data.pop("licence")},
            "provenance": {"zoo": training.model, "seed": training.seed, "data": data},
        },
    )


def build_record(
    facts: ModelFacts,
    artifact: Artifact,
    rest: Mapping[str, bytes],
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    name: str,
    model_version: str,
    twin: Twin | None = None,
) -> Record:
    """The record of one artifact.

    Args:
        facts: of the model.
        artifact: what was converted.
        rest: every file of the bundle but the record.
        inputs: the artifact's inputs, as its runtime reads them.
        outputs: its outputs, in the order of the facts.
        name: of the model, as devices ask for it.
        model_version: semantic.
        twin: how far the artifact was found from its source; told to whoever reads the record.

    Raises:
        FormatError: a name, version or feature that a record cannot have.
    """
    recipe = artifact.plan.recipe
    about = {
        **facts.about,
        "quantization": {
            "weight_bits": recipe.weight_bits,
            "operators": sorted(recipe.operators),
            "summary": recipe.summary,
        },
    }
    if twin is not None:
        about["agreement"] = {"max_abs": dict(twin.max_abs), "decisions": twin.agreement}
    return Record(
        model=name,
        model_version=model_version,
        target=artifact.plan.target,
        recipe=recipe.name,
        state=facts.state,
        files={file: FileDigest.of(content) for file, content in rest.items()},
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        feature_spec_sha256=hashlib.sha256(facts.feature_spec).hexdigest() if facts.features else "",
        features=facts.features,
        tolerances={output: fact.tolerance for output, fact in facts.outputs.items()},
        budgets=facts.budgets,
        rules=facts.rules,
        fallback=facts.fallback,
        about=about,
    )


def build_plain(
    facts: ModelFacts, artifact: Artifact, *, name: str, model_version: str, twin: Twin | None = None
) -> bytes:
    """The plain bundle of one artifact; golden outputs are the artifact's own, one row at a time.

    Raises:
        GateError: the artifact does not run, has other inputs or outputs than the facts, or is over its budget.
        FormatError: as ``build_record``.
    """
    with _reference_runtime(artifact, facts.state) as runtime:
        inputs = tuple(_tensor(info, facts.input_units.get(info.name, ""), False) for info in runtime.inputs)
        by_name = {info.name: info for info in runtime.outputs}
        if set(by_name) != set(facts.outputs):
            raise GateError(
                f"{artifact.plan} has the outputs {sorted(by_name)}, promised are {sorted(facts.outputs)}"
            )
        outputs = tuple(
            _tensor(by_name[output], fact.unit, fact.per_feature) for output, fact in facts.outputs.items()
        )
        cases = [
            Case(case_id, given, _answers(runtime, given, artifact)) for case_id, given in facts.cases.items()
        ]
    rest = {bundle.GOLDEN_NAME: golden.to_bytes(cases), **artifact.files}
    if facts.features:
        rest[bundle.FEATURE_SPEC_NAME] = facts.feature_spec
    record = build_record(
        facts, artifact, rest, inputs, outputs, name=name, model_version=model_version, twin=twin
    )
    plain = bundle.write(bundle_files(record, rest))
    if len(plain) > facts.budgets.bundle_bytes:
        raise GateError(
            f"{artifact.plan}: the bundle has {len(plain)} bytes, its budget is {facts.budgets.bundle_bytes}; "
            "make the model smaller, or use another recipe"
        )
    return plain


def seal_artifact(
    facts: ModelFacts,
    artifact: Artifact,
    *,
    name: str,
    model_version: str,
    channel: str = "stable",
    release: int = 1,
    app_key: AppKey | None = None,
    data_key: DataKey | None = None,
    compress: bool = True,
    twin: Twin | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> Sealed:
    """Build the bundle of an artifact, seal it, and open it again as a device will before handing it out.

    Args:
        facts: of the model; ``facts_of`` for one of the zoo.
        artifact: what was converted and proven.
        name: of the model, as devices ask for it.
        model_version: semantic.
        channel: written into the entry; publishing may choose another one, as for ``release``.
        release: see ``channel``.
        app_key: for tier ``app-key``.
        data_key: for tier ``device-key``, fresh for this bundle; with neither key, tier ``none``.
        compress: where it pays; False for a bundle that deltas are to lead to.
        twin: as in ``build_record``.
        random: source of data key, salt and nonces.

    Raises:
        GateError, FormatError: as ``build_plain``.
    """
    plain = build_plain(facts, artifact, name=name, model_version=model_version, twin=twin)
    sealed = sealing.seal(
        plain,
        channel=channel,
        release=release,
        requires=_requires(artifact),
        app_key=app_key,
        data_key=data_key,
        compress=compress,
        random=random,
    )
    sealing.open_served(sealed.served, sealed.sha256, sealed.entry, app_key or data_key)
    return sealed


class _Info(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


class _Runtime(Protocol):
    """What models of the SDK and the Core ML evaluator have in common."""

    @property
    def inputs(self) -> Sequence[_Info]: ...

    @property
    def outputs(self) -> Sequence[_Info]: ...

    def run(self, inputs: Arrays) -> Arrays: ...


@contextmanager
def _reference_runtime(artifact: Artifact, state: str) -> Iterator[_Runtime]:
    """What defines the right answers of a target: LiteRT, ONNX Runtime, or the Core ML evaluator."""
    from edge_sdk.runtime import open_model

    if artifact.plan.target == "coreml":
        yield CoreMLProgram.from_package(artifact.package)
        return
    engine = {"tflite": "litert", "onnx": "onnxruntime"}[artifact.plan.target]
    try:
        with open_model(artifact.content, engine=engine, max_sessions=1, state=state) as model:
            yield model
    except FormatError as error:
        raise GateError(f"{artifact.plan} does not load: {error}") from error


def _tensor(info: _Info, unit: str, per_feature: bool) -> TensorSpec:
    return TensorSpec(info.name, info.dtype.name, tuple(info.shape), unit, per_feature)


def _answers(runtime: _Runtime, given: Inputs, artifact: Artifact) -> dict[str, NDArray[np.float32]]:
    try:
        answers = runtime.run(given)
    except EdgeError as error:
        raise GateError(f"{artifact.plan} does not run: {error}") from error
    for output, values in answers.items():
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise GateError(
                f"{artifact.plan} gives {output} as {values.dtype}, or not finite; golden cases need float32"
            )
    return {output: np.asarray(values, np.float32) for output, values in answers.items()}


def _requires(artifact: Artifact) -> str:
    """What a device must be able to run, as entries say it."""
    if artifact.plan.target == "coreml":
        return _IOS
    if artifact.plan.target == "tflite":
        return "tflite"
    onnx: Any = require("onnx", extra="convert")
    (opset,) = (
        item.version for item in onnx.load_from_string(artifact.content).opset_import if not item.domain
    )
    return f"onnx-opset{opset}"
