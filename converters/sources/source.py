"""What a target converts: one graph with named inputs and outputs, built anew for every conversion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

from converters.errors import ConversionError
from converters.frameworks import tensorflow

INPUT: Final = "features"
"""Name of the input of a graph that takes features."""


class Graph(Protocol):
    """Builds a model's outputs out of its input tensors."""

    def __call__(self, tf: Any, *tensors: Any, batch: int | None) -> dict[str, Any]:
        """Outputs by name.

        Constants are made here, inside the traced function: captured ones become inputs in ONNX.

        Args:
            tf: TensorFlow.
            tensors: the inputs in the source's order, float32 [batch, …].
            batch: rows, where the target fixes them; None where they may vary.
        """


@dataclass(frozen=True)
class Source:
    """A model as a TensorFlow function of float32 tensors, and the names of what comes out.

    Attributes:
        inputs: shape of one row of each input, in order.
        outputs: names, in order.
        graph: builds the outputs.
    """

    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    graph: Graph

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", MappingProxyType(dict(self.inputs)))

    def signature(self, batch: int | None) -> list[Any]:
        """The inputs as TensorFlow describes them."""
        tf = tensorflow()
        return [tf.TensorSpec([batch, *shape], tf.float32, name=name) for name, shape in self.inputs.items()]

    def function(self, batch: int | None) -> Any:
        """The model as a ``tf.function`` with the source's inputs; a new one each time.

        Raises:
            MissingExtraError: TensorFlow is not installed.
        """
        tf = tensorflow()

        def model(*tensors: Any) -> dict[str, Any]:
            outputs = self.graph(tf, *tensors, batch=batch)
            if set(outputs) != set(self.outputs):
                raise ConversionError(
                    f"the graph makes {sorted(outputs)}, promised are {sorted(self.outputs)}"
                )
            return outputs

        return tf.function(model, input_signature=self.signature(batch), autograph=False)
