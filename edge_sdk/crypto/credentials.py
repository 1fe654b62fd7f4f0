"""What a device shows to get at sealed bundles: the key of its app, or that it is enrolled."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge_sdk.crypto.device_key import DeviceKey, DeviceKeyHolder
from edge_sdk.crypto.sealing import AppKey
from edge_sdk.errors import InputError

KEY_FILE: Final = "device.key"
CREDENTIAL_FILE: Final = "device.credential"
_LONGEST: Final = 1_000


@dataclass(frozen=True)
class DeviceCredential:
    """An enrolled device: its key, which opens what was sealed for it, and the text that the server knows it by.

    Attributes:
        holder: of the device key; a key store can be one.
        text: the credential that enrolling gave. Who has it and not the key can do nothing but ask.
    """

    holder: DeviceKeyHolder
    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.text or not self.text.isascii() or not self.text.isprintable() or " " in self.text:
            raise InputError("the device credential is not one; use the text that enrolling gave")

    @classmethod
    def from_folder(cls, folder: Path) -> DeviceCredential:
        """The credential in a folder that ``edge device enroll`` wrote.

        Raises:
            InputError: there is none, or it is damaged.
        """
        path = folder / CREDENTIAL_FILE
        try:
            with path.open(encoding="ascii", errors="replace") as file:
                text = file.read(_LONGEST).strip()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}; run 'edge device enroll'") from error
        try:
            return cls(DeviceKey.load(folder / KEY_FILE), text)
        except InputError as error:
            raise InputError(f"{folder}: {error}") from error


Credential = AppKey | DeviceCredential
"""What :meth:`edge_sdk.client.EdgeClient.open` takes."""
