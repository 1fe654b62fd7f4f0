"""Ibis expressions as the SQL of an engine."""

from __future__ import annotations

import threading
from typing import Any, Final

from feature_spec.warehouse.packages import ibis

_LOCK: Final = threading.Lock()


def to_sql(expression: Any, dialect: str) -> str:
    """``expression`` in the SQL of ``dialect``.

    Ibis would by default merge one selection into the next, and with it write every shared column out once for each
    use: a feature spec's SQL would grow exponentially. That is a setting of the whole process in Ibis, hence the lock.
    """
    with _LOCK:
        before = ibis.options.sql.fuse_selects
        ibis.options.sql.fuse_selects = False
        try:
            return str(ibis.to_sql(expression, dialect=dialect))
        finally:
            ibis.options.sql.fuse_selects = before
