"""Streams and HPKE against Tink: who seals does not matter, both open the honest and refuse the tampered.

One exception, where we are stricter: bytes behind a full last segment of a stream.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device_tests.vectors import keys
from device_tests.vectors.encryption_page import FIRST, NEXT, pattern
from edge_sdk.contract.framing import SEGMENT_BYTES, associated_data
from edge_sdk.crypto import hpke, streaming
from edge_sdk.errors import VerificationError

KEY, OTHER_KEY = keys.secret("data"), keys.secret("another data key")
BOUND = associated_data("goal-success", "1.0.0", "tflite", "float32", "app-1")
HEADER, SALT_AT, PREFIX_AT = streaming.HEADER_BYTES, 1, 1 + streaming.SALT_BYTES
TAG = streaming.TAG_BYTES
BOTH = {"ours", "tink"}
TWO = FIRST + NEXT
SIZES = [0, 1, FIRST - 1, FIRST, FIRST + 1, TWO - 1, TWO, TWO + 1, TWO + NEXT // 2]


class Attempt(NamedTuple):
    """What is given to an opener; ``key`` is a data key for streams, the secret scalar for HPKE."""

    sealed: bytes
    key: bytes
    bound: bytes


Opener = Callable[[Attempt], bytes]
Tamper = Callable[[bytes], bytes]


def refusals(attempt: Attempt, plain: bytes, openers: dict[str, Opener]) -> set[str]:
    """Who refuses; whoever does not must have found ``plain``."""
    refused = set()
    for name, opener in openers.items():
        try:
            assert opener(attempt) == plain
        except REFUSAL[name]():
            refused.add(name)
    return refused


def tink_error() -> type[Exception]:
    import tink

    error: type[Exception] = tink.TinkError
    return error


REFUSAL: dict[str, Callable[[], type[Exception]]] = {"ours": lambda: VerificationError, "tink": tink_error}


def primitive(name: str, value: bytes, material: str, interface: Any) -> Any:
    """Tink's primitive for a raw key; only its protocol buffers can bring one in."""
    import tink
    from tink import cleartext_keyset_handle
    from tink.proto import tink_pb2

    keyset = tink_pb2.Keyset(primary_key_id=1)
    item = keyset.key.add(key_id=1, status=tink_pb2.ENABLED, output_prefix_type=tink_pb2.RAW)
    item.key_data.type_url = f"type.googleapis.com/google.crypto.tink.{name}"
    item.key_data.value = value
    item.key_data.key_material_type = tink_pb2.KeyData.KeyMaterialType.Value(material)
    reader = tink.BinaryKeysetReader(keyset.SerializeToString())
    return cleartext_keyset_handle.read(reader).primitive(interface)


@functools.cache
def stream(key: bytes) -> Any:
    from tink import streaming_aead
    from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2

    streaming_aead.register()
    value = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(key_value=key)
    value.params.ciphertext_segment_size = SEGMENT_BYTES
    value.params.derived_key_size = 32
    value.params.hkdf_hash_type = common_pb2.SHA256
    return primitive(
        "AesGcmHkdfStreamingKey", value.SerializeToString(), "SYMMETRIC", streaming_aead.StreamingAead
    )


def stream_opened_by_tink(attempt: Attempt) -> bytes:
    source = io.BytesIO(attempt.sealed)
    with stream(attempt.key).new_decrypting_stream(source, attempt.bound) as opened:
        return bytes(opened.read())


STREAM_OPENERS: dict[str, Opener] = {
    "ours": lambda attempt: bytes(streaming.decrypt(*attempt)),
    "tink": stream_opened_by_tink,
}


class Unclosable(io.BytesIO):
    """Tink closes what it writes to; a test wants to read it afterwards."""

    def close(self) -> None:
        pass


@functools.cache
def stream_by(maker: str, size: int) -> bytes:
    if maker == "ours":
        salt, prefix = keys.secret("salt"), keys.secret("nonce prefix")[: streaming.PREFIX_BYTES]
        return streaming.encrypt(pattern(size), KEY, BOUND, salt, prefix)
    sealed = Unclosable()
    with stream(KEY).new_encrypting_stream(sealed, BOUND) as target:
        target.write(pattern(size))
    return sealed.getvalue()


def flipped(data: bytes, position: int) -> bytes:
    position %= len(data)
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def segments(data: bytes) -> list[bytes]:
    return [data[start : start + SEGMENT_BYTES] for start in range(0, len(data), SEGMENT_BYTES)]


