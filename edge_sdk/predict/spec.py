"""What a predictor needs to know of a record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edge_sdk.contract.record import Record, TensorSpec
from edge_sdk.contract.rules import Rules
from edge_sdk.errors import FormatError

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class PredictorSpec:
    """The contract between named features and a model with one row of numbers as its input.

    Attributes:
        model, model_version, release: which model answers; release 0 is a model that nobody published.
        input: name of the input tensor, float32 [batch][features].
        features: names in the order of the input's columns.
        defaults: what each gets when it is missing.
        outputs: names of the outputs with one number a row.
        contributions: name of the output with one number a feature, where there is one.
        fallback: values for an answer that does not come in time; empty if the record declares none.
        rules: from outputs to risk factors and actions.
        max_feature_age_s: from which age on features count as stale.
        feature_spec_sha256: of the definitions of the features; empty where nobody knows.
    """

    model: str
    model_version: str
    release: int
    input: str
    features: tuple[str, ...]
    defaults: tuple[float, ...]
    outputs: tuple[str, ...]
    contributions: str | None = None
    fallback: Mapping[str, float] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    max_feature_age_s: float = DAY_S
    feature_spec_sha256: str = ""

    def __post_init__(self) -> None:
        if not self.features or len(set(self.features)) != len(self.features):
            raise FormatError(f"{self.model}: needs features with different names to predict from")
        if len(self.defaults) != len(self.features) or not all(map(math.isfinite, self.defaults)):
            raise FormatError(
                f"{self.model}: needs one finite default for each of {len(self.features)} features"
            )
        if not self.outputs:
            raise FormatError(f"{self.model}: has no output with one number a row")
        if unknown := set(self.fallback) - set(self.outputs):
            raise FormatError(f"{self.model}: fallback for {min(unknown)!r}, which is no output")
        for name, value in self.fallback.items():
            if not math.isfinite(value):
                raise FormatError(f"{self.model}: fallback for {name!r} is {value}")
        if not self.max_feature_age_s >= 0:
            raise FormatError(f"{self.model}: max_feature_age_s is {self.max_feature_age_s}")
        self.rules.check_names(self.outputs, self.features)
        if self.contributions is None:
            # Without them such a rule could never be looked up.
            for rule in (*self.rules.risk_factors, *self.rules.actions):
                if any(condition.kind == "contribution" for condition in rule.when):
                    raise FormatError(
                        f"{self.model}: rule {rule.key} needs contributions, which it does not have"
                    )
        object.__setattr__(self, "fallback", MappingProxyType(dict(self.fallback)))

    @classmethod
    def from_record(
        cls, record: Record, *, release: int = 0, max_feature_age_s: float = DAY_S
    ) -> PredictorSpec:
        """The spec of a sealed model.

        Raises:
            FormatError: the model does not take one row of named features, or answers with other things than
                one number a row and contributions. Such a model is for ``edge_sdk.runtime.Model.run``.
        """
        width = len(record.features)
        if not width or len(record.inputs) != 1 or record.inputs[0].shape not in ((-1, width), (1, width)):
            raise FormatError(f"{record.model} takes tensors, not one row of named features; use run")
        contributions = [tensor.name for tensor in record.outputs if _is_per_feature(tensor, width)]
        outputs = [tensor for tensor in record.outputs if tensor.name not in contributions]
        for tensor in outputs:
            if tensor.shape not in ((-1, 1), (1, 1), (-1,), (1,)):
                raise FormatError(f"{record.model}: output {tensor.name} is not one number a row; use run")
        if len(contributions) > 1:
            raise FormatError(f"{record.model} has several outputs with contributions; use run")
        return cls(
            model=record.model,
            model_version=record.model_version,
            release=release,
            input=record.inputs[0].name,
            features=tuple(feature.name for feature in record.features),
            defaults=tuple(feature.default for feature in record.features),
            outputs=tuple(tensor.name for tensor in outputs),
            contributions=contributions[0] if contributions else None,
            fallback=record.fallback,
            rules=record.rules,
            max_feature_age_s=max_feature_age_s,
            feature_spec_sha256=record.feature_spec_sha256,
        )


def _is_per_feature(tensor: TensorSpec, width: int) -> bool:
    return tensor.per_feature and tensor.shape in ((-1, width), (1, width))
