"""The folder that the demo fills, and that the other commands work on afterwards."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_sdk.crypto.keyfiles import environment_variable
from edge_sdk.errors import InputError

MARK = "demo.json"
"""The report; it is also what tells a folder of ours from somebody's own."""


@dataclass(frozen=True)
class Workdir:
    """Where the demo puts what."""

    root: Path

    @classmethod
    def fresh(cls, root: Path) -> Workdir:
        """An empty folder; an earlier demo's is emptied, anything else is left alone.

        Raises:
            InputError: the folder holds something that no demo made.
        """
        if root.exists() and (not root.is_dir() or (any(root.iterdir()) and not (root / MARK).is_file())):
            raise InputError(f"{root} holds something else; name a new folder with --workdir")
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        (root / MARK).write_text("{}\n")
        return cls(root)

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def bundles(self) -> Path:
        return self.root / "bundles"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def server(self) -> Path:
        return self.root / "server"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def people(self) -> Path:
        return self.root / "people.json"

    def passphrase(self, name: str) -> str:
        """A random passphrase a key, kept beside the keys: good for a demo and for nothing else."""
        path = self.root / "passphrases.env"
        phrase = secrets.token_urlsafe(24)
        with open(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8"
        ) as file:
            file.write(f"export {environment_variable(name)}={phrase}\n")
        return phrase

    def write_report(self, report: dict[str, Any]) -> None:
        """Keep the result in ``demo.json``."""
        (self.root / MARK).write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
