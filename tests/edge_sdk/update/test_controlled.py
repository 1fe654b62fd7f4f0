"""Updates through the client that somebody stops, shares, hurries, or serves from elsewhere."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import pytest

from device_tests.simulator.models import fake_model
from device_tests.simulator.repository import SERVER, Network, Repository
from edge_sdk import (
    AsyncEdgeClient,
    Cancelled,
    Control,
    DeadlineExceeded,
    InputError,
    NotAvailable,
    RefreshStatus,
    RetryPolicy,
    UpdatePolicy,
    UpdateStatus,
    VerificationError,
)
from edge_sdk.crypto.sealing import Sealed
from edge_sdk.store import System
from edge_sdk.update.transport import NO_HEADERS, Answer, Offline
from tests.edge_sdk.conftest import MODEL, Device

BACKGROUND = UpdatePolicy.LOCAL_UPDATE_IN_BACKGROUND
MIRROR = "https://mirror.example.net/models"
PATIENCE_S = 60


class Gated(Network):
    """An honest network that counts a bundle's bytes and calls ``each`` after each piece of 100 of them."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(repository)
        self.sent = 0
        self.each: Callable[[], None] = lambda: None
        self.closed = threading.Event()
        self.urls: list[str] = []
        self.fails: dict[str, list[tuple[int, str]]] = {}
        """What the server answers first, statuses and Retry-After headers, by path."""
        self.lies: dict[str, bytes] = {}
        """What to send in place of a file, by the beginning of the URL."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        self.urls.append(url)
        for begin, lie in self.lies.items():
            if url.startswith(begin):
                return Answer(200, {}, iter((lie,)))
        path = "/" + url.split("/", 3)[3].removeprefix("models/")
        if url.startswith(SERVER) and self.fails.get(path):
            status, retry_after = self.fails[path].pop(0)
            return Answer(status, {"Retry-After": retry_after}, iter(()))
        answer = super().request(method, f"{SERVER}{path}", headers=headers, elsewhere=elsewhere)
        if not path.startswith("/v1/bundles/") or not answer.header("ETag"):
            return answer
        return Answer(answer.status, answer._headers, self._counted(answer.pieces()), self.closed.set)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            for at in range(0, len(piece), 100):
                self.sent += len(piece[at : at + 100])
                yield piece[at : at + 100]
                self.each()


@pytest.fixture
def gated(device: Device) -> Gated:
    device.network = gated = Gated(device.repository)
    return gated


@pytest.fixture
def news(device: Device) -> Sealed:
    sealed = fake_model(0.2, 2)
    device.repository.publish(sealed)
    return sealed


class Gate:
    """Holds up a download after its first piece, until it is opened."""

    def __init__(self, network: Gated) -> None:
        self.reached, self._open = threading.Event(), threading.Event()
        network.each = self

    def __call__(self) -> None:
        self.reached.set()
        assert self._open.wait(PATIENCE_S)

    def wait(self) -> None:
        assert self.reached.wait(PATIENCE_S)

    def open(self) -> None:
        self._open.set()


# -- stopping -------------------------------------------------------------------------------------------


def test_cancelled_and_gone_on_with_by_another_client(device: Device, gated: Gated, news: Sealed) -> None:
    control = Control()
    gated.each = lambda: control.cancel() if gated.sent >= 500 else None
    with device.open() as client, pytest.raises(Cancelled, match="is kept for the next time"):
        client.update(MODEL, control=control)
    assert device.predicts()[0] == 1
    gated.each = lambda: None
    assert device.open().update(MODEL).release == 2
    assert gated.sent == len(news.served), "nothing twice"
    assert gated.ranges[-1] == f"bytes=600-{len(news.served) - 1}"


def test_cancelled_before_it_begins_asks_nobody(device: Device, gated: Gated) -> None:
    control = Control()
    control.cancel()
    for call in (
        lambda: device.open().update(MODEL, control=control),
        lambda: device.open().refresh(None, control),
    ):
        with pytest.raises(Cancelled):
            call()
    assert gated.urls == []


def test_a_cancelled_caller_is_free_while_the_network_stalls(
    device: Device, gated: Gated, news: Sealed
) -> None:
    control, gate, client = Control(), Gate(gated), device.open()
    with ThreadPoolExecutor(1) as pool:
        update = pool.submit(client.update, MODEL, control=control)
        gate.wait()
        control.cancel()
        with pytest.raises(Cancelled):
            update.result(PATIENCE_S)
    gate.open()
    assert client.update(MODEL).release == 2


def test_paused_it_lets_go_of_the_connection(device: Device, gated: Gated, news: Sealed) -> None:
    control, client = Control(), device.open()
    gated.each = lambda: control.pause() if gated.sent == 300 else None
    with ThreadPoolExecutor(1) as pool:
        update = pool.submit(client.update, MODEL, control=control)
        assert gated.closed.wait(PATIENCE_S)
        assert not update.done()
        control.resume()
        assert update.result(PATIENCE_S).release == 2
    assert gated.sent == len(news.served)


def test_a_refresh_is_cancelled(device: Device, gated: Gated) -> None:
    control = Control()

    def directives() -> Iterator[bytes]:
        control.cancel()
        yield b"{"

    gated.repository.files["/v1/directives"] = directives
    before = device.state
    with pytest.raises(Cancelled):
        device.open().refresh(None, control)
    assert device.state == before


def test_what_progress_raises_ends_it(device: Device, gated: Gated, news: Sealed) -> None:
    def progress(stage: str, done: int, total: int) -> None:
        if done >= 300:
            raise ZeroDivisionError("of the app")

    client = device.open()
    with pytest.raises(ZeroDivisionError, match="of the app"):
        client.update(MODEL, progress=progress)
    assert device.predicts()[0] == 1
    assert client.update(MODEL).release == 2


# -- shared ---------------------------------------------------------------------------------------------


class Joining(Control):
    """Says when its caller waits."""

    def __init__(self) -> None:
        super().__init__()
        self.joined = threading.Event()

    def watched(self, told: Callable[[], None]) -> AbstractContextManager[None]:
        self.joined.set()
        return super().watched(told)


class Two:
    """Two callers who wait for one download, which stands after its first piece."""

    def __init__(self, device: Device, network: Gated, pool: ThreadPoolExecutor) -> None:
        self.client, self.gate = device.open(), Gate(network)
        self.controls, self.told = (Joining(), Joining()), (list[int](), list[int]())
        self.answers = list[Future[Any]]()
        for control, told in zip(self.controls, self.told, strict=True):
            progress = partial(self._progress, told)
            self.answers.append(pool.submit(self.client.update, MODEL, progress=progress, control=control))
            assert control.joined.wait(PATIENCE_S)
            self.gate.wait()

    @staticmethod
    def _progress(told: list[int], stage: str, done: int, total: int) -> None:
        if stage == "download":
            told.append(done)


@pytest.fixture
def two(device: Device, gated: Gated, news: Sealed) -> Iterator[Two]:
    with ThreadPoolExecutor(2) as pool:
        yield Two(device, gated, pool)


@pytest.mark.parametrize("who", [0, 1])
def test_one_cancels_and_the_other_goes_on(two: Two, gated: Gated, news: Sealed, who: int) -> None:
    two.controls[who].cancel()
    with pytest.raises(Cancelled):
        two.answers[who].result(PATIENCE_S)
    two.gate.open()
    assert two.answers[1 - who].result(PATIENCE_S).release == 2
    assert gated.requests.count(f"/v1/bundles/{news.sha256}") == 1
    assert two.told[1 - who][-1] == len(news.served)
    assert max(two.told[who], default=0) <= 100


def test_one_pauses_and_the_other_goes_on(two: Two, gated: Gated, news: Sealed) -> None:
    two.controls[0].pause()
    two.gate.open()
    assert [answer.result(PATIENCE_S).release for answer in two.answers] == [2, 2]
    assert gated.requests.count(f"/v1/bundles/{news.sha256}") == 1


def test_all_pause_and_one_resumes(two: Two, gated: Gated, news: Sealed) -> None:
    gated.closed.clear()
    for control in two.controls:
        control.pause()
    two.gate.open()
    assert gated.closed.wait(PATIENCE_S)
    two.controls[1].resume()
    assert [answer.result(PATIENCE_S).release for answer in two.answers] == [2, 2]
    assert gated.sent == len(news.served)


def test_all_cancel_and_who_comes_later_gets_it(two: Two, gated: Gated, news: Sealed) -> None:
    for control in two.controls:
        control.cancel()
    for answer in two.answers:
        with pytest.raises(Cancelled):
            answer.result(PATIENCE_S)
    two.gate.open()
    assert two.client.update(MODEL).release == 2
    assert gated.sent == len(news.served)


def test_what_one_progress_raises_is_nothing_to_the_other(device: Device, gated: Gated, news: Sealed) -> None:
    class Angry(Two):
        @staticmethod
        def _progress(told: list[int], stage: str, done: int, total: int) -> None:
            Two._progress(told, stage, done, total)
            if len(told) == 3 and not raised:
                raised.append(True)
                raise ZeroDivisionError("of one")

    raised = list[bool]()
    with ThreadPoolExecutor(2) as pool:
        two = Angry(device, gated, pool)
        two.gate.open()
        failures = [answer.exception(PATIENCE_S) for answer in two.answers]
    assert sorted(map(type, failures), key=str) == [type(None), ZeroDivisionError]


# -- closing --------------------------------------------------------------------------------------------


def test_close_cancels_what_is_in_the_background(device: Device, gated: Gated, news: Sealed) -> None:
    client, closing = device.open(), threading.Thread()

    def close_it() -> None:
        if gated.sent == 300:
            closing.run = client.close  # type: ignore[method-assign]
            closing.start()
            assert cancelled.wait(PATIENCE_S)

    cancelled, control = threading.Event(), Joining()
    gated.each = close_it
    client.update(MODEL, BACKGROUND, control=control)
    assert control.joined.wait(PATIENCE_S)
    (running,) = client._updates()._running
    with running._control.watched(cancelled.set):
        closing_begun = client.wait()
    closing.join(PATIENCE_S)
    assert closing_begun[MODEL].status is UpdateStatus.CANCELLED
    assert (closing_begun[MODEL].release, device.predicts()[0]) == (1, 1)
    gated.each = lambda: None
    assert device.open().update(MODEL).release == 2
    assert gated.sent == len(news.served), "what came is kept"


def test_a_background_update_is_cancelled_by_its_control(device: Device, gated: Gated, news: Sealed) -> None:
    control, client = Control(), device.open()
    gated.each = control.cancel
    client.update(MODEL, BACKGROUND, control=control)
    assert client.wait()[MODEL].status is UpdateStatus.CANCELLED
    assert client.status()["background"][MODEL]["status"] == "cancelled"
    gated.each = lambda: None
    assert client.update(MODEL, BACKGROUND).status is UpdateStatus.STARTED, "it may be begun again"


@pytest.mark.parametrize("policy", [UpdatePolicy.LATEST, BACKGROUND])
def test_a_progress_may_close_the_client(device: Device, news: Sealed, policy: UpdatePolicy) -> None:
    client = device.open()
    client.model(MODEL)
    stages = []

    def close_it(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        client.close()

    with nullcontext() if policy is BACKGROUND else pytest.raises(Cancelled):
        client.update(MODEL, policy, progress=close_it)
    if policy is BACKGROUND:
        assert client.wait()[MODEL].status is UpdateStatus.CANCELLED
    assert stages == ["metadata"], "it ended there"
    with pytest.raises(NotAvailable, match="closed"):
        client.model(MODEL)
    assert device.predicts()[0] == 1


def test_however_it_ends_in_the_background_it_may_be_begun_again(device: Device) -> None:
    """Else an app's own mistake would end all updates of its process, and look as if one were under way."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("of the app")

    client = device.open()
    for _ in range(2):
        assert client.update(MODEL, BACKGROUND, progress=broken).status is UpdateStatus.STARTED
        done = client.wait()[MODEL]
        assert done.status is UpdateStatus.FAILED
        assert "ZeroDivisionError: of the app" in done.detail


