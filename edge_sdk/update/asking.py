"""Asking for a part of an object whose digest is known, and what the answer must look like."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from edge_sdk.errors import VerificationError
from edge_sdk.update.transport import Answer, Transport, check_untouched, refusal

_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.ASCII)


@dataclass(frozen=True)
class Part:
    """What is coming.

    Attributes:
        answer: with the body.
        start: where in the object it begins; 0 where the server sends everything.
        stop: where it ends.
        tag: the server's ETag.
    """

    answer: Answer
    start: int
    stop: int
    tag: str | None


def ask(
    transport: Transport, url: str, what: str, start: int, stop: int, length: int, tag: str | None
) -> Part:
    """Ask for ``[start, stop)`` of an object of ``length`` bytes; for all of it where that is all.

    Args:
        transport: how.
        url: of the object.
        what: names it in messages.
        start: first byte.
        stop: after the last one.
        length: of the object, as signed.
        tag: ETag without which the part is not wanted; None where whatever is there will do.

    Raises:
        Offline: no answer, or one from something in between.
        NotAvailable: it is not there.
        VerificationError: the server has something of another length, or sends another part.
    """
    headers = {}
    if (start, stop) != (0, length):
        headers["Range"] = f"bytes={start}-{stop - 1}"
        if tag is not None:
            headers["If-Range"] = tag
    answer = transport.request("GET", url, headers=headers, elsewhere=True)
    try:
        if answer.status == 416:
            raise VerificationError(f"{what}: the server has fewer than the {length} signed bytes; refused")
        if answer.status not in (200, 206):
            raise refusal(what, answer.status, answer.header("Retry-After"))
        check_untouched(url, answer)
        begin, end = 0, length
        if answer.status == 206:
            begin, end = start, stop
            _check_range(answer, what, start, stop, length)
        _check_length(answer, what, end - begin)
    except BaseException:
        answer.close()
        raise
    return Part(answer, begin, end, answer.header("ETag"))


def _check_range(answer: Answer, what: str, start: int, stop: int, length: int) -> None:
    said = answer.header("Content-Range") or ""
    match = _CONTENT_RANGE.fullmatch(said.strip())
    if match is None:
        raise VerificationError(f"{what}: the server sends a part without saying which ({said!r}); refused")
    first, last, total = match.groups()
    if total not in ("*", str(length)):
        raise VerificationError(
            f"{what}: the server has {total} bytes, not the {length} signed ones; refused"
        )
    if (int(first), int(last)) != (start, stop - 1):
        raise VerificationError(
            f"{what}: the server sends bytes {first} to {last}, not {start} to {stop - 1}; refused"
        )


def _check_length(answer: Answer, what: str, expected: int) -> None:
    """Refuse what announces too much. What announces too little ends early, and is gone on with."""
    said = answer.header("Content-Length") or ""
    if said.isascii() and said.isdigit() and int(said[:20]) > expected:
        raise more_than_signed(what, expected)


def more_than_signed(what: str, expected: int) -> VerificationError:
    """The error for too many bytes."""
    return VerificationError(f"{what}: the server sends more than the {expected} signed bytes; refused")
