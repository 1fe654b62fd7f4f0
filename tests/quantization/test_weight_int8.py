"""Weight-only quantization: the network shrinks, the trees stay as they are, bytes repeat."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from quantization.commands import quantize
from quantization.errors import ArtifactError, QuantizationError, RecipeError
from quantization.loss import measure
from quantization.recipes import FP32, WEIGHT_INT8, Recipe
from quantization.tflite_file import count_weights
from quantization.weight_int8 import quantize_weights
from tests.converters.sources import built

JUNK = [b"", b"short", bytes(100), b"\x1c\0\0\0TFL3" + b"\xff" * 100, b"\0\0\0\0TFL3"]


@pytest.mark.parametrize("data", JUNK)
def test_what_is_no_tflite_file_is_refused(data: bytes) -> None:
    with pytest.raises(ArtifactError, match="TFLite file"):
        quantize_weights(data, WEIGHT_INT8)


def test_a_recipe_without_change_is_refused() -> None:
    with pytest.raises(RecipeError, match="fp32 changes nothing"):
        quantize_weights(b"", FP32)


def run(arguments: list[str]) -> Any:
    return CliRunner().invoke(quantize, arguments, standalone_mode=False)


@pytest.mark.parametrize(
    ("recipe", "content", "message"),
    [
        ("weight-int8", b"junk", "model.tflite: not a TFLite file"),
        ("weight-int8", None, "cannot read"),
        ("int3", b"junk", "unknown recipe 'int3'"),
        ("fp32", b"junk", "changes nothing"),
    ],
)
def test_the_command_refuses_and_writes_nothing(
    tmp_path: Path, recipe: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "model.tflite").write_bytes(content)
    before = sorted(tmp_path.iterdir())
    result = run([str(tmp_path / "model.tflite"), "--recipe", recipe, "--out", str(tmp_path / "out.tflite")])
    assert isinstance(result.exception, QuantizationError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert sorted(tmp_path.iterdir()) == before


def test_the_command_documents_its_options() -> None:
    assert all(option.help for option in quantize.params if isinstance(option, click.Option))


@pytest.mark.convert
def test_the_network_shrinks_to_a_quarter_and_trees_stay() -> None:
    fp32, small = built.artifact("tflite").content, built.artifact("tflite", "weight-int8").content
    assert count_weights(fp32, WEIGHT_INT8.operators) == type(count_weights(fp32, WEIGHT_INT8.operators))(
        3, 0
    )
    assert count_weights(small, WEIGHT_INT8.operators) == type(count_weights(fp32, WEIGHT_INT8.operators))(
        0, 3
    )
    kernels = sum(layer.kernel.size for layer in built.ensemble().layers)
    channels = sum(len(layer.bias) for layer in built.ensemble().layers)
    saved = len(fp32) - len(small)
    assert 3 * kernels - 4 * channels - 8 * channels - 3000 < saved <= 3 * kernels

    from edge_sdk.runtime import open_model

    with open_model(fp32) as before, open_model(small) as after:
        inputs = {"features": built.ROWS}
        expected, answers = before.run(inputs), after.run(inputs)
        loss = measure(before.run, after.run, inputs)
    # Confidence comes from the trees alone: not a bit of it may change.
    assert np.array_equal(answers["confidence"], expected["confidence"])
    assert not np.array_equal(answers["probability"], expected["probability"])
    assert loss.agreement >= 0.99
    assert loss.max_abs < 0.03


@pytest.mark.convert
def test_bytes_repeat_and_nothing_is_quantized_twice(capfd: pytest.CaptureFixture[str]) -> None:
    small = quantize_weights(built.artifact("tflite").content, WEIGHT_INT8)
    assert small == built.artifact("tflite", "weight-int8").content
    assert capfd.readouterr() == ("", "")
    with pytest.raises(ArtifactError, match="no FULLY_CONNECTED operator has float32 weights"):
        quantize_weights(small, WEIGHT_INT8)


@pytest.mark.convert
def test_a_file_without_such_operators_is_refused() -> None:
    other: Recipe = dataclasses.replace(WEIGHT_INT8, operators=frozenset({"CONV_2D"}))
    with pytest.raises(ArtifactError, match="no CONV_2D operator"):
        quantize_weights(built.artifact("tflite").content, other)


@pytest.mark.convert
def test_the_command_writes_what_the_function_makes(tmp_path: Path) -> None:
    (tmp_path / "in.tflite").write_bytes(built.artifact("tflite").content)
    out = tmp_path / "out.tflite"
    result = run([str(tmp_path / "in.tflite"), "--recipe", "weight-int8", "--out", str(out)])
    assert result.exception is None
    assert out.read_bytes() == built.artifact("tflite", "weight-int8").content
    assert result.return_value["output"]["bytes"] == out.stat().st_size
    assert 0 < result.return_value["ratio"] < 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.tflite", "out.tflite"]
    unwritable = run([str(tmp_path / "in.tflite"), "--recipe", "weight-int8", "--out", str(out / "below")])
    assert "cannot write" in str(unwritable.exception)
