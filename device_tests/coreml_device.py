"""The Core ML evaluator of the converters as a device: the one door between the two packages."""

from __future__ import annotations

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
