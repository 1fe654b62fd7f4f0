"""What the guide on updating shows, done: a page that drifts from the product fails here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coach_edge.bench.update_server import Site, serving
from device_tests.simulator.models import sealed_model
from device_tests.simulator.repository import Repository
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk import UpdateStatus
from edge_sdk.runtime import engine_named
from tests.edge_sdk.conftest import MODEL

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
PAGE = (GUIDES / "updating.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_the_examples_on_updating(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Repository()
    repository.publish(sealed_model(dense_tflite((3, 1)), engine=engine_named("litert")))
    monkeypatch.chdir(tmp_path)
    Path("root.json").write_bytes(repository.root)
    files = {path: data for path, data in repository.files.items() if isinstance(data, bytes)}
    with serving(Site(files, "0" * 40, b"")) as url:
        names: dict[str, object] = {"SERVER": url, "MIRRORS": ["https://mirror.example.org"]}
        for block in BLOCKS:
            exec(compile(block, "updating.md", "exec"), names)  # noqa: S102  # our own page is the test
    assert capsys.readouterr().out == "installed 1\n"
    assert names["progress"] == [("metadata", 0, 1), ("metadata", 1, 1)], (
        "nothing new, so nothing to download"
    )


def test_every_status_is_explained() -> None:
    table = PAGE.partition("| status |")[2].partition("\n\n")[0]
    assert {status.value for status in UpdateStatus} == set(re.findall(r"`([a-z]+)`", table)) - {"detail"}
    assert f'"{MODEL}"' in PAGE
