"""``edge predict --replay`` and ``edge replay``, and the same through the client."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coach_edge import cli
from device_tests.simulator.models import FEATURES, ROW, sealed_model
from device_tests.simulator.repository import SERVER, Network, Repository
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk import EdgeClient, InputError, NotAvailable, ReplayRecord
from edge_sdk.crypto.sealed_files import write_sealed
from edge_sdk.predict.replay import parse_log
from edge_sdk.runtime.engines import engine_named, engine_version


def published(repository: Repository, release: int) -> None:
    payload = dense_tflite((3, 4, 1), seed=release)
    repository.publish(
        sealed_model(payload, release=release, version=f"{release}.0.0", engine=engine_named("litert"))
    )


@pytest.fixture
def repository() -> Repository:
    made = Repository()
    published(made, 1)
    return made


@pytest.fixture
def cache(repository: Repository, tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    update(repository, folder)
    return folder


def update(repository: Repository, cache: Path) -> None:
    with EdgeClient.open(
        cache, SERVER, repository.root, transport=Network(repository), clock=lambda: repository.now
    ) as client:
        client.update("focus")


@pytest.fixture
def exported(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Three records, written by the command line."""
    file = tmp_path / "records.jsonl"
    rows = json.dumps([ROW, {"effort": 0.1}, {"effort": 1, "rest": 0.3}])
    assert cli.run(["predict", "focus", "--cache", str(cache), "--input", rows, "--replay", str(file)]) == 0
    capsys.readouterr()
    return file


def replay(file: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any, str]:
    status = cli.run(["replay", str(file), "--cache", str(cache), "--json"])
    out, err = capsys.readouterr()
    return status, json.loads(out) if out else None, err


def test_equal_to_the_bit(exported: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, report, err = replay(exported, cache, capsys)
    assert (status, err) == (0, "")
    assert (report["records"], report["equal"]) == (3, 3)
    assert report["replays"][1] == {
        "record": 2,
        "model": "focus",
        "release": 1,
        "equal": True,
        "differences": [],
        "circumstances": [],
    }
    (first, *_) = parse_log(exported.read_bytes())
    assert (first.engine, first.engine_version) == ("litert", engine_version("litert"))
    assert first.engine_version


def test_what_differs_is_named_and_the_status_says_so(
    exported: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, three = parse_log(exported.read_bytes())
    forged = replace(two, values=(float(np.nextafter(two.values[0], 1)),), engine_version="0.9")
    exported.write_bytes(b"\n".join(record.to_bytes() for record in (one, forged, three)))
    status, report, err = replay(exported, cache, capsys)
    assert status == 1
    assert err == "edge: 1 of 3 predictions are not the same to the bit, the first is record 2\n"
    (_, different, _) = report["replays"]
    assert different["differences"] == [
        f"output probability: {forged.values[0].hex()} then, {two.values[0].hex()} now"
    ]
    assert different["circumstances"] == [
        f"engine version: 0.9 then, {engine_version('litert')} now",
    ]


def test_the_release_before_is_still_there_and_then_it_is_gone(
    exported: Path, cache: Path, repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    published(repository, 2)
    update(repository, cache)
    assert replay(exported, cache, capsys)[0] == 0
    published(repository, 3)
    update(repository, cache)
    status, report, err = replay(exported, cache, capsys)
    assert (status, report) == (1, None)
    assert "record 1: the bundle " in err
    assert "of focus is gone from " in err
    assert "which has release 3 (" in err
    assert ", release 2 (" in err


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "1 to 10000 records"), (b"{}", "line 1: replay record lacks the field"), (b"\xff", "line 1: ")],
)
def test_no_record(
    content: bytes, message: str, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    status, report, err = replay(file, cache, capsys)
    assert (status, report) == (1, None)
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_replay_counts_as_nothing_and_reaches_for_no_network(
    exported: Path, cache: Path, repository: Repository
) -> None:
    (record, *_) = parse_log(exported.read_bytes())
    with EdgeClient.open(cache) as client:
        model = client.model("focus")
        assert client.replay(record).equal
        assert model.replay(record).equal
        counts = model.counters.snapshot()
        assert (counts.answers, counts.refused, len(model.counters.recent)) == (0, 0, 0)


def test_a_record_is_for_the_bundle_that_made_it(exported: Path, cache: Path) -> None:
    (record, *_) = parse_log(exported.read_bytes())
    with EdgeClient.open(cache) as client:
        model = client.model("focus")
        with pytest.raises(InputError, match=r"the record is of focus 1\.0\.0, not of"):
            model.replay(replace(record, artifact="0" * 64))
        with pytest.raises(NotAvailable, match="is gone from"):
            client.replay(replace(record, artifact="0" * 64))
        with pytest.raises(InputError, match="unknown feature"):
            model.replay_record(model.predict(ROW, deadline_ms=60_000), {"efort": 1.0})


def test_answers_out_of_the_result_cache_and_of_a_baseline(
    repository: Repository, tmp_path: Path, cache: Path
) -> None:
    from edge_sdk import ResultCache

    (sealed,) = repository.sealed.values()
    bundle = write_sealed(sealed, tmp_path / "app")
    with EdgeClient.open(
        tmp_path / "empty", root=repository.root, baselines=[bundle], results=ResultCache()
    ) as client:
        model = client.model("focus")
        model.predict(ROW, deadline_ms=60_000)
        again = model.predict(ROW, deadline_ms=60_000)
        assert (again.cached, again.reason.value) == (True, "baseline")
        record = ReplayRecord.from_bytes(model.replay_record(again, ROW).to_bytes())
        assert len(record.given) == len(FEATURES)
        assert client.replay(record).equal
    with EdgeClient.open(cache) as device:
        assert device.replay(record).equal, "the same bytes, as they were installed"
