"""What everybody may read: TUF metadata and targets, manifest, directives, bundles, deltas, health."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from model_server import delivery, layout
from model_server.deltas import Deltas
from model_server.errors import NotFound, ObjectNotFound
from model_server.publishing import require_state

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from model_server.services import Services

_VERSIONED = re.compile(r"([1-9][0-9]{0,15})\.(root|targets|snapshot)\.json")
_CONSISTENT = re.compile(r"(.+)/([0-9a-f]{64})\.([^/]+)")


def blueprint(services: Services) -> Blueprint:
    """The routes."""
    from flask import Blueprint

    routes = Blueprint("public", __name__)
    repository, store = services.repository, services.repository.store

    @routes.get("/metadata/<name>")
    def metadata(name: str) -> Response:
        if name == "timestamp.json":
            require_state(repository)
            data = store.get(layout.TIMESTAMP)
            return delivery.document(data, layout.digest(data), delivery.REVALIDATE)
        match = _VERSIONED.fullmatch(name)
        if match is None:
            raise NotFound(f"there is no metadata {name}")
        data = _versioned(services, int(match[1]), match[2])
        return delivery.document(data, layout.digest(data), delivery.IMMUTABLE)

    @routes.get("/targets/<path:name>")
    def targets(name: str) -> Response:
        match = _CONSISTENT.fullmatch(name)
        state = require_state(repository)
        artifact = state.by_path.get(f"{match[1]}/{match[3]}") if match else None
        if match is None or artifact is None or artifact.sha256 != match[2]:
            raise NotFound(f"there is no target {name}")
        return _object(services, artifact.sha256, artifact.length)

    @routes.get("/v1/bundles/<sha256>")
    def bundle(sha256: str) -> Response:
        size = require_state(repository).objects.get(sha256)
        if size is None:
            raise NotFound(f"no published bundle or segment list has the digest {sha256}")
        return _object(services, sha256, size)

    @routes.get("/v1/deltas/<base>/<wanted>")
    def delta(base: str, wanted: str) -> Response:
        return _object(services, *Deltas(repository).find(base, wanted))

    @routes.get("/v1/manifest")
    def manifest() -> Response:
        # The directives name it, so that a client never sees directives and manifest of two publications.
        sha256 = repository.directives(_directives(services)).manifest_sha256
        data = store.get(layout.object_key(sha256))
        return delivery.document(data, sha256, delivery.REVALIDATE)

    @routes.get("/v1/directives")
    def directives() -> Response:
        data = _directives(services)
        return delivery.document(data, layout.digest(data), delivery.REVALIDATE)

    @routes.get("/healthz")
    def healthz() -> dict[str, Any]:
        return {"status": "alive"}

    @routes.get("/readyz")
    def readyz() -> dict[str, Any]:
        state = repository.current()
        services.catalogue.version()
        return {"status": "ready", "targets_version": state.version if state else 0}

    return routes


def _versioned(services: Services, version: int, role: str) -> bytes:
    """Metadata by version, none of it newer than what the timestamp leads to."""
    repository, state = services.repository, services.repository.current()
    if role == "root":
        newest = max(repository.first_root_version, state.published.root_version if state else 0)
        key = layout.root_key(version)
    elif state is None:
        newest, key = 0, ""
    elif role == "targets":
        if version == state.version:
            return state.targets
        newest, key = state.version, layout.targets_key(version)
    else:
        newest, key = state.snapshot_version, layout.snapshot_key(version)
    try:
        if version <= newest:
            return repository.store.get(key)
    except ObjectNotFound:
        pass  # older than the store
    raise NotFound(f"there is no {role} version {version}")


def _object(services: Services, sha256: str, size: int) -> Response:
    key = layout.object_key(sha256)
    return delivery.stream(services.repository.store, key, size, sha256, services.settings.piece_bytes)


def _directives(services: Services) -> bytes:
    try:
        return services.repository.store.get(layout.DIRECTIVES)
    except ObjectNotFound as error:
        raise NotFound("nothing is published yet; 'edge publish' does that") from error
