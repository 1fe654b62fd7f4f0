"""The admin client: uploads, publishing, releases and directives over HTTP. Needs none of the server's extras."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError
from model_server.errors import Conflict, NotFound, Refused, ServerError, Unauthorized, Unreachable
from model_server.publication import SignedRelease

if TYPE_CHECKING:
    import urllib3

Progress = Callable[[str, int, int], None]
"""Stage, how much is done, how much there is."""

TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 16_000_000
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
PIECE_BYTES = 256 * 1024
T = TypeVar("T")


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


class AdminClient:
    """One server, and the token that it wants. A context manager; it keeps connections open."""

    def __init__(self, url: str, token: str = "", *, timeout_s: float = TIMEOUT_S) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            url: such as ``http://127.0.0.1:8765``.
            token: admin token; reading what is public needs none.
            timeout_s: for connecting and for each wait on the server.

        Raises:
            Refused: ``url`` is not an http or https address, or the token is not one.
        """
        import urllib3

        if not _is_address(url):
            raise Refused(f"server {url!r}: write an address such as http://127.0.0.1:8765")
        if not token.isascii() or not token.isprintable():
            raise Refused("the admin token holds characters that no token has; copy it again")
        self._url = url.rstrip("/")
        self._token = token
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=timeout_s, read=timeout_s), retries=False
        )

    def __repr__(self) -> str:
        return f"AdminClient({self._url!r})"

    def __enter__(self) -> AdminClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def put_object(self, data: bytes, progress: Progress = silent) -> str:
        """Upload an immutable object; its SHA-256. What the server has already is not an error.

        Raises:
            ServerError: as for every method: Unreachable, Unauthorized, Conflict, NotFound, Refused.
        """
        sha256 = hashlib.sha256(data).hexdigest()

        def pieces() -> Iterator[bytes]:
            for start in range(0, len(data), PIECE_BYTES):
                yield data[start : start + PIECE_BYTES]
                progress("upload", min(start + PIECE_BYTES, len(data)), len(data))

        self._call("PUT", f"/v1/admin/objects/{sha256}", pieces(), length=len(data))
        return sha256

    def put_delta(self, base_sha256: str, bundle_sha256: str, delta: bytes) -> bool:
        """Upload the delta from one uploaded bundle to another; False where the server has one, which stays.

        Raises:
            NotFound: one of the bundles was not uploaded.
            Refused: it saves too little.
        """
        path = f"/v1/admin/deltas/{quote(base_sha256, safe='')}/{quote(bundle_sha256, safe='')}"
        data = self._call("PUT", path, iter([delta]), length=len(delta))
        answer = _expected(lambda: document.parse(data, "answer", max_bytes=MAX_ANSWER_BYTES), self._url)
        return _expected(lambda: Fields(answer, "answer").flag("created"), self._url)

    def publish(
        self, release: SignedRelease, *, base_version: int, ramp_bp: int | None = None
    ) -> dict[str, Any]:
        """Publish what was signed offline on top of targets version ``base_version``.

        Args:
            release: targets, manifest and new roots, such as ``converters.release.Publication``.
            base_version: the version that the signer built on; 0 for the first.
            ramp_bp: share of devices that get new releases, in basis points; all by default.

        Returns:
            ``targets_version``, ``manifest_sha256``, ``directives_version``.

        Raises:
            Conflict: somebody else published in between; fetch and sign again.
            Refused: the server's checks failed; the message says which.
        """
        body: dict[str, Any] = {
            "targets": base64.b64encode(release.targets).decode("ascii"),
            "manifest": base64.b64encode(release.manifest).decode("ascii"),
            "roots": [base64.b64encode(root).decode("ascii") for root in release.roots],
            "base_targets_version": base_version,
        }
        if ramp_bp is not None:
            body["ramp_bp"] = ramp_bp
        try:
            return self._json("POST", "/v1/admin/publish", body)
        except Unreachable as error:
            raise Unreachable(f"{error}. It may have been published: see 'edge release list'") from error

    def put_data_key(self, bundle_sha256: str, data_key: bytes) -> None:
        """Hand over the data key of a bundle sealed for devices, before it is published.

        Raises:
            Refused: another key is kept for it, or the way to the server is open for everybody to read.
        """
        parts = urlsplit(self._url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise Refused(f"{self._url} is not https; a data key is not sent where it can be read on the way")
        text = base64.b64encode(data_key).decode("ascii")
        self._json("PUT", f"/v1/admin/keys/{quote(bundle_sha256, safe='')}", {"data_key": text})

    def issue_enrolment_token(self, lifetime_s: int, uses: int) -> str:
        """A token with which ``uses`` devices may enrol."""
        answer = self._json("POST", "/v1/admin/enrolment-tokens", {"lifetime_s": lifetime_s, "uses": uses})
        return _expected(lambda: Fields(answer, "answer").text("token"), self._url)

    def devices(self) -> list[dict[str, Any]]:
        """Enrolled and revoked devices, the newest first."""
        answer = self._json("GET", "/v1/admin/devices")
        return _expected(lambda: Fields(answer, "answer").array("devices"), self._url)

    def revoke_device(self, device_id: str) -> dict[str, Any]:
        """Hand out no more keys to a device.

        Raises:
            NotFound: there is no such device.
        """
        return self._json("DELETE", f"/v1/admin/devices/{quote(device_id, safe='')}")

    def releases(self) -> list[dict[str, Any]]:
        """Releases with their artifacts, by model, channel and number, newest first."""
        answer = self._json("GET", "/v1/admin/releases")
        return _expected(lambda: Fields(answer, "releases").array("releases"), self._url)

    def telemetry(self, model: str | None = None) -> list[dict[str, Any]]:
        """Sums of what devices told, of one model or of all, by release and hour."""
        query = "" if model is None else f"?model={quote(model, safe='')}"
        answer = self._json("GET", f"/v1/admin/telemetry{query}")
        return _expected(lambda: Fields(answer, "telemetry").array("telemetry"), self._url)

    def directives(self) -> dict[str, Any]:
        """The directives in force.

        Raises:
            NotFound: nothing is published yet.
        """
        return self._json("GET", "/v1/admin/directives")

    def set_directive(self, channel: str, model: str, **changes: Any) -> dict[str, Any]:
        """Change fields of the directive of one model in one channel; the new directive.

        Args:
            channel: its name.
            model: its name.
            **changes: ``release``, ``ramp_bp``, ``base_release``, ``paused``, ``holdout_bp``, ``recalled``,
                ``min_runtime``.
        """
        path = f"/v1/admin/directives/{quote(channel, safe='')}/{quote(model, safe='')}"
        return self._json("PUT", path, changes)

    def root(self, version: int) -> bytes | None:
        """Root metadata of a version, unverified; None where there is none."""
        return self._public(f"/metadata/{version}.root.json")

    def current_targets(self) -> bytes | None:
        """The published targets metadata, unverified (a signer checks it against its own root); None before any."""
        timestamp = self._public("/metadata/timestamp.json")
        if timestamp is None:
            return None
        snapshot = self._must(f"/metadata/{self._named(timestamp, 'snapshot.json')}.snapshot.json")
        return self._must(f"/metadata/{self._named(snapshot, 'targets.json')}.targets.json")

    def _named(self, data: bytes, name: str) -> int:
        def find() -> int:
            signed = Fields(document.parse(data, "metadata", max_bytes=MAX_ANSWER_BYTES), "metadata").mapping(
                "signed"
            )
            meta = Fields(Fields(signed, "metadata").mapping("meta"), "metadata")
            return Fields(meta.mapping(name), "metadata").integer("version", 1)

        return _expected(find, self._url)

    def _must(self, path: str) -> bytes:
        data = self._public(path)
        if data is None:
            raise Conflict(f"{self._url}{path} is gone; somebody is publishing right now, try again")
        return data

    def _public(self, path: str) -> bytes | None:
        try:
            return self._call("GET", path)
        except NotFound:
            return None

    def _json(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        answer = self._call(method, path, data, length=None if data is None else len(data))
        return _expected(lambda: document.parse(answer, "answer", max_bytes=MAX_ANSWER_BYTES), self._url)

    def _call(
        self, method: str, path: str, body: bytes | Iterator[bytes] | None = None, length: int | None = None
    ) -> bytes:
        """One request; the one place where errors of transport and server become ours."""
        import urllib3

        headers = {"Accept": "application/json"}
        if path.startswith("/v1/admin/"):
            headers["Authorization"] = f"Bearer {self._token}"
        if length is not None:
            headers["Content-Length"] = str(length)
            headers["Content-Type"] = (
                "application/json" if isinstance(body, bytes) else "application/octet-stream"
            )
        try:
            response = self._pool.request(
                method, self._url + path, body=body, headers=headers, redirect=False, preload_content=False
            )
            try:
                data = response.read(MAX_ANSWER_BYTES + 1)
            finally:
                # Closed and not drained: who sends without end must not be listened to without end.
                response.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(
                f"no answer from {self._url} ({_reason(error)}); check the address and that the server runs"
            ) from error
        if len(data) > MAX_ANSWER_BYTES:
            raise ServerError(
                f"{self._url}{path} answers with more than {MAX_ANSWER_BYTES} bytes; not our server?"
            )
        if 200 <= response.status < 300:
            return data
        raise self._failure(response, data, path)

    def _failure(self, response: urllib3.BaseHTTPResponse, data: bytes, path: str) -> ServerError:
        try:
            detail = Fields(document.parse(data, "problem", max_bytes=100_000), "problem").text("detail")
        except FormatError:  # a proxy's page, or another server altogether
            detail = f"{self._url}{path} answers {response.status} {response.reason or ''}".rstrip()
        detail = " ".join(detail.split())
        status = response.status
        if status in (401, 403):
            return Unauthorized(
                f"{self._url} does not take the admin token; give the server's with --token or COACH_EDGE_TOKEN"
            )
        if status == 404:
            return NotFound(detail)
        if status in (409, 412):
            return Conflict(detail)
        if 400 <= status < 500:
            return Refused(detail)
        if status in (502, 503, 504):
            return Unreachable(f"{self._url} cannot answer now ({detail}); try again")
        return ServerError(f"{self._url} failed: {detail}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port  # raises where it is none
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain and port != 0


def _expected(read: Callable[[], T], url: str) -> T:
    try:
        return read()
    except FormatError as error:
        raise ServerError(f"{url} does not answer like a model server: {error}") from error


def _reason(error: Exception) -> str:
    """The innermost cause in a few words; urllib3 wraps it with addresses of Python objects."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__  # type: ignore[assignment]
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return type(inner).__name__
