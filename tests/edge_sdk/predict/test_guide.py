"""What the guide on predicting shows, done: a page that drifts from the product fails here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from device_tests.simulator.models import sealed_model
from device_tests.simulator.repository import Repository
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk import EdgeClient, Reason, ResultCache
from edge_sdk.crypto.sealed_files import write_sealed
from edge_sdk.predict.replay import parse_log
from edge_sdk.runtime import engine_named
from tests.edge_sdk.conftest import MODEL, Device

PAGE = (Path(__file__).parents[3] / "docs" / "guides" / "predicting.md").read_text("utf-8")


def test_the_examples(
    make_device: Callable[[Repository], Device],
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sealed = sealed_model(dense_tflite((3, 1)), engine=engine_named("litert"))
    repository.publish(sealed)
    device = make_device(repository)
    with device.open(root=repository.root, engine="litert") as client:
        client.update(MODEL)
    monkeypatch.chdir(device.folder.parent)
    Path("root.json").write_bytes(repository.root)
    shipped = write_sealed(sealed, Path("app"))
    shipped.with_name(shipped.name + ".segments").unlink()
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(block, "predicting.md", "exec"), names)  # noqa: S102  # our own page is the test
    asked, whole, erased = capsys.readouterr().out.splitlines()
    assert (asked, whole) == ("fresh ('luck',) False", "focus active whole")
    assert erased.startswith("('focus',) ")
    (record,) = parse_log(Path("replay.jsonl").read_bytes())
    assert record.filled == ("luck",)
    with EdgeClient.open("cache", baselines=[shipped]) as client:  # after the erase
        assert client.model(MODEL).predict({}, deadline_ms=60_000).reason is Reason.BASELINE


def test_every_reason_is_explained() -> None:
    table = PAGE.partition("| reason |")[2].partition("\n\n")[0]
    assert {reason.value for reason in Reason} == set(
        re.findall(r"^\| `([a-z_]+)`", table, flags=re.MULTILINE)
    )
    settings = ResultCache()
    assert f"max_entries={settings.max_entries}, ttl_s={settings.ttl_s:g}" in PAGE
