"""``edge features catalogue``: one page from definitions, a log and the models that take them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coach_edge.catalogue import _spec
from coach_edge.cli import run
from converters.zoo import training
from converters.zoo.model_dir import save_model
from converters.zoo.population import PopulationSettings
from device_tests.simulator.models import sealed_model
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.contract.record import BundleContent
from edge_sdk.crypto.sealed_files import write_sealed
from edge_sdk.crypto.sealing import AppKey, open_served
from edge_sdk.errors import InputError
from edge_sdk.runtime import engine_named
from feature_spec import PREBUILT
from feature_spec.canonical import canonical_json
from feature_spec.registry import REGISTRY
from tests.converters.conftest import TINY

ROWS = ["user_id,timestamp,event_type,count"] + [
    f"user{n},2026-03-{1 + n % 20:02d}T09:00:00Z,{kind},1"
    for n in range(60)
    for kind in ("session", "message")
]


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text("\n".join(ROWS) + "\n")
    return path


def test_a_page_with_distributions(events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page.html"
    assert run(["features", "catalogue", "--events", str(events), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    text = out.read_text("utf-8")
    assert said["bytes"] == len(text.encode())
    assert said["features"] == len(REGISTRY.names) == text.count("<article ")
    assert said["distributions"] == len(REGISTRY.computed.names)
    assert said["models"] == ["zoo:goal-success"]
    assert "events.csv, 60 users at the end of the log" in text
    assert "user1" not in text, "no id of anybody"


def test_a_page_of_definitions_only(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert run(["features", "catalogue", "--out", str(out)]) == 0
    assert "<svg" not in out.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("", 2, "--out"),
        ("--out page.html --cutoff-day 3", 2, "--cutoff-day needs --events"),
        ("--out page.html --events events.csv --cutoff-day 3 --cutoff-day 4", 2, "Give one --cutoff-day"),
        ("--out events.csv --events events.csv", 1, "is a file that is read"),
        ("--out page.html --model events.csv", 1, "no folder of 'edge train' and no .bundle"),
        ("--out page.html --model .", 1, "is not a trained model"),
        ("--out page.html --model none", 2, "does not exist"),
        ("--out none/page.html", 1, "cannot be written"),
    ],
)
def test_bad_input_is_one_line(
    arguments: str,
    status: int,
    message: str,
    events: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(events.parent)
    assert run(["features", "catalogue", *arguments.split()]) == status
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not Path("page.html").exists()
    assert events.read_text().startswith("user_id,")


def test_list_shows_every_name_and_show_describes_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["features", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["features"]
    assert [row["name"] for row in rows] == list(REGISTRY.names)
    for name in REGISTRY.names:
        assert run(["features", "show", name]) == 0
        assert name in capsys.readouterr().out
    assert run(["features", "show", "session_last_7d"]) == 2
    assert "did you mean sessions_last_7d" in capsys.readouterr().err


def test_list_is_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["features", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["name", "group", "status", "version"]
    assert len(lines) < 150


def test_list_of_a_group_and_of_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["features", "list", "--status", "text", "--group", "interaction_quality", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["count"] == {"text": 7}
    assert {row["status"] for row in said["features"]} == {"text"}
    assert run(["features", "list", "--status", "guessed"]) == 2


def test_a_bundle_says_which_definitions_it_was_made_with(tmp_path: Path) -> None:
    sealed = sealed_model(dense_tflite([3, 1]), engine=engine_named("litert"), app_key=None)
    plain = open_served(sealed.served, sealed.sha256, sealed.entry, None)
    files = {**plain.files, "feature_spec.json": canonical_json(PREBUILT.to_json())}
    content = BundleContent(plain.record, plain.record_bytes, files)
    assert _spec(tmp_path / "a.bundle", content) == PREBUILT
    nameless = BundleContent(plain.record, plain.record_bytes, {})
    with pytest.raises(InputError, match="takes no features by name"):
        _spec(tmp_path / "a.bundle", nameless)


def test_a_bundle_of_another_format_or_without_its_key_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "page.html")
    engine = engine_named("litert")
    for name, key, message in (
        ("none", None, "build the bundle again"),
        ("sealed", AppKey(b"k" * 32), "give --app-key"),
    ):
        path = write_sealed(sealed_model(dense_tflite([3, 1]), engine=engine, app_key=key), tmp_path / name)
        assert run(["features", "catalogue", "--model", str(path), "--out", out]) == 1
        assert message in capsys.readouterr().err
    assert not Path(out).exists()


@pytest.mark.convert
def test_a_trained_model_is_named_at_the_features_it_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = training.synthetic_data(3, settings=PopulationSettings(people=300))
    save_model(training.train("goal-success", data, seed=3, settings=TINY).model, tmp_path / "mine")
    out = tmp_path / "page.html"
    assert run(["features", "catalogue", "--model", str(tmp_path / "mine"), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == ["zoo:goal-success", "goal-success (mine)"]
    assert out.read_text("utf-8").count("zoo:goal-success, goal-success (mine)</dd>") == len(PREBUILT.names)
