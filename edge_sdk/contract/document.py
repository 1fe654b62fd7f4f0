"""Strict JSON documents: one reading only, and checks that name the field."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from edge_sdk.contract.identifiers import MAX_RELEASE
from edge_sdk.errors import FormatError

T = TypeVar("T")

MAX_DEPTH = 32
"""Levels of objects and lists: parsers that call themselves give up at different ones, far beyond it."""


def parse(data: bytes, what: str, *, max_bytes: int) -> dict[str, Any]:
    """A JSON object from UTF-8 bytes; what two readers could take for different values is refused.

    That is: repeated names, NaN and infinities, numbers beyond a double, lone surrogates, a byte order mark,
    and input that is too long or too deep. A whole number beyond 2^53 - 1 is read as the nearest double.

    Raises:
        FormatError: the bytes are not one such object; ``what`` names it in the message.
    """
    if len(data) > max_bytes:
        raise FormatError(f"{what} is {len(data)} bytes long; at most {max_bytes} are allowed")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise FormatError(f"{what} repeats a field name")
        return result

    def refuse(token: str) -> NoReturn:
        raise FormatError(f"{what} contains {token}, which is not JSON")

    def number(token: str) -> float:
        if abs(value := float(token)) == float("inf"):
            raise FormatError(f"{what} holds the number {token[:40]}, which is no finite double")
        return value

    def integer(token: str) -> int | float:
        # RFC 8785 writes the double 1e20 with all its digits, so beyond 2^53 - 1 a number is a double.
        if len(token) > 17 or abs(value := int(token)) > MAX_RELEASE:
            return number(token)
        return value

    try:
        text = data.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=unique, parse_constant=refuse, parse_int=integer, parse_float=number
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # fails on a lone surrogate
    except ValueError as error:
        raise FormatError(f"{what} is not valid JSON: {error}") from error
    except RecursionError as error:  # at a depth that depends on the caller's, but far beyond the limit
        raise _too_deep(what) from error
    if not isinstance(value, dict):
        raise FormatError(f"{what} is not a JSON object")
    _check_depth(value, what)
    return value


def _check_depth(value: dict[str, Any], what: str) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        parts = (part for item in level for part in (item.values() if isinstance(item, dict) else item))
        level = [part for part in parts if isinstance(part, dict | list)]
        if not level:
            return
    raise _too_deep(what)


def _too_deep(what: str) -> FormatError:
    return FormatError(f"{what} nests objects and lists more than {MAX_DEPTH} deep")


def decode_base64(text: str, what: str) -> bytes:
    """The bytes of standard, padded base64; another spelling of the same bytes is refused.

    Raises:
        FormatError: not base64, or not the form that encoding the bytes gives.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError(f"{what} is not standard, padded base64") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise FormatError(f"{what} is base64 with stray bits in its padding")
    return data


class Fields:
    """Typed access to the fields of one object; every refusal names the document and the field."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, Mapping):
            raise FormatError(f"{what} is not a JSON object")
        self._value: Mapping[str, Any] = value
        self.what = what

    def _get(self, key: str) -> Any:
        if key not in self._value:
            raise FormatError(f"{self.what} lacks the field '{key}'")
        return self._value[key]

    def text(self, key: str) -> str:
        value = self._get(key)
        if not isinstance(value, str):
            raise FormatError(f"{self.what}: '{key}' is not a string")
        return value

    def integer(self, key: str, low: int = 0, high: int = MAX_RELEASE) -> int:
        value = self._get(key)
        if type(value) is not int or not low <= value <= high:
            raise FormatError(f"{self.what}: '{key}' is not an integer between {low} and {high}")
        return value

    def number(self, key: str) -> float:
        value = self._get(key)
        if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
            raise FormatError(f"{self.what}: '{key}' is not a finite number")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self._get(key)
        if type(value) is not bool:
            raise FormatError(f"{self.what}: '{key}' is not true or false")
        return value

    def checked(self, key: str, check: Callable[[object], T]) -> T:
        """The field through a check such as :func:`identifiers.name`."""
        try:
            return check(self._get(key))
        except FormatError as error:
            raise FormatError(f"{self.what}: '{key}': {error}") from error

    def array(self, key: str) -> list[Any]:
        value = self._get(key)
        if not isinstance(value, list):
            raise FormatError(f"{self.what}: '{key}' is not a list")
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        value = self._get(key)
        if not isinstance(value, dict):
            raise FormatError(f"{self.what}: '{key}' is not a JSON object")
        return value

    def format(self, expected: str) -> None:
        """Check the format tag; a newer format means that this reader is too old to judge it."""
        found = self.text("format")
        if found != expected:
            raise FormatError(f"{self.what} has the format {found!r}; this reader knows {expected!r}")