def test_a_cache_that_is_lost_meanwhile_ends_an_update_in_the_background(device: Device) -> None:
    class Losing:
        def request(self, *_: Any, **__: Any) -> Any:
            shutil.rmtree(device.folder / "states")
            raise Offline("no network")

    client = device.open(transport=Losing())
    client.update(MODEL, BACKGROUND)
    done = client.wait()[MODEL]
    assert done.status is UpdateStatus.FAILED
    assert "holds no whole state" in done.detail


def test_a_cancelled_coroutine_cancels_its_update(device: Device, gated: Gated, news: Sealed) -> None:
    gate = Gate(gated)

    async def main() -> None:
        client = await AsyncEdgeClient.open(
            device.folder,
            SERVER,
            engine=device.engine,
            capabilities=frozenset({"tflite"}),
            clock=lambda: device.now,
            transport=gated,
        )
        async with client:
            update = asyncio.ensure_future(client.update(MODEL))
            await asyncio.to_thread(gate.wait)
            update.cancel()
            with pytest.raises(asyncio.CancelledError):
                await update
            gate.open()
            assert (await client.update(MODEL, UpdatePolicy.LOCAL)).release == 1
            control = Control()
            control.cancel()
            with pytest.raises(Cancelled):
                await client.refresh(control=control)
            sent = gated.sent
            assert sent < len(news.served), "it did not go on unseen"
            await client.update(MODEL, BACKGROUND)
            assert (await client.wait())[MODEL].release == 2

    asyncio.run(main())


