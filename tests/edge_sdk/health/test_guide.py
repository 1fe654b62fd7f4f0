"""What the guide on health shows, done: a page that drifts from the product fails here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from device_tests.simulator.models import sealed_model
from device_tests.simulator.repository import Repository
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.contract.telemetry import MIN_PREDICTIONS
from edge_sdk.health.alerts import HealthSettings
from edge_sdk.health.queue import Limits
from edge_sdk.runtime import engine_named
from tests.edge_sdk.conftest import MODEL, Device

PAGE = (Path(__file__).parents[3] / "docs" / "guides" / "health.md").read_text("utf-8")


def test_the_examples(
    make_device: Callable[[Repository], Device],
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository.publish(sealed_model(dense_tflite((3, 1)), engine=engine_named("litert")))
    device = make_device(repository)
    device.open(root=repository.root, engine="litert").update(MODEL)
    monkeypatch.chdir(device.folder.parent)
    names: dict[str, object] = {"SERVER": "http://127.0.0.1:9"}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(block, "health.md", "exec"), names)  # noqa: S102  # our own page is the test
    assert capsys.readouterr().out.splitlines() == ["focus 1 {'fresh': 1} 0", "done 0"]


def test_the_numbers_are_those_of_the_settings() -> None:
    settings, limits = HealthSettings(), Limits()
    for said in (
        f"above {settings.latency_ms:.0f} ms",
        f"{settings.error_rate:.0%}".replace("%", " %") + " of the calls",
        f"fewer than {settings.hit_rate * 100:.0f} %",
        f"at least {settings.min_observations} observations",
        f"from {MIN_PREDICTIONS} predictions",
        f"{limits.files} files, {limits.bytes // 1024} KiB and {limits.age.days}",
    ):
        assert said in " ".join(PAGE.split()), said
