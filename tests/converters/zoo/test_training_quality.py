"""Nothing is learned from data that is not fit for it; how it was judged stays with the model."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from converters.errors import DataQualityError
from converters.zoo import training
from converters.zoo.model_dir import load_model, save_model
from converters.zoo.training_record import TrainingRecord
from feature_spec.dataset import DataFiles
from feature_spec.instants import parse_instant
from tests.converters.conftest import TINY
from tests.feature_spec.quality_logs import AS_OF, SPOILT, ZONE, clean

PEOPLE = 120
NOW = parse_instant(AS_OF) / 1000


def data(folder: Path, defect: str | None = None) -> training.TrainingData:
    log = clean(PEOPLE)
    if defect is not None:
        SPOILT[defect][1](log)
    files: DataFiles = log.write(folder)
    return training.file_data(files, (), ZONE, "nobody's", NOW)


@pytest.mark.parametrize(
    "defect", ["scores in percent", "clocks never set", "days as midnights", "reached and churned"]
)
def test_bad_data_is_refused_before_anything_is_fitted(
    defect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fitted(*_: object, **__: object) -> None:
        raise AssertionError("something was fitted")

    monkeypatch.setattr(training, "cross_predict", fitted)
    check, _ = SPOILT[defect]
    bad = data(tmp_path, defect)
    threshold = 0.95 if bad.quality is not None and bad.quality.score < 0.95 else 1.0
    with pytest.raises(DataQualityError) as caught:
        training.train("goal-success", bad, seed=0, settings=TINY, quality_threshold=threshold)
    assert re.match(
        rf"data quality 0\.\d+ is below {threshold:g}; worst is \w+, {check}: ", str(caught.value)
    )
    assert str(caught.value).endswith("a lower --quality-threshold trains all the same")
    assert "\n" not in str(caught.value)
    with pytest.raises(AssertionError, match="something was fitted"):
        training.train("goal-success", bad, seed=0, settings=TINY, quality_threshold=0.2)


@pytest.mark.convert
def test_the_report_stays_with_the_model(tmp_path: Path) -> None:
    bad = data(tmp_path, "scores in percent")
    assert bad.quality is not None
    assert bad.quality.score < 0.95
    trained = training.train("goal-success", bad, seed=0, settings=TINY, quality_threshold=0.5)
    save_model(trained.model, tmp_path / "model")
    report = json.loads((tmp_path / "model" / "quality.json").read_bytes())
    assert report == json.loads(json.dumps(bad.quality.to_json()))
    assert report["worst"] == "units"
    loaded = load_model(tmp_path / "model")
    assert loaded.quality == bad.quality.to_bytes()
    assert loaded.training.quality == {"score": bad.quality.score, "threshold": 0.5}


@pytest.mark.convert
def test_made_up_data_is_judged_too(tiny_training: training.Training) -> None:
    quality = tiny_training.model.training.quality
    assert 0.95 <= quality["score"] <= 1
    assert quality["threshold"] == 0.95


@pytest.mark.convert
def test_an_older_model_without_a_report_is_read(tiny_training: training.Training, tmp_path: Path) -> None:
    model = replace(tiny_training.model, quality=None)
    record = json.loads(model.training.to_bytes())
    del record["quality"]
    older = TrainingRecord.from_bytes(json.dumps(record).encode())
    save_model(replace(model, training=older), tmp_path / "model")
    assert not (tmp_path / "model" / "quality.json").exists()
    loaded = load_model(tmp_path / "model")
    assert (loaded.quality, loaded.training.quality) == (None, {})
