"""``POST /v1/telemetry``: devices send reports without saying who they are. The sums are among the admin's routes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edge_sdk.contract.telemetry import MAX_BYTES
from model_server.problems import Problem
from model_server.rate_limit import RateLimit

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from model_server.services import Services


def blueprint(services: Services) -> Blueprint:
    """The routes."""
    from flask import Blueprint, request

    routes = Blueprint("telemetry", __name__, url_prefix="/v1")
    settings = services.settings
    limit = RateLimit(settings.reports_per_minute, 60.0)

    @routes.after_request
    def never_kept(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        return response

    @routes.post("/telemetry")
    def add() -> tuple[dict[str, Any], int]:
        wait = limit.wait_s(request.remote_addr or "")
        if wait > 0:
            raise Problem(
                429,
                "too-many-requests",
                "Too many reports",
                f"at most {settings.reports_per_minute} reports a minute are taken; send later",
                {"Retry-After": str(math.ceil(wait))},
            )
        length = request.content_length
        if length is None:
            raise Problem(411, "length-required", "No length", "send Content-Length")
        if length > MAX_BYTES:
            raise Problem(413, "too-large", "Too large", f"at most {MAX_BYTES} bytes are taken, not {length}")
        services.telemetry.add(request.get_data(cache=False), services.clock())
        return {"taken": True}, 202

    return routes
