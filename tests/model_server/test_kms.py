"""KMS as a key provider. The simulated one checks key and context; it does not check policies or signatures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from edge_sdk.contract.key_blob import NONCE_BYTES, Statement, credential_sha256, thumbprint
from edge_sdk.crypto.device_key import DeviceKey, open_key_blob
from model_server.errors import StateError, StorageError
from model_server.kms import KmsKeyProvider
from tests.model_server.conftest import MakeServer
from tests.model_server.fleet import DIRECTOR, FIRST, FakeClock

DATA_KEY, BUNDLE = bytes(range(32)), "ab" * 32


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client(
            "kms", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x"
        )


def new_key(client: Any) -> str:
    return str(client.create_key()["KeyMetadata"]["Arn"])


def test_a_wrapped_key_is_of_one_bundle_and_one_key(client: Any) -> None:
    provider = KmsKeyProvider(client, new_key(client))
    wrapped = provider.wrap(DATA_KEY, BUNDLE)
    assert DATA_KEY not in wrapped
    assert provider.unwrap(wrapped, BUNDLE, provider.key_id) == DATA_KEY
    for data, bundle in ((wrapped, "0" * 64), (wrapped[:-1] + bytes([wrapped[-1] ^ 1]), BUNDLE)):
        with pytest.raises(StateError, match="does not unwrap"):
            provider.unwrap(data, bundle, provider.key_id)


def test_another_key_wraps_again(client: Any) -> None:
    old = KmsKeyProvider(client, new_key(client))
    new = KmsKeyProvider(client, new_key(client))
    wrapped = old.wrap(DATA_KEY, BUNDLE)
    assert new.unwrap(wrapped, BUNDLE, old.key_id) == DATA_KEY
    assert new.unwrap(new.wrap(DATA_KEY, BUNDLE), BUNDLE, new.key_id) == DATA_KEY


def test_a_key_that_a_file_wrapped_is_not_asked_of_kms(client: Any) -> None:
    with pytest.raises(StateError, match="wrapped by kek-1, which is no key of KMS; serve without --kms-key"):
        KmsKeyProvider(client, new_key(client)).unwrap(b"", BUNDLE, "kek-1")


def test_a_server_lends_what_kms_has_wrapped(
    client: Any, make_server: MakeServer, clock: FakeClock, tmp_path: Path
) -> None:
    provider = KmsKeyProvider(client, new_key(client))
    server = make_server(key_provider=provider)
    server.publisher.publish(FIRST.publication())
    bundle = FIRST.artifacts[0].sha256
    assert server.leasing is not None
    server.leasing.bundle_keys.add(bundle, DATA_KEY, clock())
    token = server.leasing.devices.issue_token(clock(), timedelta(hours=1))
    device = DeviceKey.generate()
    said = Statement(
        "https://models.example", device.public_key, credential_sha256(token), clock(), bytes(NONCE_BYTES)
    )
    enrolled = server.leasing.devices.enrol(said, device.sign(said.to_bytes()), token, clock())
    envelope = server.leasing.lease(bundle, enrolled.credential, thumbprint(device.public_key), clock())
    keys = {DIRECTOR.key_id: DIRECTOR.public_key}
    assert open_key_blob(envelope, keys, device, bundle, clock()) == DATA_KEY
    assert all(DATA_KEY not in path.read_bytes() for path in tmp_path.glob("*.sqlite*"))


def test_what_kms_says_becomes_ours() -> None:
    class Away:
        def encrypt(self, **_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="https://kms.example")

    with pytest.raises(StorageError, match="cannot be reached"):
        KmsKeyProvider(Away(), "arn").wrap(DATA_KEY, BUNDLE)


def test_a_key_that_is_disabled_is_no_damage() -> None:
    class Disabled:
        def decrypt(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "DisabledException"}}, "Decrypt")

    with pytest.raises(StorageError, match="DisabledException"):
        KmsKeyProvider(Disabled(), "arn:x").unwrap(b"", BUNDLE, "arn:x")
