"""Errors as RFC 9457 problem documents with a stable type; never a traceback."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edge_sdk.errors import FormatError
from model_server import errors

if TYPE_CHECKING:
    from flask import Flask, Response

log = logging.getLogger(__name__)

TYPE_PREFIX = "about:coach-edge/"
KINDS: Mapping[type[Exception], tuple[int, str, str]] = {
    errors.NotFound: (404, "not-found", "Not published here"),
    errors.Conflict: (409, "conflict", "Somebody else was faster"),
    errors.Unauthorized: (401, "unauthorized", "Wrong token"),
    errors.Revoked: (403, "device-revoked", "The device was revoked"),
    errors.Refused: (422, "refused", "Refused"),
    errors.StateError: (500, "damaged-store", "The store is damaged"),
    errors.StorageError: (503, "storage-unavailable", "The store is not available"),
    FormatError: (400, "bad-request", "The request is malformed"),
}
"""Errors whose message is for the caller."""


class Problem(Exception):
    """A refusal that only HTTP knows."""

    def __init__(
        self, status: int, slug: str, title: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.slug, self.title, self.headers = status, slug, title, dict(headers or {})


def install(app: Flask) -> None:
    """Answer every error of the application with a problem document."""
    from werkzeug.exceptions import HTTPException

    def handle(error: Exception) -> Response:
        if isinstance(error, Problem):
            return _response(error.status, error.slug, error.title, str(error), error.headers)
        if isinstance(error, HTTPException):
            name, headers = error.name, dict(error.get_headers())
            names: tuple[str, ...] = ("Allow", "Retry-After")
            kept = {key: headers[key] for key in names if key in headers}
            return _response(
                error.code or 500, name.lower().replace(" ", "-"), name, error.description or name, kept
            )
        for kind, (status, slug, title) in KINDS.items():
            if isinstance(error, kind):
                if status >= 500:
                    log.error("%s", error)
                return _response(status, slug, title, str(error), {})
        log.exception("a defect of the server")
        return _response(500, "internal", "A defect of the server", "its log says more", {})

    app.register_error_handler(Exception, handle)


def _response(status: int, slug: str, title: str, detail: str, headers: Mapping[str, str]) -> Response:
    from flask import Response

    body = {"type": TYPE_PREFIX + slug, "title": title, "status": status, "detail": detail}
    response = Response(json.dumps(body), status, dict(headers), content_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    return response
