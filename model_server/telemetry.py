"""What devices told, summed up: by model, version, release, channel and hour. Of single devices nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from edge_sdk.contract import identifiers
from edge_sdk.contract.telemetry import ALERTS, COUNTS, LATENCIES, PLATFORMS, Report, Window, key_of
from model_server.catalogue import translated
from model_server.errors import Refused
from model_server.state import Repository

if TYPE_CHECKING:
    import sqlalchemy as sa

OLDEST: Final = timedelta(days=45)
"""Devices keep a report for 14 days, and one is about 31 days at most."""

AHEAD: Final = timedelta(hours=2)
MAX_SERIES: Final = 400
"""Names of counts and histograms in one group of sums: so that nobody fills the database with names. Those that are
fixed have their place besides, which nobody can take from them."""

MOST: Final = 2**62
"""Sums stay there: anybody can send counts of 2^53, and a sum of 64 bits must not overflow."""

REPORTS: Final = "reports"
_FIXED: Final = frozenset(
    {
        *(REPORTS, f"{REPORTS}.exact", f"{REPORTS}.private", *COUNTS, *LATENCIES),
        *(f"platform.{platform}" for platform in PLATFORMS),
        *(f"alert.{alert}" for alert in ALERTS),
    }
)
_GROUP: Final = ("model", "model_version", "release", "channel", "hour")


@dataclass(frozen=True)
class _Tables:
    metadata: sa.MetaData
    sums: sa.Table
    seen: sa.Table


class Telemetry:
    """Sums of reports, in tables beside the catalogue's."""

    def __init__(self, engine: sa.Engine, repository: Repository) -> None:
        """Make the tables where there are none.

        Raises:
            StorageError: the database cannot be used.
        """
        self._engine, self._repository = engine, repository
        self._tables = _tables()
        with translated():
            self._tables.metadata.create_all(engine)

    def add(self, data: bytes, now: datetime) -> bool:
        """Add a report, once: what came before with the same bytes adds nothing.

        Args:
            data: the report as it was sent.
            now: the present moment.

        Returns:
            Whether it was new.

        Raises:
            FormatError: no report.
            Refused: of a release that is not published here, or of hours too long ago or to come.
            StorageError: the database cannot be used.
        """
        report = Report.from_bytes(data)
        self._check(report.window, now)
        group = self._group(report.window)
        with translated(), self._engine.begin() as connection:
            seen = self._tables.seen
            connection.execute(seen.delete().where(seen.c.forget_at < identifiers.format_time(now)))
            forget_at = identifiers.format_time(report.window.start + 2 * OLDEST)
            first = self._insert(seen).values(key=key_of(data), forget_at=forget_at).on_conflict_do_nothing()
            if not connection.execute(first).rowcount:
                return False
            taken = self._taken(connection, group, {series for series, _, _ in _counted(report)})
            rows = [
                {**group, "series": series, "bin": at, "count": count}
                for series, at, count in sorted(
                    _counted(report)
                )  # in one order, or two reports wait for each other
                if series in taken
            ]
            insert = self._insert(self._tables.sums)
            added = insert.on_conflict_do_update(
                index_elements=[*_GROUP, "series", "bin"], set_={"count": self._total(insert.excluded.count)}
            )
            connection.execute(added, rows)
        return True

    def sums(self, model: str | None = None) -> list[dict[str, Any]]:
        """All sums, by model, channel, release and hour, the newest first; of one model or of all."""
        table = self._tables.sums
        order = (table.c.model, table.c.channel, table.c.release.desc(), table.c.hour.desc())
        query = table.select().order_by(*order, table.c.model_version, table.c.series, table.c.bin)
        if model is not None:
            query = query.where(table.c.model == model)
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        groups: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in rows:
            key = tuple(row[name] for name in _GROUP)
            group = groups.setdefault(
                key, {name: row[name] for name in _GROUP} | {"counts": {}, "histograms": {}}
            )
            if row["bin"] < 0:
                group["counts"][row["series"]] = row["count"]
            else:
                group["histograms"].setdefault(row["series"], []).append([row["bin"], row["count"]])
        return list(groups.values())

    def _check(self, window: Window, now: datetime) -> None:
        subject, state = window.subject, self._repository.current()
        published = state.manifest.artifacts if state is not None else ()
        wanted = (subject.model, subject.channel, subject.release, subject.model_version)
        if not any(
            (e.model, e.channel, e.release, e.model_version) == wanted for e in (a.entry for a in published)
        ):
            raise Refused(
                f"{subject.model} {subject.model_version}, release {subject.release} of {subject.channel}, is not "
                "published here; drop the report"
            )
        if window.start < now - OLDEST or window.end > now + AHEAD:
            raise Refused(
                f"the report is about {identifiers.format_time(window.start)} and it is "
                f"{identifiers.format_time(now)} here; drop it"
            )

    def _group(self, window: Window) -> dict[str, Any]:
        values = {**vars(window.subject), "hour": identifiers.format_time(window.start)}
        return {name: values[name] for name in _GROUP}

    def _taken(self, connection: sa.Connection, group: dict[str, Any], series: set[str]) -> set[str]:
        """Those that are fixed or have a row already, and as many others as there is room for."""
        import sqlalchemy as sa

        table = self._tables.sums
        same = sa.and_(*(table.c[name] == value for name, value in group.items()))
        known = set(connection.execute(sa.select(table.c.series).where(same).distinct()).scalars())
        room = max(MAX_SERIES - len(known - _FIXED), 0)
        return known | _FIXED | set(sorted(series - known - _FIXED)[:room])

    def _total(self, more: sa.ColumnElement[int]) -> sa.Case[int]:
        import sqlalchemy as sa

        total = self._tables.sums.c.count + more
        return sa.case((total > MOST, MOST), (total < -MOST, -MOST), else_=total)

    def _insert(self, table: sa.Table) -> Any:
        """INSERT that may go on where a row is there: SQLite and PostgreSQL write it alike, others not at all."""
        from sqlalchemy.dialects import postgresql, sqlite

        return (postgresql if self._engine.dialect.name == "postgresql" else sqlite).insert(table)


def _counted(report: Report) -> Iterator[tuple[str, int, int]]:
    """Series, bin (-1 for a plain count) and how many to add."""
    window = report.window
    yield REPORTS, -1, 1
    yield f"{REPORTS}.{'exact' if report.privacy is None else 'private'}", -1, 1
    yield f"platform.{window.subject.platform}", -1, 1
    for alert in report.alerts:
        yield f"alert.{alert}", -1, 1
    for name, count in window.tally.counts.items():
        yield name, -1, count
    for name, counts in window.tally.histograms.items():
        for at, count in counts.items():
            yield name, at, count


def _tables() -> _Tables:
    import sqlalchemy as sa

    metadata = sa.MetaData()
    sums = sa.Table(
        "telemetry_sums",
        metadata,
        sa.Column("model", sa.String(63), primary_key=True),
        sa.Column("model_version", sa.String, primary_key=True),
        sa.Column("release", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("channel", sa.String(63), primary_key=True),
        sa.Column("hour", sa.String(20), primary_key=True),
        sa.Column("series", sa.String(120), primary_key=True),
        sa.Column("bin", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
    seen = sa.Table(
        "telemetry_seen",
        metadata,
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("forget_at", sa.String(20), nullable=False, index=True),
    )
    return _Tables(metadata, sums, seen)
