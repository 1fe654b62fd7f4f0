"""The Range header: a table, and a property against plain slicing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_server.ranges import Unsatisfiable, parse_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None), ("", None), ("bytes=", None), ("bytes=-", None), ("bytes", None), ("bytes=a-b", None),
        ("bytes=0-9", (0, 10)), ("bytes=0-", (0, 10)), ("bytes=0-0", (0, 1)), ("bytes=9-9", (9, 10)),
        ("bytes=9-", (9, 10)), ("bytes=3-99", (3, 10)), ("bytes=-1", (9, 10)), ("bytes=-10", (0, 10)),
        ("bytes=-99", (0, 10)), ("Bytes = 1-2 ", (1, 3)), ("bytes=5-4", None), ("bytes=0-1,3-4", None),
        ("items=0-1", None), ("bytes=--1", None), ("bytes=0x1-2", None), ("bytes=\u0661-", None),
        ("bytes=1-" + "9" * 20, (1, 10)), ("bytes=1-" + "9" * 5000, None), ("bytes=1 -2", None),
    ],
)  # fmt: skip
def test_table(header: str | None, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-20", 10),
        ("bytes=-0", 10),
        ("bytes=0-", 0),
        ("bytes=99999999999999999999-", 10),
    ],
)
def test_nothing_there(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, size)


@given(st.binary(min_size=1, max_size=30), st.integers(0, 40), st.integers(0, 40))
def test_a_range_is_a_slice(data: bytes, first: int, last: int) -> None:
    try:
        part = parse_range(f"bytes={first}-{last}", len(data))
    except Unsatisfiable:
        assert data[first : last + 1] == b""
        return
    if part is None:
        assert last < first
    else:
        assert data[slice(*part)] == data[first : last + 1] != b""
