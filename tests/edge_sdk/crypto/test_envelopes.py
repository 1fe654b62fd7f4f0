"""DSSE: who signed, how many of them, and what."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_tests.vectors import keys
from edge_sdk.crypto import dsse
from edge_sdk.errors import FormatError, VerificationError

KIND = "application/vnd.coach-edge.test+json"
NAMES = ("targets-1", "targets-2", "root-1")
KNOWN = {name: keys.public(name) for name in NAMES}


def sign(*names: str, payload: bytes = b"payload", kind: str = KIND) -> bytes:
    return dsse.sign(kind, payload, {name: keys.signer(name) for name in names})


def changed(envelope: bytes, **change: Any) -> bytes:
    return json.dumps({**json.loads(envelope), **change}).encode()


def test_the_encoding_is_that_of_the_specification() -> None:
    # The example of the DSSE specification, version 1 (protocol.md).
    encoded = dsse.pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(st.text(max_size=9), st.binary(max_size=9), st.text(max_size=9), st.binary(max_size=9))
def test_no_two_messages_are_encoded_alike(kind: str, payload: bytes, kind2: str, payload2: bytes) -> None:
    same = dsse.pre_authentication_encoding(kind, payload) == dsse.pre_authentication_encoding(
        kind2, payload2
    )
    assert same == ((kind, payload) == (kind2, payload2))


@given(st.binary(max_size=200), st.sets(st.sampled_from(NAMES)), st.integers(1, 3))
def test_a_payload_comes_out_exactly_if_enough_signed(
    payload: bytes, names: set[str], threshold: int
) -> None:
    envelope = sign(*names, payload=payload)
    if len(names) >= threshold:
        assert dsse.verify(envelope, KIND, KNOWN, threshold) == payload
    else:
        with pytest.raises(VerificationError, match=f"signed by {len(names)} of the {threshold}"):
            dsse.verify(envelope, KIND, KNOWN, threshold)


def test_a_key_counts_once_under_any_number_of_ids_and_spellings() -> None:
    (signature,) = json.loads(sign("root-1"))["signatures"]
    public = keys.public("root-1")
    spaced = " ".join(public[n : n + 2] for n in range(0, 64, 2))
    aliases = {"a": public, "b": public, "c": public.upper(), "d": spaced}
    envelope = changed(sign("root-1"), signatures=[{**signature, "keyid": name} for name in aliases])
    assert dsse.verify(envelope, KIND, aliases, 1) == b"payload"
    with pytest.raises(VerificationError, match="signed by 1 of the 2"):
        dsse.verify(envelope, KIND, aliases, 2)


@pytest.mark.parametrize("public", ["", "00", "zz" * 32, "0" * 63, "\u0660" * 64])
def test_a_malformed_key_counts_for_nothing(public: str) -> None:
    envelope = sign("root-1", "targets-1")
    assert dsse.verify(envelope, KIND, {**KNOWN, "targets-1": public}, 1) == b"payload"
    with pytest.raises(VerificationError, match="signed by 1 of the 2"):
        dsse.verify(envelope, KIND, {**KNOWN, "targets-1": public}, 2)


@pytest.mark.parametrize("threshold", [0, -1])
def test_a_threshold_below_one_verifies_nothing(threshold: int) -> None:
    with pytest.raises(VerificationError):
        dsse.verify(sign("root-1"), KIND, KNOWN, threshold)
    with pytest.raises(VerificationError):
        dsse.verify(sign(), KIND, KNOWN, threshold)


def test_the_type_is_signed_too() -> None:
    envelope = sign("root-1", kind="application/other")
    with pytest.raises(FormatError, match="payload type"):
        dsse.verify(envelope, KIND, KNOWN, 1)
    with pytest.raises(VerificationError, match="signed by 0"):
        dsse.verify(changed(envelope, payloadType=KIND), KIND, KNOWN, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"payload": None},
        {"payload": "cGF5bG9hZA"},
        {"payload": "cGF5bG9hZB=="},
        {"payload": "cGF5 bG9hZA=="},
        {"payload": "cGF5bG9hZA==\n"},
        {"signatures": {}},
        {"signatures": [None]},
        {"signatures": [{"keyid": "root-1"}]},
        {"signatures": [{"keyid": 1, "sig": ""}]},
        {"signatures": [{"keyid": "root-1", "sig": "*"}]},
        {"signatures": [{"keyid": "root-1", "sig": ""}] * 17},
    ],
)
def test_what_is_no_envelope(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        dsse.verify(changed(sign("root-1"), **change), KIND, KNOWN, 1)


@pytest.mark.parametrize("length", [0, 1, 63, 65, 1_000])
def test_a_signature_of_another_length_counts_for_nothing(length: int) -> None:
    bad = [{"keyid": "root-1", "sig": base64.b64encode(bytes(length)).decode()}]
    with pytest.raises(VerificationError, match="signed by 0"):
        dsse.verify(changed(sign("root-1"), signatures=bad), KIND, KNOWN, 1)


def test_every_flipped_bit_is_refused_or_changes_nothing() -> None:
    envelope = sign("root-1")
    accepted = 0
    for position in range(8 * len(envelope)):
        damaged = bytearray(envelope)
        damaged[position // 8] ^= 1 << position % 8
        try:
            payload = dsse.verify(bytes(damaged), KIND, KNOWN, 1)
        except VerificationError:
            continue
        assert payload == b"payload"
        accepted += 1
    assert accepted == 0  # with one signature at threshold one, nothing in the envelope is idle
