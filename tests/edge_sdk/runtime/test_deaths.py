"""Real TFLite files that kill the process which loads or runs them: one clear error, and this process lives.

Found by some thousand mutations of small files; each is written or changed by code here. They die in the native
library, of bytes that pass every check of the format.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk.errors import EdgeError, FormatError
from edge_sdk.runtime import ModelCrashed, ModelTooSlow, TrialLimits, open_model, try_out
from tests.edge_sdk.runtime import tflite_models as models

LOWEST = -(2**31)
PICTURE = ("float32", (1, 8, 8, 1))
HALF = [("float32", (1, 4, 4, 1))]


def split() -> bytes:
    parts = [("float32", (2, 2))] * 2
    return models.one("SPLIT", [np.array(1, np.int32), ("float32", (2, 4))], parts, numSplits=65_535)


def window(height: int, stride: int) -> bytes:
    options = {"strideW": stride, "strideH": stride, "filterWidth": 2, "filterHeight": height}
    return models.one("L2_POOL_2D", [PICTURE], HALF, kind="Pool2D", **options)


def radius() -> bytes:
    return models.one("LOCAL_RESPONSE_NORMALIZATION", [PICTURE], [PICTURE], radius=LOWEST)


def modulo() -> bytes:
    numbers = [np.array([LOWEST], np.int32), np.array([-1], np.int32)]
    return models.one("FLOOR_MOD", numbers, [("int32", (1,))])


def signature() -> bytes:
    def point_beyond(tree: Any) -> None:
        tree.signatureDefs[0].subgraphIndex = 9

    return models.changed(models.echo("float32"), point_beyond)


def scales_of_blocks() -> bytes:
    """As a public test file of LiteRT's own has them: scales in another tensor, which is not what it should be."""

    def refer(tree: Any) -> None:
        schema = models.schema()
        quantization, blocks = schema.QuantizationParametersT(), schema.BlockwiseQuantizationT()
        blocks.scales, blocks.zeroPoints, blocks.blockSize = 1, -1, 32
        quantization.detailsType = schema.QuantizationDetails.BlockwiseQuantization
        quantization.details = blocks
        tree.subgraphs[0].tensors[1].quantization = quantization

    return models.changed(models.one("ADD", [("int8", (64,)), np.ones(64, "i1")], [("int8", (64,))]), refer)


DEADLY: dict[str, tuple[Callable[[], bytes], str]] = {
    "a loop whose body is the loop": (lambda: models.counting_up(into_itself=True), "SIGSEGV"),
    "more splits than outputs": (split, "SIGSEGV"),
    "a negative radius": (radius, "SIGSEGV"),
    "a negative window": (lambda: window(LOWEST, 2), "SIGSEGV"),
    "the lowest number modulo -1": (modulo, "SIGFPE"),
    "a signature of a graph that is not there": (signature, "SIGSEGV"),
    "scales of blocks in the wrong place": (scales_of_blocks, "SIGABRT"),
}


@pytest.mark.parametrize("name", DEADLY)
def test_a_deadly_model_is_one_clear_error(name: str) -> None:
    make, signal = DEADLY[name]
    with pytest.raises(ModelCrashed, match=f"ended the process that tried it out: signal {signal}") as caught:
        open_model(make())
    assert "\n" not in str(caught.value)


def slice_of_nothing() -> bytes:
    """A graph that runs once, at the start: its slice has no inputs, so the library reads beyond the list."""

    def add(tree: Any) -> None:
        schema = models.schema()
        names = schema.BuiltinOperator
        for number in (names.CALL_ONCE, names.STRIDED_SLICE):
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
            tree.operatorCodes.append(code)
        tensor, sliced, once, graph = (
            schema.TensorT(),
            schema.OperatorT(),
            schema.OperatorT(),
            schema.SubGraphT(),
        )
        tensor.name, tensor.shape = b"t", [1]
        sliced.opcodeIndex, sliced.inputs, sliced.outputs = len(tree.operatorCodes) - 1, [], [0]
        graph.name, graph.tensors, graph.operators = b"once", [tensor], [sliced]
        graph.inputs, graph.outputs = [], []
        once.opcodeIndex, once.inputs, once.outputs = len(tree.operatorCodes) - 2, [], []
        once.builtinOptionsType = schema.BuiltinOptions.CallOnceOptions
        once.builtinOptions = schema.CallOnceOptionsT()
        once.builtinOptions.initSubgraphIndex = len(tree.subgraphs)
        tree.subgraphs.append(graph)
        tree.subgraphs[0].operators.insert(0, once)

    return models.changed(models.either(), add)


