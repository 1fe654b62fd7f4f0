"""Directives: who gets which of the signed releases now (docs/protocol/manifest.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from edge_sdk.contract import buckets, document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError
from feature_spec.canonical import canonical_json

FORMAT = "coach-edge/directives/1"
PAYLOAD_TYPE = "application/vnd.coach-edge.directives.v1+json"
MAX_BYTES = 1_000_000
RUNTIME = 1
"""The protocol level of this SDK; a directive may require a higher one."""


@dataclass(frozen=True)
class Arm:
    """One arm of an experiment: ``weight_bp`` basis points of devices get ``release``."""

    name: str
    weight_bp: int
    release: int


@dataclass(frozen=True)
class Variants:
    """An experiment: its name salts the buckets, its arms take cumulative shares in listed order."""

    experiment: str
    arms: tuple[Arm, ...]

    def __post_init__(self) -> None:
        identifiers.name(self.experiment, "experiment")
        for arm in self.arms:
            identifiers.name(arm.name, "arm")
            identifiers.release(arm.release)
            _share(arm.weight_bp, "weight_bp")
        if not self.arms or sum(arm.weight_bp for arm in self.arms) > buckets.BUCKETS:
            raise FormatError("an experiment has at least one arm and at most 10000 basis points in all")


@dataclass(frozen=True)
class Directive:
    """What holds for one model in one channel.

    Devices in the ramp of ``release`` get it; the others get ``base_release`` (0: nothing new). ``paused``
    stops new installs and nothing else; a recalled release is not installed, whatever else is said.
    """

    release: int
    ramp_bp: int
    base_release: int = 0
    paused: bool = False
    recalled: tuple[int, ...] = ()
    holdout_bp: int = 0
    variants: Variants | None = None
    min_runtime: int = 1

    def __post_init__(self) -> None:
        identifiers.release(self.release)
        _share(self.ramp_bp, "ramp_bp")
        _share(self.holdout_bp, "holdout_bp")
        if type(self.base_release) is not int or not 0 <= self.base_release < self.release:
            raise FormatError("base_release must be 0 or a release below the one that is ramped")
        if list(self.recalled) != sorted(set(map(identifiers.release, self.recalled))):
            raise FormatError("recalled is not a sorted list of releases without repetition")
        if type(self.min_runtime) is not int or self.min_runtime < 1:
            raise FormatError("min_runtime is not a positive integer")

    def release_for(self, model: str, channel: str, install_id: str) -> int | None:
        """The release that this install should move to now, or None where nothing is to be installed."""
        if self.paused or buckets.in_holdout(channel, self.holdout_bp, install_id):
            return None
        chosen = self._chosen(model, channel, install_id)
        return None if chosen == 0 or chosen in self.recalled else chosen

    def _chosen(self, model: str, channel: str, install_id: str) -> int:
        if self.variants:
            weights = [arm.weight_bp for arm in self.variants.arms]
            arm = buckets.variant(self.variants.experiment, weights, install_id)
            if arm is not None:
                return self.variants.arms[arm].release
        if buckets.in_ramp(model, channel, self.release, self.ramp_bp, install_id):
            return self.release
        return self.base_release

    def to_json(self) -> dict[str, Any]:
        variants = None
        if self.variants:
            arms = [dict(vars(arm)) for arm in self.variants.arms]
            variants = {"experiment": self.variants.experiment, "arms": arms}
        return {**vars(self), "recalled": list(self.recalled), "variants": variants}

    @classmethod
    def from_json(cls, value: object, what: str) -> Directive:
        f = Fields(value, what)
        variants = None
        if f._get("variants") is not None:
            v = Fields(f.mapping("variants"), f"{what}: variants")
            arms = [Fields(item, f"{what}: arm") for item in v.array("arms")]
            variants = Variants(
                v.text("experiment"),
                tuple(Arm(a.text("name"), a.integer("weight_bp"), a.integer("release", 1)) for a in arms),
            )
        return cls(
            f.integer("release", 1),
            f.integer("ramp_bp"),
            f.integer("base_release"),
            f.flag("paused"),
            tuple(f.array("recalled")),
            f.integer("holdout_bp"),
            variants,
            f.integer("min_runtime", 1),
        )


@dataclass(frozen=True)
class Directives:
    """One signed document for every device; it names the manifest that it goes with."""

    version: int
    issued: datetime
    expires: datetime
    manifest_version: int
    manifest_sha256: str
    channels: Mapping[str, Mapping[str, Directive]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        identifiers.sha256_hex(self.manifest_sha256, "directives: manifest sha256")
        if self.version < 1 or self.manifest_version < 1 or self.expires <= self.issued:
            raise FormatError("directives: versions or times make no sense")
        for channel, models in self.channels.items():
            identifiers.name(channel, "directives: channel")
            for model in models:
                identifiers.name(model, "directives: model")

    def directive(self, model: str, channel: str) -> Directive | None:
        """What holds for the model in the channel; None where nothing is said."""
        return self.channels.get(channel, {}).get(model)

    def to_bytes(self) -> bytes:
        """The payload to sign: canonical JSON."""
        return canonical_json(
            {
                "format": FORMAT,
                "version": self.version,
                "issued": identifiers.format_time(self.issued),
                "expires": identifiers.format_time(self.expires),
                "manifest": {"version": self.manifest_version, "sha256": self.manifest_sha256},
                "channels": {
                    channel: {model: directive.to_json() for model, directive in models.items()}
                    for channel, models in self.channels.items()
                },
            }
        )

    @classmethod
    def from_bytes(cls, payload: bytes) -> Directives:
        """The directives of a verified payload.

        Raises:
            FormatError: malformed.
        """
        f = Fields(document.parse(payload, "directives", max_bytes=MAX_BYTES), "directives")
        f.format(FORMAT)
        manifest = Fields(f.mapping("manifest"), "directives: manifest")
        channels = {}
        for channel in f.mapping("channels"):
            models = Fields(f.mapping("channels"), "directives: channels").mapping(channel)
            channels[channel] = {
                model: Directive.from_json(value, f"directives: {model} in {channel}")
                for model, value in models.items()
            }
        return cls(
            f.integer("version", 1),
            f.checked("issued", identifiers.parse_time),
            f.checked("expires", identifiers.parse_time),
            manifest.integer("version", 1),
            manifest.text("sha256"),
            channels,
        )


def _share(value: int, what: str) -> None:
    if type(value) is not int or not 0 <= value <= buckets.BUCKETS:
        raise FormatError(f"{what} {value!r} is not a share between 0 and 10000 basis points")
