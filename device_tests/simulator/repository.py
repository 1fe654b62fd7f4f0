"""A publisher and its server in memory, honest or not, and a network that leads to it.

Signs through the public interface of the ``tuf`` package. ``publish`` does what an honest publisher does; an
attack changes a field (a version, a time, a signer, a file) and calls ``write`` or overwrites ``files``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Key, SSlibKey
from tuf.api.metadata import (
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from device_tests.simulator.key_server import KEYS_PATH, KeyServer
from edge_sdk.contract.directives import PAYLOAD_TYPE, Directive, Directives
from edge_sdk.contract.identifiers import format_time
from edge_sdk.contract.manifest import floor_key
from edge_sdk.crypto import dsse
from edge_sdk.crypto.keyfiles import public_hex
from edge_sdk.crypto.sealing import Sealed
from edge_sdk.update.transport import NO_HEADERS, Answer, Offline
from model_server.ranges import Unsatisfiable, parse_range

SERVER = "https://models.example.org"
ROLES = ("root", "targets", "snapshot", "timestamp")
_LIFETIMES = {"root": 365, "targets": 90, "snapshot": 7, "timestamp": 1, "directives": 1}


def _key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def key_id(key: Ed25519PrivateKey) -> str:
    """The TUF key id."""
    return str(SSlibKey.from_crypto(key.public_key()).keyid)


class Repository:
    """Keys, versions and times of each role, and what is served.

    Attributes:
        now: when it signs; the real present, since TUF's client reads the real clock.
        keys: private keys by role; three for the root, of which two must sign.
        signers: by role, the keys that do sign; those of ``keys`` unless an attack says otherwise.
        versions, issued, expires: by role, with ``directives`` among them.
        custom: what is signed in place of an artifact's entry, by path.
        directives: what is said, by channel and model.
        delegations: of the targets to other roles, which no honest publisher of ours makes.
        files: what the server hands out, by path; a callable gives the pieces of an answer.
        key_server: lends keys of bundles to enrolled devices, signed as directives are.
    """

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.keys = {"root": [_key(), _key(), _key()], **{role: [_key()] for role in ROLES[1:]}}
        self.director = _key()
        self.director_signs = self.director
        self.signers = {role: list(keys) for role, keys in self.keys.items()}
        self.versions = {"root": 1, "targets": 0, "snapshot": 0, "timestamp": 0, "directives": 0}
        self.issued = dict.fromkeys(_LIFETIMES, self.now)
        self.expires = {role: self.now + timedelta(days=days) for role, days in _LIFETIMES.items()}
        self.sealed: dict[str, Sealed] = {}
        self.custom: dict[str, dict[str, Any]] = {}
        self.floors: dict[str, int] = {}
        self.directives: dict[str, dict[str, Directive]] = {}
        self.delegations: Delegations | None = None
        self.manifest_version: int | None = None
        self.files: dict[str, bytes | Callable[[], Iterator[bytes]]] = {}
        self.key_server = KeyServer()
        self.root = self.sign_root()

    # -- what a publisher does -------------------------------------------------------------------------

    def publish(self, *models: Sealed, **directive: Any) -> None:
        """Add releases, roll them out (fully, unless ``directive`` says otherwise), and serve all."""
        for sealed in models:
            entry = sealed.entry
            self.sealed[entry.path] = sealed
            said = self.directives.setdefault(entry.channel, {})
            said[entry.model] = Directive(**{"release": entry.release, "ramp_bp": 10_000, **directive})
        for role in ("targets", "snapshot", "timestamp", "directives"):
            self.versions[role] += 1
        self.write()

    def direct(self, model: str, channel: str = "stable", **changes: Any) -> None:
        """Say something else about a model."""
        said = self.directives[channel]
        said[model] = replace(said[model], **changes)
        self.versions["directives"] += 1
        self.write()

    def rotate(self, role: str) -> None:
        """Replace the keys of a role by a new root; its versions may begin anew."""
        self.keys[role] = [_key() for _ in self.keys[role]]
        old = self.signers["root"]
        self.versions["root"] += 1
        self.signers["root"] = [*dict.fromkeys([*old, *self.keys["root"]])]
        if role != "root":
            self.signers[role] = list(self.keys[role])
        self.root = self.sign_root()
        self.signers["root"] = list(self.keys["root"])

    def floor(self, model: str, release: int, channel: str = "stable") -> None:
        """Forbid releases below; in force with the next ``publish``."""
        self.floors[floor_key(model, channel)] = release

    def live(self, days: float) -> datetime:
        """Let time pass, sign everything anew, and say what time it is then."""
        self.now += timedelta(days=days)
        self.issued = dict.fromkeys(_LIFETIMES, self.now)
        self.expires = {role: self.now + timedelta(days=days) for role, days in _LIFETIMES.items()}
        self.publish()
        return self.now

    def write(self) -> None:
        """Sign everything as the fields say, and serve it."""
        targets = self.sign_targets()
        snapshot = self.sign_snapshot(targets)
        self.files[f"/metadata/{self.versions['targets']}.targets.json"] = targets
        self.files[f"/metadata/{self.versions['snapshot']}.snapshot.json"] = snapshot
        self.files["/metadata/timestamp.json"] = self.sign_timestamp(snapshot)
        self.files["/v1/directives"] = self.sign_directives()
        for sealed in self.sealed.values():
            self.files[f"/v1/bundles/{sealed.sha256}"] = sealed.served
            self.files[f"/v1/bundles/{sealed.entry.segments_sha256}"] = sealed.segments

    # -- signing ---------------------------------------------------------------------------------------

    def sign_root(self) -> bytes:
        """The root of the present version, which is served too."""
        public: dict[str, Key] = {
            key_id(k): SSlibKey.from_crypto(k.public_key()) for ks in self.keys.values() for k in ks
        }
        thresholds = {role: 2 if role == "root" else 1 for role in ROLES}
        roles = {role: Role([key_id(k) for k in self.keys[role]], thresholds[role]) for role in ROLES}
        data = self._sign(
            "root", Root(keys=public, roles=roles, consistent_snapshot=True, **self._common("root"))
        )
        self.files[f"/metadata/{self.versions['root']}.root.json"] = data
        return data

    def sign_targets(self) -> bytes:
        extra = {
            "x-director": {"key_id": key_id(self.director), "public_key": public_hex(self.director)},
            "x-floors": dict(self.floors),
        }
        targets = {
            path: TargetFile(
                len(s.served),
                {"sha256": s.sha256},
                path,
                {"custom": self.custom.get(path) or s.entry.to_json()},
            )
            for path, s in self.sealed.items()
        }
        signed = Targets(targets=targets, delegations=self.delegations, **self._common("targets", extra))
        return self._sign("targets", signed)

    def sign_snapshot(self, targets: bytes) -> bytes:
        meta = {"targets.json": _meta(self.versions["targets"], targets)}
        return self._sign("snapshot", Snapshot(meta=meta, **self._common("snapshot")))

    def sign_timestamp(self, snapshot: bytes) -> bytes:
        meta = _meta(self.versions["snapshot"], snapshot)
        return self._sign("timestamp", Timestamp(snapshot_meta=meta, **self._common("timestamp")))

    def sign_directives(self) -> bytes:
        said = Directives(
            version=self.versions["directives"],
            issued=self.issued["directives"],
            expires=self.expires["directives"],
            manifest_version=self.manifest_version or self.versions["targets"],
            manifest_sha256="0" * 64,
            channels=self.directives,
        )
        return dsse.sign(PAYLOAD_TYPE, said.to_bytes(), {key_id(self.director): self.director_signs})

    def lend(self, sha256: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a device that asks for the key of a bundle."""
        director = {key_id(self.director): self.director_signs}
        return self.key_server.answer(sha256, headers, body, director, self.now)

    def _common(self, role: str, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        fields = {"x-issued": format_time(self.issued[role]), **(extra or {})}
        return {
            "version": self.versions[role],
            "expires": self.expires[role],
            "unrecognized_fields": fields,
        }

    def _sign(self, role: str, signed: Root | Targets | Snapshot | Timestamp) -> bytes:
        metadata: Metadata[Any] = Metadata(signed)
        for key in self.signers[role]:
            metadata.sign(CryptoSigner(key), append=True)
        return bytes(metadata.to_bytes())


def _meta(version: int, data: bytes) -> MetaFile:
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


class Network:
    """A transport that leads to a repository without a socket, and answers as the real server does.

    Attributes:
        repository: what is behind it.
        online: whether it leads anywhere.
        status: what to answer in place of a file, by path.
        requests: the paths that were asked for.
        ranges: the Range header of each request, None where it had none.
    """

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.online = True
        self.status: dict[str, int] = {}
        self.requests: list[str] = []
        self.ranges: list[str | None] = []

    def close(self) -> None:
        """Nothing to give back."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        """As of any transport; nothing redirects here, and nothing is taken in."""
        path = urlsplit(url).path
        self.requests.append(path)
        self.ranges.append(headers.get("Range"))
        if not self.online:
            raise Offline(f"{url}: no network")
        there = path in self.repository.files or path.startswith(KEYS_PATH)
        status = self.status.get(path, 200 if there else 404)
        if status != 200:
            return Answer(status, {"Content-Length": "0"}, iter(()))
        if method == "POST" and path.startswith(KEYS_PATH):
            status, data = self.repository.lend(path.removeprefix(KEYS_PATH), headers, body or b"")
            return Answer(status, {"Content-Length": str(len(data))}, _pieces(data))
        if method not in ("GET", "HEAD"):
            return Answer(405, {"Content-Length": "0"}, iter(()))
        found = self.repository.files[path]
        if callable(found):
            return Answer(200, {}, found())
        return _head(found) if method == "HEAD" else _served(found, headers)


def _head(data: bytes) -> Answer:
    etag = f'"{hashlib.sha256(data).hexdigest()}"'
    return Answer(200, {"ETag": etag, "Content-Length": str(len(data))}, iter(()))


def _served(data: bytes, headers: Mapping[str, str]) -> Answer:
    """An object under its digest, or the part of it that is asked for."""
    etag = f'"{hashlib.sha256(data).hexdigest()}"'
    said = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Length": str(len(data))}
    if headers.get("If-None-Match") == etag:
        return Answer(304, {"ETag": etag}, iter(()))
    asked = headers.get("Range") if headers.get("If-Range", etag) == etag else None
    try:
        part = parse_range(asked, len(data))
    except Unsatisfiable:
        return Answer(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"}, iter(()))
    if part is None:
        return Answer(200, said, _pieces(data))
    start, stop = part
    said |= {
        "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}",
        "Content-Length": str(stop - start),
    }
    return Answer(206, said, _pieces(data[start:stop]))


def _pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
