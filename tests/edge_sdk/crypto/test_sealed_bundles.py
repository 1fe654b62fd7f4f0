"""Sealing and opening: what is handed out is what was signed, or nothing is."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_tests.vectors import keys, sample
from edge_sdk.contract.entry import Entry
from edge_sdk.contract.framing import segment_list
from edge_sdk.crypto import sealing, streaming
from edge_sdk.crypto.sealing import AppKey
from edge_sdk.errors import EdgeError, FormatError, InputError, VerificationError

APP, OTHER = AppKey(keys.secret("app")), AppKey(keys.secret("app-2"))
PLAIN = sample.plain()


def seal(app_key: AppKey | None = None, **change: Any) -> sealing.Sealed:
    around = {"channel": "stable", "release": 7, "requires": "tflite", "app_key": app_key}
    return sealing.seal(PLAIN, **{**around, **change})


@pytest.mark.parametrize("app_key", [None, APP])
def test_a_sealed_bundle_opens(app_key: AppKey | None) -> None:
    sealed = seal(app_key)
    content = sealing.open_served(sealed.served, sealed.sha256, sealed.entry, app_key)
    assert {
        name: bytes(data) for name, data in content.files.items() if name != "bundle.json"
    } == sample.rest()
    assert content.record == sample.record(sample.rest())
    assert sealed.segments == segment_list(sealed.served)
    assert sealed.entry.segments_sha256 == hashlib.sha256(sealed.segments).hexdigest()


def test_channel_and_release_may_change_without_new_bytes() -> None:
    sealed = seal(APP)
    promoted = replace(sealed.entry, channel="beta", release=99)
    assert sealing.open_served(sealed.served, sealed.sha256, promoted, APP).record.model == "goal-success"


def test_every_seal_is_fresh() -> None:
    one, other = seal(APP), seal(APP)
    assert one.served != other.served
    assert one.entry.wrapped_key != other.entry.wrapped_key
    assert seal().served == seal().served


def test_key_salt_and_prefix_are_separate_draws() -> None:
    drawn: list[bytes] = []
    counter = count()

    def random(size: int) -> bytes:
        drawn.append(hashlib.sha512(b"%d" % next(counter)).digest()[:size])
        return drawn[-1]

    sealed = seal(APP, random=random)
    assert sorted(map(len, drawn)) == [7, 12, 32, 32]
    assert len(set(drawn)) == 4
    assert sealed.served[1:33] in drawn
    assert sealed.served[33:40] in drawn
    assert not any(
        secret in sealed.served for secret in drawn if secret != sealed.served[1:33] and len(secret) == 32
    )


FIELDS = {"model": "churn", "model_version": "1.0.1", "target": "onnx", "recipe": "int8", "key_id": "app-0"}


@pytest.mark.parametrize("field", FIELDS)
def test_a_sealed_bundle_is_bound_to_its_artifact(field: str) -> None:
    sealed = seal(APP)
    moved = replace(sealed.entry, **{field: FIELDS[field]})
    with pytest.raises(InputError if field == "key_id" else VerificationError):
        sealing.open_served(sealed.served, sealed.sha256, moved, APP)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "plain digest": ({"plain_sha256": "0" * 64}, "not the signed one"),
    "record digest": ({"record_sha256": "0" * 64}, "record in the bundle is not the signed one"),
    "length": ({"plain_length": len(PLAIN) + 1}, "signed length|entry says"),
    "codec": ({"codec": "none"}, "entry says"),
    "state": ({"state": "variables"}, "disagree on state"),
}


@pytest.mark.parametrize("app_key", [None, APP])
@pytest.mark.parametrize("name", CHANGES)
def test_an_entry_of_other_content_is_refused(name: str, app_key: AppKey | None) -> None:
    sealed = seal(app_key)
    assert sealed.entry.codec == "deflate"
    change, says = CHANGES[name]
    with pytest.raises(VerificationError, match=says):
        sealing.open_served(sealed.served, sealed.sha256, replace(sealed.entry, **change), app_key)


def test_the_digest_comes_before_any_key(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal(APP)

    def forbidden(*_: object) -> bytes:
        raise AssertionError("a key was touched before the bytes were known to be the signed ones")

    monkeypatch.setattr(sealing, "_unwrap", forbidden)
    with pytest.raises(VerificationError, match="not the signed ones"):
        sealing.open_served(sealed.served[:-1] + b"\0", sealed.sha256, sealed.entry, APP)


@pytest.mark.parametrize("app_key", [None, OTHER])
def test_the_wrong_key_is_named(app_key: AppKey | None) -> None:
    sealed = seal(APP)
    with pytest.raises(InputError, match=APP.key_id):
        sealing.open_served(sealed.served, sealed.sha256, sealed.entry, app_key)


def test_a_bundle_for_enrolled_devices_asks_for_one() -> None:
    entry = replace(seal(APP).entry, tier="device-key", wrapped_key="")
    sealed = seal(APP)
    with pytest.raises(InputError, match="enrolled device"):
        sealing.open_served(sealed.served, sealed.sha256, entry, APP)


@pytest.mark.parametrize(
    "wrapped", ["AAAA", "x", "A" * 80, "\u00e9" * 80, base64.b64encode(bytes(27)).decode()]
)
def test_a_broken_wrapped_key_is_one_clear_error(wrapped: str) -> None:
    sealed = seal(APP)
    with pytest.raises(VerificationError, match="wrapped data key does not open"):
        sealing.open_served(sealed.served, sealed.sha256, replace(sealed.entry, wrapped_key=wrapped), APP)


@given(st.integers(0, 2**31), st.integers(0, 7), st.booleans())
def test_no_flipped_bit_of_served_bytes_is_accepted(position: int, bit: int, well_signed: bool) -> None:
    sealed = seal(APP)
    damaged = bytearray(sealed.served)
    damaged[position % len(damaged)] ^= 1 << bit
    digest = hashlib.sha256(damaged).hexdigest() if well_signed else sealed.sha256
    with pytest.raises(VerificationError):
        sealing.open_served(bytes(damaged), digest, sealed.entry, APP)


def test_what_is_no_bundle_is_not_sealed() -> None:
    with pytest.raises(FormatError):
        sealing.seal(PLAIN[:-1], channel="stable", release=1, requires="tflite")


def test_a_data_key_of_another_length_does_not_open() -> None:
    sealed = seal(APP)
    short = sealing._aes_gcm(APP).encrypt(bytes(12), bytes(31), sealed.entry.associated_data)
    wrapped = base64.b64encode(bytes(12) + short).decode()
    with pytest.raises(VerificationError):
        sealing.open_served(sealed.served, sealed.sha256, replace(sealed.entry, wrapped_key=wrapped), APP)


# --- app keys


def test_an_app_key_survives_as_text_and_does_not_show_itself() -> None:
    assert AppKey.from_text(APP.to_text()) == APP
    assert AppKey.from_text("  " + APP.to_text() + "\n") == APP
    assert APP.secret.hex() not in repr(APP)
    assert base64.b64encode(APP.secret).decode() not in repr(APP)
    assert APP.key_id != OTHER.key_id


@pytest.mark.parametrize("text", ["", "short", "A" * 43, "A" * 44, "=" * 44, "\u00e9"])
def test_what_is_no_app_key(text: str) -> None:
    with pytest.raises(InputError):
        AppKey.from_text(text)


def test_errors_name_the_artifact_and_what_to_do() -> None:
    sealed = seal()
    attempts: list[Callable[[], object]] = [
        lambda: sealing.open_served(b"x", sealed.sha256, sealed.entry),
        lambda: sealing.open_served(seal(APP).served, seal(APP).sha256, seal(APP).entry),
    ]
    for attempt in attempts:
        with pytest.raises(EdgeError) as caught:
            attempt()
        assert "goal-success/stable/7/tflite-fp32.bundle" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_entry_that_sealing_makes_survives_json() -> None:
    entry = seal(APP).entry
    assert Entry.from_json(entry.to_json()) == entry
    assert len(base64.b64decode(entry.wrapped_key)) == sealing.NONCE_BYTES + streaming.DATA_KEY_BYTES + 16
