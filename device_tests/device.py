"""What a case can run on: a device gives the outputs of one bundle's payload for given inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[np.generic]]


class Device(Protocol):
    """One runtime with one model in it."""

    def run(self, inputs: Arrays) -> Arrays:
        """The model's outputs for one case."""

    def close(self) -> None:
        """Give the memory back."""
