"""A phone without a TUF client against what the release tools really sign."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from converters.release.signing import sign_publication
from device_tests.vectors import thin_client
from device_tests.vectors.thin_client import Accepted, Marks, Refused
from edge_sdk.contract.directives import PAYLOAD_TYPE, Directive, Directives
from edge_sdk.crypto import dsse
from edge_sdk.crypto.keyfiles import KeyFile
from tests.converters.release.support import NOW, Repository, artifact, make_repository, passphrase

INSTALL = "8c5f2f1e-6f0e-4c86-9a34-0f6f2b1c9d10"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_repository(tmp_path_factory.mktemp("repository") / "keys")


@pytest.fixture(scope="module")
def manifest(repository: Repository) -> bytes:
    published: bytes | None = None
    signers = repository.signers
    for release in (1, 2):
        publication = sign_publication(
            published,
            repository.root,
            [artifact(release=release)],
            keys=signers.keys,
            director=signers.director,
            issued=NOW,
        )
        published = publication.targets
    return publication.manifest


@pytest.fixture(scope="module")
def direct(repository: Repository, manifest: bytes) -> Callable[[Directive], bytes]:
    path = Path(repository.folder / "online" / "director.key")
    key = KeyFile.from_bytes(path.read_bytes(), "director.key").unlock(passphrase("director"))

    def sign(directive: Directive) -> bytes:
        orders = Directives(
            version=1,
            issued=NOW,
            expires=NOW + timedelta(days=1),
            manifest_version=2,
            manifest_sha256=hashlib.sha256(manifest).hexdigest(),
            channels={"stable": {"goal-success": directive}},
        )
        return dsse.sign(PAYLOAD_TYPE, orders.to_bytes(), {repository.signers.director.key_id: key})

    return sign


def test_what_is_published_is_accepted_and_decided_on(
    repository: Repository, manifest: bytes, direct: Callable[[Directive], bytes]
) -> None:
    def refresh(directive: Directive) -> Accepted:
        return thin_client.refresh(repository.root, (), manifest, direct(directive), NOW)

    full = Directive(release=2, ramp_bp=10_000, base_release=1)
    accepted = refresh(full)
    assert accepted.root_version == 1
    assert [a.entry.release for a in accepted.manifest.artifacts] == [1, 2]
    assert (accepted.marks.manifest, accepted.marks.directives, accepted.marks.time) == (2, 1, NOW)

    def decide(directive: Directive, installed: int = 0) -> int | None:
        return thin_client.decide(refresh(directive), "goal-success", "stable", INSTALL, installed, 1)

    assert decide(full) == 2
    assert decide(replace(full, ramp_bp=0)) == 1
    assert decide(replace(full, ramp_bp=0), installed=2) is None
    assert decide(replace(full, release=3)) is None
    assert decide(replace(full, paused=True)) is None
    assert thin_client.decide(accepted, "churn", "stable", INSTALL, 0, 1) is None


def test_every_sampled_flip_is_refused_or_changes_nothing(
    repository: Repository, manifest: bytes, direct: Callable[[Directive], bytes]
) -> None:
    """In root it is the pin that is trusted, so only manifest and directives are damaged."""
    directives = direct(Directive(release=2, ramp_bp=10_000))
    whole = thin_client.refresh(repository.root, (), manifest, directives, NOW)
    documents = {"manifest": manifest, "directives": directives}
    for name, document in documents.items():
        for position in range(0, 8 * len(document), 97):
            damaged = bytearray(document)
            damaged[position // 8] ^= 1 << position % 8
            received = {**documents, name: bytes(damaged)}
            with pytest.raises(Refused):
                thin_client.refresh(repository.root, (), received["manifest"], received["directives"], NOW)
    assert thin_client.refresh(repository.root, (), **documents, now=NOW, marks=whole.marks) == whole


def test_marks_hold_against_an_older_answer(
    repository: Repository, manifest: bytes, direct: Callable[[Directive], bytes]
) -> None:
    directives = direct(Directive(release=2, ramp_bp=10_000))
    marks = thin_client.refresh(repository.root, (), manifest, directives, NOW).marks

    def refresh(marks: Marks) -> Accepted:
        return thin_client.refresh(repository.root, (), manifest, directives, NOW, marks)

    with pytest.raises(Refused, match="rollback: manifest"):
        refresh(replace(marks, manifest=3))
    with pytest.raises(Refused, match="rollback: directives"):
        refresh(replace(marks, directives=2))
    with pytest.raises(Refused, match="clock: "):
        refresh(replace(marks, time=NOW + timedelta(seconds=301)))
    assert refresh(replace(marks, directives=2, director="0" * 64)).marks == marks
