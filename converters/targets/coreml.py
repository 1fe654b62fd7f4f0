"""Core ML: an ML program for iOS 15 and later, float32, as the files of an ``.mlpackage``.

One row at a time: a fixed shape is what Core ML plans best, and what its iOS 15 operators can express here.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import json
import logging
import traceback
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from converters.errors import ConversionError
from converters.frameworks import quiet_stderr, tensorflow
from converters.sources import Source
from feature_spec.extras import require

PROGRAM: Final = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS: Final = "Data/com.apple.CoreML/weights/weight.bin"
MANIFEST: Final = "Manifest.json"

_IOS15: Final = 6
"""Specification version of iOS 15."""


def convert(source: Source, *, rows: int = 1) -> dict[str, bytes]:
    """The files of an ``.mlpackage`` by their path inside it, sorted; names are the source's.

    The same source gives the same bytes: what the tool stamps with the day and with random identifiers is
    replaced.

    Args:
        source: the model.
        rows: how many rows at a time; phones ask for one.

    Raises:
        ConversionError: the converter failed.
        MissingExtraError: TensorFlow or coremltools is not installed.
    """
    with _quiet():
        return _convert(source, rows)


def _convert(source: Source, rows: int) -> dict[str, bytes]:
    tf = tensorflow()
    ct: Any = require("coremltools", extra="convert")
    concrete = source.function(batch=rows).get_concrete_function()
    try:
        model = ct.convert(
            [concrete],
            source="tensorflow",
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS15,
            compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
        )
    except (tf.errors.OpError, ValueError, RuntimeError, NotImplementedError, KeyError) as error:
        traceback.clear_frames(error.__traceback__)  # they would keep the leftovers alive beyond _quiet
        reason = " ".join(str(error).split())[:300]
        raise ConversionError(f"Core ML cannot express this model on iOS 15: {reason}") from error
    spec = model.get_spec()
    weights = Path(model.weights_dir) / "weight.bin"
    # TensorFlow hands outputs over in the order of their sorted names, and Core ML calls them Identity….
    for given, name in zip(list(spec.description.output), sorted(source.outputs), strict=True):
        ct.utils.rename_feature(spec, given.name, name, rename_inputs=False)
    # A model of a few numbers holds them in the program, and has no such file.
    return _package(_tidied(spec, source), weights.read_bytes() if weights.is_file() else None)


def _tidied(spec: Any, source: Source) -> bytes:
    if spec.specificationVersion > _IOS15:
        raise ConversionError(
            f"the Core ML program needs specification {spec.specificationVersion}, iOS 15 has 6"
        )
    inputs = {
        given.name: type(given).FromString(given.SerializeToString()) for given in spec.description.input
    }
    if set(inputs) != set(source.inputs):
        raise ConversionError(
            f"the Core ML program has the inputs {sorted(inputs)}, promised are {list(source.inputs)}"
        )
    del spec.description.input[:]
    spec.description.input.extend(inputs[name] for name in source.inputs)
    spec.description.metadata.userDefined.pop("com.github.apple.coremltools.conversion_date", None)
    by_name = {
        output.name: type(output).FromString(output.SerializeToString()) for output in spec.description.output
    }
    del spec.description.output[:]
    spec.description.output.extend(by_name[name] for name in source.outputs)
    content: bytes = spec.SerializeToString(deterministic=True)
    return content


def _package(program: bytes, weights: bytes | None) -> dict[str, bytes]:
    entries = {}
    for path, name, description, content in (
        ("com.apple.CoreML/model.mlmodel", "model.mlmodel", "CoreML Model Specification", program),
        ("com.apple.CoreML/weights", "weights", "CoreML Model Weights", weights),
    ):
        if content is None:
            continue
        # Apple's tools put a random identifier here; one from the content is as unique and stays the same.
        identifier = str(
            uuid.UUID(bytes=hashlib.sha256(name.encode() + b"\0" + content).digest()[:16], version=4)
        )
        entries[identifier] = {
            "author": "com.apple.CoreML",
            "description": description,
            "name": name,
            "path": path,
        }
    root = next(identifier for identifier, entry in entries.items() if entry["name"] == "model.mlmodel")
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": root}
    files = {
        MANIFEST: json.dumps(manifest, indent=4, sort_keys=True).encode() + b"\n",
        PROGRAM: program,
    }
    if weights is not None:
        files[WEIGHTS] = weights
    return dict(sorted(files.items()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's notes about untested versions, its progress bars and its leftovers to itself."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with quiet_stderr(), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            # It leaves a temporary package to the garbage collector, which says so: let it do that in here.
            warnings.filterwarnings("ignore", "Implicitly cleaning up", ResourceWarning)
            try:
                yield
            finally:
                gc.collect()
    finally:
        logger.setLevel(level)
