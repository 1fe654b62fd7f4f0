"""The entry: what a device must know of an artifact before it downloads it (TUF ``custom`` field)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from edge_sdk.contract import identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError

MAX_ENTRY_BYTES = 1_400
TIERS = ("none", "app-key", "device-key")
CODECS = ("none", "deflate")
STATES = ("none", "variables")


def target_path(model: str, channel: str, release: int, target: str, recipe: str) -> str:
    """The TUF target path of an artifact: ``model/channel/release/target-recipe.bundle``."""
    return f"{model}/{channel}/{release}/{target}-{recipe}.bundle"


@dataclass(frozen=True)
class Entry:
    """One signed entry; valid by construction.

    ``requires`` lists, separated by single spaces, the capabilities that a device must have to run the
    artifact (``tflite``, ``coreml-ios15``, ``onnx-opset17``); ``plain_length`` and ``plain_sha256``
    describe the bundle after decryption and decompression; ``extra`` keeps fields of later versions.
    """

    model: str
    model_version: str
    channel: str
    release: int
    target: str
    recipe: str
    requires: str
    tier: str
    key_id: str
    wrapped_key: str
    codec: str
    plain_length: int
    plain_sha256: str
    record_sha256: str
    segments_sha256: str
    state: str
    extra: Mapping[str, str | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        what = f"entry of {self.model!r}"
        for key in ("model", "channel", "target", "recipe"):
            identifiers.name(getattr(self, key), f"{what}: {key}")
        identifiers.model_version(self.model_version)
        identifiers.release(self.release)
        for key in ("plain_sha256", "record_sha256", "segments_sha256"):
            identifiers.sha256_hex(getattr(self, key), f"{what}: {key}")
        for key, allowed in (("tier", TIERS), ("codec", CODECS), ("state", STATES)):
            if getattr(self, key) not in allowed:
                raise FormatError(f"{what}: {key} {getattr(self, key)!r} is not one of {', '.join(allowed)}")
        for capability in self.requires.split(" "):
            identifiers.name(capability, f"{what}: requires")
        if not 1 <= self.plain_length <= identifiers.MAX_RELEASE:
            raise FormatError(f"{what}: plain_length {self.plain_length} is not positive")
        if (self.tier == "app-key") != bool(self.wrapped_key) or (self.tier == "none") != (not self.key_id):
            raise FormatError(f"{what}: tier {self.tier} does not go with its key_id and wrapped_key")
        known = {f.name for f in fields(self)} - {"extra"}
        for key, value in self.extra.items():
            if type(value) is int and abs(value) > identifiers.MAX_RELEASE:
                raise FormatError(f"{what}: '{key}' is beyond 2^53 - 1")
            if type(value) not in (str, int) or key in known:
                raise FormatError(f"{what}: '{key}' is neither a string nor an integer, or not extra")
        object.__setattr__(self, "extra", MappingProxyType(dict(self.extra)))
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise FormatError(f"{what} holds a lone surrogate") from error
        if size > MAX_ENTRY_BYTES:
            raise FormatError(f"{what} is {size} bytes long; at most {MAX_ENTRY_BYTES} are allowed")

    @property
    def path(self) -> str:
        """The TUF target path that this entry must stand under."""
        return target_path(self.model, self.channel, self.release, self.target, self.recipe)

    @property
    def associated_data(self) -> bytes:
        """What encryption binds the bundle to."""
        from edge_sdk.contract.framing import associated_data

        return associated_data(self.model, self.model_version, self.target, self.recipe, self.key_id)

    def to_json(self) -> dict[str, str | int]:
        """The ``custom`` object: strings and integers only."""
        known = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        return {**known, **self.extra}

    @classmethod
    def from_json(cls, value: object) -> Entry:
        """An entry from the ``custom`` object.

        Raises:
            FormatError: a field is missing or malformed.
        """
        document = Fields(value, "entry")
        known: dict[str, Any] = {}
        for item in fields(cls):
            if item.name in ("release", "plain_length"):
                known[item.name] = document.integer(item.name, 1)
            elif item.name != "extra":
                known[item.name] = document.text(item.name)
        assert isinstance(value, Mapping)
        return cls(**known, extra={k: v for k, v in value.items() if k not in known})
