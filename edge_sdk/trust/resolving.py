"""Which artifact this device should have now, and if none, why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from edge_sdk.contract import buckets, directives
from edge_sdk.contract.directives import Directive
from edge_sdk.contract.manifest import Artifact, floor_key
from edge_sdk.errors import UpdateRequired
from edge_sdk.trust.preference import PREFERENCE


class Reason(Enum):
    """Why there is something to install, or why not."""

    NEW = "a release for this device is there to be installed"
    CURRENT = "the release for this device is installed already"
    UNDIRECTED = "nothing is said about the model in this channel"
    PAUSED = "new installs are paused"
    HOLDOUT = "this device is held out of all releases of the channel"
    NOT_RAMPED = "the release has not been rolled out to this device yet"
    RECALLED = "the release was recalled"
    BELOW_FLOOR = "the release lies below the floor that the publisher has set"
    BELOW_MARK = "a higher release was installed here before"
    NO_FIT = "the release has no artifact that this device can run"


@dataclass(frozen=True)
class Resolution:
    """The outcome; ``artifact`` is there exactly when the reason is NEW or CURRENT."""

    reason: Reason
    artifact: Artifact | None = None
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value


def resolve(
    model: str,
    channel: str,
    artifacts: Iterable[Artifact],
    directive: Directive | None,
    *,
    capabilities: Collection[str],
    install_id: str,
    floor: int = 0,
    mark: int = 0,
    installed: Artifact | None = None,
    preference: Sequence[str] = PREFERENCE,
) -> Resolution:
    """Decide for one model in one channel.

    1. This SDK speaks the protocol level that the directive asks for.
    2. The directive gives this device a release: not paused, not held out, in the ramp, not recalled.
    3. The release is neither below the signed floor nor below the highest that was installed here.
    4. An artifact of the release needs nothing that the device lacks; of several, the preferred recipe, then
       the smallest.
    5. It is not what is installed already.

    Args:
        model, channel: what is asked for.
        artifacts: all that is signed, of any model and channel.
        directive: what holds for them now.
        capabilities: tokens such as ``tflite`` or ``onnx-opset17``.
        install_id: of this device.
        floor: the lowest release that may be installed.
        mark: the highest release that was installed.
        installed: the active artifact, where its bytes are whole.
        preference: recipes, best first.

    Raises:
        UpdateRequired: step 1.
    """
    if directive is None:
        return Resolution(Reason.UNDIRECTED)
    if directive.min_runtime > directives.RUNTIME:  # 1
        raise UpdateRequired(
            f"{model} in {channel} needs protocol level {directive.min_runtime}, and this SDK speaks "
            f"{directives.RUNTIME}; update the app"
        )
    release = directive.release_for(model, channel, install_id)  # 2
    if release is None:
        return _nothing(directive, model, channel, install_id)
    if release < floor:  # 3
        return Resolution(Reason.BELOW_FLOOR, detail=f"release {release}, floor {floor}")
    if release < mark:
        return Resolution(Reason.BELOW_MARK, detail=f"release {release}, installed {mark}")
    offered = [
        a for a in artifacts if (a.entry.model, a.entry.channel, a.entry.release) == (model, channel, release)
    ]
    fitting = [a for a in offered if set(a.entry.requires.split(" ")) <= set(capabilities)]  # 4
    if not fitting:
        needs = ", ".join(sorted({a.entry.requires for a in offered})) or "nothing this SDK can read"
        return Resolution(Reason.NO_FIT, detail=f"release {release} needs {needs}")
    ranks: Mapping[str, int] = {recipe: rank for rank, recipe in enumerate(preference)}
    best = min(fitting, key=lambda a: (ranks.get(a.entry.recipe, len(ranks)), a.length, a.path))
    return Resolution(Reason.CURRENT if best == installed else Reason.NEW, best)  # 5


def floor_of(floors: Mapping[str, int], model: str, channel: str) -> int:
    """The signed floor; 0 where there is none."""
    return floors.get(floor_key(model, channel), 0)


def _nothing(directive: Directive, model: str, channel: str, install_id: str) -> Resolution:
    if directive.paused:
        return Resolution(Reason.PAUSED)
    if buckets.in_holdout(channel, directive.holdout_bp, install_id):
        return Resolution(Reason.HOLDOUT)
    recalled = replace(directive, recalled=()).release_for(model, channel, install_id)
    if recalled is not None:
        return Resolution(Reason.RECALLED, detail=f"release {recalled}")
    return Resolution(Reason.NOT_RAMPED, detail=f"release {directive.release}")
