"""Tables of devices and bundle keys, beside the catalogue's. Derived from nothing: back them up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass(frozen=True)
class Tables:
    """Secrets stand here as hashes or wrapped, never as they are."""

    metadata: sa.MetaData
    tokens: sa.Table
    proofs: sa.Table
    devices: sa.Table
    bundle_keys: sa.Table


def tables() -> Tables:
    """The tables; times are RFC 3339 text, which sorts as they do."""
    import sqlalchemy as sa

    metadata = sa.MetaData()
    tokens = sa.Table(
        "enrolment_tokens",
        metadata,
        sa.Column("token_sha256", sa.String(64), primary_key=True),
        sa.Column("expires_at", sa.String(20), nullable=False),
        sa.Column("uses_left", sa.Integer, nullable=False),
    )
    proofs = sa.Table(
        "enrolment_proofs",
        metadata,
        sa.Column("statement_sha256", sa.String(64), primary_key=True),
        sa.Column("forget_at", sa.String(20), nullable=False),
    )
    devices = sa.Table(
        "devices",
        metadata,
        sa.Column("device_id", sa.String(32), primary_key=True),
        sa.Column("thumbprint", sa.String(64), nullable=False, unique=True),
        sa.Column("public_key", sa.String(130), nullable=False),
        sa.Column("credential_sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("enrolled_at", sa.String(20), nullable=False),
        sa.Column("revoked_at", sa.String(20)),
    )
    bundle_keys = sa.Table(
        "bundle_keys",
        metadata,
        sa.Column("bundle_sha256", sa.String(64), primary_key=True),
        sa.Column("kek_id", sa.String(2048), nullable=False),
        sa.Column("wrapped", sa.Text, nullable=False),
        sa.Column("added_at", sa.String(20), nullable=False),
    )
    return Tables(metadata, tokens, proofs, devices, bundle_keys)
