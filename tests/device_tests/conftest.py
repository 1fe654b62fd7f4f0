"""The small models of the runtime's tests serve here too."""

from tests.edge_sdk.runtime.conftest import affine, affine_onnx

__all__ = ["affine", "affine_onnx"]
