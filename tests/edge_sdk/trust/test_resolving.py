"""Which artifact a device gets: a table, and what must hold for any directive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_tests.simulator.models import fake_model
from edge_sdk.contract.directives import Directive
from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import UpdateRequired
from edge_sdk.trust import Reason, Resolution, resolve

INSTALL_ID = "6f0f3b0a-93a0-4d0f-8a53-3b0a93a04d0f"
_PLAIN = fake_model(0.1, 1)


def artifact(release: int, recipe: str = "fp32", length: int = 1000, **changes: Any) -> Artifact:
    entry = replace(_PLAIN.entry, release=release, recipe=recipe, **changes)
    return Artifact(entry.path, length, f"{release:064x}", entry)


OFFERED = [
    artifact(1),
    artifact(2),
    artifact(2, "weight-int8", 300),
    artifact(2, "tiny", 100),
    artifact(2, "better", 500, requires="tflite telepathy"),
    artifact(2, channel="beta"),
    artifact(3, target="coreml", requires="coreml-ios15"),
]


def decide(directive: Directive | None, **options: Any) -> Resolution:
    settings = {"capabilities": {"tflite"}, "install_id": INSTALL_ID, **options}
    return resolve("focus", "stable", OFFERED, directive, **settings)


FULL = Directive(2, 10_000)


@pytest.mark.parametrize(
    ("directive", "options", "reason", "recipe"),
    [
        (FULL, {}, Reason.NEW, "fp32"),
        (FULL, {"preference": ("weight-int8", "fp32")}, Reason.NEW, "weight-int8"),
        (FULL, {"preference": ()}, Reason.NEW, "tiny"),
        (FULL, {"preference": ("unheard-of",)}, Reason.NEW, "tiny"),
        (FULL, {"preference": ("better",), "capabilities": {"tflite", "telepathy"}}, Reason.NEW, "better"),
        (FULL, {"installed": artifact(1)}, Reason.NEW, "fp32"),
        (FULL, {"installed": artifact(2)}, Reason.CURRENT, "fp32"),
        (FULL, {"installed": artifact(2, "tiny", 100)}, Reason.NEW, "fp32"),
        (FULL, {"floor": 2, "mark": 2}, Reason.NEW, "fp32"),
        (FULL, {"floor": 3}, Reason.BELOW_FLOOR, None),
        (FULL, {"mark": 3}, Reason.BELOW_MARK, None),
        (FULL, {"capabilities": {"onnx-opset17"}}, Reason.NO_FIT, None),
        (None, {}, Reason.UNDIRECTED, None),
        (replace(FULL, paused=True), {}, Reason.PAUSED, None),
        (replace(FULL, holdout_bp=10_000), {}, Reason.HOLDOUT, None),
        (replace(FULL, recalled=(2,)), {}, Reason.RECALLED, None),
        (replace(FULL, ramp_bp=0), {}, Reason.NOT_RAMPED, None),
        (replace(FULL, ramp_bp=0, base_release=1), {}, Reason.NEW, "fp32"),
        (replace(FULL, ramp_bp=0, base_release=1, recalled=(1,)), {}, Reason.RECALLED, None),
        (Directive(3, 10_000), {}, Reason.NO_FIT, None),
        (Directive(9, 10_000), {}, Reason.NO_FIT, None),
    ],
)
def test_table(
    directive: Directive | None, options: dict[str, Any], reason: Reason, recipe: str | None
) -> None:
    found = decide(directive, **options)
    assert found.reason is reason
    assert (found.artifact.entry.recipe if found.artifact else None) == recipe


def test_a_newer_protocol_is_for_newer_apps() -> None:
    with pytest.raises(UpdateRequired, match="protocol level 2"):
        decide(replace(FULL, min_runtime=2))


shares = st.integers(0, 10_000)
directives = st.builds(
    Directive,
    release=st.sampled_from([2, 3]),
    ramp_bp=shares,
    base_release=st.sampled_from([0, 1]),
    paused=st.booleans(),
    recalled=st.sets(st.sampled_from([1, 2, 3])).map(lambda s: tuple(sorted(s))),
    holdout_bp=shares,
)


@given(
    directives,
    st.integers(0, 4),
    st.integers(0, 4),
    st.sets(st.sampled_from(["tflite", "coreml-ios15"])),
    st.uuids(),
)
def test_whatever_is_said(directive: Directive, floor: int, mark: int, can: set[str], install: Any) -> None:
    found = decide(directive, floor=floor, mark=mark, capabilities=can, install_id=str(install))
    assert (found.artifact is not None) == (found.reason in (Reason.NEW, Reason.CURRENT))
    if found.artifact is not None:
        entry = found.artifact.entry
        assert (entry.model, entry.channel) == ("focus", "stable")
        assert entry.release >= max(floor, mark)
        assert entry.release not in directive.recalled
        assert entry.release in (directive.release, directive.base_release)
        assert set(entry.requires.split(" ")) <= can
        assert not directive.paused
        assert found.artifact in OFFERED


@given(shares, shares, st.uuids())
def test_a_growing_ramp_removes_nobody(one: int, other: int, install: Any) -> None:
    low, high = sorted((one, other))
    in_low = decide(replace(FULL, ramp_bp=low), install_id=str(install)).artifact is not None
    in_high = decide(replace(FULL, ramp_bp=high), install_id=str(install)).artifact is not None
    assert in_high or not in_low
