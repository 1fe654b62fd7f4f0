"""Devices: enrolment by a token and a proof of possession, credentials, revocation."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edge_sdk.contract import identifiers
from edge_sdk.contract.key_blob import Statement, credential_sha256, thumbprint
from edge_sdk.crypto import hpke
from edge_sdk.errors import FormatError, VerificationError
from model_server.catalogue import translated
from model_server.device_tables import tables
from model_server.errors import Conflict, NotFound, Refused, Revoked, Unauthorized

if TYPE_CHECKING:
    import sqlalchemy as sa

PROOF_LIFETIME = timedelta(minutes=5)
"""How far the time in a proof may be from this server's clock, in either direction."""

MAX_TOKEN_USES = 1_000_000
MAX_TOKEN_LIFETIME = timedelta(days=366)
Secret = Callable[[], str]


def new_secret() -> str:
    """256 random bits as text, for tokens and credentials."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Enrolled:
    """What a device gets: who it is, and the credential that says so, which is kept nowhere else."""

    device_id: str
    credential: str = field(repr=False)


class Devices:
    """Who may ask for keys. Tokens and credentials are kept as SHA-256, which is enough for 256 random bits."""

    def __init__(self, engine: sa.Engine, secret: Secret = new_secret) -> None:
        """Make the tables where there are none.

        Raises:
            StorageError: the database cannot be used.
        """
        self._engine, self._secret = engine, secret
        self._tables = tables()
        with translated():
            self._tables.metadata.create_all(engine)

    def issue_token(self, now: datetime, lifetime: timedelta, uses: int = 1) -> str:
        """A token with which ``uses`` devices may enrol until it expires, and nothing else may be done.

        Raises:
            Refused: a number out of range.
        """
        if not timedelta(0) < lifetime <= MAX_TOKEN_LIFETIME or not 1 <= uses <= MAX_TOKEN_USES:
            raise Refused(f"a token is for 1 to {MAX_TOKEN_USES} devices and for at most a year")
        token = self._secret()
        row = {
            "token_sha256": credential_sha256(token),
            "expires_at": identifiers.format_time(now + lifetime),
            "uses_left": uses,
        }
        with translated(), self._engine.begin() as connection:
            connection.execute(self._tables.tokens.insert(), [row])
        return token

    def enrol(self, statement: Statement, signature: bytes, credential: str, now: datetime) -> Enrolled:
        """Take a device in.

        1. The proof is about this credential, fresh, and signed by the key that it names.
        2. It is used once. (Remembered is the statement, since of one statement there are several signatures.)
        3. The credential is a token with a use left, or that of an active device, which this one replaces.
        4. A revoked key stays revoked. One that is active gets a new credential in place of its old one: the
           answer to its first request may have been lost.

        All of it is one transaction; a refusal uses up nothing. That the statement names this server is for the
        caller to check.

        Args:
            statement: what the device says it has signed.
            signature: DER.
            credential: enrolment token or device credential.
            now: the present moment.

        Raises:
            Unauthorized: the credential is not known, used up, expired or revoked.
            Revoked: this device key was revoked.
            Refused: the proof is not fresh, not good, or was used.
            Conflict: the same key is being enrolled at this moment.
        """
        if statement.credential_sha256 != credential_sha256(credential):
            raise Refused("the proof is for another token; sign one for this token")
        if abs(now - statement.issued) > PROOF_LIFETIME:
            raise Refused(
                f"the proof is of {identifiers.format_time(statement.issued)}, and it is "
                f"{identifiers.format_time(now)} here; set the clock and sign a fresh one"
            )
        message = statement.to_bytes()
        try:
            hpke.verify_signature(statement.public_key, signature, message)
        except FormatError:
            raise
        except VerificationError as error:
            raise Refused(f"{error}; sign it with that key") from error
        enrolled = Enrolled(secrets.token_hex(16), self._secret())
        with translated(), self._engine.begin() as connection:
            self._use_proof(connection, hashlib.sha256(message).hexdigest(), now)
            self._use_credential(connection, statement, now)
            return self._store(connection, statement.public_key, enrolled, now)

    def _use_proof(self, connection: sa.Connection, sha256: str, now: datetime) -> None:
        from sqlalchemy.exc import IntegrityError

        proofs = self._tables.proofs
        # First of all a write: SQLite then makes others wait, where it would fail one that writes after reading.
        connection.execute(proofs.delete().where(proofs.c.forget_at < identifiers.format_time(now)))
        forget = identifiers.format_time(now + 3 * PROOF_LIFETIME)
        try:
            connection.execute(proofs.insert(), [{"statement_sha256": sha256, "forget_at": forget}])
        except IntegrityError as error:
            raise Refused("this proof was used before; sign a fresh one") from error

    def _use_credential(self, connection: sa.Connection, statement: Statement, now: datetime) -> None:
        tokens, devices, at = self._tables.tokens, self._tables.devices, identifiers.format_time(now)
        given = statement.credential_sha256
        usable = (tokens.c.token_sha256 == given) & (tokens.c.uses_left > 0) & (tokens.c.expires_at > at)
        taken = connection.execute(tokens.update().where(usable).values(uses_left=tokens.c.uses_left - 1))
        if taken.rowcount == 1:
            return
        own = (devices.c.credential_sha256 == given) & devices.c.revoked_at.is_(None)
        other = devices.c.thumbprint != thumbprint(statement.public_key)
        replaced = connection.execute(devices.update().where(own & other).values(revoked_at=at))
        if replaced.rowcount != 1:
            raise Unauthorized("the token is unknown, used up or expired; get one from the app's backend")

    def _store(
        self, connection: sa.Connection, public_key: bytes, enrolled: Enrolled, now: datetime
    ) -> Enrolled:
        from sqlalchemy.exc import IntegrityError

        devices, print_ = self._tables.devices, thumbprint(public_key)
        mine = devices.c.thumbprint == print_
        row = connection.execute(devices.select().where(mine)).first()
        if row is not None and row.revoked_at is not None:
            raise Revoked("this device key was revoked; make a new one and enrol it")
        secret = credential_sha256(enrolled.credential)
        if row is not None:
            connection.execute(devices.update().where(mine).values(credential_sha256=secret))
            return Enrolled(row.device_id, enrolled.credential)
        new = {
            "device_id": enrolled.device_id,
            "thumbprint": print_,
            "public_key": public_key.hex(),
            "credential_sha256": secret,
            "enrolled_at": identifiers.format_time(now),
        }
        try:
            connection.execute(devices.insert(), [new])
        except IntegrityError as error:
            raise Conflict("this device is being enrolled at this moment; try again") from error
        return enrolled

    def authenticate(self, credential: str, device_thumbprint: str) -> bytes:
        """The public key of an active device.

        Raises:
            Unauthorized: no such credential, or not of a device with this key.
            Revoked: it was revoked.
        """
        devices = self._tables.devices
        query = devices.select().where(devices.c.credential_sha256 == credential_sha256(credential))
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None or row.thumbprint != device_thumbprint:
            raise Unauthorized("the credential is not one of this device key; enrol again")
        if row.revoked_at is not None:
            raise Revoked("this device was revoked; it gets no more keys")
        return bytes.fromhex(row.public_key)

    def list(self) -> list[dict[str, Any]]:
        """All devices, the newest first, without anything secret."""
        devices = self._tables.devices
        columns = (devices.c.device_id, devices.c.thumbprint, devices.c.enrolled_at, devices.c.revoked_at)
        import sqlalchemy as sa

        query = sa.select(*columns).order_by(devices.c.enrolled_at.desc(), devices.c.device_id)
        with translated(), self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def revoke(self, device_id: str, now: datetime) -> bool:
        """Hand out no more keys to a device; was it active? Leases that it has run to their end.

        Raises:
            NotFound: there is no such device.
        """
        devices = self._tables.devices
        mine = devices.c.device_id == device_id
        at = identifiers.format_time(now)
        with translated(), self._engine.begin() as connection:
            change = devices.update().where(mine & devices.c.revoked_at.is_(None)).values(revoked_at=at)
            if connection.execute(change).rowcount == 1:
                return True
            if connection.execute(devices.select().where(mine)).first() is None:
                raise NotFound(f"there is no device {device_id}; see 'edge device list'")
        return False
