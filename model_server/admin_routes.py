"""What the holder of the admin token may do: upload, publish, direct."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

from edge_sdk.contract import document, identifiers
from edge_sdk.contract.document import Fields
from model_server import layout
from model_server.deltas import Deltas
from model_server.errors import NotFound, ObjectNotFound, Refused
from model_server.problems import Problem
from model_server.publication import FULL_RAMP, Publication

if TYPE_CHECKING:
    from flask import Blueprint

    from model_server.services import Services

_PUBLISH_FIELDS = {"targets", "manifest", "roots", "base_targets_version", "ramp_bp"}


def blueprint(services: Services) -> Blueprint:
    """The routes, all behind the token."""
    from flask import Blueprint, request

    routes = Blueprint("admin", __name__, url_prefix="/v1/admin")
    publisher, settings = services.publisher, services.settings

    @routes.before_request
    def authorise() -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode(), services.token.encode()
        ):
            raise Problem(
                401, "unauthorized", "Wrong token", "send the admin token", {"WWW-Authenticate": "Bearer"}
            )

    def body() -> bytes:
        length = request.content_length
        if length is None:
            raise Problem(411, "length-required", "No length", "send Content-Length")
        if length > settings.max_body_bytes:
            raise Problem(
                413,
                "too-large",
                "Too large",
                f"at most {settings.max_body_bytes} bytes are taken, not {length}",
            )
        data = request.get_data(cache=False)
        if len(data) != length:
            raise Problem(
                400, "bad-request", "Cut short", f"{len(data)} of {length} bytes arrived; send again"
            )
        return data

    @routes.put("/objects/<sha256>")
    def put_object(sha256: str) -> tuple[dict[str, Any], int]:
        identifiers.sha256_hex(sha256, "object")
        data = body()
        if layout.digest(data) != sha256:
            raise Problem(
                422, "digest-mismatch", "Wrong digest", f"the body has the SHA-256 {layout.digest(data)}"
            )
        created = publisher.put_object(sha256, data)
        return {"sha256": sha256, "length": len(data)}, 201 if created else 200

    @routes.put("/deltas/<base>/<wanted>")
    def put_delta(base: str, wanted: str) -> tuple[dict[str, Any], int]:
        for sha256 in (base, wanted):
            identifiers.sha256_hex(sha256, "delta")
        data = body()
        created = Deltas(services.repository).put(base, wanted, data)
        return {"created": created, "length": len(data)}, 201 if created else 200

    @routes.post("/publish")
    def publish() -> dict[str, Any]:
        return dict(vars(publisher.publish(parse_publication(body()))))

    @routes.get("/releases")
    def releases() -> dict[str, Any]:
        return {"releases": publisher.releases()}

    @routes.get("/directives")
    def directives() -> dict[str, Any]:
        try:
            envelope = services.repository.store.get(layout.DIRECTIVES)
        except ObjectNotFound as error:
            raise NotFound("nothing is published yet; 'edge publish' does that") from error
        value: dict[str, Any] = json.loads(services.repository.directives(envelope).to_bytes())
        return value

    @routes.get("/telemetry")
    def telemetry() -> dict[str, Any]:
        return {"telemetry": services.telemetry.sums(request.args.get("model"))}

    @routes.put("/directives/<channel>/<model>")
    def set_directive(channel: str, model: str) -> dict[str, Any]:
        changes = document.parse(body(), "request", max_bytes=layout.MAX_REQUEST_BYTES)
        return publisher.set_directive(channel, model, changes).to_json()

    return routes


def parse_publication(data: bytes) -> Publication:
    """The publication of a request body.

    Raises:
        FormatError: not such a JSON object.
        Refused: an unknown field, or a number out of range.
    """
    value = document.parse(data, "publication", max_bytes=layout.MAX_PUBLICATION_BYTES)
    unknown = sorted(set(value) - _PUBLISH_FIELDS)
    if unknown:
        raise Refused(
            f"publication: {', '.join(unknown)} is not known; give {', '.join(sorted(_PUBLISH_FIELDS))}"
        )
    f = Fields(value, "publication")

    def decoded(text: object, what: str) -> bytes:
        if not isinstance(text, str):
            raise Refused(f"publication: {what} is not base64 text")
        return document.decode_base64(text, f"publication: {what}")

    return Publication(
        decoded(f.text("targets"), "targets"),
        decoded(f.text("manifest"), "manifest"),
        tuple(decoded(item, "roots") for item in f.array("roots")),
        f.integer("base_targets_version"),
        f.integer("ramp_bp") if "ramp_bp" in value else FULL_RAMP,
    )
