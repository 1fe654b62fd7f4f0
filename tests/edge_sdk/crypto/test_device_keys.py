"""Device keys: the file, the round trip, and what no vector can show."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from device_tests.vectors import hpke_seal, sample
from edge_sdk.contract import key_blob
from edge_sdk.contract.key_blob import Lease
from edge_sdk.crypto import dsse, hpke, keyfiles, sealing
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.device_key import DeviceKey, open_key_blob, seal_key_blob
from edge_sdk.errors import EdgeError, FormatError, InputError, LeaseExpired, NotAvailable, VerificationError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BUNDLE = hashlib.sha256(b"bundle").hexdigest()
DATA_KEY = hashlib.sha256(b"data key").digest()
DIRECTOR = keyfiles.generate()
KNOWN = {"director": keyfiles.public_hex(DIRECTOR)}


def sign(kind: str, payload: bytes) -> bytes:
    return dsse.sign(kind, payload, {"director": DIRECTOR})


def blob(device: DeviceKey, **change: Any) -> bytes:
    fields = {
        "bundle": BUNDLE,
        "device": key_blob.thumbprint(device.public_key),
        "issued": NOW,
        "expires": NOW + timedelta(days=30),
        **change,
    }
    return seal_key_blob(DATA_KEY, device.public_key, Lease(**fields), sign)


def test_a_data_key_reaches_one_device_for_one_bundle_while_the_lease_lasts() -> None:
    device = DeviceKey.generate()
    envelope = blob(device)
    assert open_key_blob(envelope, KNOWN, device, BUNDLE, NOW) == DATA_KEY
    assert DATA_KEY not in envelope
    assert blob(device) != envelope
    with pytest.raises(LeaseExpired, match="go online") as caught:
        open_key_blob(envelope, KNOWN, device, BUNDLE, NOW + timedelta(days=30))
    assert isinstance(caught.value, NotAvailable)  # what an app falls back on
    for director, holder, bundle in (
        (KNOWN, DeviceKey.generate(), BUNDLE),
        (KNOWN, device, "0" * 64),
        ({}, device, BUNDLE),
    ):
        with pytest.raises(VerificationError):
            open_key_blob(envelope, director, holder, bundle, NOW)


def test_every_changed_byte_of_an_envelope_is_refused_or_changes_nothing() -> None:
    device = DeviceKey.generate()
    envelope = blob(device)
    for at in range(0, len(envelope), 3):
        changed = envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1 :]
        with pytest.raises(VerificationError):
            open_key_blob(changed, KNOWN, device, BUNDLE, NOW)
    with pytest.raises(FormatError, match="at most"):
        open_key_blob(envelope + b" " * key_blob.MAX_ENVELOPE_BYTES, KNOWN, device, BUNDLE, NOW)


def test_a_holder_that_gives_its_key_to_nobody_will_do() -> None:
    class Enclave:
        """As the app's code around a key store."""

        def __init__(self, short: bool) -> None:
            self._inner, self._short = DeviceKey.generate(), short
            self.public_key = self._inner.public_key

        def open(self, sealed: bytes, info: bytes) -> bytes:
            return self._inner.open(sealed, info)[: 16 if self._short else 32]

        def sign(self, message: bytes) -> bytes:
            return self._inner.sign(message)

    lease = Lease(BUNDLE, "0" * 64, NOW, NOW + timedelta(days=1))
    for short in (False, True):
        enclave = Enclave(short)
        own = Lease(BUNDLE, key_blob.thumbprint(enclave.public_key), lease.issued, lease.expires)
        envelope = seal_key_blob(DATA_KEY, enclave.public_key, own, sign)
        if short:
            with pytest.raises(VerificationError, match="32 bytes"):
                open_key_blob(envelope, KNOWN, enclave, BUNDLE, NOW)
        else:
            assert open_key_blob(envelope, KNOWN, enclave, BUNDLE, NOW) == DATA_KEY
    with pytest.raises(InputError, match="another device key"):
        seal_key_blob(DATA_KEY, Enclave(False).public_key, lease, sign)


def test_the_sender_of_the_vectors_and_the_library_agree() -> None:
    device, ephemeral = DeviceKey.generate(), ec.generate_private_key(ec.SECP256R1())
    for info in (b"", b"i", bytes(200)):
        sealed = hpke_seal.seal(DATA_KEY, device.public_key, info, ephemeral)
        assert device.open(sealed, info) == DATA_KEY
        assert len(sealed) == len(hpke.seal(DATA_KEY, device.public_key, info)) == key_blob.SEALED_BYTES
        with pytest.raises(VerificationError):
            device.open(sealed, info + b"x")


def test_the_file_is_private_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "app" / "device.key"
    barrier, made = Barrier(4), []

    def make() -> None:
        barrier.wait()
        made.append(DeviceKey.load_or_create(path).public_key)

    threads = [Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert set(made) == {DeviceKey.load(path).public_key}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_repr_tells_nothing(tmp_path: Path) -> None:
    device = DeviceKey.load_or_create(tmp_path / "device.key")
    scalar = device._private.private_numbers().private_value
    assert str(scalar) not in repr(device)
    assert f"{scalar:x}" not in repr(device)
    assert key_blob.thumbprint(device.public_key)[:16] in repr(device)


def _der(key: Any) -> bytes:
    none = serialization.NoEncryption()
    data: bytes = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, none)
    return data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        _der(ed25519.Ed25519PrivateKey.generate()),
        _der(ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["empty", "nonsense", "ed25519", "p384"],
)
def test_other_files_are_no_device_keys_and_stay_as_they_are(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    path.write_bytes(content)
    for read in (DeviceKey.load, DeviceKey.load_or_create):
        with pytest.raises(InputError, match="enrol again"):
            read(path)
    assert path.read_bytes() == content
    with pytest.raises(EdgeError, match="enrol first"):
        DeviceKey.load(tmp_path / "none.key")


def test_a_bundle_sealed_for_devices_opens_with_its_own_data_key_only() -> None:
    key = DataKey.fresh()
    sealed = sealing.seal(sample.plain(), channel="stable", release=1, requires="tflite", data_key=key)
    entry = sealed.entry
    assert (entry.tier, entry.key_id, entry.wrapped_key) == ("device-key", key.key_id, "")
    assert sealing.open_served(sealed.served, sealed.sha256, entry, key).record.model == entry.model
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)
    with pytest.raises(VerificationError, match="does not open with this data key"):
        sealing.open_served(sealed.served, sealed.sha256, entry, DataKey.fresh())
    app_key = sealing.AppKey(key.secret)
    for other in (None, app_key):
        with pytest.raises(InputError, match="an enrolled device"):
            sealing.open_served(sealed.served, sealed.sha256, entry, other)
    with pytest.raises(InputError, match="one tier"):
        sealing.seal(sample.plain(), channel="c", release=1, requires="tflite", app_key=app_key, data_key=key)
    with pytest.raises(InputError, match="32 bytes"):
        DataKey(bytes(16))
