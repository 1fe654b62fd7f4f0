"""What the guide on running models shows, done: a page that drifts from the product fails here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.runtime.engines import ENGINE_NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "running.md").read_text("utf-8")


def test_the_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.tflite").write_bytes(dense_tflite((3, 1)))
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(block, "running.md", "exec"), names)  # noqa: S102  # our own page is the test
        assert names.pop("answer").shape == (1, 1)  # type: ignore[attr-defined]
    assert capsys.readouterr().out.splitlines() == [
        "features: float32[any x 3] 0.0 0",
        "probability: float32[any x 1] 0.0 0",
        "3 sessions",
    ]


def test_every_engine_is_in_the_table() -> None:
    assert tuple(re.findall(r"^\| `([a-z-]+)` \|", PAGE, flags=re.MULTILINE)) == ENGINE_NAMES
