"""``open_model`` runs what a converter can write: shapes, texts, signatures, states, and the likes of public models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2 as frozen

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

    # -- the likes of public models
    kernel = tf.random.normal([3, 3, 3, 4], seed=1)
    words = tf.random.normal([10, 4], seed=2)
    add("waveform", lambda x: {"y": tf.reduce_mean(tf.abs(tf.signal.stft(x, 16, 8, 16)), 0)}, spec(None))
    add(
        "larger",
        lambda x: {"y": tf.nn.depth_to_space(tf.nn.conv2d(x, tf.tile(kernel, [1, 1, 1, 4]), 1, "SAME"), 2)},
        spec(1, None, None, 3),
    )
    add("style", lambda x, s: {"y": tf.image.resize(x, [8, 8]) * s}, spec(1, None, None, 3), spec(1, 1, 1, 3))
    add(
        "words",
        lambda ids, mask: {"y": tf.nn.softmax(tf.gather(words, ids) * tf.cast(mask, F))},
        spec(1, 6, dtype=tf.int32),
        spec(1, 6, 1, dtype=tf.int32),
    )
    add(
        "attention",
        lambda q, k: {"y": tf.nn.softmax(tf.matmul(q, k, transpose_b=True))},
        spec(None, 4),
        spec(None, 4),
    )
    add("boxes", lambda b, s: {"y": tf.image.non_max_suppression(b, s, 3)}, spec(6, 4), spec(6))
    add("best", lambda x: dict(zip(("values", "places"), tf.math.top_k(x, 2), strict=True)), spec(1, 8))
    add("spectrum", lambda x: {"y": tf.signal.rfft(x)}, spec(1, 8))
    add("complex", lambda x: {"r": tf.math.real(x), "i": tf.math.imag(x)}, spec(2, dtype=tf.complex64))
    add(
        "doubling",
        lambda x: {
            "y": tf.while_loop(
                lambda i, a: i < 3,
                lambda i, a: (i + 1, tf.concat([a, a], 0)),
                [0, x],
                shape_invariants=[tf.TensorShape([]), tf.TensorShape([None])],
            )[1]
        },
        spec(None),
    )
    add("rows", lambda x: {"y": tf.map_fn(lambda row: row * 2, x)}, spec(3, 2))
    add("positive", lambda x: {"y": tf.boolean_mask(x, x > 0)}, spec(None))
    add("equal", lambda s: {"y": tf.equal(s, "ab")}, spec(None, dtype=tf.string))
    add("text", lambda s: {"y": tf.identity(s)}, spec(dtype=tf.string))
    add("dice", lambda: {"y": tf.random.normal([3], seed=4)})

    def samples() -> Iterator[list[Any]]:
        rng = np.random.default_rng(3)
        for _ in range(10):
            yield [rng.random((1, 8, 8, 3)).astype(F)]

    def picture(name: str, kind: Any = None, io: Any = None, ops: Any = None) -> None:
        call = tf.function(
            lambda x: {"y": tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME")), [1, 2])},
            input_signature=[spec(1, 8, 8, 3)],
        )
        convert = tf.lite.TFLiteConverter.from_concrete_functions([call.get_concrete_function()], module)
        convert.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind is not None:
            convert.target_spec.supported_types = [kind]
        if io is not None:
            convert.representative_dataset = samples
            convert.inference_input_type = convert.inference_output_type = io
            convert.target_spec.supported_ops = [ops]
        made[name] = convert.convert()

    picture("float16 weights", kind=tf.float16)
    picture("dynamic range")
    picture("int8", io=tf.int8, ops=tf.lite.OpsSet.TFLITE_BUILTINS_INT8)
    picture("uint8", io=tf.uint8, ops=tf.lite.OpsSet.TFLITE_BUILTINS_INT8)
    wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    picture("int16", io=tf.int16, ops=wide)

    def saved(name: str, module: Any, **functions: Any) -> None:
        folder = str(tmp_path_factory.mktemp("saved"))
        tf.saved_model.save(module, folder, signatures=functions)
        convert = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        convert.experimental_enable_resource_variables = True
        made[name] = convert.convert()

    shared = tf.Module()
    shared.total = tf.Variable([10.0])
    shared.add = tf.function(lambda x: {"y": shared.total.assign_add(x)}, input_signature=[spec(1)])
    shared.get = tf.function(lambda: {"y": shared.total + 0.0}, input_signature=[])
    saved("shared", shared, add=shared.add, get=shared.get)
    table = tf.Module()
    names = tf.lookup.KeyValueTensorInitializer(tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64))
    table.numbers = tf.lookup.StaticHashTable(names, -1)
    table.find = tf.function(
        lambda s: {"y": table.numbers.lookup(s)}, input_signature=[spec(None, dtype=tf.string)]
    )
    saved("table", table, find=table.find)
    layer = tf.keras.layers.LSTM(5)
    layer.build((1, 4, 3))
    call = tf.function(lambda x: {"y": layer(x)}, input_signature=[spec(1, 4, 3)]).get_concrete_function()
    made["lstm"] = tf.lite.TFLiteConverter.from_concrete_functions([frozen(call)], module).convert()

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


def numbers(*shape: int) -> Any:
    return np.random.default_rng(5).normal(size=shape).astype(F)


PICTURE = np.random.default_rng(6).integers(0, 127, (1, 8, 8, 3))
LIKE_PUBLIC: dict[str, tuple[str, dict[str, Any]]] = {
    "waveform": ("serving_default", {"x": numbers(64)}),
    "larger": ("serving_default", {"x": numbers(1, 5, 6, 3)}),
    "style": ("serving_default", {"x": numbers(1, 5, 6, 3), "s": numbers(1, 1, 1, 3)}),
    "words": ("serving_default", {"ids": np.ones((1, 6), np.int32), "mask": np.ones((1, 6, 1), np.int32)}),
    "attention": ("serving_default", {"q": numbers(2, 4), "k": numbers(5, 4)}),
    "boxes": ("serving_default", {"b": np.abs(numbers(6, 4)), "s": numbers(6)}),
    "best": ("serving_default", {"x": numbers(1, 8)}),
    "spectrum": ("serving_default", {"x": numbers(1, 8)}),
    "complex": ("serving_default", {"x": np.array([1 + 2j, 3], np.complex64)}),
    "doubling": ("serving_default", {"x": numbers(2)}),
    "rows": ("serving_default", {"x": numbers(3, 2)}),
    "positive": ("serving_default", {"x": np.array([-1, 2, -3], F)}),
    "equal": ("serving_default", {"s": np.array([b"ab", b"c"], object)}),
    "dice": ("serving_default", {}),
    "float16 weights": ("serving_default", {"x": numbers(1, 8, 8, 3)}),
    "dynamic range": ("serving_default", {"x": numbers(1, 8, 8, 3)}),
    "int8": ("serving_default", {"x": PICTURE.astype(np.int8)}),
    "uint8": ("serving_default", {"x": PICTURE.astype(np.uint8)}),
    "int16": ("serving_default", {"x": PICTURE.astype(np.int16)}),
    "shared": ("add", {"x": np.array([1.0], F)}),
    "table": ("find", {"s": np.array([b"a", b"zz", b"b"], object)}),
    "lstm": ("serving_default", {"x": numbers(1, 4, 3)}),
}


@pytest.mark.parametrize("name", LIKE_PUBLIC)
def test_says_twice_what_a_new_interpreter_says_once(
    corpus: dict[str, bytes], name: str, plain: Callable[..., dict[str, Any]]
) -> None:
    signature, inputs = LIKE_PUBLIC[name]
    wanted = plain(corpus[name], signature, inputs)
    assert wanted
    with open_model(corpus[name], proven=True) as model:
        for _ in range(2):
            for how in (None, signature):
                answer = model.run(inputs, signature=how)
                assert answer.keys() == wanted.keys()
                for output, value in answer.items():
                    assert value.dtype == wanted[output].dtype
                    np.testing.assert_array_equal(value, wanted[output])


@pytest.fixture
def plain() -> Callable[..., dict[str, Any]]:
    """The library alone: a new interpreter, one run."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    def run(content: bytes, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN)
        return dict(interpreter.get_signature_runner(signature)(**inputs))

    return run


def test_signatures_that_share_a_variable_begin_with_its_first_value(corpus: dict[str, bytes]) -> None:
    with open_model(corpus["shared"]) as model:
        for _ in range(2):
            assert model.run({"x": [1.0]}, signature="add")["y"].tolist() == [11]
            assert model.run({}, signature="get")["y"].tolist() == [10]


def test_a_text_alone(corpus: dict[str, bytes]) -> None:
    with open_model(corpus["text"]) as model:
        assert model.run({"s": "grün"})["y"].tolist() == "grün".encode()


def test_quantized_numbers_are_told(corpus: dict[str, bytes]) -> None:
    with open_model(corpus["uint8"]) as model, open_model(corpus["float16 weights"]) as floats:
        told, raw = model.outputs[0], model.run({"x": PICTURE.astype(np.uint8)})["y"]
        x = (PICTURE - model.inputs[0].zero_point) * model.inputs[0].scale
        wanted = floats.run({"x": x})["y"]
        np.testing.assert_allclose(
            told.scale * (raw.astype(int) - told.zero_point), wanted, atol=4 * told.scale
        )
