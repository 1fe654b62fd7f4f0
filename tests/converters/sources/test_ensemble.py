"""The hand-over from training: valid by construction, answers by its definition, survives the disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from converters.ensemble import Dense, Ensemble, Forest
from converters.errors import SourceError
from tests.converters.sources.builders import HIGH, LOW, NAMES, random_ensemble, random_rows


def by_hand(model: Ensemble, row: np.ndarray) -> tuple[float, float]:
    """Probability and confidence of one row, with the loops written out."""
    clipped = [min(max(float(v), float(a)), float(b)) for v, a, b in zip(row, LOW, HIGH, strict=True)]
    answers = []
    for root in model.forest.roots:
        node = int(root)
        while model.forest.feature[node] >= 0:
            goes_left = clipped[model.forest.feature[node]] <= model.forest.threshold[node]
            node = int((model.forest.left if goes_left else model.forest.right)[node])
        answers.append(float(model.forest.value[node]))
    values = [(v - float(m)) / float(s) for v, m, s in zip(clipped, model.mean, model.std, strict=True)]
    for layer in model.layers:
        sums = [
            sum(v * float(w) for v, w in zip(values, layer.kernel[:, unit], strict=True)) + float(bias)
            for unit, bias in enumerate(layer.bias)
        ]
        values = [max(s, 0.0) if layer.activation == "relu" else 1 / (1 + np.exp(-s)) for s in sums]
    mean = sum(answers) / len(answers)
    logit = model.meta_weights[0] * mean + model.meta_weights[1] * values[0] + model.meta_bias
    spread = (sum((answer - mean) ** 2 for answer in answers) / len(answers)) ** 0.5
    return float(1 / (1 + np.exp(-logit))), 1 - 2 * spread


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_predict_is_the_written_out_definition(seed: int) -> None:
    model, rows = random_ensemble(seed), random_rows(20, seed)
    answers = model.predict(rows)
    for number, row in enumerate(rows):
        probability, confidence = by_hand(model, row)
        assert answers["probability"][number, 0] == pytest.approx(probability, abs=1e-7)
        assert answers["confidence"][number, 0] == pytest.approx(confidence, abs=1e-7)
        for column in range(len(NAMES)):
            without = row.copy()
            without[column] = model.baseline[column]
            difference = probability - by_hand(model, without)[0]
            assert answers["contributions"][number, column] == pytest.approx(difference, abs=1e-7)


def test_rows_beyond_one_portion_are_answered_the_same() -> None:
    model, rows = random_ensemble(), random_rows(2500)
    whole = model.predict(rows)
    assert np.array_equal(whole["probability"], model.probability(rows))
    for at in (0, 1023, 1024, 2499):
        for name, values in model.predict(rows[at : at + 1]).items():
            assert np.allclose(values[0], whole[name][at], rtol=0, atol=1e-7)


def test_no_rows_give_no_answers() -> None:
    answers = random_ensemble().predict(np.empty((0, len(NAMES)), np.float32))
    assert {name: values.shape for name, values in answers.items()} == {
        "probability": (0, 1),
        "confidence": (0, 1),
        "contributions": (0, len(NAMES)),
    }


def test_confidence_spans_zero_to_one() -> None:
    model = random_ensemble()
    stump = {"feature": [-1, -1], "threshold": [0, 0], "left": [-1, -1], "right": [-1, -1], "roots": [0, 1]}
    for values, expected in (([0.7, 0.7], 1.0), ([0.0, 1.0], 0.0)):
        forest = Forest(value=np.array(values), **{name: np.array(v) for name, v in stump.items()})
        answers = dataclasses.replace(model, forest=forest).predict(random_rows(3))
        assert answers["confidence"].ravel().tolist() == [expected] * 3


def test_infinite_inputs_are_clipped_and_nan_is_refused() -> None:
    model = random_ensemble()
    rows = random_rows(2)
    rows[0, 3], rows[1, 3] = np.inf, HIGH[3]
    rows[1] = np.where(np.arange(len(NAMES)) == 3, rows[1], rows[0])
    answers = model.probability(rows)
    assert answers[0] == answers[1]
    rows[1, 0] = np.nan
    with pytest.raises(SourceError, match="row 1 holds a NaN"):
        model.predict(rows)


@pytest.mark.parametrize("rows", [np.zeros((2, 10)), np.zeros((2, 9), np.float32), np.zeros(10, np.float32)])
def test_rows_of_another_form_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(SourceError, match="float32"):
        random_ensemble().predict(rows)


@example(-3.40282336e38, 0.0)
@given(st.floats(-1e300, 1e300), st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_rounded_thresholds_ask_the_same_question(threshold: float, near: float) -> None:
    forest = Forest(
        feature=np.array([0, -1, -1]), threshold=np.array([threshold, 0, 0]), left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]), value=np.array([0.0, 0.0, 1.0]), roots=np.array([0]),
    )  # fmt: skip
    rounded = forest.threshold32[0]
    around = np.float32(np.clip(threshold, -3e38, 3e38))
    for x in (near, around, np.nextafter(around, np.float32(3e38)), np.nextafter(around, np.float32(-3e38))):
        assert (np.float32(x) <= rounded) == (float(x) <= threshold)
        assert forest.leaf_values(np.array([[x]], np.float32))[0, 0] == float(float(x) > threshold)


def changed(**changes: object) -> Callable[[], object]:
    return lambda: dataclasses.replace(random_ensemble(), **changes)


def forest_with(**changes: object) -> Callable[[], object]:
    """A forest of one split, with some of its arrays replaced."""
    arrays: dict[str, object] = {
        "feature": [0, -1, -1], "threshold": [0.5, 0, 0], "left": [1, -1, -1], "right": [2, -1, -1],
        "value": [0.5, 0.1, 0.9], "roots": [0],
    }  # fmt: skip
    return lambda: Forest(**{name: np.array(value) for name, value in {**arrays, **changes}.items()})


FIVE = {"threshold": [0] * 5, "value": [0.5] * 5}
BAD = {
    "cycle": (
        forest_with(**FIVE, feature=[0, -1, -1, 0, -1], left=[1, -1, -1, 3, -1], right=[2, -1, -1, 4, -1]),
        "cycle",
    ),
    "orphan": (
        forest_with(**FIVE, feature=[0, -1, -1, -1, -1], left=[1, -1, -1, -1, -1], right=[2, -1, -1, -1, -1]),
        "from no root",
    ),
    "itself": (forest_with(left=[0, -1, -1]), "two ways"),
    "shared child": (forest_with(right=[1, -1, -1]), "two ways"),
    "root twice": (forest_with(roots=[0, 0]), "two ways"),
    "root is a child": (forest_with(roots=[0, 1]), "two ways"),
    "child outside": (forest_with(right=[3, -1, -1]), "outside"),
    "child below": (forest_with(left=[-2, -1, -1]), "outside"),
    "root outside": (forest_with(roots=[3]), "outside"),
    "inner without child": (forest_with(left=[-1, -1, -1]), "exactly at the leaves"),
    "leaf with child": (forest_with(right=[2, 2, -1]), "exactly at the leaves"),
    "negative feature": (forest_with(feature=[-2, -1, -1]), "negative column"),
    "counts for values": (forest_with(value=[5, 1, 4]), "0..1"),
    "nan threshold": (forest_with(threshold=[np.nan, 0, 0]), "not finite"),
    "fractional child": (forest_with(left=[1.5, -1, -1]), "whole numbers"),
    "text": (forest_with(value=["a", "b", "c"]), "numeric"),
    "short array": (forest_with(value=[0.5, 0.1]), "2 entries"),
    "no trees": (forest_with(roots=np.array([], np.int32)), "no tree"),
    "layer shapes": (lambda: Dense(np.zeros((2, 3)), np.zeros(2), "relu"), "kernel"),
    "activation": (lambda: Dense(np.zeros((2, 3)), np.zeros(3), "tanh"), "unknown activation 'tanh'"),
    "kernel overflow": (lambda: Dense(np.full((1, 1), 1e300), np.zeros(1), "relu"), "too large"),
    "names repeated": (changed(feature_names=(NAMES[0],) * 10), "distinct"),
    "too few bounds": (changed(low=LOW[:9]), "9 entries"),
    "low above high": (changed(low=HIGH + 1), "completion_rate has low above high"),
    "flat feature": (changed(std=np.zeros(10)), "not positive"),
    "baseline outside": (changed(baseline=HIGH + 1), "baseline outside"),
    "no layers": (changed(layers=()), "one sigmoid unit"),
    "no sigmoid": (changed(layers=(Dense(np.zeros((10, 1)), np.zeros(1), "relu"),)), "one sigmoid unit"),
    "layers do not meet": (changed(layers=random_ensemble().layers[1:]), "layer 0 takes 16"),
    "three weights": (changed(meta_weights=np.ones(3)), "two finite weights"),
    "infinite bias": (changed(meta_bias=float("inf")), "finite bias"),
    "column too high": (
        changed(forest=forest_with(feature=[10, -1, -1])()),
        "column 10 of 10",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_malformed_sources_are_refused(case: str) -> None:
    make, message = BAD[case]
    with pytest.raises(SourceError, match=message):
        make()


def test_the_pattern_of_the_bad_forests_is_good() -> None:
    assert forest_with()().depth == 1  # type: ignore[attr-defined]


def test_arrays_cannot_be_changed_afterwards() -> None:
    low = LOW.copy()
    model = dataclasses.replace(random_ensemble(), low=low)
    low[:] = 9
    assert np.array_equal(model.low, LOW)
    with pytest.raises(ValueError, match="read-only"):
        model.low[0] = 1


def test_a_saved_model_answers_the_same_and_its_bytes_repeat(tmp_path: Path) -> None:
    model, rows = random_ensemble(5), random_rows(50)
    model.save(tmp_path / "a")
    loaded = Ensemble.load(tmp_path / "a")
    expected = model.predict(rows)
    assert all(np.array_equal(values, expected[name]) for name, values in loaded.predict(rows).items())
    loaded.save(tmp_path / "b")
    assert {p.name for p in (tmp_path / "b").iterdir()} == {"ensemble.json", "ensemble.npz"}
    for name in ("ensemble.json", "ensemble.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("ensemble.json", lambda data: None, "not a trained model"),
        ("ensemble.npz", lambda data: None, "not a trained model"),
        ("ensemble.json", lambda data: b"{", "not JSON"),
        ("ensemble.json", lambda data: b"[]", "format"),
        ("ensemble.json", lambda data: data.replace(b"ensemble/1", b"ensemble/9"), "format"),
        ("ensemble.npz", lambda data: data[:-1], "not what ensemble.json describes"),
        ("ensemble.json", lambda data: data.replace(b'"relu",', b""), "does not hold"),
        ("ensemble.json", lambda data: data.replace(b"activations", b"activation"), "does not hold"),
    ],
)
def test_damaged_files_are_refused(
    tmp_path: Path, file: str, change: Callable[[bytes], bytes | None], message: str
) -> None:
    random_ensemble().save(tmp_path)
    content = change((tmp_path / file).read_bytes())
    (tmp_path / file).unlink() if content is None else (tmp_path / file).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        Ensemble.load(tmp_path)


def test_a_pickle_among_the_arrays_is_refused(tmp_path: Path) -> None:
    random_ensemble().save(tmp_path)
    np.savez(tmp_path / "ensemble.npz", low=np.array([object()]))
    header = json.loads((tmp_path / "ensemble.json").read_bytes())
    header["arrays_sha256"] = hashlib.sha256((tmp_path / "ensemble.npz").read_bytes()).hexdigest()
    (tmp_path / "ensemble.json").write_text(json.dumps(header))
    with pytest.raises(SourceError, match="does not hold an ensemble"):
        Ensemble.load(tmp_path)
