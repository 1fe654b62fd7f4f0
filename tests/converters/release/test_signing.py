"""What is signed: verified through tuf and DSSE, and everything that must not be signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets

from converters.errors import ReleaseError
from converters.release import signing, tuf_metadata
from converters.release.published_keys import PUBLISHED_NAMES, published_secret, refuse_vector_keys
from converters.release.signing import Publication, artifact_of, read_targets, sign_publication
from device_tests.vectors import keys as vector_keys
from edge_sdk.contract import manifest as manifests
from edge_sdk.contract.manifest import Artifact, Director, Manifest
from edge_sdk.crypto import dsse
from edge_sdk.crypto.keyfiles import public_hex
from edge_sdk.crypto.sealing import AppKey
from tests.converters.release.support import NOW, Repository, artifact, make_sealed


def publish(
    repository: Repository, previous: bytes | None, additions: list[Artifact], **changes: Any
) -> Publication:
    arguments = {
        "keys": repository.signers.keys,
        "director": repository.signers.director,
        "issued": NOW,
        **changes,
    }
    return sign_publication(previous, arguments.pop("root", repository.root), additions, **arguments)


def root_of(repository: Repository) -> Root:
    root = Metadata.from_bytes(repository.root).signed
    assert isinstance(root, Root)
    return root


def test_verifies_through_the_public_interface_of_tuf(repository: Repository) -> None:
    added = artifact()
    metadata = Metadata.from_bytes(publish(repository, None, [added]).targets)
    targets = metadata.signed
    assert isinstance(targets, Targets)
    root_of(repository).verify_delegate(Targets.type, metadata.signed_bytes, metadata.signatures)
    assert (targets.version, targets.expires) == (1, NOW + timedelta(days=90))
    assert targets.unrecognized_fields == {
        "x-issued": "2026-11-21T12:00:00Z",
        "x-director": repository.signers.director.to_json(),
        "x-floors": {},
    }
    target = targets.targets["goal-success/stable/1/tflite-fp32.bundle"]
    assert (target.length, target.hashes, target.custom) == (
        added.length,
        {"sha256": added.sha256},
        added.entry.to_json(),
    )


def test_manifest_is_signed_by_the_targets_keys(repository: Repository) -> None:
    publication = publish(repository, None, [artifact()])
    named, threshold = tuf_metadata.role_keys(root_of(repository), "targets")
    payload = dsse.verify(publication.manifest, manifests.PAYLOAD_TYPE, named, threshold)
    assert Manifest.from_bytes(payload) == read_targets(publication.targets, repository.root)
    assert threshold == 2


def test_every_publication_keeps_the_ones_before(repository: Repository) -> None:
    first = publish(repository, None, [artifact(), artifact(target="onnx"), artifact(recipe="weight-int8")])
    second = publish(repository, first.targets, [artifact(release=2, model_version="1.1.0")])
    third = publish(repository, second.targets, [artifact(channel="beta")], floors={"goal-success/stable": 2})
    renewed = publish(repository, third.targets, [], issued=NOW + timedelta(days=60))
    manifest = read_targets(renewed.targets, repository.root)
    assert (manifest.version, dict(manifest.floors)) == (4, {"goal-success/stable": 2})
    assert [a.path for a in manifest.artifacts] == [
        "goal-success/beta/1/tflite-fp32.bundle",
        "goal-success/stable/1/onnx-fp32.bundle",
        "goal-success/stable/1/tflite-fp32.bundle",
        "goal-success/stable/1/tflite-weight-int8.bundle",
        "goal-success/stable/2/tflite-fp32.bundle",
    ]
    assert signing.newest_release(manifest, "goal-success", "stable") == 2
    assert signing.newest_release(manifest, "other", "stable") == 0


def test_a_rollback_names_the_old_bytes(repository: Repository) -> None:
    sealed = make_sealed(app_key=AppKey(bytes(32)))
    old, new = artifact_of(sealed), artifact_of(sealed, release=3, channel="beta")
    assert (new.sha256, new.path) == (old.sha256, "goal-success/beta/3/tflite-fp32.bundle")
    assert new.entry.associated_data == old.entry.associated_data


def test_several_hundred_models_fit(repository: Repository) -> None:
    base = artifact(app_key=AppKey(bytes(32)))
    many = [
        replace(base, path=entry.path, entry=entry)
        for number in range(200)
        for target in ("tflite", "coreml", "onnx")
        for entry in [
            replace(base.entry, model=f"a-typical-model-name-{number}", target=target, release=1234)
        ]
    ]
    publication = publish(repository, None, many)
    assert len(publication.targets) < 1_000_000
    assert len(publication.manifest) < 1_000_000
    assert len(read_targets(publication.targets, repository.root).artifacts) == 600


def test_too_long_for_clients_is_refused(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "MAX_TARGETS_BYTES", 1000)
    with pytest.raises(ReleaseError, match="and clients take 1000"):
        publish(repository, None, [artifact()])


# What must not be signed. Each case starts from a published release 5 of goal-success in stable.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{"release": 5}], "has release 5 in stable already; publish as release 6"),
        ([{"release": 5, "target": "onnx"}], "has release 5 in stable already"),
        ([{"release": 4}], "has release 5 in stable already"),
        ([{"release": 2**53 - 1}], "leaves too few numbers after it; publish as release 6"),
        ([{"release": 6}, {"release": 6}], "is there twice"),
        ([{"release": 6}, {"release": 7}], "one release of one model version"),
        ([{"release": 6}, {"release": 6, "target": "onnx", "model_version": "9.0.0"}], "one model version"),
    ],
)
def test_releases_only_grow(repository: Repository, changes: list[dict[str, Any]], message: str) -> None:
    published = publish(repository, None, [artifact(release=5)]).targets
    with pytest.raises(ReleaseError, match=message):
        publish(repository, published, [artifact(**change) for change in changes])


@pytest.mark.parametrize(
    ("floors", "message"),
    [
        ({"goal-success/stable": 1}, "must not sink below 2"),
        ({"goal-success/stable": 6}, "nor rise above the newest release 5"),
        ({"goal-success/beta": 1}, "nor rise above the newest release 0"),
        ({"goal-success": 1}, "is not a name|nor rise above"),
    ],
)
def test_floors_only_rise(repository: Repository, floors: dict[str, int], message: str) -> None:
    published = publish(repository, None, [artifact(release=5)], floors={"goal-success/stable": 2}).targets
    with pytest.raises(ReleaseError, match=message):
        publish(repository, published, [], floors=floors)


def test_a_clock_set_back(repository: Repository) -> None:
    published = publish(repository, None, [artifact()]).targets
    with pytest.raises(ReleaseError, match="the clock says 2026-11-21 11:59:59"):
        publish(repository, published, [], issued=NOW - timedelta(seconds=1))


def test_an_expired_root(repository: Repository) -> None:
    with pytest.raises(ReleaseError, match=r"root\.json expired on 2027-11-21"):
        publish(repository, None, [], issued=NOW + timedelta(days=365))


def test_too_few_keys(repository: Repository) -> None:
    one = dict(list(repository.signers.keys.items())[:1])
    with pytest.raises(ReleaseError, match="asks for 2 targets keys, and 1 are given"):
        publish(repository, None, [], keys=one)


def test_keys_that_the_root_does_not_name(repository: Repository, other_repository: Repository) -> None:
    with pytest.raises(ReleaseError, match=r"is not a targets key of root\.json"):
        publish(repository, None, [], keys=other_repository.signers.keys)
    mixed = dict(zip(repository.signers.keys, other_repository.signers.keys.values(), strict=True))
    with pytest.raises(ReleaseError, match=r"is not a targets key of root\.json"):
        publish(repository, None, [], keys=mixed)


def altered(previous: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(previous)
    change(document)
    return json.dumps(document).encode()


def swap_hash(document: dict[str, Any]) -> None:
    for target in document["signed"]["targets"].values():
        target["hashes"]["sha256"] = "0" * 64


def drop_signature(document: dict[str, Any]) -> None:
    document["signatures"].pop()


def repeat_signature(document: dict[str, Any]) -> None:
    document["signatures"][1]["sig"] = document["signatures"][0]["sig"]


def raise_version(document: dict[str, Any]) -> None:
    document["signed"]["version"] = 7


def lower_floor(document: dict[str, Any]) -> None:
    document["signed"]["x-floors"] = {}


def swap_director(document: dict[str, Any]) -> None:
    document["signed"]["x-director"]["public_key"] = "0" * 64


@pytest.mark.parametrize(
    "change", [swap_hash, drop_signature, repeat_signature, raise_version, lower_floor, swap_director]
)
def test_nothing_is_signed_on_top_of_tampered_bytes(
    repository: Repository, change: Callable[[dict[str, Any]], None]
) -> None:
    published = publish(repository, None, [artifact()], floors={"goal-success/stable": 1}).targets
    assert read_targets(altered(published, lambda document: None), repository.root).version == 1
    with pytest.raises(ReleaseError, match="do not build on it"):
        publish(repository, altered(published, change), [artifact(release=2)])


def test_targets_of_somebody_else(repository: Repository, other_repository: Repository) -> None:
    theirs = publish(other_repository, None, [artifact()]).targets
    with pytest.raises(ReleaseError, match="do not build on it"):
        publish(repository, theirs, [])


@pytest.mark.parametrize("previous", [b"", b"{}", b"\xff", b"[]", b'{"signed": 1, "signatures": []}'])
def test_targets_that_are_no_metadata(repository: Repository, previous: bytes) -> None:
    with pytest.raises(ReleaseError, match="is not TUF metadata") as caught:
        publish(repository, previous, [])
    assert "\n" not in str(caught.value)


def test_root_and_targets_are_not_mixed_up(repository: Repository) -> None:
    published = publish(repository, None, [])
    with pytest.raises(ReleaseError, match="of type root, not targets"):
        publish(repository, repository.root, [])
    with pytest.raises(ReleaseError, match="of type targets, not root"):
        publish(repository, None, [], root=published.targets)


def test_a_root_that_one_key_signed(repository: Repository) -> None:
    with pytest.raises(ReleaseError, match="not signed by its own root keys"):
        publish(repository, None, [], root=altered(repository.root, drop_signature))


def resigned(repository: Repository, published: bytes, change: Callable[[Targets], None]) -> bytes:
    """Targets metadata that the right keys signed, and which is yet not of our profile."""
    metadata = Metadata.from_bytes(published)
    assert isinstance(metadata.signed, Targets)
    change(metadata.signed)
    metadata.signatures.clear()
    for key in repository.signers.keys.values():
        metadata.sign(CryptoSigner(key), append=True)
    return metadata.to_bytes()


def newer_field(targets: Targets) -> None:
    targets.unrecognized_fields["x-later"] = 1


def misplaced(targets: Targets) -> None:
    targets.targets["goal-success/stable/2/tflite-fp32.bundle"] = targets.targets.popitem()[1]


def other_digest(targets: Targets) -> None:
    next(iter(targets.targets.values())).hashes["md5"] = "0" * 32


def no_entry(targets: Targets) -> None:
    next(iter(targets.targets.values())).unrecognized_fields.clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (newer_field, "publish with a newer one"),
        (misplaced, "its entry belongs under"),
        (other_digest, "no other digest"),
        (no_entry, "entry is not a JSON object"),
    ],
)
def test_signed_but_not_of_our_profile(
    repository: Repository, change: Callable[[Targets], None], message: str
) -> None:
    published = publish(repository, None, [artifact()]).targets
    assert read_targets(resigned(repository, published, lambda targets: None), repository.root).version == 1
    with pytest.raises(ReleaseError, match=message):
        publish(repository, resigned(repository, published, change), [])


# Keys of the test vectors.


@pytest.mark.parametrize("name", PUBLISHED_NAMES)
def test_every_published_key_is_refused(name: str) -> None:
    secret = published_secret(name)
    with pytest.raises(ReleaseError, match=f"published test key 'coach-edge test key: {name}'"):
        refuse_vector_keys([public_hex(Ed25519PrivateKey.from_private_bytes(secret))])
    with pytest.raises(ReleaseError, match="which hides nothing"):
        refuse_vector_keys([], [AppKey(secret).key_id])


def test_the_vectors_of_the_protocol_use_no_other_keys() -> None:
    for name in vector_keys.SIGNERS:
        assert vector_keys.secret(name) == published_secret(name)


def test_other_keys_are_not_refused(repository: Repository) -> None:
    refuse_vector_keys(map(public_hex, repository.signers.keys.values()), [AppKey(bytes(32)).key_id])
    with pytest.raises(ValueError, match="not among the names"):
        published_secret("unheard-of")


def vector_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(published_secret(name))


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_a_root_with_a_published_key_signs_nothing(role: str) -> None:
    roles = {name: [Ed25519PrivateKey.generate()] for name in tuf_metadata.ROLES} | {role: [vector_key(role)]}
    root = tuf_metadata.build_root(roles, dict.fromkeys(tuf_metadata.ROLES, 1), NOW)
    signer = roles["targets"][0]
    director = Director("d", public_hex(Ed25519PrivateKey.generate()))
    with pytest.raises(ReleaseError, match=f"published test key 'coach-edge test key: {role}'"):
        sign_publication(
            None, root, [], keys={tuf_metadata.tuf_key_id(signer): signer}, director=director, issued=NOW
        )


def test_published_director_and_app_key(repository: Repository) -> None:
    with pytest.raises(ReleaseError, match="published test key"):
        publish(repository, None, [], director=Director("d", public_hex(vector_key("director"))))
    with pytest.raises(ReleaseError, match="seal again"):
        publish(repository, None, [artifact(app_key=AppKey(published_secret("app")))])


def test_a_published_targets_file_is_refused_by_tuf_when_changed(repository: Repository) -> None:
    """The control of the checks above: tuf itself tells the altered bytes from the signed ones."""
    published = publish(repository, None, [artifact()]).targets
    metadata = Metadata.from_bytes(altered(published, swap_hash))
    with pytest.raises(RepositoryError):
        root_of(repository).verify_delegate(Targets.type, metadata.signed_bytes, metadata.signatures)
