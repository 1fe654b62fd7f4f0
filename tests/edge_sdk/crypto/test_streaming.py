"""The streaming format against Tink, both ways, and against everything that must not open."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_tests.vectors import keys
from device_tests.vectors.encryption_page import FIRST, NEXT, pattern
from edge_sdk.contract.framing import SEGMENT_BYTES, associated_data, segment_list
from edge_sdk.crypto import streaming
from edge_sdk.errors import VerificationError

KEY, SALT = keys.secret("data"), keys.secret("salt")
PREFIX = keys.secret("nonce prefix")[:7]
BOUND = associated_data("goal-success", "1.0.0", "tflite", "float32", "app-1")
SIZES = [
    0,
    1,
    15,
    16,
    17,
    FIRST - 1,
    FIRST,
    FIRST + 1,
    FIRST + NEXT - 1,
    FIRST + NEXT,
    FIRST + NEXT + 1,
    3_000_000,
]


def seal(plain: bytes, bound: bytes = BOUND) -> bytes:
    return streaming.encrypt(plain, KEY, bound, SALT, PREFIX)


class Unclosable(io.BytesIO):
    """Tink closes what it writes to; a test wants to read it afterwards."""

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def tink() -> Any:
    """Tink's primitive for the same raw key.

    Tink has no public way to bring raw key bytes for this format, so the keyset is put together as its own
    protocol buffers.
    """
    import tink as library
    from tink import cleartext_keyset_handle, streaming_aead
    from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

    streaming_aead.register()
    key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey()
    key.key_value = KEY
    key.params.ciphertext_segment_size = SEGMENT_BYTES
    key.params.derived_key_size = 32
    key.params.hkdf_hash_type = common_pb2.SHA256
    keyset = tink_pb2.Keyset()
    keyset.primary_key_id = 1
    item = keyset.key.add()
    item.key_data.type_url = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
    item.key_data.value = key.SerializeToString()
    item.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
    item.status = tink_pb2.ENABLED
    item.key_id = 1
    item.output_prefix_type = tink_pb2.RAW
    reader = library.BinaryKeysetReader(keyset.SerializeToString())
    return cleartext_keyset_handle.read(reader).primitive(streaming_aead.StreamingAead)


@pytest.mark.parametrize("size", SIZES)
def test_tink_opens_what_we_seal(tink: Any, size: int) -> None:
    plain = pattern(size)
    with tink.new_decrypting_stream(io.BytesIO(seal(plain)), BOUND) as stream:
        assert stream.read() == plain


@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_tink_seals(tink: Any, size: int) -> None:
    plain, sealed = pattern(size), Unclosable()
    with tink.new_encrypting_stream(sealed, BOUND) as stream:
        stream.write(plain)
    assert streaming.decrypt(sealed.getvalue(), KEY, BOUND) == plain
    assert len(sealed.getvalue()) == len(seal(plain))


@pytest.mark.parametrize("stray", [1, 15, 16, 17, 32])
@pytest.mark.parametrize("short", range(0, 18, 3))
def test_stray_bytes_around_a_segment_boundary_are_refused(short: int, stray: int) -> None:
    sealed = seal(pattern(FIRST - short))
    with pytest.raises(VerificationError):
        streaming.decrypt(sealed + bytes(stray), KEY, BOUND)


THREE = FIRST + 2 * NEXT


def swapped(data: bytes, one: int, other: int) -> bytes:
    parts = [data[start : start + SEGMENT_BYTES] for start in range(0, len(data), SEGMENT_BYTES)]
    parts[one], parts[other] = parts[other], parts[one]
    return b"".join(parts)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut at a segment": lambda data: data[: 2 * SEGMENT_BYTES],
    "cut to one segment": lambda data: data[:SEGMENT_BYTES],
    "cut within a segment": lambda data: data[: 2 * SEGMENT_BYTES + 500],
    "cut within a tag": lambda data: data[: 2 * SEGMENT_BYTES + 3],
    "cut by one byte": lambda data: data[:-1],
    "middle segment missing": lambda data: data[:SEGMENT_BYTES] + data[2 * SEGMENT_BYTES :],
    "segments exchanged": lambda data: swapped(data, 1, 2),
    "first segment moved": lambda data: swapped(data, 0, 1),
    "segment repeated": lambda data: data + data[-SEGMENT_BYTES:],
    "byte behind": lambda data: data + b"\0",
    "header length": lambda data: b"\x29" + data[1:],
    "salt": lambda data: data[:1] + bytes([data[1] ^ 1]) + data[2:],
    "nonce prefix": lambda data: data[:39] + bytes([data[39] ^ 1]) + data[40:],
    "last bit": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "nothing": lambda data: b"",
    "header": lambda data: data[:40],
    "header and half a tag": lambda data: data[:48],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused(name: str) -> None:
    sealed = seal(pattern(THREE))
    assert streaming.decrypt(sealed, KEY, BOUND) == pattern(THREE)
    with pytest.raises(VerificationError):
        streaming.decrypt(DAMAGE[name](sealed), KEY, BOUND)


def test_every_flipped_bit_of_a_short_ciphertext_is_refused() -> None:
    sealed = seal(b"ten bytes!")
    for position in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(VerificationError):
            streaming.decrypt(damaged, KEY, BOUND)


@pytest.mark.parametrize("bound", [b"", BOUND[:-1], BOUND + b"\0"])
def test_other_associated_data_does_not_open(bound: bytes) -> None:
    with pytest.raises(VerificationError):
        streaming.decrypt(seal(b"secret"), KEY, bound)


@pytest.mark.parametrize("key", [b"", KEY[:31], KEY + b"\0", bytes(32)])
def test_another_key_does_not_open(key: bytes) -> None:
    with pytest.raises(VerificationError):
        streaming.decrypt(seal(b"secret"), key, BOUND)


@pytest.mark.parametrize("sizes", [(31, 32, 7), (32, 31, 7), (32, 32, 12)])
def test_sealing_with_odd_material_is_a_mistake_of_the_caller(sizes: tuple[int, int, int]) -> None:
    data_key, salt, prefix = map(bytes, sizes)
    with pytest.raises(ValueError, match="32, 32 and 7"):
        streaming.encrypt(b"", data_key, b"", salt, prefix)


def test_plaintext_of_good_segments_is_wiped_when_a_later_one_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytearray] = []

    def remember(size: int) -> bytearray:
        made.append(bytearray(size))
        return made[-1]

    monkeypatch.setattr(streaming, "bytearray", remember, raising=False)
    sealed = bytearray(seal(b"\x55" * THREE))
    assert streaming.decrypt(sealed, KEY, BOUND) == b"\x55" * THREE
    sealed[-1] ^= 1
    with pytest.raises(VerificationError):
        streaming.decrypt(sealed, KEY, BOUND)
    good, bad = made
    assert good == b"\x55" * THREE  # the buffer that the test watches is the one that is filled
    assert bad == bytes(THREE)


@given(st.tuples(*[st.text(max_size=6)] * 5), st.tuples(*[st.text(max_size=6)] * 5))
def test_associated_data_tells_any_two_artifacts_apart(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (associated_data(*one) == associated_data(*other)) == (one == other)


@pytest.mark.parametrize(("size", "count"), [(1, 1), (SEGMENT_BYTES, 1), (SEGMENT_BYTES + 1, 2)])
def test_a_segment_list_has_a_digest_for_each_segment(size: int, count: int) -> None:
    assert len(segment_list(pattern(size))) == 32 * count
