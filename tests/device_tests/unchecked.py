"""The SDK without its hash checks: for controls, which must see what these are for."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edge_sdk


class _Agreeing:
    """Of a digest that equals any other."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


class _Hex(_Agreeing, str):
    __hash__ = str.__hash__


class _Raw(_Agreeing, bytes):
    __hash__ = bytes.__hash__


class _Hashlib:
    """Hashes as ever, and finds all digests equal."""

    class sha256:
        def __init__(self, data: Any = b"") -> None:
            self._inner = hashlib.sha256(data)

        def update(self, data: Any) -> None:
            self._inner.update(data)

        def digest(self) -> bytes:
            return _Raw(self._inner.digest())

        def hexdigest(self) -> str:
            return _Hex(self._inner.hexdigest())


def without_hash_checks(put: Callable[[Any, str, Any], None]) -> set[str]:
    """Take them out of all modules of the SDK by ``put``, that of a monkeypatch for example; which had one."""
    found = set()
    for package in ("store", "update", "crypto"):
        path = Path(edge_sdk.__file__).parent / package
        for info in pkgutil.iter_modules([str(path)], f"edge_sdk.{package}."):
            module = importlib.import_module(info.name)
            if getattr(module, "hashlib", None) is hashlib:
                put(module, "hashlib", _Hashlib)
                found.add(info.name)
    return found
