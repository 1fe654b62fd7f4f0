"""What the guide on recording shows, done: a page that drifts from the product fails here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from device_tests.simulator.features import spec_bytes
from device_tests.simulator.models import sealed_model
from device_tests.simulator.repository import Repository
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.features import Dropped, FeatureSettings, Status
from edge_sdk.features.recording import MOST_AT_ONCE
from edge_sdk.features.settings import MOST_BYTES
from edge_sdk.runtime import engine_named
from tests.edge_sdk.conftest import MODEL, Device, make_device, repository

__all__ = ["make_device", "repository"]

PAGE = (Path(__file__).parents[3] / "docs" / "guides" / "recording.md").read_text("utf-8")


def test_the_examples(
    make_device: Callable[[Repository], Device],
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = sealed_model(dense_tflite((3, 1)), engine=engine_named("litert"), feature_spec=spec_bytes())
    repository.publish(model)
    device = make_device(repository)
    device.open(root=repository.root, engine="litert").update(MODEL)
    monkeypatch.chdir(device.folder.parent)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(block, "recording.md", "exec"), names)  # noqa: S102  # our own page is the test
    assert capsys.readouterr().out.splitlines() == [
        "1 fresh 0.0 ()",
        "effort fresh",
        "rest fresh",
        "luck fresh",
        "user True",
    ]


def _first_cells(head: str) -> set[str]:
    table = PAGE.partition(head)[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    return {name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)}


def test_every_status_and_everything_dropped_is_explained() -> None:
    assert _first_cells("| status |") == {status.value for status in Status}
    assert _first_cells("| field |") == {item.name for item in fields(Dropped)}


def test_the_numbers_are_those_of_the_settings() -> None:
    settings = FeatureSettings()
    assert f"`max_events` ({settings.max_events:,})" in PAGE
    assert f"up to {MOST_AT_ONCE:,} events" in PAGE
    assert f"`max_bytes`, {MOST_BYTES // 1_000_000} MB" in PAGE
    assert settings.offline_s == 86_400
    assert "a day by default" in PAGE
