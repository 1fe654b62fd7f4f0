"""The devices of this machine, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from device_tests.device import Arrays, Device
from device_tests.errors import ParityError
from edge_sdk.contract.record import BundleContent


class RuntimeDevice:
    """An engine of the SDK on this machine."""

    def __init__(self, content: BundleContent, engine: str) -> None:
        from edge_sdk.runtime import open_model

        payload = content.files[content.record.payload]
        self._model = open_model(payload, engine=engine, max_sessions=1, state=content.record.state)

    def run(self, inputs: Arrays) -> Arrays:
        return self._model.run(inputs)

    def close(self) -> None:
        self._model.close()


def _coreml(content: BundleContent) -> Device:
    from device_tests.coreml_device import CoreMLDevice

    return CoreMLDevice(content)


_DEVICES: Mapping[str, tuple[str, Callable[[BundleContent], Device]]] = {
    "litert": ("tflite", lambda content: RuntimeDevice(content, "litert")),
    "onnxruntime": ("onnx", lambda content: RuntimeDevice(content, "onnxruntime")),
    "coreml-eval": ("coreml", _coreml),
    "tflite-runtime": ("tflite", lambda content: RuntimeDevice(content, "tflite-runtime")),
}
"""Name -> the target it runs, and how to make one."""

NAMES = tuple(_DEVICES)
USUAL = ("litert", "onnxruntime", "coreml-eval")
"""Those that are there wherever this package is; the old phone has to be asked for, as it is installed apart."""


def target_of(name: str) -> str:
    """The target that the named device runs."""
    return _DEVICES[name][0]


def open_device(name: str, content: BundleContent) -> Device:
    """Load the bundle's payload on a device.

    Raises:
        ParityError: the device runs another target.
    """
    target, make = _DEVICES[name]
    if content.record.target != target:
        raise ParityError(f"device {name} runs {target}, not {content.record.target}")
    return make(content)
