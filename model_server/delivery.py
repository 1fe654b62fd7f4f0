"""Bytes as HTTP responses: validators, single ranges, streaming in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from model_server.errors import StorageError
from model_server.problems import Problem
from model_server.ranges import Unsatisfiable, parse_range
from model_server.storage import ObjectStore

if TYPE_CHECKING:
    from flask import Response

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"


def document(data: bytes, sha256: str, cache: str, content_type: str = "application/json") -> Response:
    """A small document, or 304 where the client has it."""
    from flask import Response

    headers = {"Cache-Control": cache, "ETag": f'"{sha256}"'}
    if _client_has(sha256):
        return Response(status=304, headers=headers)
    return Response(data, headers=headers, content_type=content_type)


def stream(store: ObjectStore, key: str, size: int, sha256: str, piece_bytes: int) -> Response:
    """An immutable object, or the range of it that the client asks for."""
    from flask import Response, request

    headers = {"Cache-Control": IMMUTABLE, "ETag": f'"{sha256}"', "Accept-Ranges": "bytes"}
    if _client_has(sha256):
        return Response(status=304, headers=headers)
    asked = request.headers.get("Range") if request.method == "GET" else None
    # A range of another content must not be glued to what the client has: then it gets everything.
    if "If-Range" in request.headers and request.headers["If-Range"].strip() != f'"{sha256}"':
        asked = None
    try:
        part = parse_range(asked, size)
    except Unsatisfiable as error:
        raise Problem(
            416,
            "range-not-satisfiable",
            "No such range",
            f"the object has {size} bytes",
            {"Content-Range": f"bytes */{size}"},
        ) from error
    start, stop = part or (0, size)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["Content-Length"] = str(stop - start)
    body = _pieces(store, key, start, stop, piece_bytes) if request.method == "GET" else iter(())
    return Response(body, 200 if part is None else 206, headers, content_type="application/octet-stream")


def _pieces(store: ObjectStore, key: str, start: int, stop: int, piece_bytes: int) -> Iterator[bytes]:
    """The pieces; the first is read at once, so that a failing store is still an error and not half a body."""
    first = _piece(store, key, start, stop, piece_bytes)

    def rest() -> Iterator[bytes]:
        yield first
        for position in range(start + piece_bytes, stop, piece_bytes):
            yield _piece(store, key, position, stop, piece_bytes)

    return rest()


def _piece(store: ObjectStore, key: str, start: int, stop: int, piece_bytes: int) -> bytes:
    length = min(piece_bytes, stop - start)
    data = store.get(key, start, length)
    if len(data) != length:
        raise StorageError(f"{key} is shorter in the store than it was signed; restore the store")
    return data


def _client_has(sha256: str) -> bool:
    from flask import request

    return request.if_none_match.contains_weak(sha256)