def first_of_last_segment(data: bytes) -> int:
    return max((len(segments(data)) - 1) * SEGMENT_BYTES, HEADER)


STREAM_TAMPERS: dict[str, Tamper] = {
    "header byte": lambda data: flipped(data, 0),
    "salt": lambda data: flipped(data, SALT_AT),
    "end of salt": lambda data: flipped(data, PREFIX_AT - 1),
    "nonce prefix": lambda data: flipped(data, PREFIX_AT),
    "end of nonce prefix": lambda data: flipped(data, HEADER - 1),
    "first segment": lambda data: flipped(data, HEADER),
    "tag of first segment": lambda data: flipped(data, len(segments(data)[0]) - 1),
    "last segment": lambda data: flipped(data, first_of_last_segment(data)),
    "last tag": lambda data: flipped(data, -1),
    "start of last tag": lambda data: flipped(data, -TAG),
    "cut by a byte": lambda data: data[:-1],
    "cut by a tag": lambda data: data[:-TAG],
    "cut by a segment": lambda data: b"".join(segments(data)[:-1]),
    "first segment dropped": lambda data: b"".join(segments(data)[1:]),
}
APPENDED: dict[str, Tamper] = {
    "byte": lambda data: b"\0",
    "tag": lambda data: bytes(TAG),
    "last segment": lambda data: segments(data)[-1],
    "whole": lambda data: data,
}
SEGMENT_TAMPERS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "last two swapped": lambda parts: [*parts[:-2], parts[-1], parts[-2]],
    "first two swapped": lambda parts: [parts[1], parts[0], *parts[2:]],
    "last but one dropped": lambda parts: [*parts[:-2], parts[-1]],
    "last but one repeated": lambda parts: [*parts[:-1], *parts[-2:]],
    "first repeated": lambda parts: [parts[0], *parts],
}


def honest_stream(maker: str, size: int) -> Attempt:
    return Attempt(stream_by(maker, size), KEY, BOUND)


def stream_refusals(attempt: Attempt, size: int) -> set[str]:
    return refusals(attempt, pattern(size), STREAM_OPENERS)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("maker", sorted(BOTH))
def test_both_open_an_honest_stream(maker: str, size: int) -> None:
    assert stream_refusals(honest_stream(maker, size), size) == set()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("maker", sorted(BOTH))
@pytest.mark.parametrize("tamper", STREAM_TAMPERS)
def test_both_refuse_a_tampered_stream(tamper: str, maker: str, size: int) -> None:
    honest = honest_stream(maker, size)
    attempt = honest._replace(sealed=STREAM_TAMPERS[tamper](honest.sealed))
    assert stream_refusals(attempt, size) == BOTH


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("maker", sorted(BOTH))
@pytest.mark.parametrize("more", APPENDED)
def test_we_refuse_bytes_behind_the_end_even_where_tink_does_not(more: str, maker: str, size: int) -> None:
    """Tink never looks behind a last segment that fills its room: it opens, with the honest plaintext only.

    We refuse there too, because a reader that ignores the rest lets two files pass for one artifact.
    """
    honest = honest_stream(maker, size)
    attempt = honest._replace(sealed=honest.sealed + APPENDED[more](honest.sealed))
    full = len(honest.sealed) % SEGMENT_BYTES == 0
    assert stream_refusals(attempt, size) == ({"ours"} if full else BOTH)


@pytest.mark.parametrize("size", [size for size in SIZES if size > FIRST])
@pytest.mark.parametrize("maker", sorted(BOTH))
@pytest.mark.parametrize("tamper", SEGMENT_TAMPERS)
def test_both_refuse_rearranged_segments(tamper: str, maker: str, size: int) -> None:
    honest = honest_stream(maker, size)
    attempt = honest._replace(sealed=b"".join(SEGMENT_TAMPERS[tamper](segments(honest.sealed))))
    assert stream_refusals(attempt, size) == BOTH


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("maker", sorted(BOTH))
@pytest.mark.parametrize(
    "change", [{"key": OTHER_KEY}, {"bound": b""}, {"bound": BOUND[:-1]}, {"bound": BOUND + b"\0"}]
)
def test_both_refuse_another_key_or_associated_data(change: dict[str, bytes], maker: str, size: int) -> None:
    assert stream_refusals(honest_stream(maker, size)._replace(**change), size) == BOTH


