"""``open_model`` runs what a converter can write: shapes, texts, signatures, states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_sdk.errors import InputError
from edge_sdk.runtime import open_model

pytestmark = pytest.mark.convert
F = np.float32


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Models by what is special about them; TensorFlow takes 20 s to import, so all are made at once."""
    import tensorflow as tf

    def spec(*shape: int | None, dtype: Any = tf.float32) -> Any:
        return tf.TensorSpec(shape, dtype)

    module = tf.Module()
    module.total = tf.Variable(tf.zeros([1]))
    made: dict[str, bytes] = {}

    def add(name: str, call: Any, *specs: Any) -> None:
        function = tf.function(call, input_signature=specs)
        convert = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], module)
        convert.experimental_enable_resource_variables = True
        made[name] = convert.convert()

    add("free", lambda x: {"y": tf.reduce_sum(x * 2.0, axis=-1)}, spec(None, None, 3))
    add("window", lambda x: {"y": tf.nn.conv2d(x, tf.ones([5, 5, 3, 2]), 1, "VALID")}, spec(1, None, None, 3))
    add("texts", lambda s: {"y": tf.gather(s, tf.range(tf.shape(s)[0])[::-1])}, spec(None, dtype=tf.string))
    add("scalars", lambda a, b: {"y": a * tf.cast(b, F)}, spec(), spec(dtype=tf.int32))
    add("kinds", lambda a, m: {"y": tf.where(m, a, -a)}, spec(2, dtype=tf.int64), spec(2, dtype=tf.bool))
    add("none", lambda: {"y": tf.random.uniform([2], seed=1) * 0 + 3.0})
    add("unused", lambda x, other: {"y": x + 1.0}, spec(1, 2), spec(1, 2))
    add("counter", lambda x: {"y": module.total.assign_add(x)}, spec(1))

    two = tf.Module()
    two.encode = tf.function(lambda x: {"code": x * 2.0}, input_signature=[spec(None, 2)])
    two.decode = tf.function(lambda x, s: {"out": x / 2.0 + s}, input_signature=[spec(None, 2), spec()])
    folder = str(tmp_path_factory.mktemp("two"))
    tf.saved_model.save(two, folder, signatures={"encode": two.encode, "decode": two.decode})
    both = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["encode", "decode"])
    return made | {"two": both.convert()}


@pytest.mark.parametrize(
    ("name", "inputs", "answer"),
    [
        ("free", {"x": np.ones((2, 4, 3), F)}, np.full((2, 4), 6)),
        ("window", {"x": np.ones((1, 6, 7, 3), F)}, np.full((1, 2, 3, 2), 75)),
        ("texts", {"s": ["a", "ü", b"c\0"]}, [b"c\0", "ü".encode(), b"a"]),
        ("scalars", {"a": 2.0, "b": 3}, 6),
        ("kinds", {"a": [1, 2], "m": [True, False]}, [1, -2]),
        ("none", {}, [3, 3]),
        ("unused", {"x": np.ones((1, 2), F), "other": np.ones((1, 2), F)}, [[2, 2]]),
        ("counter", {"x": [1.0]}, [1]),
    ],
)
def test_answers_the_same_twice(
    corpus: dict[str, bytes], name: str, inputs: dict[str, Any], answer: Any
) -> None:
    with open_model(corpus[name]) as model:
        for _ in range(2):
            assert model.run(inputs)["y"].tolist() == np.asarray(answer, object).tolist()


def test_without_the_state_rule_the_counter_counts(corpus: dict[str, bytes]) -> None:
    with open_model(corpus["counter"], state="none") as leaky:
        assert [leaky.run({"x": [1.0]})["y"].item() for _ in range(2)] == [1, 2]


def test_texts_only_where_texts_are_wanted(corpus: dict[str, bytes]) -> None:
    with open_model(corpus["texts"]) as model, pytest.raises(InputError, match="it takes texts or bytes"):
        model.run({"s": [1, 2]})


def test_signatures_run_by_name(corpus: dict[str, bytes]) -> None:
    rows = np.ones((3, 2), F)
    with open_model(corpus["two"]) as model:
        assert set(model.signatures) == {"encode", "decode"}
        for _ in range(2):
            assert model.run({"x": rows}, signature="encode")["code"].tolist() == [[2, 2]] * 3
            assert model.run({"x": rows, "s": 1}, signature="decode")["out"].tolist() == [[1.5, 1.5]] * 3
        with pytest.raises(InputError, match="missing x; the model takes x"):
            model.run({}, signature="encode")
        with pytest.raises(InputError, match="no signature is called 'other'"):
            model.run({"x": rows}, signature="other")
