"""``open_model``: where a file or bytes become a model that runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from edge_sdk.arguments import check_engine, check_kind, check_sessions, path_text
from edge_sdk.errors import InputError, NotAvailable
from edge_sdk.runtime.engine import Engine, LoadsPackages, Session
from edge_sdk.runtime.engines import engine_named
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.pool import Pool, PoolSettings
from edge_sdk.runtime.tflite_file import Memory, memory_of

Package = Mapping[str, bytes | memoryview]
"""A model that is a folder: its files by path inside it."""

_STATEFUL: Mapping[str, bool] = MappingProxyType({"none": False, "variables": True})


def open_model(
    path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview | Package,
    engine: str | Engine = "litert",
    max_sessions: int = 3,
    *,
    state: str | None = None,
    settings: PoolSettings | None = None,
    proven: bool = False,
) -> Model:
    """Open a model that you trust.

    A damaged model can kill the process inside the engine, so it is tried out in a child process first, which
    takes a few tenths of a second. The trial runs every signature on zeros, so a model that dies of certain inputs
    only gets through. A damaged model can also load and answer wrongly, and nothing here notices: what comes over a
    network goes through ``edge_sdk.EdgeClient``.

    Args:
        path_or_bytes: a file, or its content. Bytes are used in place. For Core ML a folder, or its files.
        engine: ``litert``, ``onnxruntime``, ``coreml`` (macOS), or an engine of your own.
        max_sessions: how many threads may compute at once, 1 to 3; sessions are made when they are needed.
        state: ``variables`` for a model whose recurrent layers or variables keep state in the interpreter: it
            is reset after each run. ``none``: never. By default the file tells.
        settings: all limits of the pool, in place of ``max_sessions``.
        proven: these bytes have run on this device before: no trial. An engine of your own is never tried, nor is
            a model that is a folder.

    Raises:
        InputError: an argument is wrong.
        NotAvailable: the file cannot be read, or the engine is for other systems.
        FormatError: the engine cannot read the bytes.
        UpdateRequired: the model needs a newer engine.
        ModelCrashed: the model killed the child process.
        TrialUnavailable: no child process can be started here.
        MissingExtraError: the engine is not installed.
    """
    if state is not None and state not in _STATEFUL:
        raise InputError(f"state must be one of {', '.join(_STATEFUL)}, not {state!r}")
    check_engine(engine)
    check_sessions(max_sessions)
    limits = PoolSettings(max_sessions=max_sessions) if settings is None else settings
    check_kind("settings", limits, PoolSettings)
    content = _content(path_or_bytes)
    chosen = engine_named(engine) if isinstance(engine, str) else engine
    if isinstance(content, bytes):
        if isinstance(engine, str) and not proven:
            from edge_sdk.runtime.trial import try_out  # not what a proven model should wait for

            try_out(content, engine, state=state)
        remembers = memory_of(content) is not Memory.NONE
    else:
        remembers = False
    make = _maker(chosen, content)
    first = make()
    return Model(
        Pool(make, limits, first=first), first, stateful=remembers if state is None else _STATEFUL[state]
    )


def _maker(engine: Engine, content: bytes | Package) -> Callable[[], Session]:
    if isinstance(content, bytes):
        return lambda: engine.load(content)
    if not isinstance(engine, LoadsPackages):
        raise NotAvailable(f"the engine {engine.name} runs no models that are folders; coreml does")
    packages = engine
    return lambda: packages.load_package(content)


def _content(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | Package,
) -> bytes | Package:
    if isinstance(source, (bytes, Mapping)):
        return source
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"a model is a path or bytes, not a {type(source).__name__}")
    path = Path(path_text("a model's path", source))
    try:
        if path.suffix == ".mlpackage" and path.is_dir():
            return _files(path)
        if path.is_fifo() or path.is_char_device():  # it may wait for ever, or never end
            raise NotAvailable(f"cannot read the model {path}: it is not a regular file")
        return path.read_bytes()
    except OSError as error:
        raise NotAvailable(f"cannot read the model {os.fspath(source)}: {error.strerror}") from error


def _files(folder: Path) -> Package:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
