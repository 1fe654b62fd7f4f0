"""The packages of the extra ``warehouse``, each imported at its first use."""

from __future__ import annotations

from typing import Any, Final

from feature_spec.extras import Late

EXTRA: Final = "warehouse"

arrow: Any = Late("pyarrow", extra=EXTRA)
arrow_compute: Any = Late("pyarrow.compute", extra=EXTRA)
arrow_csv: Any = Late("pyarrow.csv", extra=EXTRA)
duckdb: Any = Late("duckdb", extra=EXTRA)
ibis: Any = Late("ibis", extra=EXTRA)
parquet: Any = Late("pyarrow.parquet", extra=EXTRA)