# -- mirrors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 503])
def test_a_mirror_has_the_bundles(device: Device, gated: Gated, news: Sealed, status: int) -> None:
    path = f"/v1/bundles/{news.sha256}"
    gated.fails[path] = [(status, "")] * 9
    client = device.open(mirrors=["https://other.example.net", MIRROR + "/"])
    gated.lies["https://other.example.net"] = b"x" * len(news.served)
    assert client.update(MODEL).release == 2
    servers = [url.removesuffix(path) for url in gated.urls if url.endswith(path)]
    assert [*dict.fromkeys(servers)] == [SERVER, "https://other.example.net", MIRROR]
    assert servers.count(MIRROR) == 1
    assert not [url for url in gated.urls if not url.startswith(SERVER) and "/v1/bundles/" not in url]


def test_mirrors_that_lie_change_nothing(device: Device, gated: Gated, news: Sealed) -> None:
    gated.fails[f"/v1/bundles/{news.sha256}"] = [(404, "")] * 9
    gated.lies[MIRROR] = b"x" * len(news.served)
    with pytest.raises(VerificationError, match="other bytes than the signed"):
        device.open(mirrors=[MIRROR]).update(MODEL)
    assert device.predicts()[0] == 1


def test_mirrors_must_be_urls(device: Device) -> None:
    with pytest.raises(InputError, match="'ftp://x' is not a URL"):
        device.open(mirrors=["ftp://x"])
    with pytest.raises(InputError, match="a list of URLs"):
        device.open(mirrors=MIRROR)


