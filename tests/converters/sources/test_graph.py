"""The graph, scikit-learn and Keras say what the reference says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from converters.ensemble import Dense, Ensemble, Forest
from converters.errors import ConversionError
from converters.frameworks import tensorflow
from converters.sources import Source, ensemble_source
from tests.converters.sources.builders import HIGH, LOW, random_ensemble, random_forest, random_rows

pytestmark = pytest.mark.convert


def answers(model: Ensemble, rows: np.ndarray, batch: int | None) -> dict[str, np.ndarray]:
    function = ensemble_source(model).function(batch)
    return {name: value.numpy() for name, value in function(tensorflow().constant(rows)).items()}


@pytest.mark.parametrize("batch", [None, 1, 50])
@pytest.mark.parametrize("depth", [0, 1, 6])
def test_graph_and_reference_agree(batch: int | None, depth: int) -> None:
    model = random_ensemble(depth, depth=depth)
    rows = random_rows(batch or 50, beyond=0.5)
    rows[0, :2] = np.inf, -np.inf  # clipped like any other number, and not multiplied by 0 before that
    given = answers(model, rows, batch)
    expected = model.predict(rows)
    assert set(given) == set(expected)
    for name, values in expected.items():
        assert given[name].dtype == np.float32
        assert given[name].shape == values.shape
        assert np.abs(given[name] - values).max() <= 1e-6, name


def test_rows_exactly_on_a_threshold_go_left_in_both() -> None:
    model = random_ensemble(4, depth=6)
    inner = np.flatnonzero(model.forest.feature >= 0)
    rows = random_rows(len(inner), beyond=0)
    rows[np.arange(len(inner)), model.forest.feature[inner]] = model.forest.threshold32[inner]
    for name, values in answers(model, rows, None).items():
        assert np.abs(values - model.predict(rows)[name]).max() <= 1e-6, name


def test_a_graph_with_other_outputs_than_promised_is_refused() -> None:
    source = ensemble_source(random_ensemble())
    with pytest.raises(ConversionError, match="promised"):
        dataclasses.replace(source, outputs=("probability",)).function(None).get_concrete_function()


def test_the_forest_is_what_scikit_learn_predicts() -> None:
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    rows = np.clip(random_rows(600), LOW, HIGH)
    labels = (rows[:, 0] + rng.normal(size=600) * 0.3 > 0.5).astype(int)
    theirs = RandomForestClassifier(20, max_depth=8, min_samples_split=5, random_state=0).fit(rows, labels)
    trees = [tree.tree_ for tree in theirs.estimators_]
    starts = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]

    def joined(name: str) -> np.ndarray:
        """Children count from the start of their tree; scikit-learn marks leaves by -1 and features by -2."""
        shifted = [
            np.where(getattr(tree, name) < 0, -1, getattr(tree, name) + start * (name != "feature"))
            for tree, start in zip(trees, starts, strict=True)
        ]
        return np.concatenate(shifted)

    ours = Forest(
        feature=joined("feature"),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        left=joined("children_left"),
        right=joined("children_right"),
        value=np.concatenate([tree.value[:, 0, 1] / tree.value[:, 0].sum(axis=1) for tree in trees]),
        roots=starts,
    )
    fresh = np.clip(random_rows(400, 9), LOW, HIGH)
    assert np.abs(ours.leaf_values(fresh).mean(axis=1) - theirs.predict_proba(fresh)[:, 1]).max() < 1e-12


def test_the_network_is_what_keras_predicts() -> None:
    tensorflow()
    import keras

    model = random_ensemble(8, widths=(32, 16))
    stump = Forest(
        *(np.array(array) for array in ([-1], [0.0], [-1], [-1], [0.5])), roots=np.array([0])
    )  # a forest that always says one half leaves the network to be seen
    model = dataclasses.replace(model, forest=stump)
    network = keras.Sequential(
        [
            keras.Input((10,)),
            *(keras.layers.Dense(len(x.bias), activation=x.activation) for x in model.layers),
        ]
    )
    network.set_weights([array for layer in model.layers for array in (layer.kernel, layer.bias)])
    rows = random_rows(200, beyond=0)
    normalised = ((np.clip(rows, LOW, HIGH) - model.mean) / model.std).astype(np.float32)
    logit = (
        0.5 * model.meta_weights[0]
        + np.asarray(network(normalised)) * model.meta_weights[1]
        + model.meta_bias
    )
    assert np.abs(1 / (1 + np.exp(-logit)) - model.probability(rows)).max() <= 1e-6


def test_a_forest_and_layers_of_any_shape_make_a_source() -> None:
    one = Dense(np.ones((10, 1)), np.zeros(1), "sigmoid")
    model = dataclasses.replace(
        random_ensemble(), layers=(one,), forest=random_forest(np.random.default_rng(0), trees=1, depth=3)
    )
    source = ensemble_source(model)
    assert isinstance(source, Source)
    rows = random_rows(5)
    assert np.abs(answers(model, rows, None)["probability"] - model.probability(rows)).max() <= 1e-6
