"""Weight-only quantization of a TFLite file: integers in the file, float32 in the computation."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from feature_spec.extras import require
from quantization.errors import ArtifactError, RecipeError
from quantization.recipes import Recipe
from quantization.tflite_file import count_weights


def quantize_weights(model: bytes, recipe: Recipe) -> bytes:
    """Store the weights of the recipe's operators as symmetric 8-bit integers, one scale per output channel.

    The same file and recipe give the same bytes. Inputs, outputs and every other operator stay as they are.

    Args:
        model: content of a float32 TFLite file.
        recipe: one with ``changes_weights``.

    Raises:
        RecipeError: the recipe changes nothing.
        ArtifactError: not a TFLite file, or one without float32 weights in these operators.
        MissingExtraError: the extra ``convert`` is not installed.
    """
    if not recipe.changes_weights:
        raise RecipeError(f"recipe {recipe.name} changes nothing in a TFLite file: use the file as it is")
    before = count_weights(model, recipe.operators)
    kinds = ", ".join(sorted(recipe.operators))
    if not before.float32:
        raise ArtifactError(
            f"no {kinds} operator has float32 weights; recipe {recipe.name} needs a float32 file with some"
        )
    result = _rewritten(model, recipe)
    after = count_weights(result, recipe.operators)
    if after.float32 or after.int8 != before.float32 + before.int8:
        raise ArtifactError(
            f"only {after.int8} of {before.float32} {kinds} weights became integers: "
            "this file needs another recipe"
        )
    return result


def _rewritten(model: bytes, recipe: Recipe) -> bytes:
    quantizer: Any = require("ai_edge_quantizer.quantizer", extra="convert")
    types: Any = require("ai_edge_quantizer.qtyping", extra="convert")
    settings = types.OpQuantizationConfig(
        weight_tensor_config=types.TensorQuantizationConfig(
            num_bits=recipe.weight_bits,
            symmetric=True,
            granularity=types.QuantGranularity.CHANNELWISE,
            dtype=types.TensorDataType.INT,
        ),
        compute_precision=types.ComputePrecision.FLOAT,
        # The phone widens the weights once at load and computes in float32: activations are never rounded.
        explicit_dequantize=True,
    )
    try:
        job = quantizer.Quantizer(model)
        for operator in sorted(recipe.operators):
            job.update_quantization_recipe(
                regex=".*",
                operation_name=types.TFLOperationName[operator],
                op_config=settings,
                algorithm_key="min_max_uniform_quantize",
            )
        # One of the quantizer's progress bars has no switch; a library must not write to its caller's stderr.
        with contextlib.redirect_stderr(io.StringIO()):
            result = job.quantize(enable_progress_bar=False, enable_progress_report=False)
        return bytes(result.quantized_model)
    except (ValueError, RuntimeError, KeyError) as error:
        raise ArtifactError(f"the file cannot be quantized: {' '.join(str(error).split())}") from error
