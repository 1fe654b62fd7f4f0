"""Canonical JSON (RFC 8785) and the fingerprint made from it.

One value has exactly one canonical form, so two programs that agree on a value agree on its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from feature_spec.errors import DefinitionError

MAX_SAFE_INTEGER = 2**53 - 1
"""Beyond it a double, and so JavaScript, cannot tell neighbouring integers apart (RFC 8785, 3.2.2.3)."""

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode  # made once: json.dumps makes one for every string

_MAX_DEPTH = 100
"""Deep enough for any document of ours, shallow enough to refuse before Python's stack runs out."""


def canonical_json(value: Any) -> bytes:
    """Serialise ``value`` as RFC 8785 canonical JSON, in UTF-8.

    Takes None, bool, int, float, str, and lists, tuples and mappings of them; keys are strings.

    Raises:
        DefinitionError: a value that JSON cannot carry without loss (NaN, infinity, an integer beyond
            2^53 - 1, a lone surrogate, a key that is not a string, another type), or nesting beyond 100.
    """
    out: list[str] = []
    _write(value, out, "value", 0)
    return "".join(out).encode("utf-8")


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON of ``value``, in lower-case hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _write(value: Any, out: list[str], where: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise DefinitionError(f"{where[:60]}... is nested deeper than {_MAX_DEPTH} levels; flatten it")
    if value is None:
        out.append("null")
    elif isinstance(value, bool):
        out.append("true" if value else "false")
    elif isinstance(value, int):
        out.append(_integer(value, where))
    elif isinstance(value, float):
        out.append(_number(value, where))
    elif isinstance(value, str):
        out.append(_string(value, where))
    elif isinstance(value, Mapping):
        _write_object(value, out, where, depth)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        out.append("[")
        for index, item in enumerate(value):
            if index:
                out.append(",")
            _write(item, out, f"{where}[{index}]", depth + 1)
        out.append("]")
    else:
        raise DefinitionError(
            f"{where} is a {type(value).__name__}; JSON has null, bool, number, string, list and object only"
        )


def _write_object(value: Mapping[Any, Any], out: list[str], where: str, depth: int) -> None:
    for key in value:
        if not isinstance(key, str):
            raise DefinitionError(f"{where} has the key {key!r}, which is not a string; use string keys")
    out.append("{")
    # RFC 8785, 3.2.3: keys sort by their UTF-16 code units, which differs from code points above U+FFFF.
    # surrogatepass only lets the sort reach a lone surrogate; _string then refuses it.
    ordered = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
    for index, key in enumerate(ordered):
        if index:
            out.append(",")
        out.append(_string(key, f"a key of {where}"))
        out.append(":")
        _write(value[key], out, f"{where}.{key}", depth + 1)
    out.append("}")


def _integer(value: int, where: str) -> str:
    if abs(value) > MAX_SAFE_INTEGER:
        raise DefinitionError(f"{where} is an integer beyond 2^53 - 1; write it as a string")
    return int.__repr__(value)


def _string(value: str, where: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise DefinitionError(f"{where} holds a lone surrogate, which UTF-8 has not; remove it") from None
    # With ensure_ascii off the json module escapes exactly what RFC 8785 (3.2.2.2) asks for: quote,
    # backslash and the control characters below U+0020, the short forms where JSON has them.
    return _ENCODE(value)


def _number(value: float, where: str) -> str:
    """Format a double as ECMAScript's Number::toString does (RFC 8785, 3.2.2.3)."""
    if not math.isfinite(value):
        raise DefinitionError(f"{where} is {value}, which JSON does not have; use a finite number")
    if value == 0:
        return "0"  # also for -0.0
    # repr gives the shortest digits that read back to the same double, as ECMAScript does; only the
    # layout differs. `digits` x 10^(`point` - len(digits)) is the value.
    mantissa, _, exponent = float.__repr__(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = fraction.rstrip("0")
    point = len(whole) + int(exponent or "0")
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    return ("-" if value < 0 else "") + _layout(digits, point)


def _layout(digits: str, point: int) -> str:
    """Place the decimal point after ``point`` digits; ECMAScript switches to exponents outside (-6, 21]."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = point - 1
    sign = "+" if exponent > 0 else "-"
    fraction = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{fraction}e{sign}{abs(exponent)}"
