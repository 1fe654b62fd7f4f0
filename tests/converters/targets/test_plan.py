"""What cannot be made is refused before anything is computed, with the reason."""

from __future__ import annotations

import pytest

from converters.errors import ConversionError, UnsupportedError
from converters.targets import TARGETS, Artifact, plan, plans

BAD = [
    ("tensorrt", "fp32", "unknown target 'tensorrt'; known: tflite, coreml, onnx"),
    ("", "fp32", "unknown target"),
    ("tflite", "int3", "unknown recipe 'int3'; known: fp32, weight-int8"),
    ("coreml", "weight-int8", "iOS15 allows float32 or float16 only: weight compression needs iOS16"),
    ("onnx", "weight-int8", "rewrites TFLite files"),
]


@pytest.mark.parametrize(("target", "recipe", "message"), BAD)
def test_impossible_pairs_are_refused_with_the_reason(target: str, recipe: str, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        plan(target, recipe)
    with pytest.raises(UnsupportedError, match=message):
        plans((target,), (recipe,))


def test_plans_hold_the_reference_of_every_target_first() -> None:
    made = plans(TARGETS, ("weight-int8",))
    assert [str(each) for each in made] == ["tflite-fp32", "coreml-fp32", "onnx-fp32", "tflite-weight-int8"]
    assert plans(TARGETS, ("fp32", "weight-int8")) == made
    assert [str(each) for each in plans(("onnx",), ())] == ["onnx-fp32"]


@pytest.mark.parametrize(
    ("targets", "recipes"),
    [((), ()), (("onnx", "onnx"), ()), (("tflite",), ("weight-int8", "weight-int8")), (("coreml", "?"), ())],
)
def test_empty_repeated_and_partly_unknown_wishes_are_refused(
    targets: tuple[str, ...], recipes: tuple[str, ...]
) -> None:
    with pytest.raises(UnsupportedError):
        plans(targets, recipes)


def test_an_artifact_holds_the_payload_of_its_target() -> None:
    package = Artifact.of(plan("coreml", "fp32"), {"b": b"2", "a/c": b"1"})
    assert list(package.files) == ["model.mlpackage/a/c", "model.mlpackage/b"]
    assert package.package == {"a/c": b"1", "b": b"2"}
    assert package.size == 2
    single = Artifact.of(plan("tflite", "fp32"), b"123")
    assert (single.content, single.size) == (b"123", 3)
    with pytest.raises(ConversionError, match="folder"):
        _ = package.content


@pytest.mark.parametrize(
    ("target", "files"),
    [
        ("tflite", {}),
        ("tflite", {"model.onnx": b""}),
        ("tflite", {"model.tflite": b"", "more": b""}),
        ("tflite", {"model.tflite/x": b""}),
        ("coreml", {"model.mlpackage": b""}),
        ("coreml", {"model.mlpackages/x": b""}),
    ],
)
def test_other_files_are_no_artifact(target: str, files: dict[str, bytes]) -> None:
    with pytest.raises(ConversionError, match="must consist of"):
        Artifact(plan(target, "fp32"), files)
