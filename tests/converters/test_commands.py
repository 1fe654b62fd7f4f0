"""The commands as the roof calls them: values come back, mistakes are told apart."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from converters import commands
from converters.errors import ConverterError
from converters.zoo import training
from converters.zoo.model_dir import load_model, save_model
from converters.zoo.population import PopulationSettings, synthesise
from tests.converters.conftest import TINY

Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command and gives its value; training is small."""
    monkeypatch.setattr(training, "train", functools.partial(training.train, settings=TINY))
    monkeypatch.setattr(
        training,
        "synthetic_data",
        functools.partial(training.synthetic_data, settings=PopulationSettings(people=300)),
    )

    def call(command: click.Command, *args: object, obj: object = None) -> Any:
        return command.main([str(arg) for arg in args], standalone_mode=False, obj=obj)

    return call


@pytest.fixture(scope="session")
def native_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A log and labels in the native format."""
    import numpy as np

    folder = tmp_path_factory.mktemp("native")
    population = synthesise(np.random.default_rng(0), PopulationSettings(people=120))
    value = ["" if v != v else f"{v:g}" for v in population.event_value]
    rows = zip(
        population.user_id[population.event_user],
        population.event_day,
        population.event_type,
        population.event_count,
        value,
        strict=True,
    )
    lines = ["user_id,day,event_type,count,value", *(",".join(map(str, row)) for row in rows)]
    (folder / "events.csv").write_text("\n".join(lines) + "\n")
    outcomes = zip(population.user_id, population.success, strict=True)
    lines = ["user_id,goal_success", *(f"{user},{success}" for user, success in outcomes)]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "events.csv", folder / "labels.csv"


def test_zoo_list(run: Run) -> None:
    (model,) = run(commands.zoo, "list")["models"]
    assert model["name"] == "goal-success"
    assert model["outputs"] == ["probability", "confidence", "contributions"]
    assert "low_completion" in model["risk_factors"]
    assert "schedule_check_in" in model["actions"]


@pytest.mark.convert
def test_train_writes_a_model_and_tells_what_it_is_worth(run: Run, tmp_path: Path) -> None:
    stages: list[tuple[str, int, int]] = []
    result = run(
        commands.train,
        "zoo:goal-success",
        "--out",
        tmp_path / "model",
        "--seed",
        3,
        obj=lambda *step: stages.append(step),
    )
    assert json.loads(json.dumps(result)) == result
    assert 0.6 < result["metrics"]["goal-success"]["none"]["auc"]["value"] < 1
    assert len(result["held_out"]) == 10
    assert result["data"]["source"] == "synthetic"
    loaded = load_model(tmp_path / "model")
    assert loaded.training.seed == 3
    assert [row.user for row in loaded.training.held_out] == [row["user"] for row in result["held_out"]]
    assert stages[0] == ("evaluate 1/3", 0, 4)
    assert stages[-1] == ("fit", 4, 4)


@pytest.mark.convert
def test_train_on_files_keeps_where_they_came_from(
    run: Run, native_files: tuple[Path, Path], tmp_path: Path
) -> None:
    events, labels = native_files
    result = run(
        commands.train,
        "goal-success",
        *("--events", events, "--labels", labels, "--cutoff-day", 30, "--cutoff-day", 50),
        *("--licence", "CC0", "--out", tmp_path / "model"),
    )
    assert set(result["metrics"]["goal-success"]) == {"30", "50"}
    data = result["data"]
    assert set(data["sha256"]) == {"events.csv", "labels.csv"}
    assert (data["source"], data["licence"], data["cutoffs"]) == ("files", "CC0", ["30", "50"])
    assert data["people"] == 110
    assert data["rows"] == 220


def test_an_unknown_model_is_an_error_not_wrong_usage(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConverterError, match="unknown zoo model 'mood'"):
        run(commands.train, "mood", "--out", tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_place_with_other_files_is_refused_before_training(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConverterError, match="holds other files"):
        run(commands.train, "goal-success", "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "args",
    [
        ("goal-success",),
        ("--out", "x"),
        ("goal-success", "--out", "x", "--seed", "-1"),
        ("goal-success", "--out", "x", "--seed", "many"),
        ("goal-success", "--out", "x", "--labels", "labels.csv"),
        ("goal-success", "--out", "x", "--unknown"),
    ],
)
def test_wrong_usage(
    run: Run, args: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.UsageError) as caught:
        run(commands.train, *args)
    assert caught.value.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_labels_without_the_column(run: Run, native_files: tuple[Path, Path], tmp_path: Path) -> None:
    events, labels = native_files
    other = tmp_path / "labels.csv"
    other.write_text(labels.read_text().replace("goal_success", "churned"))
    with pytest.raises(ConverterError, match="learns the label 'goal_success', the data has: churned"):
        run(commands.train, "goal-success", "--events", events, "--labels", other, "--out", tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.convert
def test_convert_a_trained_directory(run: Run, tiny_training: training.Training, tmp_path: Path) -> None:
    save_model(tiny_training.model, tmp_path / "model")
    args = ("--target", "tflite", "--recipe", "weight-int8", "--out", tmp_path / "artifacts")
    result = run(commands.convert, tmp_path / "model", *args)
    assert json.loads(json.dumps(result)) == result
    assert result["rows"] == {"people": 1000, "made_up": 0}
    assert result["twins"]["rows"] == 1000
    figures = result["twins"]["artifacts"]
    assert set(figures) == {"tflite-fp32", "tflite-weight-int8"}
    assert figures["tflite-fp32"]["probability"] <= 1e-5
    assert figures["tflite-weight-int8"]["agreement"] >= 0.99
    for artifact in result["artifacts"]:
        assert (tmp_path / "artifacts" / artifact["path"]).stat().st_size == artifact["bytes"]


@pytest.mark.convert
def test_convert_to_a_model_that_takes_days(
    run: Run, tiny_training: training.Training, tmp_path: Path
) -> None:
    save_model(tiny_training.model, tmp_path / "model")
    args = ("--input", "days", "--out", tmp_path / "out")
    result = run(commands.convert, tmp_path / "model", "--target", "tflite", *args)
    assert (result["input"], result["rows"]) == ("days", {"people": 0, "made_up": 1000})
    assert result["twins"]["artifacts"]["tflite-fp32"]["agreement"] >= 0.998
    assert (tmp_path / "out/tflite-fp32/model.tflite").is_file()
    more = ("--target", "tflite", "--recipe", "weight-int8")
    with pytest.raises(ConverterError, match="takes days cannot be stored as weight-int8"):
        run(commands.convert, tmp_path / "model", *more, "--input", "days", "--out", tmp_path / "int8")


@pytest.mark.convert
def test_convert_trains_a_zoo_model_first(run: Run, tmp_path: Path) -> None:
    args = ("--target", "tflite", "--out", tmp_path / "artifacts", "--seed", 3)
    result = run(commands.convert, "zoo:goal-success", *args)
    assert result["model"] == "goal-success"
    assert (tmp_path / "artifacts" / "tflite-fp32" / "model.tflite").is_file()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("no-such-dir", "--target", "tflite", "--out", "x"), "no-such-dir is not a trained model"),
        (("zoo:mood", "--target", "tflite", "--out", "x"), "unknown zoo model 'zoo:mood'"),
        (("zoo:goal-success", "--target", "onnx", "--recipe", "tiny", "--out", "x"), "tiny"),
        (("zoo:goal-success", "--target", "onnx", "--recipe", "weight-int8", "--out", "x"), "onnx"),
        (("zoo:goal-success", "--target", "onnx", "--target", "onnx", "--out", "x"), "once"),
    ],
)
def test_what_cannot_be_converted(
    run: Run, args: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConverterError, match=message):
        run(commands.convert, *args)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "args",
    [
        ("zoo:goal-success", "--out", "x"),
        ("zoo:goal-success", "--target", "tflite"),
        ("zoo:goal-success", "--target", "paper", "--out", "x"),
    ],
)
def test_wrong_usage_of_convert(run: Run, args: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError):
        run(commands.convert, *args)


def walk(command: click.Command) -> list[click.Command]:
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return [command, *(each for child in below for each in walk(child))]


@pytest.mark.parametrize(
    "command",
    [each for top in (commands.train, commands.zoo, commands.convert) for each in walk(top)],
    ids=lambda command: command.name,
)
def test_everything_has_help(command: click.Command) -> None:
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
