"""Canonical JSON against RFC 8785: its own examples, an independent implementation, and refusals."""

from __future__ import annotations

import hashlib
import json
import struct

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from feature_spec.canonical import MAX_SAFE_INTEGER, canonical_json, fingerprint
from feature_spec.errors import DefinitionError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_agrees_with_an_independent_implementation(value: object) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@given(st.integers(0, 2**64 - 1))
def test_every_bit_pattern_of_a_double(bits: int) -> None:
    value = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    if value != value or value in (float("inf"), float("-inf")):
        with pytest.raises(DefinitionError):
            canonical_json(value)
    else:
        assert canonical_json(value) == rfc8785.dumps(value)
        assert float(canonical_json(value)) == value


@given(VALUES)
def test_reads_back_and_is_stable(value: object) -> None:
    once = canonical_json(value)
    # 2^53 and above is a fine double but no safe integer, so read every number as a double.
    assert canonical_json(json.loads(once, parse_int=float)) == once


@pytest.mark.parametrize(
    ("bits", "text"),
    [  # RFC 8785, appendix B
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_of_the_rfc(bits: str, text: str) -> None:
    value = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert canonical_json(value) == text.encode()


def test_keys_sort_by_utf16_code_units() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\u00f6": 7}
    order = ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical_json(value))) == order


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (float("nan"), "value is nan"),
        ({"a": [1, float("inf")]}, r"value\.a\[1\] is inf"),
        (2**53, "beyond 2\\^53"),
        (-(2**53), "beyond 2\\^53"),
        ({1: 2}, "not a string"),
        ("\ud800", "lone surrogate"),
        ({"\udfff": 1}, "lone surrogate"),
        ({"a": b"x"}, r"value\.a is a bytes"),
        ({1, 2}, "is a set"),
    ],
)
def test_refuses_what_json_cannot_carry(value: object, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        canonical_json(value)


def test_refuses_bottomless_nesting() -> None:
    value: list[object] = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(DefinitionError, match="nested deeper"):
        canonical_json(value)


def test_fingerprint_is_the_hash_of_the_canonical_form() -> None:
    assert fingerprint({"b": 1.0, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()
