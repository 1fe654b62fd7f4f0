"""``open_model`` and the model's front: what is refused, and that nothing leaks between runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_sdk.errors import DeadlineExceeded, FormatError, InputError, NotAvailable
from edge_sdk.runtime import Model, PoolClosed, PoolSettings, RunFailed, open_model
from edge_sdk.runtime.checking import InputCheck
from edge_sdk.runtime.engine import TensorInfo
from tests.edge_sdk.runtime.fakes import FakeEngine, Threads, expected

ROWS = np.random.default_rng(6).normal(size=(5, 3)).astype(np.float32)


@pytest.fixture
def model(affine: Callable[..., bytes]) -> Iterator[Model]:
    with open_model(affine()) as opened:
        yield opened


def test_runs(model: Model) -> None:
    np.testing.assert_allclose(model.run({"features": ROWS})["score"], expected(ROWS), rtol=1e-6, atol=1e-6)
    assert [str(info) for info in model.inputs] == ["features: float32[any x 3]"]
    assert [info.name for info in model.outputs] == ["score"]
    assert list(model.signatures) == ["serving_default"]


def test_opens_a_file(affine: Callable[..., bytes], tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(affine())
    for source in (path, str(path), bytearray(affine()), memoryview(affine())):
        with open_model(source) as model:
            np.testing.assert_allclose(
                model.run({"features": ROWS})["score"], expected(ROWS), rtol=1e-6, atol=1e-6
            )


def test_a_model_for_one_row_takes_many(affine: Callable[..., bytes], model: Model) -> None:
    with open_model(affine(batch=1)) as single:
        assert single.inputs[0].shape == (1, 3)
        many = single.run({"features": ROWS})["score"]
    np.testing.assert_array_equal(many, model.run({"features": ROWS})["score"])


def test_a_model_for_a_fixed_batch_takes_no_other(affine: Callable[..., bytes]) -> None:
    with (
        open_model(affine(batch=4)) as fixed,
        pytest.raises(InputError, match=r"features: float32\[4 x 3\] was given 5 x 3"),
    ):
        fixed.run({"features": ROWS})


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (b"", FormatError, "not a TFLite model: 0 bytes"),
        (b"????TFL3" + bytes(100), FormatError, "cannot load"),
        ("no/such/file.tflite", NotAvailable, "cannot read the model no/such/file.tflite: No such file"),
        (".", NotAvailable, "Is a directory"),
        (17, InputError, "a path or bytes, not a int"),
    ],
)
def test_what_cannot_be_opened(source: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_model(source)  # type: ignore[arg-type]


def test_what_a_mask_hides_is_no_number(model: Model) -> None:
    with pytest.raises(InputError, match=r"features: .* is masked"):
        model.run({"features": np.ma.array(ROWS, mask=ROWS > 0)})


def test_wrong_arguments(affine: Callable[..., bytes]) -> None:
    with pytest.raises(InputError, match="no engine is called 'tf'"):
        open_model(affine(), engine="tf")
    with pytest.raises(InputError, match="max_sessions must be 1, 2 or 3, not 9"):
        open_model(affine(), max_sessions=9)
    with pytest.raises(InputError, match="state must be one of none, variables, not 'lots'"):
        open_model(affine(), state="lots")


ONE = np.ones((1, 3), np.float32)
BAD_INPUTS: dict[str, tuple[object, str]] = {
    "missing": ({}, "wrong inputs: missing features; the model takes features"),
    "other name": ({"x": ONE}, "missing features; unexpected x"),
    "one too many": ({"features": ONE, "extra": ONE}, "unexpected extra"),
    "not a mapping": ([ONE], "a mapping of names to arrays, not a list"),
    "an array": (ONE, "a mapping of names to arrays, not a ndarray"),
    "rank": ({"features": ONE[0]}, r"features: float32\[any x 3\] was given 3"),
    "scalar": ({"features": 1.0}, "was given a single number"),
    "width": ({"features": np.ones((1, 4), np.float32)}, "was given 1 x 4"),
    "no rows": ({"features": np.ones((0, 3), np.float32)}, "was given 0 x 3"),
    "ragged": ({"features": [[1, 2, 3], [1]]}, "not an array"),
    "text": ({"features": [["1", "2", "3"]]}, "was given str"),
    "objects": ({"features": [[None, 1, 2]]}, "was given object"),
    "bools": ({"features": [[True, False, True]]}, "was given bool"),
    "complex": ({"features": [[1j, 0, 0]]}, "was given complex128"),
    "NaN": ({"features": np.array([[1, math.nan, 1]], np.float32)}, r"holds nan at \[0, 1\]"),
    "infinity": ({"features": np.array([[1, 1, math.inf]], np.float32)}, r"holds inf at \[0, 2\]"),
    "both infinities": ({"features": np.array([[math.inf, -math.inf, 0]], np.float32)}, "holds inf"),
    "NaN in float64": ({"features": [[1.0, 2.0, math.nan]]}, "holds nan"),
    "NaN in a batch": ({"features": np.where(np.eye(3) > 0, np.nan, 0).astype("f4")}, "holds nan"),
    "too large": ({"features": [[1e300, 0.0, 0.0]]}, r"1e\+300: too large for float32"),
    "big-endian": ({"features": ONE.astype(">f4")}, "byte order"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_is_one_clear_error(model: Model, case: str) -> None:
    inputs, message = BAD_INPUTS[case]
    with pytest.raises(InputError, match=message) as caught:
        model.run(inputs)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert model.stats().poisoned == 0, "refused before a session was touched"


@pytest.mark.parametrize(
    "given_as", [list, np.float64, np.float16, np.int8], ids=["lists", "float64", "float16", "int8"]
)
def test_harmless_types_are_converted(model: Model, given_as: type) -> None:
    whole = np.array([[1, -2, 3]], np.float32)
    value = whole.tolist() if given_as is list else whole.astype(given_as)
    np.testing.assert_array_equal(
        model.run({"features": value})["score"], model.run({"features": whole})["score"]
    )


def test_large_finite_numbers_are_no_infinities(model: Model) -> None:
    huge = np.full((1, 3), 3e38, np.float32)
    assert "score" in model.run({"features": huge})


def test_inputs_must_have_as_many_rows(two_in_two_out: bytes) -> None:
    with open_model(two_in_two_out) as model:
        left, right = np.ones((2, 2), np.float32), np.ones((3, 2), np.float32)
        # Whether they may differ, only the graph knows.
        with pytest.raises(RunFailed, match="differ in their number of rows: left has 2, right has 3"):
            model.run({"left": left, "right": right})
        with pytest.raises(InputError, match="missing right; the model takes left, right"):
            model.run({"left": left})
        assert model.run({"left": left, "right": left})["difference"].tolist() == [[0, 0], [0, 0]]


def test_whole_number_inputs_keep_their_value() -> None:
    check = InputCheck((TensorInfo("count", np.dtype(np.int8), (-1,)),), rows=False)
    arrays, runs = check({"count": [1, 2, -128]})
    assert arrays["count"].dtype == np.int8
    assert arrays["count"].tolist() == [1, 2, -128]
    assert runs == 1
    for bad, message in (
        ([200], "do not fit into int8"),
        ([1.0], "was given float64"),
        ([True], "given bool"),
    ):
        with pytest.raises(InputError, match=message):
            check({"count": bad})


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.sampled_from([1, 3, 64, 65, 100])),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_finite_or_refused(rows: np.ndarray) -> None:
    """The quick way and the careful way agree on what may enter."""
    engine = FakeEngine()
    wide = TensorInfo("x", np.dtype(np.float32), (-1, rows.shape[1]))
    session = engine.load(b"")
    session.inputs = session.outputs = (wide,)
    loader = FakeEngine()
    loader.load = lambda model, threads=1: session  # type: ignore[method-assign]
    with open_model(b"", engine=loader) as model:
        if np.isfinite(rows).all():
            model.run({"x": rows})
        else:
            with pytest.raises(InputError, match="finite numbers only"):
                model.run({"x": rows})


def test_no_state_survives_a_run(counter: bytes) -> None:
    two = np.full((1, 1), 2, np.float32)
    with open_model(counter, state="none") as leaky:
        assert [leaky.run({"x": two})["total"].item() for _ in range(3)] == [2, 4, 6], "control: it has state"
    with open_model(counter, state="variables") as model:
        assert [model.run({"x": two})["total"].item() for _ in range(3)] == [2, 2, 2]
        assert model.run({"x": [[1], [2], [3]]})["total"].tolist() == [[1], [2], [3]], "nor a row"


def test_a_failing_run_poisons_its_session_only() -> None:
    engine = FakeEngine()
    x = np.ones((1, 2), np.float32)
    with open_model(b"", engine=engine) as model:

        def fail() -> None:
            raise RuntimeError("Node number 3 failed\nto invoke")

        engine.during = fail
        with pytest.raises(RunFailed, match="the engine failed: Node number 3 failed to invoke") as caught:
            model.run({"x": x})
        assert isinstance(caught.value.__cause__, RuntimeError)
        engine.during = lambda: None
        assert model.run({"x": x})["y"].tolist() == [[-1, -1]]
        assert [session.closed for session in engine.sessions] == [1, 0]


def test_an_interrupt_poisons_and_passes() -> None:
    engine = FakeEngine()
    with open_model(b"", engine=engine) as model:

        def interrupt() -> None:
            raise KeyboardInterrupt

        engine.during = interrupt
        with pytest.raises(KeyboardInterrupt):
            model.run({"x": np.ones((1, 2), np.float32)})
        assert model.stats().poisoned == 1


def test_a_deadline_reaches_the_pool() -> None:
    engine = FakeEngine()
    with open_model(b"", engine=engine, max_sessions=1) as model:
        held = model.pool.acquire()
        with pytest.raises(DeadlineExceeded):
            model.run({"x": np.ones((1, 2), np.float32)}, deadline_ns=0)
        model.pool.release(held)


def test_a_closed_model_says_so(affine: Callable[..., bytes]) -> None:
    model = open_model(affine(), settings=PoolSettings(max_sessions=1))
    model.close()
    with pytest.raises(PoolClosed):
        model.run({"features": ONE})


def test_threads_get_their_own_answers(model: Model) -> None:
    threads = Threads()

    def work(seed: int) -> Callable[[], None]:
        def body() -> None:
            rng = np.random.default_rng(seed)
            for turn in range(200):
                rows = rng.normal(size=(1 + turn % 3, 3)).astype(np.float32)
                np.testing.assert_allclose(
                    model.run({"features": rows})["score"], expected(rows), rtol=1e-5, atol=1e-5
                )

        return body

    for seed in range(4):
        threads.start(work(seed))
    threads.join()
    assert threads.errors == []
    assert 1 <= model.stats().sessions <= 3
