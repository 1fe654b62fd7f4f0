"""The files of an ``.mlpackage``: which one is the program, and where its weights lie."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.errors import EvaluationError

_MODEL_PATH: Final = "@model_path/"
"""How a program names the folder that it lies in."""

# A blob file starts with a header of 64 bytes; each blob has 64 bytes of metadata: mark, kind, length, offset.
_BLOB: Final = struct.Struct("<IIQQ")
_BLOB_MARK: Final = 0xDEADBEEF
_BLOB_KINDS: Final[Mapping[int, np.dtype[Any]]] = {1: np.dtype("<f2"), 2: np.dtype("<f4")}


class Package:
    """A package by its files' paths inside it, and bytes."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        try:
            manifest = json.loads(self._file("Manifest.json"))
            root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
            self._program = PurePosixPath("Data") / root
        except (KeyError, TypeError, ValueError) as error:
            raise EvaluationError(
                f"Manifest.json of the Core ML package names no model ({error}); convert again"
            ) from error

    def program(self) -> bytes:
        """The serialised model."""
        return self._file(str(self._program))

    def blob(self, name: str, offset: int) -> NDArray[Any]:
        """The numbers, flat, that a program keeps at ``offset`` of the weights file it calls ``name``."""
        if not name.startswith(_MODEL_PATH):
            raise EvaluationError(f"weights file {name!r} lies outside the Core ML package")
        data = self._file(str(self._program.parent / name.removeprefix(_MODEL_PATH)))
        if offset < 0 or offset + _BLOB.size > len(data):
            raise EvaluationError(f"weights at byte {offset} lie beyond the end of {name}")
        mark, kind, length, start = _BLOB.unpack_from(data, offset)
        if mark != _BLOB_MARK or start + length > len(data):
            raise EvaluationError(f"there are no weights at byte {offset} of {name}: the package is damaged")
        dtype = _BLOB_KINDS.get(kind)
        if dtype is None or length % dtype.itemsize:
            raise EvaluationError(f"weights of kind {kind} in {name} are not known to this evaluator")
        return np.frombuffer(data, dtype, length // dtype.itemsize, start)

    def _file(self, path: str) -> bytes:
        if path not in self._files:
            raise EvaluationError(f"the Core ML package has no file {path}; convert the model again")
        return self._files[path]
