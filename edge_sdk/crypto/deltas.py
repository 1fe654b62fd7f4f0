"""Sealing a delta, and making the served bytes of a bundle with it (docs/protocol/deltas.md).

What a delta makes is exactly what was signed: the new plain bundle, encrypted again under its own data key with the
salt and nonce prefix of the publisher. So everything that holds for a downloaded bundle holds for this one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from edge_sdk.contract import codec, framing
from edge_sdk.contract.delta import Patch
from edge_sdk.contract.entry import Entry
from edge_sdk.contract.manifest import Artifact
from edge_sdk.crypto import streaming
from edge_sdk.crypto.sealing import BundleKey, data_key_of
from edge_sdk.errors import VerificationError


def obstacle(base: Artifact, wanted: Artifact) -> str:
    """Why there can be no delta from ``base`` to ``wanted``; empty where there can be one."""
    old, new = base.entry, wanted.entry
    if base.sha256 == wanted.sha256:
        return "they are the same bytes"
    if new.codec != "none":
        # Deflate streams differ between implementations: what a device makes would not be what was signed.
        return f"the new bundle has the codec {new.codec}; build it with the codec none"
    if old.tier != new.tier or (new.tier == "app-key" and old.key_id != new.key_id):
        # Who may read the delta would learn of the old bundle what another key protects.
        return "they are not sealed in the same tier, or not with the same app key"
    return ""


def header_of(served: bytes, entry: Entry) -> bytes:
    """What a patch must bring besides the plain bytes: length, salt and nonce prefix of an encrypted bundle."""
    return b"" if entry.tier == "none" else served[: streaming.HEADER_BYTES]


def plain_of(served: bytes | memoryview, entry: Entry, key: BundleKey | None) -> codec.Buffer:
    """The plain bytes of a bundle, with the digest that its entry says.

    Raises:
        InputError: it is sealed, and this is no key for it, or none.
        VerificationError: it does not open, or to other bytes.
    """
    secret = data_key_of(entry, key)
    packed = served if secret is None else streaming.decrypt(served, secret, entry.associated_data)
    plain = codec.decompress(entry.codec, packed, entry.plain_length)
    _check(plain, entry.plain_sha256, f"{entry.path}: the opened bundle")
    return plain


def seal(
    patch: bytes,
    base: Artifact,
    wanted: Artifact,
    key: BundleKey | None,
    random: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """The delta of a patch: encrypted under the data key of ``wanted``, where that is encrypted.

    Its own salt and associated data give it another AES key than the bundle's.
    """
    secret = data_key_of(wanted.entry, key)
    if secret is None:
        return patch
    salt, prefix = random(streaming.SALT_BYTES), random(streaming.PREFIX_BYTES)
    return streaming.encrypt(patch, secret, _bound(base, wanted), salt, prefix)


@dataclass(frozen=True)
class Rebuilt:
    """A bundle that a delta made: its plain bytes, which are the signed ones, and how to encrypt them again."""

    plain: bytearray
    header: bytes
    entry: Entry
    secret: bytes | None = field(repr=False)

    def served(self) -> Iterator[bytes | memoryview]:
        """The served bytes in pieces. Their digest is yet to be checked: nothing else vouches for salt and prefix."""
        if self.secret is None:
            return iter([memoryview(self.plain)])
        salt, prefix = self.header[1 : 1 + streaming.SALT_BYTES], self.header[1 + streaming.SALT_BYTES :]
        bound = self.entry.associated_data
        return streaming.encrypted(memoryview(self.plain), self.secret, bound, salt, prefix)


def rebuild(
    delta: bytes,
    base: Artifact,
    base_plain: Callable[[], codec.Buffer],
    wanted: Artifact,
    key: BundleKey | None,
) -> Rebuilt:
    """The bundle ``wanted``, in memory only.

    1. The delta opens with the data key of ``wanted``, bound to these two bundles.
    2. Its lengths are those of the two plain bundles, and its header is one of a bundle of this tier.
    3. The old bundle opens, with its own key.
    4. The operations make bytes of the signed plain digest. Only such bytes are ever encrypted again, so that no two
       plaintexts meet under one nonce.

    Args:
        delta: as served.
        base: the bundle that it starts from.
        base_plain: opens that, see :func:`plain_of`; let it keep nothing, since memory is needed for the new one.
        wanted: the bundle to make.
        key: opens ``wanted``.

    Raises:
        VerificationError: any of these fails.
        InputError: a bundle is sealed, and this is no key for it, or none.
    """
    entry = wanted.entry
    secret = data_key_of(entry, key)
    opened = delta if secret is None else streaming.decrypt(delta, secret, _bound(base, wanted))  # 1
    patch = Patch.read(opened)
    expected = (base.entry.plain_length, entry.plain_length, 0 if secret is None else streaming.HEADER_BYTES)
    if (patch.base_length, patch.length, len(patch.header)) != expected:  # 2
        raise VerificationError(f"{wanted.path}: the delta is for other bundles; fetch the whole one")
    plain = patch.apply(base_plain())  # 3
    _check(plain, entry.plain_sha256, f"{wanted.path}: what the delta makes")  # 4
    return Rebuilt(plain, patch.header, entry, secret)


def rebuild_served(
    delta: bytes,
    base: Artifact,
    base_served: bytes,
    wanted: Artifact,
    base_key: BundleKey | None,
    key: BundleKey | None,
) -> bytes:
    """The served bytes of ``wanted``: :func:`rebuild`, and the check that it leaves to be done.

    Raises:
        VerificationError: the delta does not make the signed bytes.
        InputError: a bundle is sealed, and this is no key for it, or none.
    """
    made = rebuild(delta, base, lambda: plain_of(base_served, base.entry, base_key), wanted, key)
    served = b"".join(made.served())
    _check(served, wanted.sha256, f"{wanted.path}: what the delta makes")
    return served


def _bound(base: Artifact, wanted: Artifact) -> bytes:
    return framing.delta_data(base.sha256, wanted.sha256)


def _check(data: codec.Buffer, sha256: str, what: str) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise VerificationError(f"{what} is not the signed one; fetch the whole bundle")
