"""A process of its own that updates a cache from files: ``python -m device_tests.faults.process CACHE SERVED``.

Says ``done`` once it was told of success. What it is for: being killed from outside at a real system call.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

from device_tests.faults.site import APP_KEY, MODEL, Site
from device_tests.simulator.models import FakeEngine
from device_tests.simulator.repository import SERVER, Network, Repository
from edge_sdk.client import EdgeClient


class _Served:
    """As much of a repository as a network needs."""

    def __init__(self, folder: Path) -> None:
        names = json.loads((folder / "names.json").read_bytes())
        self.files = {name: (folder / str(number)).read_bytes() for number, name in enumerate(names)}


def serve(site: Site, folder: Path) -> None:
    """Write what a site's server hands out where :func:`main` finds it."""
    folder.mkdir()
    (folder / "root.json").write_bytes(site.repository.root)
    (folder / "names.json").write_text(json.dumps(list(site.repository.files)))
    for number, data in enumerate(site.repository.files.values()):
        assert isinstance(data, bytes)
        (folder / str(number)).write_bytes(data)


def main(cache: Path, served: Path) -> None:
    """Update, and say so."""
    with EdgeClient.open(
        cache,
        SERVER,
        (served / "root.json").read_bytes(),
        credential=APP_KEY,
        engine=FakeEngine(),
        capabilities=frozenset({"tflite"}),
        transport=Network(cast(Repository, _Served(served))),
    ) as client:
        print("started", flush=True)
        client.update(MODEL)
        print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
