"""Golden cases: inputs with the outputs that every runtime must reproduce within the record's tolerances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError
from feature_spec.canonical import canonical_json

FORMAT = "coach-edge/golden/1"
MAX_BYTES = 4_000_000
Tensor = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """One run of the model: ``inputs`` and the ``outputs`` expected of it, float32 by tensor name."""

    id: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


def to_bytes(cases: Sequence[Case]) -> bytes:
    """Canonical JSON; float32 values are written as the doubles that equal them, so nothing is rounded."""

    def tensors(values: Mapping[str, Tensor]) -> dict[str, object]:
        return {
            name: np.asarray(value, np.float32).astype(np.float64).tolist() for name, value in values.items()
        }

    return canonical_json(
        {
            "format": FORMAT,
            "cases": [
                {"id": c.id, "inputs": tensors(c.inputs), "outputs": tensors(c.outputs)} for c in cases
            ],
        }
    )


def from_bytes(data: bytes) -> tuple[Case, ...]:
    """The cases of ``golden/cases.json``.

    Raises:
        FormatError: malformed, no case at all, a repeated id, or a value that is not a finite number.
    """
    top = Fields(document.parse(data, "golden cases", max_bytes=MAX_BYTES), "golden cases")
    top.format(FORMAT)
    cases = []
    for index, item in enumerate(top.array("cases")):
        fields = Fields(item, f"golden case {index}")
        case_id = fields.text("id")
        cases.append(
            Case(
                case_id,
                _tensors(fields.mapping("inputs"), case_id),
                _tensors(fields.mapping("outputs"), case_id),
            )
        )
    if not cases:
        raise FormatError("golden cases: there is none, so nothing would be proven")
    if len({case.id for case in cases}) != len(cases):
        raise FormatError("golden cases: an id is repeated")
    return tuple(cases)


def _tensors(values: Mapping[str, object], case_id: str) -> dict[str, Tensor]:
    if not values:
        raise FormatError(f"golden case {case_id}: no tensors")
    result = {}
    for name, value in values.items():
        try:
            if not _numeric(value):
                raise TypeError("text, a truth value or null")  # which NumPy would turn into numbers
            tensor = np.asarray(value, np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise FormatError(f"golden case {case_id}: '{name}' is not a tensor of numbers") from error
        with np.errstate(over="ignore"):
            narrow = tensor.astype(np.float32)
        if not np.isfinite(narrow).all():
            raise FormatError(f"golden case {case_id}: '{name}' holds a value that is not finite in float32")
        result[name] = narrow
    return result


def _numeric(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_numeric, value))
    return type(value) in (int, float)
