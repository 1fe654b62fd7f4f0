"""How many bytes a refresh costs that finds nothing new, from the product's own server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coach_edge.publish import publish_release
from converters.release.keys import init_keys, load_signers
from device_tests.simulator.models import sealed_model
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk import EdgeClient, RefreshStatus
from edge_sdk.runtime import engine_named
from edge_sdk.update.http import HttpTransport
from edge_sdk.update.transport import NO_HEADERS, Answer
from model_server.client import AdminClient
from model_server.keys import load_keys
from model_server.serve import start


class _Counting:
    """HTTP that counts what is in the bodies of answers, read or not."""

    def __init__(self) -> None:
        self._http = HttpTransport()
        self.urls = list[str]()
        self.bytes = 0

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        """As of any transport."""
        answer = self._http.request(method, url, headers=headers, body=body, elsewhere=elsewhere)
        self.urls.append(url)
        announced = answer.header("Content-Length")
        if answer.status != 304 and announced is not None:
            self.bytes += int(announced)
            return answer
        return Answer(answer.status, answer._headers, self._counted(answer.pieces()), answer.close)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.bytes += len(piece)
            yield piece

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def figures(folder: Path) -> list[dict[str, Any]]:
    """Publish on a server, install, and refresh when nothing has changed."""
    folder.mkdir()
    now = datetime.now(UTC)
    init_keys(folder / "keys", _passphrase, now, log_n=10)
    root = (folder / "keys" / "root.json").read_bytes()
    keys = load_keys(folder / "keys" / "online", root, _passphrase)
    sealed = sealed_model(dense_tflite((3, 1)), engine=engine_named("litert"))
    counting = _Counting()
    with start(root=root, keys=keys, data=folder / "data", bind="127.0.0.1:0") as server:
        with AdminClient(server.url, server.token) as admin:
            signers = load_signers(folder / "keys", root, _passphrase)
            publish_release(
                admin,
                [sealed],
                root,
                folder / "keys",
                signers,
                channel="stable",
                now=now,
                progress=lambda stage, done, total: None,
            )
        with EdgeClient.open(folder / "cache", server.url, root, transport=counting) as client:
            client.update(sealed.entry.model)
            counting.urls, counting.bytes = [], 0
            status = client.refresh().status
            warm, asked = counting.bytes, list(counting.urls)
        counting.bytes = 0
        for url in asked:
            with counting.request("GET", url) as answer:
                list(answer.pieces())
    counting.close()
    requests = len(asked)
    if status is not RefreshStatus.UNCHANGED:
        raise RuntimeError(f"the refresh was not one without news: {status.value}")
    return [
        {
            "id": "warm_refresh_bytes",
            "value": warm,
            "unit": "bytes",
            "control": "the same requests without If-None-Match",
            "control_value": counting.bytes,
            "ratio": warm / counting.bytes,
            "n": requests,
            "note": f"bodies of all {requests} answers of a refresh without news, directives included: what the server "
            "says in place of a newer root is all that is left",
        }
    ]


def _passphrase(name: str) -> str:
    return f"secret of {name}"
