"""What the offline signer really makes, on a server that runs from the key files it really writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.release.keys import load_signers
from converters.release.signing import artifact_of, sign_publication
from model_server.client import AdminClient
from model_server.errors import StartError
from model_server.keys import load_keys
from model_server.serve import start
from tests.converters.release import support


@pytest.mark.loopback
def test_from_key_files_to_two_releases(socket_enabled: None, tmp_path: Path) -> None:
    repository = support.make_repository(tmp_path / "keys")
    root = repository.root
    signers = load_signers(tmp_path / "keys", root, support.passphrase)
    with pytest.raises(StartError, match="keep it offline"):
        load_keys(tmp_path / "keys" / "offline", root, support.passphrase)
    keys = load_keys(tmp_path / "keys" / "online", root, support.passphrase)
    options = {"root": root, "keys": keys, "data": tmp_path / "data", "bind": "127.0.0.1:0"}
    with (
        start(**options, clock=lambda: support.NOW) as server,  # type: ignore[arg-type]
        AdminClient(server.url, server.token) as client,
    ):
        for release in (1, 2):
            sealed = support.make_sealed(release=release)
            assert client.put_object(sealed.served) == sealed.sha256
            client.put_object(sealed.segments)
            publication = sign_publication(
                client.current_targets(),
                root,
                [artifact_of(sealed)],
                keys=signers.keys,
                director=signers.director,
                issued=support.NOW,
            )
            assert client.publish(publication, base_version=release - 1)["targets_version"] == release
        assert [each["release"] for each in client.releases()] == [2, 1]