# -- trying again ---------------------------------------------------------------------------------------


def test_metadata_is_tried_again_when_the_server_says(device: Device, gated: Gated) -> None:
    rests = list[float]()
    retry = RetryPolicy(random=lambda: 1.0, rest=lambda control, seconds: rests.append(seconds))
    gated.fails = {"/metadata/timestamp.json": [(503, ""), (429, "7")], "/v1/directives": [(500, "")]}
    device.repository.publish()
    assert device.open(retry=retry).refresh().status is RefreshStatus.UPDATED
    assert rests == [0.5, 7.0, 2.0]


def test_a_server_that_asks_for_long_is_left_alone(device: Device, gated: Gated) -> None:
    gated.fails["/metadata/timestamp.json"] = [(503, "3600")]
    assert device.open().refresh().status is RefreshStatus.OFFLINE
    assert gated.requests.count("/metadata/timestamp.json") == 0
    assert gated.urls.count(f"{SERVER}/metadata/timestamp.json") == 1


def test_a_cancelled_rest_ends_at_once(device: Device, gated: Gated) -> None:
    control = Control()

    def rest(control: Control, seconds: float) -> None:
        control.cancel()
        Control.rest(control, seconds)

    gated.fails["/metadata/timestamp.json"] = [(503, "29")]
    with pytest.raises(Cancelled):
        device.open(retry=RetryPolicy(rest=rest)).refresh(None, control)


@pytest.mark.parametrize("of", ["metadata", "bundle"])
def test_a_deadline_for_everything_together(device: Device, gated: Gated, news: Sealed, of: str) -> None:
    class Ticking(System):
        def monotonic(self) -> float:
            return len(gated.urls) * 10.0 if of == "metadata" else gated.sent / 20

    client = device.open(system=Ticking(), retry=RetryPolicy(deadline_s=20.0))
    with pytest.raises(DeadlineExceeded, match="not here after 20 s"):
        client.update(MODEL)
    assert (len(gated.urls), gated.sent) == ((3, 0) if of == "metadata" else (len(gated.urls), 500))
    assert device.predicts()[0] == 1


def test_waits_that_would_end_after_the_deadline_are_not_begun(device: Device, gated: Gated) -> None:
    gated.fails["/metadata/timestamp.json"] = [(503, "9")] * 9
    refreshed = device.open(retry=RetryPolicy(deadline_s=8.0)).refresh()
    assert (refreshed.status, len(gated.urls)) == (RefreshStatus.OFFLINE, 2)
    assert "503" in refreshed.detail


def test_progress_never_goes_back(device: Device, gated: Gated, news: Sealed) -> None:
    told = list[tuple[str, int]]()
    gated.lies[f"{SERVER}/v1/bundles/{news.sha256}"] = b"x" * len(news.served)
    client = device.open(mirrors=[MIRROR])
    client.update(MODEL, progress=lambda stage, done, total: told.append((stage, done)))
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == ["metadata", "download", "prove"]
    for stage in stages:
        values = [done for where, done in told if where == stage]
        assert values == sorted(set(values))
