"""What an app asks of an update, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edge_sdk.errors import InputError
from edge_sdk.store.state import Slot


class UpdatePolicy(Enum):
    """When a model may come over the network."""

    LOCAL = "local"
    """Never: what is installed is what there is."""
    LOCAL_UPDATE_IN_BACKGROUND = "background"
    """Later: what is installed serves now, and a thread looks for something newer."""
    LATEST = "latest"
    """Now: the call returns when the newest release for this device is active."""


@dataclass(frozen=True)
class Conditions:
    """Under which a bundle may be downloaded; metadata, a few kilobytes, always may.

    What the app knows of the device is True, False, or None where it does not know. Unknown counts as no.

    Attributes:
        unmetered: the network costs nothing by the byte: Wi-Fi and the like.
        require_unmetered: download bundles only where ``unmetered`` is True.
        charging: the device is on a charger.
        require_charging: download bundles only where ``charging`` is True.
        idle: nobody is using the device.
        require_idle: download bundles only where ``idle`` is True.
        min_free_bytes: what must stay free on the disk when the bundle is there.
    """

    unmetered: bool | None = None
    require_unmetered: bool = False
    charging: bool | None = None
    require_charging: bool = False
    idle: bool | None = None
    require_idle: bool = False
    min_free_bytes: int = 0

    def __post_init__(self) -> None:
        if self.min_free_bytes < 0:
            raise InputError(f"min_free_bytes must not be negative: {self.min_free_bytes}")

    @property
    def obstacle(self) -> str:
        """Why nothing may be downloaded now, as far as the app knows; empty where it may."""
        if self.require_unmetered and self.unmetered is not True:
            known = "is metered" if self.unmetered is False else "is not known to be unmetered"
            return f"an unmetered network is required, and this one {known}"
        if self.require_charging and self.charging is not True:
            known = "is not charging" if self.charging is False else "is not known to be charging"
            return f"the device must be charging, and it {known}"
        if self.require_idle and self.idle is not True:
            known = "is in use" if self.idle is False else "is not known to be idle"
            return f"the device must be idle, and it {known}"
        return ""


class RefreshStatus(Enum):
    """How a refresh of the metadata ended."""

    UPDATED = "updated"
    UNCHANGED = "unchanged"
    OFFLINE = "offline"
    """The server could not be reached or is busy. Everything is as it was, and keeps working."""


@dataclass(frozen=True)
class Refreshed:
    """The outcome of a refresh.

    Attributes:
        status: how it ended.
        detail: why, where the status does not say it.
        not_renewed: why keys that are lent to this device could not be renewed, a line each. No failure of the
            refresh: what was lent holds to the end of its lease, which ``EdgeClient.status`` tells.
    """

    status: RefreshStatus
    detail: str = ""
    not_renewed: tuple[str, ...] = ()


class UpdateStatus(Enum):
    """How an update of one model ended."""

    INSTALLED = "installed"
    """A release was downloaded, proven and made active."""
    CURRENT = "current"
    """The release for this device was active already."""
    WITHHELD = "withheld"
    """There is nothing for this device now: paused, held out, not ramped, recalled, or nothing it can run."""
    POSTPONED = "postponed"
    """There is something, but the conditions do not allow a download now."""
    OFFLINE = "offline"
    """The server could not be reached or is busy."""
    LOCAL = "local"
    """Not looked for: the policy is LOCAL."""
    STARTED = "started"
    """A thread is looking; see ``EdgeClient.wait`` and ``EdgeClient.status``."""
    CANCELLED = "cancelled"
    """Of an update in the background only: its control or ``EdgeClient.close`` ended it. In the foreground this is an
    exception. What was received is kept."""
    FAILED = "failed"
    """Of an update in the background only: it was refused. In the foreground this is an exception."""


@dataclass(frozen=True)
class Updated:
    """The outcome of an update, and what is active after it.

    Attributes:
        status: how it ended.
        detail: why, in one line; may be empty.
        model_version, release: what predicts now; None where nothing is installed.
        not_renewed: as in :class:`Refreshed`.
    """

    status: UpdateStatus
    detail: str = ""
    model_version: str | None = None
    release: int | None = None
    not_renewed: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, slot: Slot | None, status: UpdateStatus, detail: str = "", not_renewed: tuple[str, ...] = ()
    ) -> Updated:
        """An outcome, with what is active after it."""
        if slot is None or slot.withdrawn:
            return cls(status, detail, not_renewed=not_renewed)
        entry = slot.active.entry
        return cls(status, detail, entry.model_version, entry.release, not_renewed)
