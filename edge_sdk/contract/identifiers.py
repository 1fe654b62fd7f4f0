"""Names, versions and times, as docs/protocol/identifiers.md fixes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from edge_sdk.errors import FormatError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# semver.org 2.0.0: no leading zeros in numeric parts, optional pre-release and build.
_NUMBER = r"(?:0|[1-9][0-9]*)"
_PRE = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PRE}(?:\.{_PRE})*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_INSTALL_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

MAX_RELEASE = 2**53 - 1
"""Largest integer that every JSON reader keeps exact."""


def name(value: object, what: str = "name") -> str:
    """A model, channel, target, recipe or experiment name, checked.

    Raises:
        FormatError: ``value`` does not match ``^[a-z0-9][a-z0-9-]{0,62}$``.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise FormatError(
            f"{what} {value!r} is not a name: use 1 to 63 of a-z, 0-9 and '-', not starting with '-'"
        )
    return value


def model_version(value: object) -> str:
    """A semantic version, checked."""
    if not isinstance(value, str) or not _SEMVER.fullmatch(value):
        raise FormatError(f"model version {value!r} is not a semantic version such as 1.0.0")
    return value


def release(value: object) -> int:
    """A release number: a positive integer."""
    if type(value) is not int or not 1 <= value <= MAX_RELEASE:
        raise FormatError(f"release {value!r} is not a positive integer")
    return value


def sha256_hex(value: object, what: str = "sha256") -> str:
    """A SHA-256 digest as 64 lower-case hexadecimal digits, checked."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise FormatError(f"{what} {value!r} is not 64 lower-case hexadecimal digits")
    return value


def install_id(value: object) -> str:
    """An install id: a lower-case hyphenated UUID, made on the device and never sent anywhere."""
    if not isinstance(value, str) or not _INSTALL_ID.fullmatch(value):
        raise FormatError(f"install id {value!r} is not a lower-case hyphenated UUID")
    return value


def parse_time(value: object, what: str = "time") -> datetime:
    """RFC 3339, UTC, whole seconds, ``Z``, as an aware datetime."""
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            # strptime would import the locale first, and fromisoformat takes more forms with each Python.
            year, month, day, hour, minute, second = map(int, re.split("[-T:]", value[:-1]))
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            pass  # such as month 13: falls through to the one message
    raise FormatError(f"{what} {value!r} is not a UTC time such as 2026-01-31T12:00:00Z")


def format_time(moment: datetime) -> str:
    """The inverse of :func:`parse_time`; fractions of a second are cut."""
    # Not strftime: glibc writes the year 1 as "1".
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
