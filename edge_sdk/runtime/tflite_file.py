"""The few facts of a TFLite file that the interpreter does not tell: what it remembers, and where.

Reads the FlatBuffer itself, because the library's schema module takes 0.3 s to import. Layout:
https://flatbuffers.dev/internals/ ; field numbers: schema.fbs of TensorFlow Lite, version 3.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator

_MODEL_CODES, _MODEL_GRAPHS, _MODEL_SIGNATURES = 1, 2, 7
_CODE_OLD, _CODE = 0, 3
_GRAPH_TENSORS, _GRAPH_OPERATORS = 0, 3
_OPERATOR_CODE, _OPERATOR_OPTIONS = 0, 4
_CALL_ONCE_GRAPH = 0
_TENSOR_IS_VARIABLE = 5
_SIGNATURE_KEY, _SIGNATURE_GRAPH = 2, 4
# Of BuiltinOperator; the last three draw random numbers, each from a generator that goes on from run to run.
_CALL_ONCE, _ASSIGN_VARIABLE = 129, 144
_RANDOM = frozenset({146, 148, 149})
_LIMIT = 1_000_000  # entries of a vector; a damaged file can claim more than it has


class Memory(enum.Enum):
    """What a model remembers from one run to the next."""

    NONE = "none"
    TENSORS = "tensors"
    """Variable tensors, which the interpreter can reset."""
    RESOURCES = "resources"
    """Resource variables and generators of random numbers, which only a new interpreter sets back."""


class _Table:
    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        (back,) = struct.unpack_from("<i", data, at)
        self._fields = at - back
        if self._fields < 0:
            raise struct.error("a table of fields before the file")
        (self._size,) = struct.unpack_from("<H", data, self._fields)

    def _place(self, field: int) -> int | None:
        slot = 4 + 2 * field
        if slot + 2 > self._size:
            return None
        (offset,) = struct.unpack_from("<H", self._data, self._fields + slot)
        return self._at + offset if offset else None

    def number(self, field: int, form: str) -> int:
        place = self._place(field)
        return 0 if place is None else int(struct.unpack_from(form, self._data, place)[0])

    def _target(self, field: int) -> int | None:
        place = self._place(field)
        return None if place is None else place + int(struct.unpack_from("<I", self._data, place)[0])

    def text(self, field: int) -> str:
        start = self._target(field)
        if start is None:
            return ""
        (length,) = struct.unpack_from("<I", self._data, start)
        return self._data[start + 4 : start + 4 + length].decode("utf-8", "replace")

    def table(self, field: int) -> _Table | None:
        start = self._target(field)
        return None if start is None else _Table(self._data, start)

    def tables(self, field: int) -> Iterator[_Table]:
        start = self._target(field)
        if start is None:
            return
        (count,) = struct.unpack_from("<I", self._data, start)
        if count > _LIMIT:
            raise struct.error("a vector longer than any model's")
        for place in range(start + 4, start + 4 + 4 * count, 4):
            yield _Table(self._data, place + int(struct.unpack_from("<I", self._data, place)[0]))


def _root(model: bytes) -> _Table:
    return _Table(model, struct.unpack_from("<I", model, 0)[0])


def memory_of(model: bytes) -> Memory:
    """What the model remembers between runs; ``NONE`` for bytes that are no readable TFLite file."""
    try:
        root = _root(model)
        if _writes_resources(root):
            return Memory.RESOURCES
        for graph in root.tables(_MODEL_GRAPHS):
            if any(tensor.number(_TENSOR_IS_VARIABLE, "<B") for tensor in graph.tables(_GRAPH_TENSORS)):
                return Memory.TENSORS
    except struct.error:
        pass  # the interpreter says what is wrong with the file
    return Memory.NONE


def _writes_resources(root: _Table) -> bool:
    """Whether any subgraph draws random numbers, or writes a resource and not just its first value."""
    codes = [
        max(code.number(_CODE, "<i"), code.number(_CODE_OLD, "<b")) for code in root.tables(_MODEL_CODES)
    ]
    if not _RANDOM.isdisjoint(codes):
        return True
    if _ASSIGN_VARIABLE not in codes:
        return False
    writers, first_values = set(), set()
    for number, graph in enumerate(root.tables(_MODEL_GRAPHS)):
        for operator in graph.tables(_GRAPH_OPERATORS):
            index = operator.number(_OPERATOR_CODE, "<I")
            code = codes[index] if index < len(codes) else 0
            if code == _ASSIGN_VARIABLE:
                writers.add(number)
            elif code == _CALL_ONCE and (options := operator.table(_OPERATOR_OPTIONS)) is not None:
                first_values.add(options.number(_CALL_ONCE_GRAPH, "<i"))
    return bool(writers - first_values)


def signature_graphs(model: bytes) -> dict[str, int]:
    """The number of the subgraph of each signature; empty where the file cannot be read."""
    try:
        return {
            signature.text(_SIGNATURE_KEY): signature.number(_SIGNATURE_GRAPH, "<I")
            for signature in _root(model).tables(_MODEL_SIGNATURES)
        }
    except struct.error:
        return {}
