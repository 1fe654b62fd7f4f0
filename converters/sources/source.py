"""What a target converts: one graph with named inputs and outputs, built anew for every conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from converters.errors import ConversionError
from converters.frameworks import tensorflow

INPUT: Final = "features"
"""Name of the graph's only input."""


class Graph(Protocol):
    """Builds a model's outputs out of its input tensor."""

    def __call__(self, tf: Any, features: Any, *, batch: int | None) -> dict[str, Any]:
        """Outputs by name for float32 ``features`` [batch, width].

        Constants are made here, inside the traced function: captured ones become inputs in ONNX.

        Args:
            tf: TensorFlow.
            features: the input tensor.
            batch: rows, where the target fixes them; None where they may vary.
        """


@dataclass(frozen=True)
class Source:
    """A model as a TensorFlow function of float32 [n, width], and the names of what comes out."""

    width: int
    outputs: tuple[str, ...]
    graph: Graph

    def function(self, batch: int | None) -> Any:
        """The model as a ``tf.function`` with the input ``features``; a new one each time.

        Raises:
            MissingExtraError: TensorFlow is not installed.
        """
        tf = tensorflow()

        def model(features: Any) -> dict[str, Any]:
            outputs = self.graph(tf, features, batch=batch)
            if set(outputs) != set(self.outputs):
                raise ConversionError(
                    f"the graph makes {sorted(outputs)}, promised are {sorted(self.outputs)}"
                )
            return outputs

        spec = tf.TensorSpec([batch, self.width], tf.float32, name=INPUT)
        return tf.function(model, input_signature=[spec], autograph=False)
