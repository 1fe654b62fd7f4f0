"""``open_model``: where a file or bytes become a model that runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from edge_sdk.errors import InputError, NotAvailable
from edge_sdk.runtime.engine import Engine, Session
from edge_sdk.runtime.engines import engine_named
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.pool import Pool, PoolSettings

_STATEFUL: Mapping[str, bool] = MappingProxyType({"none": False, "variables": True})


def open_model(
    path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview,
    engine: str | Engine = "litert",
    max_sessions: int = 3,
    *,
    state: str = "none",
    settings: PoolSettings | None = None,
) -> Model:
    """Open a model that you trust.

    The bytes are not checked against anything here: a damaged model can load and answer wrongly, or kill the
    process inside the engine. What comes over a network goes through ``edge_sdk.EdgeClient``.

    Args:
        path_or_bytes: a file, or its content. Bytes are used in place.
        engine: ``litert``, ``onnxruntime``, or an engine of your own.
        max_sessions: how many threads may compute at once, 1 to 3; sessions are made when they are needed.
        state: ``variables`` for a model whose recurrent layers keep state in the interpreter: it is reset
            after each run. ``none`` otherwise.
        settings: all limits of the pool, in place of ``max_sessions``.

    Raises:
        InputError: an argument is wrong.
        NotAvailable: the file cannot be read.
        FormatError: the engine cannot read the bytes.
        UpdateRequired: the model needs a newer engine.
        MissingExtraError: the engine is not installed.
    """
    if state not in _STATEFUL:
        raise InputError(f"state must be one of {', '.join(_STATEFUL)}, not {state!r}")
    limits = settings or PoolSettings(max_sessions=max_sessions)
    content = _content(path_or_bytes)
    chosen = engine_named(engine) if isinstance(engine, str) else engine

    def make() -> Session:
        return chosen.load(content)

    first = make()
    return Model(Pool(make, limits, first=first), first, stateful=_STATEFUL[state])


def _content(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise NotAvailable(f"cannot read the model {os.fspath(source)}: {error.strerror}") from error
    except TypeError as error:
        raise InputError(f"a model is a path or bytes, not a {type(source).__name__}") from error
