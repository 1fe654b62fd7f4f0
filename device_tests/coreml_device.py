"""The Core ML evaluator of the converters as a device: the one door between the two packages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters.coreml_eval import CoreMLProgram
from device_tests.device import Arrays
from edge_sdk.contract.record import BundleContent


class CoreMLDevice:
    """Evaluates the Core ML program in NumPy; says what it computes, not how fast a phone is."""

    def __init__(self, content: BundleContent) -> None:
        prefix = content.record.payload + "/"
        self._program = CoreMLProgram.from_package(
            {name.removeprefix(prefix): bytes(data) for name, data in content.payload.items()}
        )

    def run(self, inputs: Arrays) -> Arrays:
        return self._program.run(inputs)

    def close(self) -> None:
        """Nothing is held outside Python."""


class EvaluatedModel:
    """What ``edge_sdk.runtime.coreml.CoreML`` takes in place of the framework: a package opened by the evaluator."""

    def __init__(self, package: Path) -> None:
        files = [path for path in package.rglob("*") if path.is_file()]
        self._program = CoreMLProgram.from_package(
            {path.relative_to(package).as_posix(): path.read_bytes() for path in files}
        )

    def predict(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._program.run(data)
