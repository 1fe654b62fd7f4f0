"""Running the server: a socket, worker threads, the thread that signs again, and an orderly stop."""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from edge_sdk.contract.key_blob import origin_of
from feature_spec.extras import require
from model_server import token_file
from model_server.app import create_app
from model_server.catalogue import Catalogue
from model_server.errors import ServerError, StartError
from model_server.key_provider import KEK_FILE, KeyProvider, load_local
from model_server.keys import OnlineKeys
from model_server.services import Services, create_services
from model_server.settings import Clock, Settings, utc_now
from model_server.storage import open_store

log = logging.getLogger(__name__)

DEFAULT_BIND = "127.0.0.1:8765"
BACKLOG = 128
_FLUSH_CHECK_S = 0.02


class RunningServer:
    """A server that answers until it is closed; a context manager.

    Attributes:
        url: where it answers, such as ``http://127.0.0.1:8765``.
        token: its admin token.
    """

    def __init__(self, services: Services, listening: socket.socket, clock: Clock) -> None:
        """Start the threads; see :func:`start`."""
        waitress: Any = require("waitress", extra="server")
        self.url = _url(listening)
        self.token = services.token
        self._services, self._clock = services, clock
        self._server: Any = waitress.create_server(
            create_app(services),
            sockets=[listening],
            threads=services.settings.threads,
            max_request_body_size=services.settings.max_body_bytes + 1,
            ident=None,
        )
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"model-server-{name}", daemon=True)
            for name, target in (("loop", self._server.run), ("resign", self._resign))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop: no new connection, requests under way finish, then everything is closed. Twice is once."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        deadline = time.monotonic() + self._services.settings.drain_s
        self._in_loop(lambda: self._server.asyncore.dispatcher.close(self._server))
        self._server.task_dispatcher.shutdown(
            cancel_pending=True, timeout=max(deadline - time.monotonic(), 0)
        )
        waiting = threading.Event()
        while self._unsent() and time.monotonic() < deadline:
            waiting.wait(_FLUSH_CHECK_S)
        self._in_loop(self._close_all)
        for thread in self._threads:
            thread.join()
        self._services.catalogue.close()

    def _in_loop(self, act: Any) -> None:
        """Run in the thread of the loop, the only one that may touch its sockets."""
        done = threading.Event()

        def run() -> None:
            try:
                act()
            finally:
                done.set()

        self._server.trigger.pull_trigger(run)
        done.wait()

    def _unsent(self) -> bool:
        return any(channel.total_outbufs_len for channel in list(self._server.active_channels.values()))

    def _close_all(self) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.trigger.close()  # the map is empty then, which ends the loop

    def _resign(self) -> None:
        while not self._stopping.wait(self._services.settings.resign_interval_s):
            try:
                done = self._services.resigner.tick(self._clock())
            except ServerError as error:
                log.error("cannot sign again, will try in a while: %s", error)
            except Exception:
                log.exception("a defect while signing again")
            else:
                if done:
                    log.info("signed again: %s", ", ".join(done))


def require_extras() -> None:
    """Check that everything a server needs is installed.

    Raises:
        MissingExtraError: the extra ``server`` is not installed.
    """
    for module in ("flask", "sqlalchemy", "waitress"):
        require(module, extra="server")


def start(
    *,
    root: bytes,
    keys: OnlineKeys,
    data: Path,
    storage: str | None = None,
    database: str | None = None,
    bind: str = DEFAULT_BIND,
    token: str | None = None,
    settings: Settings | None = None,
    clock: Clock = utc_now,
    key_provider: KeyProvider | None = None,
) -> RunningServer:
    """Start a server in threads of this process.

    Args:
        root: root metadata that clients trust.
        keys: the online keys (``keys.load_keys``).
        data: folder for the token and, by default, database and objects.
        storage: address of the object store; ``objects`` in ``data`` by default (``storage.open_store``).
        database: address of the catalogue as SQLAlchemy writes it; SQLite in ``data`` by default.
        bind: ``HOST:PORT``; port 0 takes a free one.
        token: admin token; the one in ``data`` by default, made at the first start.
        settings: limits and lifetimes.
        clock: what time it is.
        key_provider: wraps the data keys of bundles sealed for devices; by default a key of its own in ``data``.

    Raises:
        StartError: anything that is set wrong, such as a port in use.
        StorageError, StateError: the store cannot be used.
        MissingExtraError: the extra ``server`` is not installed.
    """
    require_extras()
    with ExitStack() as undo:
        listening = undo.enter_context(_listen(bind))
        try:
            data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"cannot make the folder {data}: {error.strerror}") from error
        store = open_store(storage or str(data / "objects"))
        catalogue = Catalogue(database or f"sqlite:///{data / 'catalogue.sqlite'}")
        undo.callback(catalogue.close)
        services = create_services(
            root=root,
            keys=keys,
            store=store,
            catalogue=catalogue,
            token=token if token is not None else token_file.stored_token(data),
            settings=_with_origin(settings or Settings(), listening),
            clock=clock,
            key_provider=key_provider or load_local(data / KEK_FILE),
        )
        running = RunningServer(services, listening, clock)
        undo.pop_all()
    return running


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _with_origin(settings: Settings, listening: socket.socket) -> Settings:
    """Where nobody says under which addresses devices come, it is the one that is listened on."""
    return settings if settings.origins else replace(settings, origins=(origin_of(_url(listening)),))


def _listen(bind: str) -> socket.socket:
    host, separator, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if (
        not separator
        or not host
        or not port.isascii()
        or not port.isdigit()
        or len(port) > 5
        or int(port) > 65535
    ):
        raise StartError(f"--bind {bind}: write HOST:PORT, such as {DEFAULT_BIND}")
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, int(port)))
        listening.listen(BACKLOG)  # here, and not later: two sockets may be bound to a port, but one listens
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise StartError(f"port {port} is in use; choose another with --bind") from error
        raise StartError(f"cannot listen on {bind}: {error.strerror}; choose another with --bind") from error
    return listening
