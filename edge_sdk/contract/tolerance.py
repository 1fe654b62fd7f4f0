"""Comparators: are two outputs the same within what the record allows?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError


@dataclass(frozen=True)
class Tolerance:
    """``|actual - expected| <= absolute + relative * |expected|``, in the unit of the output."""

    absolute: float
    relative: float = 0.0

    def __post_init__(self) -> None:
        for value in (self.absolute, self.relative):
            if not 0 <= value <= 1:
                raise FormatError(f"tolerance {value} is not between 0 and 1")

    @classmethod
    def from_json(cls, value: object, what: str) -> Tolerance:
        fields = Fields(value, what)
        return cls(fields.number("absolute"), fields.number("relative"))

    def to_json(self) -> dict[str, float]:
        return {"absolute": self.absolute, "relative": self.relative}


@dataclass(frozen=True)
class Comparison:
    """The outcome for one output tensor of one case.

    ``error`` is the largest absolute difference; ``excess`` is the largest share of the allowance that was
    used (over 1: refused). ``problem`` is empty, or why no number could be given (shape, dtype, not finite).
    """

    output: str
    ok: bool
    error: float
    excess: float
    problem: str = ""


def compare(
    expected: Mapping[str, npt.NDArray[np.float32]],
    actual: Mapping[str, npt.NDArray[np.generic]],
    tolerances: Mapping[str, Tolerance],
) -> tuple[Comparison, ...]:
    """Compare every expected output; dtype and shape first, then closeness.

    A case must expect exactly the outputs that have a tolerance, which are all outputs of the record: a case
    that leaves one out would prove nothing of it. What ``actual`` lacks is a failed comparison.

    Raises:
        FormatError: there is nothing to compare, or the case expects other outputs.
    """
    if not expected:
        raise FormatError("there is no expected output to compare with")
    if odd := set(expected) ^ set(tolerances):
        raise FormatError(f"golden case and record disagree on whether there is an output '{min(odd)}'")
    return tuple(
        _compare_one(output, want, actual.get(output), tolerances[output])
        for output, want in expected.items()
    )


def _compare_one(
    output: str, want: npt.NDArray[np.float32], got: npt.NDArray[np.generic] | None, tolerance: Tolerance
) -> Comparison:
    def failed(problem: str) -> Comparison:
        return Comparison(output, False, float("inf"), float("inf"), problem)

    if got is None:
        return failed("the device gave no such output")
    if got.dtype != want.dtype:
        return failed(f"dtype {got.dtype}, expected {want.dtype}")
    if got.shape != want.shape or want.size == 0:
        return failed(f"shape {got.shape}, expected {want.shape}")
    wide, exact = got.astype(np.float64), want.astype(np.float64)
    if not np.isfinite(wide).all():
        return failed("a value is not finite")
    difference = np.abs(wide - exact)
    allowed = tolerance.absolute + tolerance.relative * np.abs(exact)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(difference == 0, 0.0, difference / allowed)
    ok = bool((difference <= allowed).all())  # the formula itself: the quotient below is rounded once more
    return Comparison(output, ok, float(difference.max()), float(share.max()))
