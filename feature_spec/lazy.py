"""Packages whose names are imported when they are asked for (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping


def exported(
    package: str, home: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The functions ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its name.
        home: in which of its modules each name is defined.
    """

    def getattr_(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        import importlib

        value: object = getattr(importlib.import_module(f"{package}.{home[name]}"), name)
        vars(sys.modules[package])[name] = value  # found without this function from now on
        return value

    return getattr_, lambda: sorted(home)
