"""What an app passed by mistake: one clear error at the call, before anything is begun.

A wrong type that is found out later leaves work half begun, or counts as another choice: the text ``local`` is not the
policy LOCAL, and would download.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from edge_sdk.errors import InputError


def check_kind(what: str, value: object, kind: type) -> None:
    """Refuse what is not of a kind; a subclass is.

    Raises:
        InputError: ``value`` is something else.
    """
    if not isinstance(value, kind):
        raise InputError(f"{what} is of the type {kind.__name__}, not {type(value).__name__}: {value!r:.40}")


def check_callable(what: str, value: object) -> None:
    """Refuse what cannot be called.

    Raises:
        InputError: it cannot.
    """
    if not callable(value):
        raise InputError(f"{what} is a function, not {type(value).__name__}: {value!r:.40}")


def check_engine(engine: object) -> None:
    """Refuse what is neither the name of an engine nor an engine, as far as can be seen without using it.

    Raises:
        InputError: it is neither.
    """
    if not isinstance(engine, str) and (isinstance(engine, type) or not hasattr(engine, "load")):
        raise InputError(f"an engine is a name or an Engine, not {type(engine).__name__}: {engine!r:.40}")


def check_sessions(max_sessions: object) -> None:
    """Refuse what is no number of sessions: a whole number from 1 to 3.

    Raises:
        InputError: it is none.
    """
    whole = isinstance(max_sessions, int) and not isinstance(max_sessions, bool)
    if not (whole and max_sessions in (1, 2, 3)):
        raise InputError(f"max_sessions must be 1, 2 or 3, not {max_sessions!r:.40}")


def texts(what: str, values: Iterable[str], kind: str = "texts") -> tuple[str, ...]:
    """Several texts; one alone would count as its letters.

    Raises:
        InputError: they are something else.
    """
    found = None if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) else tuple(values)
    if found is None or not all(isinstance(each, str) for each in found):
        raise InputError(f"{what} is a list of {kind}, not {type(values).__name__}: {values!r:.40}")
    return found


def path_text(what: str, path: str | os.PathLike[str]) -> str:
    """A path as text that the operating system can be asked for.

    Raises:
        InputError: it is none, or it holds what no path may hold.
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str):
        raise InputError(f"{what} is a path, not {type(path).__name__}: {path!r:.40}")
    try:
        possible = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise InputError(f"{what} {text!r:.60} holds characters that no path may hold")
    return text
