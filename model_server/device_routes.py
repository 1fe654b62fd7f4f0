"""Devices and keys over HTTP: enrolment and leases for devices, tokens, keys and revocation for the admin."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from edge_sdk.contract import document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.contract.key_blob import Statement, credential_sha256
from model_server.errors import NotFound, Refused, Unauthorized
from model_server.problems import Problem

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from model_server.leasing import Leasing
    from model_server.services import Services

MAX_BODY_BYTES = 10_000


def blueprint(services: Services) -> Blueprint:
    """The routes."""
    from flask import Blueprint, Response, request

    routes = Blueprint("devices", __name__, url_prefix="/v1")

    def leasing() -> Leasing:
        if services.leasing is None:
            raise NotFound("this server keeps no keys; it was started without a key provider")
        return services.leasing

    def bearer() -> str:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return given.strip() if scheme.lower() == "bearer" else ""

    def require_admin() -> None:
        if not hmac.compare_digest(bearer().encode(), services.token.encode()):
            raise Unauthorized("send the admin token")

    def body(what: str) -> Fields:
        if request.content_length is None:
            raise Problem(411, "length-required", "No length", "send Content-Length")
        if request.content_length > MAX_BODY_BYTES:
            raise Problem(413, "too-large", "Too large", f"at most {MAX_BODY_BYTES} bytes are taken")
        return Fields(document.parse(request.get_data(), what, max_bytes=MAX_BODY_BYTES), what)

    @routes.after_request
    def never_kept(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @routes.post("/devices")
    def enrol() -> tuple[dict[str, Any], int]:
        f = body("enrolment")
        origin, credential = f.text("origin"), bearer()
        if origin not in services.settings.origins:
            known = ", ".join(services.settings.origins) or "none"
            raise Refused(f"the proof is for {origin[:200]!r}; this server is {known}; enrol by that address")
        statement = Statement(
            origin,
            document.decode_base64(f.text("public_key"), "enrolment: public_key"),
            credential_sha256(credential),
            f.checked("issued", identifiers.parse_time),
            document.decode_base64(f.text("nonce"), "enrolment: nonce"),
        )
        signature = document.decode_base64(f.text("signature"), "enrolment: signature")
        now = services.clock()
        enrolled = leasing().devices.enrol(statement, signature, credential, now)
        services.catalogue.audit(now, "enrol", {"device": enrolled.device_id})
        return {"device_id": enrolled.device_id, "credential": enrolled.credential}, 201

    @routes.post("/keys/<sha256>")
    def lease(sha256: str) -> Response:
        device = body("request").checked("device", identifiers.sha256_hex)
        envelope = leasing().lease(sha256, bearer(), device, services.clock())
        return Response(envelope, content_type="application/json")

    @routes.post("/admin/enrolment-tokens")
    def issue_token() -> tuple[dict[str, Any], int]:
        require_admin()
        f, now = body("request"), services.clock()
        seconds, uses = f.integer("lifetime_s", 1, 366 * 86_400), f.integer("uses", 1)
        token = leasing().devices.issue_token(now, timedelta(seconds=seconds), uses)
        services.catalogue.audit(now, "enrolment-token", {"lifetime_s": seconds, "uses": uses})
        return {"token": token}, 201

    @routes.get("/admin/devices")
    def list_devices() -> dict[str, Any]:
        require_admin()
        return {"devices": leasing().devices.list()}

    @routes.delete("/admin/devices/<device_id>")
    def revoke(device_id: str) -> dict[str, Any]:
        require_admin()
        now = services.clock()
        changed = leasing().devices.revoke(device_id, now)
        services.catalogue.audit(now, "revoke-device", {"device": device_id})
        return {"device_id": device_id, "revoked": True, "was_active": changed}

    @routes.put("/admin/keys/<sha256>")
    def put_key(sha256: str) -> tuple[dict[str, Any], int]:
        require_admin()
        data_key = document.decode_base64(body("request").text("data_key"), "request: data_key")
        created = leasing().bundle_keys.add(sha256, data_key, services.clock())
        return {"sha256": sha256}, 201 if created else 200

    return routes
