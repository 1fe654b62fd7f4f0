"""The catalogue: what is published, as a database to ask. Derived from the signed metadata, and rebuilt from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from edge_sdk.contract import identifiers
from edge_sdk.contract.entry import target_path
from feature_spec.extras import require
from model_server import layout
from model_server.errors import StorageError
from model_server.state import State

if TYPE_CHECKING:
    import sqlalchemy as sa

FirstSeen = Mapping[str, datetime]
"""Target path to when it was first signed."""


@dataclass(frozen=True)
class _Tables:
    metadata: sa.MetaData
    artifacts: sa.Table
    described: sa.Table
    audit: sa.Table


class Catalogue:
    """One row an artifact, one row that says which targets they are from, and a log of what was done.

    Only the log is not derived; losing the database loses nothing else.
    """

    def __init__(self, url: str) -> None:
        """Open the database and make its tables.

        Args:
            url: as SQLAlchemy writes it, such as ``sqlite:///catalogue.sqlite``.

        Raises:
            StorageError: it cannot be opened.
            MissingExtraError: SQLAlchemy is not installed.
        """
        require("sqlalchemy", extra="server")
        import sqlalchemy as sa

        self._tables = _tables()
        with translated():
            self._engine = sa.create_engine(url)
            self._tables.metadata.create_all(self._engine)

    @property
    def engine(self) -> sa.Engine:
        """The database, for those who keep tables of their own beside these."""
        return self._engine

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def version(self) -> tuple[int, str] | None:
        """Version and digest of the targets that the rows are from."""
        table = self._tables.described
        with translated(), self._engine.connect() as connection:
            row = connection.execute(table.select()).first()
        return None if row is None else (int(row.targets_version), str(row.targets_sha256))

    def rebuild(self, state: State, first_seen: FirstSeen) -> None:
        """Replace all rows by what the signed metadata says, in one transaction."""
        rows = [
            {
                "model": artifact.entry.model,
                "channel": artifact.entry.channel,
                "release": artifact.entry.release,
                "target": artifact.entry.target,
                "recipe": artifact.entry.recipe,
                "model_version": artifact.entry.model_version,
                "sha256": artifact.sha256,
                "length": artifact.length,
                "published_at": identifiers.format_time(first_seen.get(artifact.path, state.manifest.issued)),
            }
            for artifact in state.manifest.artifacts
        ]
        described = {
            "id": 1,
            "targets_version": state.version,
            "targets_sha256": layout.digest(state.targets),
        }
        with translated(), self._engine.begin() as connection:
            connection.execute(self._tables.artifacts.delete())
            connection.execute(self._tables.described.delete())
            if rows:
                connection.execute(self._tables.artifacts.insert(), rows)
            connection.execute(self._tables.described.insert(), [described])

    def first_seen(self) -> dict[str, datetime]:
        """When each artifact in the rows was first signed, by target path."""
        table = self._tables.artifacts
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(table.select()).all()
        return {
            target_path(row.model, row.channel, row.release, row.target, row.recipe): identifiers.parse_time(
                row.published_at
            )
            for row in rows
        }

    def releases(self) -> list[dict[str, Any]]:
        """Releases by model, channel and number, newest first, each with its artifacts."""
        table = self._tables.artifacts
        order = (table.c.model, table.c.channel, table.c.release.desc(), table.c.target, table.c.recipe)
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(table.select().order_by(*order)).mappings().all()
        releases: dict[tuple[str, str, int], dict[str, Any]] = {}
        for row in rows:
            key = (row["model"], row["channel"], row["release"])
            common = ("model", "channel", "release", "model_version", "published_at")
            release = releases.setdefault(key, {name: row[name] for name in common} | {"artifacts": []})
            release["artifacts"].append(
                {name: row[name] for name in ("target", "recipe", "length", "sha256")}
            )
        return list(releases.values())

    def audit(self, at: datetime, action: str, detail: Mapping[str, Any]) -> None:
        """Note what was done."""
        row = {
            "at": identifiers.format_time(at),
            "action": action,
            "detail": json.dumps(detail, sort_keys=True),
        }
        with translated(), self._engine.begin() as connection:
            connection.execute(self._tables.audit.insert(), [row])

    def audited(self) -> list[dict[str, Any]]:
        """Everything that was noted, oldest first."""
        table = self._tables.audit
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(table.select().order_by(table.c.id)).mappings().all()
        return [
            {"at": row["at"], "action": row["action"], "detail": json.loads(row["detail"])} for row in rows
        ]


def _tables() -> _Tables:
    import sqlalchemy as sa

    metadata = sa.MetaData()
    artifacts = sa.Table(
        "artifacts",
        metadata,
        sa.Column("model", sa.String(63), primary_key=True),
        sa.Column("channel", sa.String(63), primary_key=True),
        sa.Column("release", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("target", sa.String(63), primary_key=True),
        sa.Column("recipe", sa.String(63), primary_key=True),
        sa.Column("model_version", sa.String, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("published_at", sa.String(20), nullable=False),
    )
    described = sa.Table(
        "described",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("targets_version", sa.BigInteger, nullable=False),
        sa.Column("targets_sha256", sa.String(64), nullable=False),
    )
    audit = sa.Table(
        "audit",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.String(20), nullable=False),
        sa.Column("action", sa.String(30), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    return _Tables(metadata, artifacts, described, audit)


@contextmanager
def translated() -> Iterator[None]:
    """The one place where the database's errors become ours."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, ModuleNotFoundError) as error:  # the latter: a driver that the URL names
        raise StorageError(f"the catalogue cannot be used: {' '.join(str(error).split())}") from error
