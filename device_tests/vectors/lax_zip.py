"""A ZIP writer that writes whatever it is told to: the means to make bundles that must be refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

LOCAL, CENTRAL, END = 0x04034B50, 0x02014B50, 0x06054B50


@dataclass(frozen=True)
class Member:
    """One file, with the fields that an attacker may choose; None means what an honest writer puts there."""

    name: bytes
    data: bytes
    local_name: bytes | None = None
    method: int = 0
    flags: int = 0x0800
    time: int = 0
    date: int = 0x0021
    crc: int | None = None
    length: int | None = None
    extra: bytes = b""
    comment: bytes = b""
    version_made: int = 20
    version_needed: int = 20
    attributes: int = 0
    after: bytes = b""
    """Stray bytes behind the data, such as a data descriptor."""


def write(
    members: Sequence[Member], *, prefix: bytes = b"", comment: bytes = b"", suffix: bytes = b""
) -> bytes:
    """The ZIP of these members, in this order."""
    body, directory = prefix, b""
    for m in members:
        length = len(m.data) if m.length is None else m.length
        crc = zlib.crc32(m.data) if m.crc is None else m.crc
        common = struct.pack(
            "<HHHHHIII", m.version_needed, m.flags, m.method, m.time, m.date, crc, length, length
        )
        local_name = m.name if m.local_name is None else m.local_name
        directory += (
            struct.pack("<IH", CENTRAL, m.version_made)
            + common
            + struct.pack(
                "<HHHHHII", len(m.name), len(m.extra), len(m.comment), 0, 0, m.attributes, len(body)
            )
            + m.name
            + m.extra
            + m.comment
        )
        local = struct.pack("<I", LOCAL) + common + struct.pack("<HH", len(local_name), len(m.extra))
        body += local + local_name + m.extra + m.data + m.after
    count = len(members)
    end = struct.pack("<IHHHHIIH", END, 0, 0, count, count, len(directory), len(body), len(comment))
    return body + directory + end + comment + suffix


def members(files: dict[str, bytes]) -> list[Member]:
    """The honest members of these files."""
    return [Member(name.encode(), files[name]) for name in sorted(files)]


def changed(files: dict[str, bytes], **fields: object) -> bytes:
    """An honest ZIP but for fields of its last member."""
    *rest, last = members(files)
    return write([*rest, replace(last, **fields)])  # type: ignore[arg-type]
