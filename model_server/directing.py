"""How directives change: after a publication, and by an operator. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge_sdk.contract.buckets import BUCKETS
from edge_sdk.contract.directives import Directive
from edge_sdk.contract.manifest import Manifest, floor_key
from edge_sdk.errors import FormatError
from model_server.errors import NotFound, Refused

CHANGEABLE = ("release", "ramp_bp", "base_release", "paused", "holdout_bp", "recalled", "min_runtime")
Channels = Mapping[str, Mapping[str, Directive]]


def after_publication(
    channels: Channels, manifest: Manifest, ramp_bp: int
) -> dict[str, dict[str, Directive]]:
    """Directives that ramp every release newer than what they knew, and name nothing below a floor.

    A pause, a holdout and recalls stay: a publication must not undo what an operator did.

    Args:
        channels: directives by channel and model.
        manifest: what is published from now on.
        ramp_bp: share of devices that get a new release.
    """
    result: dict[str, dict[str, Directive]] = {}
    for (channel, model), releases in sorted(_releases(manifest).items()):
        floor = manifest.floors.get(floor_key(model, channel), 0)
        newest, previous = max(releases), channels.get(channel, {}).get(model)
        directive = _advanced(previous, newest, ramp_bp)
        if directive.base_release < floor:
            directive = replace(directive, base_release=0)
        if directive.variants and any(arm.release < floor for arm in directive.variants.arms):
            directive = replace(directive, variants=None)
        result.setdefault(channel, {})[model] = directive
    return result


def changed(
    channels: Channels, manifest: Manifest, channel: str, model: str, changes: Mapping[str, Any]
) -> dict[str, dict[str, Directive]]:
    """Directives with an operator's changes to one of them.

    Raises:
        NotFound: no such model in the channel.
        Refused: an unknown field, a value out of range, a release that is not signed, is below its floor, or
            is lower than before (devices never go back: a rollback is a higher release).
    """
    releases = _releases(manifest).get((channel, model))
    previous = channels.get(channel, {}).get(model)
    if releases is None or previous is None:
        raise NotFound(
            f"{model} has no release in channel {channel}; 'edge release list' shows what there is"
        )
    unknown = sorted(set(changes) - set(CHANGEABLE))
    if unknown or not changes:
        raise Refused(
            f"directive of {model} in {channel}: give some of {', '.join(CHANGEABLE)}"
            + (f", not {', '.join(unknown)}" if unknown else "")
        )
    try:
        value = {**previous.to_json(), **changes}
        if changes.get("release", previous.release) != previous.release and "base_release" not in changes:
            value["base_release"] = _settled(previous)
        directive = Directive.from_json(value, f"directive of {model} in {channel}")
    except FormatError as error:
        raise Refused(f"{error}") from error
    if directive.release < previous.release:
        raise Refused(
            f"directive of {model} in {channel}: release {directive.release} is lower than {previous.release}; "
            "to go back, publish the old bundle as a higher release"
        )
    floor = manifest.floors.get(floor_key(model, channel), 0)
    for name in ("release", "base_release"):
        number = getattr(directive, name)
        if number and (number not in releases or number < floor):
            raise Refused(
                f"directive of {model} in {channel}: {name} {number} is not a signed release at or above the "
                f"floor {floor}"
            )
    return {**{name: dict(models) for name, models in channels.items()}} | {
        channel: {**channels[channel], model: directive}
    }


def _advanced(previous: Directive | None, newest: int, ramp_bp: int) -> Directive:
    if previous is None:
        return Directive(release=newest, ramp_bp=ramp_bp)
    if previous.release >= newest:
        return previous
    return replace(previous, release=newest, base_release=_settled(previous), ramp_bp=ramp_bp)


def _settled(previous: Directive) -> int:
    """The release that everybody may have: that of the last ramp only if the ramp was complete."""
    return previous.release if previous.ramp_bp == BUCKETS else previous.base_release


def _releases(manifest: Manifest) -> dict[tuple[str, str], set[int]]:
    releases: dict[tuple[str, str], set[int]] = {}
    for artifact in manifest.artifacts:
        entry = artifact.entry
        releases.setdefault((entry.channel, entry.model), set()).add(entry.release)
    return releases
