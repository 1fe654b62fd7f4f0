"""A plain bundle that is put together piece by piece, its payload where an engine can use it in place."""

from __future__ import annotations

from edge_sdk.contract import bundle
from edge_sdk.contract.codec import Buffer
from edge_sdk.crypto.room import Room
from edge_sdk.errors import FormatError


class Assembly:
    """The bytes of a plain bundle in three places: what lies before the payload, the payload, and the rest.

    Where the payload begins is known once enough of the beginning is: until then, pieces come in order.

    Args:
        length: of the plain bundle.
        payload: name of the one file that an engine takes as it is; None where there is no such file.
    """

    def __init__(self, length: int, payload: str | None) -> None:
        self._length, self._name = length, payload
        self._head, self._tail = bytearray(), bytearray()
        self._room: Room | None = None
        self._low = self._high = length  # of the payload
        self._filled = 0

    @property
    def begun(self) -> bool:
        """Whether pieces may come in any order."""
        return self._room is not None

    def append(self, data: Buffer) -> None:
        """The next piece.

        Raises:
            FormatError: the payload is longer than the bundle.
        """
        if self._room is not None:
            self.put(self._filled, data)
        else:
            self._look_for_payload(data)
        self._filled += len(data)

    def within(self, low: int, high: int) -> memoryview | None:
        """The place of the bytes [low, high), if they lie in the payload all together."""
        if self._room is None or low < self._low or high > self._high:
            return None
        return self._room.view[low - self._low : high - self._low]

    def put(self, low: int, data: Buffer) -> None:
        """Bytes from ``low`` on, once :attr:`begun`; none of them before the payload."""
        assert self._room is not None
        view = memoryview(data)
        inside = max(self._high - low, 0)
        if inside:
            self._room.view[low - self._low : low - self._low + len(view[:inside])] = view[:inside]
        behind = view[inside:]
        at = max(low - self._high, 0)
        self._tail[at : at + len(behind)] = behind

    def parts(self) -> tuple[memoryview, memoryview, memoryview]:
        """What lies before the payload, the payload, and the rest; without a payload all is in the first."""
        payload = memoryview(b"") if self._room is None else self._room.view[:]
        return memoryview(self._head), payload, memoryview(self._tail)

    def payload(self) -> bytes:
        """The payload, once :attr:`begun` and complete; the last that is asked for."""
        assert self._room is not None
        return self._room.bytes()

    def wipe(self) -> None:
        """Forget everything: it turned out that it must not be handed out."""
        for part in (self._head, self._tail):
            part[:] = bytes(len(part))
        if self._room is not None:
            self._room.wipe()

    def _look_for_payload(self, data: Buffer) -> None:
        # As a rule it begins in the first piece, which then needs no copy.
        if self._head:
            self._head += data
        start = memoryview(self._head or data)
        found = None if self._name is None else bundle.payload_bounds(start, self._name)
        if found is None:
            if not self._head:
                self._head = bytearray(data)
            return
        low, length = found
        if low + length > self._length:
            raise FormatError(f"{self._name} reaches beyond the end of its bundle")
        self._low, self._high = low, low + length
        self._room = Room(length)
        self._tail = bytearray(self._length - self._high)
        self._head = bytearray(start[:low])
        self.put(low, start[low:])
