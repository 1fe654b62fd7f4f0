"""Key files: one passphrase a key, and nothing but one line when it is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from device_tests.vectors import keys
from edge_sdk.crypto import keyfiles
from edge_sdk.crypto.keyfiles import KeyFile
from edge_sdk.errors import InputError

KEY = keys.signer("root-1")
CHEAP = 10  # scrypt's cost is not what these tests are about


def a_file(name: str = "root-1", passphrase: str = "correct horse") -> KeyFile:
    return KeyFile.lock(name, KEY, passphrase, log_n=CHEAP)


def test_a_key_survives_with_its_passphrase() -> None:
    again = KeyFile.from_bytes(a_file().to_bytes(), "root-1.key")
    assert again.unlock("correct horse").private_bytes_raw() == KEY.private_bytes_raw()
    assert again.public == keys.public("root-1") == keyfiles.public_hex(KEY)


def test_the_secret_is_not_in_the_file() -> None:
    data = a_file().to_bytes()
    assert KEY.private_bytes_raw().hex().encode() not in data
    assert KEY.private_bytes_raw() not in data
    assert b"horse" not in data


def test_every_lock_has_its_own_salt_and_nonce() -> None:
    one, other = a_file(), a_file()
    assert one.salt != other.salt
    assert one.nonce != other.nonce


@pytest.mark.parametrize("passphrase", ["", "Correct horse", "correct horse "])
def test_a_wrong_passphrase_says_what_to_do(passphrase: str) -> None:
    with pytest.raises(InputError, match=r"wrong passphrase.*COACH_EDGE_PASSPHRASE_ROOT_1"):
        a_file().unlock(passphrase)


def test_an_empty_passphrase_locks_nothing() -> None:
    with pytest.raises(InputError, match="passphrase is empty"):
        a_file(passphrase="")


@pytest.mark.parametrize("name", ["", "Root", "1-root", "root_1", "../root", "r" * 32])
def test_names_are_fit_for_files_and_environment(name: str) -> None:
    with pytest.raises(InputError, match="key name"):
        a_file(name)


def test_name_and_public_key_are_bound_to_the_secret() -> None:
    value = json.loads(a_file().to_bytes())
    for change in ({"name": "root-2"}, {"public": keys.public("root-2")}):
        swapped = KeyFile.from_bytes(json.dumps({**value, **change}).encode(), "x")
        with pytest.raises(InputError, match="wrong passphrase or damaged"):
            swapped.unlock("correct horse")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "coach-edge/key/2"},
        {"name": None},
        {"public": "00"},
        {"scrypt_log_n": 9},
        {"scrypt_log_n": 21},
        {"scrypt_log_n": 10.0},
        {"salt": "zz"},
        {"salt": ""},
        {"nonce": "00"},
        {"nonce": "00" * 13},
        {"sealed": "AAAA"},
        {"sealed": "not base64"},
    ],
)
def test_what_is_no_key_file(change: dict[str, Any]) -> None:
    value = json.loads(a_file().to_bytes())
    with pytest.raises(InputError, match=r"root-1\.key is not a key file"):
        KeyFile.from_bytes(json.dumps({**value, **change}).encode(), "root-1.key")


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"-----BEGIN %s KEY-----" % b"PRIVATE", b" " * 5_000])
def test_other_files_are_no_key_files(data: bytes) -> None:
    with pytest.raises(InputError, match=r"root-1\.key"):
        KeyFile.from_bytes(data, "root-1.key")


def test_the_default_cost_is_owasps() -> None:
    assert keyfiles.SCRYPT_LOG_N == 17
    assert KeyFile.lock("root-1", KEY, "x", log_n=CHEAP).log_n == CHEAP


def test_fresh_keys_differ() -> None:
    assert keyfiles.public_hex(keyfiles.generate()) != keyfiles.public_hex(keyfiles.generate())
