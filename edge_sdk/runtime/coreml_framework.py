"""The Core ML framework of macOS through pyobjc.

Written against Apple's and pyobjc's documentation and tested against a stand-in: nothing here has run on macOS yet.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_sdk.errors import FormatError, NotAvailable
from edge_sdk.runtime.coreml_file import DTYPES
from edge_sdk.runtime.engine import Array

_CODES: Final = {dtype: code for code, dtype in DTYPES.items()}


class Framework:
    """Opens packages with the framework.

    Raises:
        NotAvailable: this is not macOS, or pyobjc's Core ML is not installed.
    """

    def __init__(self) -> None:
        if sys.platform != "darwin":
            raise NotAvailable(
                "Core ML is part of macOS; elsewhere, give the engine CoreML what opens packages"
            )
        try:
            self._coreml: Any = importlib.import_module("CoreML")
            self._urls: Any = importlib.import_module("Foundation").NSURL
        except ModuleNotFoundError as error:
            raise NotAvailable("pyobjc is missing: pip install pyobjc-framework-CoreML") from error

    def __call__(self, package: Path) -> FrameworkModel:
        """Compile the package, open it, and remove what the compiler wrote.

        Raises:
            FormatError: Core ML cannot read it.
        """
        models = self._coreml.MLModel
        compiled, error = models.compileModelAtURL_error_(self._urls.fileURLWithPath_(str(package)), None)
        if compiled is None:
            raise FormatError(f"Core ML cannot compile the model: {error}")
        try:
            model, error = models.modelWithContentsOfURL_error_(compiled, None)
        finally:
            shutil.rmtree(str(compiled.path()), ignore_errors=True)
        if model is None:
            raise FormatError(f"Core ML cannot load the model: {error}")
        return FrameworkModel(self._coreml, model)


class FrameworkModel:
    """An open model."""

    def __init__(self, coreml: Any, model: Any) -> None:
        self._coreml, self._model = coreml, model

    def predict(self, data: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name for inputs by name.

        Raises:
            RuntimeError: Core ML failed.
        """
        values = {name: self._value(array) for name, array in data.items()}
        provider, error = self._coreml.MLDictionaryFeatureProvider.alloc().initWithDictionary_error_(
            values, None
        )
        if provider is None:
            raise RuntimeError(f"Core ML refuses the inputs: {error}")
        answer, error = self._model.predictionFromFeatures_error_(provider, None)
        if answer is None:
            raise RuntimeError(f"Core ML failed: {error}")
        return {
            str(name): _array(answer.featureValueForName_(name).multiArrayValue())
            for name in answer.featureNames()
        }

    def _value(self, array: Array) -> Any:
        made, error = self._coreml.MLMultiArray.alloc().initWithShape_dataType_error_(
            [int(side) for side in array.shape], _CODES[array.dtype], None
        )
        if made is None:
            raise RuntimeError(f"Core ML refuses an array: {error}")

        def fill(memory: Any, length: int, strides: Any) -> None:
            _view(memory, length, array.dtype, array.shape, strides)[...] = array

        made.getMutableBytesWithHandler_(fill)
        return self._coreml.MLFeatureValue.featureValueWithMultiArray_(made)


def _array(made: Any) -> Array:
    copies: list[Array] = []

    def copy(memory: Any, length: int) -> None:
        shape = tuple(int(side) for side in made.shape())
        copies.append(_view(memory, length, DTYPES[int(made.dataType())], shape, made.strides()).copy())

    made.getBytesWithHandler_(copy)
    return copies[0]


def _view(memory: Any, length: int, dtype: np.dtype[Any], shape: tuple[int, ...], strides: Any) -> Array:
    """The numbers where they lie. Rows may have padding between them; strides count numbers, not bytes."""
    # pyobjc hands over a plain buffer, or a varlist, which has no length of its own.
    buffer = memory.as_buffer(length) if hasattr(memory, "as_buffer") else memory
    steps = [int(stride) * dtype.itemsize for stride in strides]
    return np.ndarray(shape, dtype, buffer, strides=steps)
