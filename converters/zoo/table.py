"""The training table: one row a person and cut-off day, with its label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.errors import ConverterError

F32 = NDArray[np.float32]

_PER_ROW = ("features", "labels", "users", "people", "cutoffs")


@dataclass(frozen=True, eq=False)
class Table:
    """Rows to fit and measure a predictor on.

    Attributes:
        feature_names: F names, the columns of ``features``.
        low: [F] smallest value a feature can have.
        high: [F] largest value a feature can have.
        features: float32 [n, F], nothing missing.
        labels: float32 [n], 0 or 1.
        users: [n] who the row is about, as the data names them.
        people: [n] whose rows stay together when splitting (one person may be several users).
        cutoffs: [n] cut-off day of the row as text, ``none`` where the data has none.
    """

    feature_names: tuple[str, ...]
    low: F32
    high: F32
    features: F32
    labels: F32
    users: NDArray[Any]
    people: NDArray[Any]
    cutoffs: NDArray[Any]

    def __post_init__(self) -> None:
        rows = len(self.labels)
        if self.features.dtype != np.float32 or self.features.shape != (rows, len(self.feature_names)):
            raise ConverterError(
                f"features must be float32 [{rows}, {len(self.feature_names)}], "
                f"got {self.features.dtype} {self.features.shape}"
            )
        for name in ("users", "people", "cutoffs"):
            if getattr(self, name).shape != (rows,):
                raise ConverterError(f"{name} must have one entry for each of the {rows} rows")
        if not np.isfinite(self.features).all():
            row, column = np.argwhere(~np.isfinite(self.features))[0]
            raise ConverterError(
                f"feature {self.feature_names[column]} of user {self.users[row]} is not finite; fill it first"
            )
        if not np.isin(self.labels, (0, 1)).all():
            raise ConverterError("labels must be 0 or 1")

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, index: NDArray[Any]) -> Table:
        """The table of these rows only, in this order."""
        return replace(self, **{name: getattr(self, name)[index] for name in _PER_ROW})


def concatenate(tables: Sequence[Table]) -> Table:
    """All rows of tables of the same features, one table after the other."""
    per_row: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in tables]) for name in _PER_ROW
    }
    return replace(tables[0], **per_row)
