"""A network that leads to a server which collects reports, or does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from device_tests.simulator.repository import Network
from edge_sdk.contract.telemetry import Report
from edge_sdk.update.transport import NO_HEADERS, Answer, Offline


class Collecting:
    """A transport.

    Attributes:
        answers: what to answer to the next reports: statuses, or 0 for a connection that breaks; then 202.
        headers: of the answers that are no 202.
        problem: their body.
        came: everything that was sent, answered or not.
        meanwhile: is called when a report has come, before it is answered.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}
        self.problem = json.dumps({"detail": "because"}).encode()
        self.came: list[bytes] = []
        self.meanwhile: Callable[[], object] = lambda: None

    @property
    def reports(self) -> list[Report]:
        """Those that came, each once, as a server counts them."""
        return [Report.from_bytes(body) for body in dict.fromkeys(self.came)]

    @property
    def predictions(self) -> int:
        return sum(report.window.predictions for report in self.reports)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        if method != "POST":
            return self._network.request(method, url, headers=headers, body=body, elsewhere=elsewhere)
        assert url.endswith("/v1/telemetry")
        assert set(headers) == {"Content-Type"}  # no credential, no cookie
        if not self._network.online:
            raise Offline(f"{url}: no network")
        self.came.append(body or b"")
        self.meanwhile()
        status = self.answers.pop(0) if self.answers else 202
        if status == 0:
            raise Offline(f"{url}: broke off")
        if status == 202:
            return Answer(202, {"Content-Type": "application/json"}, iter((b'{"taken": true}',)))
        length = {"Content-Length": str(len(self.problem))}
        return Answer(status, {**length, **self.headers}, iter((self.problem,)))
