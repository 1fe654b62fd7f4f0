"""The data keys of sealed bundles, wrapped by a key provider."""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from typing import TYPE_CHECKING

from edge_sdk.contract import identifiers
from model_server.catalogue import translated
from model_server.device_tables import tables
from model_server.errors import NotFound, Refused
from model_server.key_provider import KeyProvider

if TYPE_CHECKING:
    import sqlalchemy as sa

DATA_KEY_BYTES = 32


class BundleKeys:
    """Bundle digest to data key. A key never changes: the bytes that it opens do not either."""

    def __init__(self, engine: sa.Engine, provider: KeyProvider) -> None:
        """Make the table where there is none.

        Raises:
            StorageError: the database cannot be used.
        """
        self._engine, self._provider = engine, provider
        all_tables = tables()
        self._table = all_tables.bundle_keys
        with translated():
            all_tables.metadata.create_all(engine)

    def add(self, bundle_sha256: str, data_key: bytes, now: datetime) -> bool:
        """Keep a data key; was it new?

        Raises:
            Refused: not 32 bytes, or another key than the one that is kept for this bundle.
            StorageError, StateError: database or provider cannot be used.
        """
        from sqlalchemy.exc import IntegrityError

        identifiers.sha256_hex(bundle_sha256, "bundle")
        if len(data_key) != DATA_KEY_BYTES:
            raise Refused(f"a data key has {DATA_KEY_BYTES} bytes, not {len(data_key)}")
        row = {
            "bundle_sha256": bundle_sha256,
            "kek_id": self._provider.key_id,
            "wrapped": _text(self._provider.wrap(data_key, bundle_sha256)),
            "added_at": identifiers.format_time(now),
        }
        with translated(), self._engine.connect() as connection:
            try:
                connection.execute(self._table.insert(), [row])
                connection.commit()
                return True
            except IntegrityError:
                connection.rollback()
        if not hmac.compare_digest(self.get(bundle_sha256), data_key):
            raise Refused(f"another data key is kept for bundle {bundle_sha256}; seal it again")
        return False

    def get(self, bundle_sha256: str) -> bytes:
        """The data key.

        Raises:
            NotFound: there is none.
            StorageError, StateError: database or provider cannot be used.
        """
        query = self._table.select().where(self._table.c.bundle_sha256 == bundle_sha256)
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"no data key is kept for bundle {bundle_sha256}; it is not sealed for devices")
        return self._provider.unwrap(base64.b64decode(row.wrapped), bundle_sha256, row.kek_id)

    def rewrap(self) -> int:
        """Wrap again whatever an older key encryption key wraps; how many data keys that were.

        Served without a pause: each row is swapped for one that says the same. May be run again after an
        interruption, and by several at a time. Once it is through, older keys may be destroyed.

        Raises:
            StorageError, StateError: database or provider cannot be used; what was done stays done.
        """
        current = self._provider.key_id
        columns = self._table.c
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(self._table.select().where(columns.kek_id != current)).all()
        for row in rows:
            sha256 = row.bundle_sha256
            data_key = self._provider.unwrap(base64.b64decode(row.wrapped), sha256, row.kek_id)
            wrapped = _text(self._provider.wrap(data_key, sha256))
            same = (columns.bundle_sha256 == sha256) & (columns.wrapped == row.wrapped)
            change = self._table.update().where(same).values(kek_id=current, wrapped=wrapped)
            with translated(), self._engine.begin() as connection:
                connection.execute(change)
        return len(rows)


def _text(wrapped: bytes) -> str:
    return base64.b64encode(wrapped).decode("ascii")
