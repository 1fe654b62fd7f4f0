"""From data to a trained model: who is set aside, what is refused, what is written and read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from converters.errors import ConverterError, SourceError
from converters.zoo import model_dir, training
from converters.zoo.catalogue import GOAL_SUCCESS
from converters.zoo.goal_success.settings import Settings
from converters.zoo.model_dir import check_out, load_model, save_model
from converters.zoo.population import PopulationSettings, synthesise
from feature_spec.canonical import fingerprint
from feature_spec.dataset import Dataset, People
from feature_spec.prebuilt import PREBUILT
from tests.converters.conftest import TINY

convert = pytest.mark.convert


def labelled(people: int, labels: dict[str, list[int]], events: int = 1) -> training.TrainingData:
    """People with the labels given, and a session on each of the first days."""
    users = tuple(f"u{number:03}" for number in range(people))
    known = People(
        users, labels={k: np.array(v, np.int8) for k, v in labels.items()}, origin=np.zeros(people)
    )
    rows = [(user, day) for user in users for day in range(events)]
    return training.TrainingData(
        Dataset.from_columns(
            user=[user for user, _ in rows],
            day=[day for _, day in rows],
            event_type=["session"] * len(rows),
            count=[1] * len(rows),
            people=known,
        )
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (labelled(5, {"churned": [1] * 5}), "learns the label 'goal_success', the data has: churned"),
        (labelled(5, {}), "the data has: none"),
        (labelled(100, {"goal_success": [1] * 100}), "0 people missed the goal, 40 are needed: .* one class"),
        (labelled(100, {"goal_success": [1] * 90 + [0] * 10}), "10 people missed the goal, 40 are needed"),
        (labelled(100, {"goal_success": [-1] * 100}), "no user has a value in the label"),
    ],
)
def test_data_that_cannot_be_learned_from(data: training.TrainingData, message: str) -> None:
    with pytest.raises(ConverterError, match=message) as caught:
        training.train("goal-success", data, seed=0)
    assert "\n" not in str(caught.value)


def test_a_log_without_events() -> None:
    data = labelled(100, {"goal_success": [0, 1] * 50})
    nothing = np.empty(0)
    empty = replace(
        data.dataset,
        **dict.fromkeys(("user", "day", "event_type"), nothing.astype(np.int64)),
        count=nothing,
        value=nothing,
    )
    with pytest.raises(ConverterError, match="no events"):
        training.train("goal-success", replace(data, dataset=empty), seed=0)


def test_an_unknown_model_is_refused_before_anything_else() -> None:
    with pytest.raises(ConverterError, match="unknown zoo model 'zoo:mood'"):
        training.train("zoo:mood", labelled(5, {}), seed=0)


def test_people_without_the_label_are_left_out_and_counted() -> None:
    data = labelled(20, {"goal_success": [0, 1, -1, 1] * 5})
    table, notices = training.build_table(data, GOAL_SUCCESS)
    assert len(table) == 15
    assert set(table.labels) == {0.0, 1.0}
    assert "left out 5 users without a value in 'goal_success'" in notices


def test_every_cutoff_day_gives_a_row_and_people_stay_together() -> None:
    data = labelled(80, {"goal_success": [0, 1] * 40}, events=10)
    table, _ = training.build_table(replace(data, cutoff_days=(3, 7)), GOAL_SUCCESS)
    assert len(table) == 160
    assert sorted(set(table.cutoffs)) == ["3", "7"]
    split = training._split(table, replace(Settings(), min_people=5), seed=1)
    assert not set(table.people[split.train]) & set(table.people[split.test])
    assert len(split.test) == 20


def test_features_are_those_of_the_cutoff_day() -> None:
    data = labelled(4, {"goal_success": [0, 1] * 2}, events=10)
    table, _ = training.build_table(replace(data, cutoff_days=(2, 9)), GOAL_SUCCESS)
    streak = table.features[:, PREBUILT.names.index("streak_length")]
    assert streak.tolist() == [3.0] * 4 + [10.0] * 4


def test_synthetic_data_depends_on_the_seed_alone() -> None:
    settings = PopulationSettings(people=60)
    first, second, other = (training.synthetic_data(seed, settings=settings) for seed in (1, 1, 2))
    assert np.array_equal(first.dataset.day, second.dataset.day)
    assert not np.array_equal(first.dataset.day, other.dataset.day)


@convert
def test_ten_people_take_no_part(tiny_training: training.Training) -> None:
    table, split = tiny_training.table, tiny_training.split
    held_out = tiny_training.model.training.held_out
    assert len({row.user for row in held_out}) == 10
    assert not {row.user for row in held_out} & set(table.users[split.train])
    assert len(split.train) + len(split.test) == len(table) == 300
    for row in held_out:
        at = table.users.tolist().index(row.user)
        assert np.array_equal(row.features, table.features[at])
        assert row.label == table.labels[at]
    assert len(tiny_training.predictions.ensemble) == 290


@convert
def test_rows_of_people_set_aside_change_nothing(
    tiny_data: training.TrainingData, tiny_training: training.Training
) -> None:
    """Turn their outcomes round: the model must stay, bit for bit. Turn a trained-on one: it must not."""
    people = tiny_data.dataset.people
    aside = {row.user for row in tiny_training.model.training.held_out}
    for users, same in ((aside, True), (set(people.users) - aside, False)):
        labels = people.labels["goal_success"].copy()
        chosen = [people.users.index(user) for user in sorted(users)[:3]]
        labels[chosen] = 1 - labels[chosen]
        changed = replace(tiny_data.dataset, people=replace(people, labels={"goal_success": labels}))
        again = training.train("goal-success", replace(tiny_data, dataset=changed), seed=3, settings=TINY)
        before, after = tiny_training.model.ensemble, again.model.ensemble
        assert np.array_equal(before.layers[0].kernel, after.layers[0].kernel) is same


@convert
def test_a_saved_model_is_read_back_as_it_was(tiny_training: training.Training, tmp_path: Path) -> None:
    model = tiny_training.model
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    names = {"ensemble.json", "ensemble.npz", "training.json", "feature_spec.json", "quality.json"}
    assert {path.name for path in (tmp_path / "model").iterdir()} == names
    assert loaded.training.to_bytes() == model.training.to_bytes()
    assert loaded.quality == model.quality
    assert loaded.spec == PREBUILT
    assert loaded.zoo is GOAL_SUCCESS
    rows = loaded.held_out_features
    assert np.array_equal(loaded.ensemble.probability(rows), model.ensemble.probability(rows))
    assert fingerprint(json.loads(loaded.feature_spec_bytes)) == PREBUILT.fingerprint()


@convert
def test_the_fallback_is_the_base_rate_and_knows_nothing(tiny_training: training.Training) -> None:
    rate = tiny_training.table.labels[tiny_training.split.train].mean()
    assert tiny_training.model.fallback == {
        "probability": pytest.approx(float(rate)),
        "confidence": 0.0,
        "contributions": 0.0,
    }


@convert
def test_training_again_gives_the_same_bytes(
    tiny_data: training.TrainingData, tiny_training: training.Training, tmp_path: Path
) -> None:
    again = training.train("zoo:goal-success", tiny_data, seed=3, settings=TINY)
    for name, trained in (("one", tiny_training), ("two", again)):
        save_model(trained.model, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


@convert
def test_an_older_model_is_replaced_whole(
    tiny_training: training.Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model"
    save_model(tiny_training.model, out)
    before = (out / "training.json").read_bytes()
    record = replace(tiny_training.model.training, seed=99)
    newer = replace(tiny_training.model, training=record)

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(model_dir, "_write", full)
        with pytest.raises(ConverterError, match="No space left on device"):
            save_model(newer, out)
    assert (out / "training.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    save_model(newer, out)
    assert load_model(out).training.seed == 99
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@convert
def test_an_old_model_comes_back_when_the_new_one_cannot_be_put_in_place(
    tiny_training: training.Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model"
    save_model(tiny_training.model, out)
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ConverterError, match="Input/output error"):
        save_model(tiny_training.model, out)
    monkeypatch.undo()
    load_model(out)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@convert
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("training.json", b"{}", "lacks the field 'format'"),
        ("training.json", b"not json", "not valid JSON"),
        ("feature_spec.json", b'{"version": 2}', "missing key"),
        ("ensemble.npz", b"PK", "is not what ensemble.json describes"),
        ("training.json", None, "is not a trained model"),
    ],
)
def test_a_damaged_model_is_refused(
    tiny_training: training.Training, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    out = tmp_path / "model"
    save_model(tiny_training.model, out)
    (out / name).unlink() if content is None else (out / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        load_model(out)


def test_places_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    with pytest.raises(ConverterError, match="holds other files"):
        check_out(tmp_path / "photos")
    with pytest.raises(ConverterError, match="is a file"):
        check_out(tmp_path / "photos" / "cat.jpg")
    (tmp_path / "empty").mkdir()
    check_out(tmp_path / "empty")
    check_out(tmp_path / "new" / "deep")


def test_the_population_is_the_one_of_the_seed() -> None:
    settings = PopulationSettings(people=40)
    direct = synthesise(training._stream(5, "population"), settings).dataset()
    assert np.array_equal(training.synthetic_data(5, settings=settings).dataset.day, direct.day)
