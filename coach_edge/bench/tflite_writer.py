"""The writer under the name it had; see :mod:`device_tests.simulator.tflite_writer`."""

from __future__ import annotations

from device_tests.simulator.tflite_writer import TFLiteWriter as TFLiteWriter
from device_tests.simulator.tflite_writer import dense_tflite as dense_tflite