DEVICE, OTHER_DEVICE = keys.secret("device"), keys.secret("another device")
INFO = b"coach-edge device key blob"
POINT = 65
MESSAGES = [b"", b"1", KEY, pattern(1000)]


def private(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())


def point(scalar: bytes) -> bytes:
    return hpke.encode_public(private(scalar).public_key())


@functools.cache
def hybrid_pair(scalar: bytes) -> tuple[Any, Any]:
    """Tink's encrypter and decrypter of one P-256 key pair."""
    from tink import hybrid
    from tink.proto import hpke_pb2

    hybrid.register()
    public = hpke_pb2.HpkePublicKey(public_key=point(scalar))
    public.params.kem = hpke_pb2.DHKEM_P256_HKDF_SHA256
    public.params.kdf = hpke_pb2.HKDF_SHA256
    public.params.aead = hpke_pb2.AES_256_GCM
    secret = hpke_pb2.HpkePrivateKey(public_key=public, private_key=scalar)
    return (
        primitive("HpkePublicKey", public.SerializeToString(), "ASYMMETRIC_PUBLIC", hybrid.HybridEncrypt),
        primitive("HpkePrivateKey", secret.SerializeToString(), "ASYMMETRIC_PRIVATE", hybrid.HybridDecrypt),
    )


def hpke_opened_by_tink(attempt: Attempt) -> bytes:
    return bytes(hybrid_pair(attempt.key)[1].decrypt(attempt.sealed, attempt.bound))


HPKE_OPENERS: dict[str, Opener] = {
    "ours": lambda attempt: hpke.open_sealed(attempt.sealed, private(attempt.key), attempt.bound),
    "tink": hpke_opened_by_tink,
}


@functools.cache
def honest_hpke(maker: str, plain: bytes) -> Attempt:
    by_tink, _opener = hybrid_pair(DEVICE)
    sealed = hpke.seal(plain, point(DEVICE), INFO) if maker == "ours" else by_tink.encrypt(plain, INFO)
    assert len(sealed) == POINT + len(plain) + TAG
    return Attempt(sealed, DEVICE, INFO)


HPKE_TAMPERS: dict[str, Tamper] = {
    "form of the point": lambda data: b"\x05" + data[1:],
    "compressed point": lambda data: bytes([2 + data[POINT - 1] % 2]) + data[1:33] + data[POINT:],
    "x": lambda data: flipped(data, 1),
    "y": lambda data: flipped(data, POINT - 1),
    "another point of the curve": lambda data: point(OTHER_DEVICE) + data[POINT:],
    "point at infinity": lambda data: bytes(POINT) + data[POINT:],
    "first byte behind the point": lambda data: flipped(data, POINT),
    "start of tag": lambda data: flipped(data, -TAG),
    "end of tag": lambda data: flipped(data, -1),
    "cut by a byte": lambda data: data[:-1],
    "cut by a tag": lambda data: data[:-TAG],
    "only the point": lambda data: data[:POINT],
    "half a point": lambda data: data[:33],
    "nothing": lambda data: b"",
    "stray byte": lambda data: data + b"\0",
    "stray byte before": lambda data: b"\0" + data,
    "repeated": lambda data: data + data,
}


@pytest.mark.parametrize("plain", MESSAGES, ids=len)
@pytest.mark.parametrize("maker", sorted(BOTH))
def test_both_open_an_honest_hpke_message(maker: str, plain: bytes) -> None:
    assert refusals(honest_hpke(maker, plain), plain, HPKE_OPENERS) == set()


@pytest.mark.parametrize("plain", MESSAGES, ids=len)
@pytest.mark.parametrize("maker", sorted(BOTH))
@pytest.mark.parametrize("tamper", HPKE_TAMPERS)
def test_both_refuse_a_tampered_hpke_message(tamper: str, maker: str, plain: bytes) -> None:
    honest = honest_hpke(maker, plain)
    attempt = honest._replace(sealed=HPKE_TAMPERS[tamper](honest.sealed))
    assert refusals(attempt, plain, HPKE_OPENERS) == BOTH


@pytest.mark.parametrize("plain", MESSAGES, ids=len)
@pytest.mark.parametrize("maker", sorted(BOTH))
@pytest.mark.parametrize("change", [{"key": OTHER_DEVICE}, {"bound": b""}, {"bound": INFO + b"\0"}])
def test_both_refuse_another_device_or_info(change: dict[str, bytes], maker: str, plain: bytes) -> None:
    assert refusals(honest_hpke(maker, plain)._replace(**change), plain, HPKE_OPENERS) == BOTH
