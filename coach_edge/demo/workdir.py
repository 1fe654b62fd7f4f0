"""The folder that the demo fills, and that the other commands work on afterwards."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_sdk.crypto.keyfiles import environment_variable
from edge_sdk.errors import InputError

FORMAT = "coach-edge/demo/1"
REPORT = "demo.json"
NAMES = frozenset({REPORT, "bundles", "cache", "keys", "model", "passphrases.env", "people.json", "server"})


@dataclass(frozen=True)
class Workdir:
    """Where the demo puts what."""

    root: Path

    @classmethod
    @contextmanager
    def building(cls, target: Path) -> Iterator[Workdir]:
        """A folder beside ``target`` that takes its place when the body ends well, and is gone if not.

        An earlier demo is replaced then; anything else at ``target`` is left alone.

        Raises:
            InputError: ``target`` holds something that no demo made, or nothing can be made beside it.
        """
        _refuse_foreign(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        except OSError as error:
            raise InputError(
                f"cannot make a folder beside {target}: {error.strerror}; name another --workdir"
            ) from error
        try:
            place = cls(scratch / "new")
            place.root.mkdir()
            yield place
            _refuse_foreign(target)  # a minute has passed
            if target.exists():
                target.rename(scratch / "old")
            place.root.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

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
        phrase = secrets.token_urlsafe(24)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with open(os.open(self.root / "passphrases.env", flags, 0o600), "a", encoding="utf-8") as file:
            file.write(f"export {environment_variable(name)}={phrase}\n")
        return phrase

    def write_report(self, report: dict[str, Any]) -> None:
        """Keep the result in ``demo.json``."""
        text = json.dumps({"format": FORMAT, **report}, indent=2, allow_nan=False)
        (self.root / REPORT).write_text(text + "\n", encoding="utf-8")


def _refuse_foreign(target: Path) -> None:
    refusal = InputError(f"{target} holds something else; name a new folder with --workdir")
    if not target.exists() and not target.is_symlink():
        return
    if target.is_symlink() or not target.is_dir():
        raise refusal
    names = {path.name for path in target.iterdir()}
    if names and not (names <= NAMES and _is_report(target / REPORT)):
        raise refusal


def _is_report(path: Path) -> bool:
    try:
        report = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(report, dict) and report.get("format") == FORMAT
