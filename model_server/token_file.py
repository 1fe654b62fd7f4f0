"""The admin token of a server: given, or made at the first start and kept in a private file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from model_server.errors import StartError

FILE = "admin-token"
VARIABLE = "COACH_EDGE_TOKEN"


def stored_token(folder: Path) -> str:
    """The token in the folder, made where there is none.

    Raises:
        StartError: it can be neither read nor written.
    """
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            # Made with its final mode: there is no moment at which others could read it.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            token = path.read_text(encoding="ascii", errors="replace").strip()
            if not token:
                raise StartError(f"{path} is empty; delete it, and a new token is made") from None
            return token
        token = secrets.token_urlsafe(32)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StartError(f"cannot keep the admin token in {path}: {error.strerror}") from error
    return token
