"""What the warehouse needs of an engine: a handful of verbs, with Ibis expressions in and tables out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

Table = Any
"""An Ibis table expression."""


class Engine(Protocol):
    """Something that computes Ibis expressions. Tables it names live until it is closed."""

    def read(self, path: Path) -> Table:
        """A CSV or Parquet file. Cells of a CSV file are text, '' being null; instants come as milliseconds since
        1970-01-01T00:00:00Z and dates as texts YYYY-MM-DD, so that neither is taken for the other; whole numbers as
        int64, truth as 1 and 0, other numbers as float64. The name is that of one file and no pattern.

        Raises:
            DataError: the file cannot be read.
        """

    def register(self, arrow: Any) -> Table:
        """A table in memory (``pyarrow.Table``)."""

    def keep(self, expression: Table) -> Table:
        """``expression`` computed once and kept."""

    def fetch(self, expression: Table) -> Any:
        """``expression`` computed, as a ``pyarrow.Table``."""

    def close(self) -> None:
        """Give everything back."""
