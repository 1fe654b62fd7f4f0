"""The Range header (RFC 9110, section 14): one range of bytes or none. Pure."""

from __future__ import annotations

import re

_ONE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,20})-([0-9]{0,20})[ \t]*", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range lies beyond the end."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The half-open range ``[start, stop)`` that a header asks for; None to send everything.

    Several ranges, other units and malformed headers are ignored, as the RFC allows.

    Raises:
        Unsatisfiable: a valid range of which no byte exists.
    """
    match = _ONE.fullmatch(header) if header is not None else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:  # the last so many bytes
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= stop:
        raise Unsatisfiable
    return start, stop