def test_what_reads_memory_that_nobody_wrote_does_not_get_away_with_it() -> None:
    """Loaded once, in memory as a young process has it, it does every second time; and then it killed the host."""
    deadly = slice_of_nothing()
    for _ in range(4):
        with pytest.raises(ModelCrashed, match="signal SIG"):
            try_out(deadly, "litert")


def test_they_are_deadly_indeed(tmp_path: Path) -> None:
    """The control: without the trial, the process is gone."""
    (tmp_path / "deadly.tflite").write_bytes(split())
    script = (
        "import sys; from edge_sdk.runtime import open_model; "
        "open_model(sys.argv[1], proven=True).run({'x1': [[1] * 4] * 2})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "deadly.tflite")], capture_output=True
    )
    assert done.returncode < 0


def test_a_second_signature_is_tried_too() -> None:
    """The main graph is harmless; the one that only a signature runs divides the lowest number by -1."""

    def add(tree: Any) -> None:
        other = models.schema().ModelT.InitFromPackedBuf(bytearray(modulo()))
        offset = len(tree.buffers)
        graph, signature = other.subgraphs[0], other.signatureDefs[0]
        for tensor in graph.tensors:
            tensor.buffer += offset
        for operator in graph.operators:
            operator.opcodeIndex += len(tree.operatorCodes or [])
        signature.subgraphIndex, signature.signatureKey = 1, b"other"
        tree.buffers += other.buffers
        tree.operatorCodes = [*(tree.operatorCodes or []), *other.operatorCodes]
        tree.subgraphs.append(graph)
        tree.signatureDefs.append(signature)

    model = models.changed(models.echo("float32"), add)
    with open_model(model, proven=True) as runs:
        assert set(runs.signatures) == {"serving_default", "other"}
    with pytest.raises(ModelCrashed, match="SIGFPE"):
        open_model(model)


def test_free_dimensions_are_tried_larger_where_one_is_too_small() -> None:
    side = ("float32", (1, -1, -1, 1))
    options = {"strideW": 1, "strideH": 1, "filterWidth": 5, "filterHeight": 5, "padding": 1}
    report = try_out(models.one("AVERAGE_POOL_2D", [side], [side], kind="Pool2D", **options), "litert")
    assert report.runs > 0


def test_every_kind_of_refusal_is_one_clear_error() -> None:
    """A missing input makes the library throw what pybind11 turns into an IndexError."""
    multiply = models.one(
        "BATCH_MATMUL", [("float32", (2, 3, 4)), ("float32", (2, 4, 5))], [("float32", (2, 3, 5))]
    )
    model = models.changed(multiply, lambda tree: setattr(tree.subgraphs[0].operators[0], "inputs", []))
    with pytest.raises(EdgeError) as caught:
        open_model(model)
    assert isinstance(caught.value, (FormatError, ModelCrashed))


def test_one_that_never_ends_is_too_slow() -> None:
    with pytest.raises(ModelTooSlow, match="more than 1 s of processor time"):
        try_out(models.for_ever(), "litert", limits=TrialLimits(cpu_s=1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.one("SPACE_TO_DEPTH", [("float32", (1, 4, 4, 1))], HALF, blockSize=0),
        lambda: window(2, 0),
        lambda: models.one("RESIZE_BILINEAR", [PICTURE, np.array([40_000, 40_000], np.int32)], [PICTURE]),
        lambda: models.one(
            "FILL", [np.array([2**30, 2**30], np.int32), np.ones((), "f4")], [("float32", (-1, -1))]
        ),
        lambda: models.one(
            "GATHER", [np.ones((5, 2), "f4"), np.array([2**30], np.int32)], [("float32", (1, 2))]
        ),
    ],
    ids=["no block", "no stride", "huge picture", "huge fill", "index out of bounds"],
)
def test_what_the_library_notices_is_one_clear_error(make: Callable[[], bytes]) -> None:
    with pytest.raises(EdgeError) as caught:
        open_model(make())
    assert isinstance(caught.value, (FormatError, ModelCrashed))
    assert "\n" not in str(caught.value)
