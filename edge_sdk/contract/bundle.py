"""The bundle: a ZIP of which every byte is determined by the files in it.

Stored entries sorted by name, fixed timestamps, no extra fields, no comments. A reader therefore needs no
ZIP library and has nothing to guess: it takes the files at the places that the central directory names and
refuses whatever is not, byte for byte, what a writer would have made of them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edge_sdk.errors import FormatError

RECORD_NAME: Final = "bundle.json"
FEATURE_SPEC_NAME: Final = "feature_spec.json"
GOLDEN_NAME: Final = "golden/cases.json"
PAYLOADS: Final = {"tflite": "model.tflite", "onnx": "model.onnx", "coreml": "model.mlpackage"}
"""Payload by target: a file, or a folder for the targets in :data:`FOLDERS`."""
FOLDERS: Final = frozenset({"coreml"})

MAX_FILES = 64
Content = bytes | memoryview
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
_LOCAL_MARK = 0x04034B50
_VERSION = 20
_UTF8 = 0x0800
_DOS_DATE = 0x0021  # 1980-01-01, the first day that ZIP can say
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")


def check_names(names: list[str]) -> None:
    """Refuse names that could leave the bundle or collide on some file system.

    Raises:
        FormatError: an absolute, empty or ``..`` name, a character outside ``A-Za-z0-9._-/``, a duplicate
            or case twin, a file that is also a folder, or more than 64 files.
    """
    if not 1 <= len(names) <= MAX_FILES:
        raise FormatError(f"a bundle has 1 to {MAX_FILES} files, not {len(names)}")
    for name in names:
        if not name or len(name) > 200 or not _NAME_CHARACTERS.issuperset(name):
            raise FormatError(f"file name {name!r} in the bundle: use up to 200 of A-Z a-z 0-9 . _ - /")
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise FormatError(f"file name {name!r} in the bundle is not a plain relative path")
    folded = {name.lower() for name in names}
    if len(folded) != len(names):
        raise FormatError("two file names in the bundle are the same or differ only in case")
    for name in folded:
        parents = name.split("/")[:-1]
        if any("/".join(parents[: depth + 1]) in folded for depth in range(len(parents))):
            raise FormatError(f"a folder of {name!r} in the bundle is also a file")


def write(files: Mapping[str, Content]) -> bytes:
    """The one ZIP of these files."""
    headers, tail = _frame(files)
    return b"".join([part for name, header in headers.items() for part in (header, files[name])] + [tail])


def _frame(
    files: Mapping[str, Content], stated: Mapping[str, int] = MappingProxyType({})
) -> tuple[dict[str, bytes], bytes]:
    """All bytes of the ZIP but the contents: the local header of each file, in order, and the rest.

    Args:
        files: the contents.
        stated: checksums that are known already.
    """
    names = sorted(files)
    check_names(names)
    headers: dict[str, bytes] = {}
    central: list[bytes] = []
    offset = 0
    for name in names:
        encoded, size = name.encode("ascii"), len(files[name])
        checksum = stated[name] if name in stated else zlib.crc32(files[name])
        if offset + _LOCAL.size + len(encoded) + size >= 2**32:
            raise FormatError("the bundle would be 4 GiB or more, which this format does not allow")
        common = (_VERSION, _UTF8, 0, 0, _DOS_DATE, checksum, size, size, len(encoded), 0)
        headers[name] = _LOCAL.pack(_LOCAL_MARK, *common) + encoded
        central.append(_CENTRAL.pack(0x02014B50, _VERSION, *common, 0, 0, 0, 0, offset) + encoded)
        offset += len(headers[name]) + size
    directory = b"".join(central)
    end = _END.pack(0x06054B50, 0, 0, len(names), len(names), len(directory), offset, 0)
    return headers, directory + end


def payload_bounds(head: bytes | bytearray | memoryview, payload: str) -> tuple[int, int] | None:
    """Where the file ``payload`` lies in a bundle of which only the beginning is known.

    Nothing is verified yet: :func:`read_parts` does that once all is there.

    Returns:
        Its first byte and its length; None where ``head`` does not reach so far, or where there is no such file.
    """
    at = 0
    while at + _LOCAL.size <= len(head):
        mark, *_, length, name_length, _extra = _LOCAL.unpack_from(head, at)
        if mark != _LOCAL_MARK:
            break
        at += _LOCAL.size
        if at + name_length > len(head):
            break
        name = bytes(head[at : at + name_length])
        at += name_length
        if name == payload.encode("ascii"):
            return at, length
        at += length
    return None


def read(data: bytes | bytearray | memoryview) -> dict[str, memoryview]:
    """The files of a bundle, as views of ``data`` in the order of their names.

    Raises:
        FormatError: the bytes are not exactly what :func:`write` makes of the files in them.
    """
    view = memoryview(data)
    start = _directory(view)
    return read_parts(view[:start], memoryview(b""), view[start:])


def read_parts(
    head: memoryview, payload: memoryview, tail: memoryview, *, believed: bool = False
) -> dict[str, memoryview]:
    """The files of a bundle that lies in three places in memory, as views of them.

    Args:
        head: all before the content of the last file.
        payload: that content.
        tail: all behind it.
        believed: the checksum of ``payload`` is taken as the bundle states it: its bytes were proven otherwise.

    Raises:
        FormatError: the three together are not exactly what :func:`write` makes of the files in them.
    """
    files: dict[str, memoryview] = {}
    stated: dict[str, int] = {}
    inside = len(head) + len(payload)
    try:
        *_, count, _size, start, _comment = _END.unpack(tail[len(tail) - _END.size :])
        if not 1 <= count <= MAX_FILES:
            raise FormatError(f"a bundle has 1 to {MAX_FILES} files, not {count}")
        if start != inside:
            raise FormatError("the bundle's directory does not begin where the files end")
        position = 0
        for _ in range(count):
            header = _CENTRAL.unpack(tail[position : position + _CENTRAL.size])
            checksum, length, name_length, offset = header[7], header[9], header[10], header[16]
            position += _CENTRAL.size
            name = bytes(tail[position : position + name_length]).decode("ascii")
            position += name_length
            content = offset + _LOCAL.size + name_length
            if name not in files and content + length <= len(head):
                files[name] = head[content : content + length]
            elif name not in files and (content, length) == (len(head), len(payload)):
                files[name] = payload
                if believed:
                    stated[name] = checksum
            else:  # the comparison below would see it too, but late
                raise FormatError(f"the bundle's directory is inconsistent about {name!r}")
    except (struct.error, UnicodeDecodeError) as error:
        raise FormatError(f"the bundle is not a ZIP of the fixed form: {error}") from error
    if not _same(head, tail, files, stated):
        raise FormatError("the bundle is not the canonical ZIP of its files")
    return files


def _directory(view: memoryview) -> int:
    try:
        *_, start, _comment = _END.unpack(view[len(view) - _END.size :])
    except struct.error as error:
        raise FormatError(f"the bundle is not a ZIP of the fixed form: {error}") from error
    return int(start)


def _same(
    head: memoryview, tail: memoryview, files: Mapping[str, Content], stated: Mapping[str, int]
) -> bool:
    """Compare with what :func:`write` makes, without a second copy of a large payload.

    Everything but the contents is compared. That fixes the contents too: the directory says where each one
    was taken from, and it is compared with the directory of the canonical places.
    """
    headers, directory = _frame(files, stated)
    position = 0
    for name, header in headers.items():
        if head[position : position + len(header)] != header:
            return False
        position += len(header) + len(files[name])
    return tail == directory
