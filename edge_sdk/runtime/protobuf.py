"""Protocol buffers as bytes: just enough to read a Core ML program without loading Core ML's tools.

After protobuf.dev/programming-guides/encoding: a message is a row of (field number, wire type) keys and values.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from edge_sdk.errors import FormatError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Message:
    """The fields of one message by number; values are read when they are asked for, by who knows their type."""

    def __init__(self, data: bytes) -> None:
        self._fields: dict[int, list[int | bytes]] = {}
        for number, value in _fields(data):
            self._fields.setdefault(number, []).append(value)

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def messages(self, number: int) -> list[Message]:
        """All messages in a field."""
        return [Message(_bytes(value)) for value in self._fields.get(number, [])]

    def message(self, number: int) -> Message:
        """The message in a field; an empty one where the field is absent."""
        found = self._fields.get(number, [])
        return Message(_bytes(found[-1])) if found else Message(b"")

    def strings(self, number: int) -> list[str]:
        """All strings in a field."""
        try:
            return [_bytes(value).decode() for value in self._fields.get(number, [])]
        except UnicodeDecodeError as error:
            raise FormatError("the Core ML program is damaged: a name is not UTF-8") from error

    def string(self, number: int) -> str:
        """The string in a field; empty where the field is absent."""
        return (self.strings(number) or [""])[-1]

    def raw(self, number: int) -> bytes:
        """The bytes in a field; empty where the field is absent."""
        found = self._fields.get(number, [])
        return _bytes(found[-1]) if found else b""

    def integers(self, number: int) -> list[int]:
        """All integers in a field, packed or not, as signed 64-bit numbers."""
        values: list[int] = []
        for value in self._fields.get(number, []):
            values += [value] if isinstance(value, int) else _varints(value)
        return [value - (1 << 64) if value >> 63 else value for value in values]

    def integer(self, number: int) -> int:
        """The integer in a field; 0 where the field is absent."""
        return (self.integers(number) or [0])[-1]

    def fixed(self, number: int) -> bytes:
        """All fixed-width numbers in a field, packed or not, as their little-endian bytes."""
        return b"".join(_bytes(value) for value in self._fields.get(number, []))

    def mapping(self, number: int) -> dict[str, Message]:
        """A ``map<string, message>`` field: entries with the key in field 1 and the value in field 2."""
        return {entry.string(1): entry.message(2) for entry in self.messages(number)}


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            length = struct.calcsize("<I" if kind == _FIXED32 else "<Q")
        else:
            raise FormatError(f"the Core ML program is damaged: wire type {kind} at byte {at}")
        if at + length > len(data):
            raise FormatError("the Core ML program is damaged: a field runs over the end of its message")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
    raise FormatError("the Core ML program is damaged: a number has no end")


def _varints(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise FormatError("the Core ML program is damaged: a number where a message belongs")
    return value
