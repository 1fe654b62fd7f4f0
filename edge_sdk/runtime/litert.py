"""LiteRT (TFLite) behind the engine interface, on the plain interpreter.

The interpreter's SignatureRunner is used once, to learn which tensor belongs to which name: calling it costs
several microseconds a prediction, and mixing its calls with plain ones on one interpreter raises.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edge_sdk.errors import FormatError, UpdateRequired
from edge_sdk.runtime.engine import Array, Session, Signature, TensorInfo

_TENSOR_LIMIT = 256  # inputs and outputs of one model; a damaged file can claim millions


class LiteRT:
    """The LiteRT interpreter with its optimised CPU kernels."""

    name = "litert"

    def __init__(self) -> None:
        library = importlib.import_module("ai_edge_litert.interpreter")
        self._interpreter = library.Interpreter
        # The default resolver may change between releases, and answers with it by a few bits: pinned.
        self._resolver = library.OpResolverType.BUILTIN

    def load(self, model: bytes, threads: int = 1) -> Session:
        """Make a session; ``model`` is used in place, not copied.

        Raises:
            FormatError: not a readable TFLite model.
            UpdateRequired: an operator or operator version that this LiteRT does not have.
        """
        if model[4:8] != b"TFL3":
            raise FormatError(f"not a TFLite model: {len(model)} bytes without the mark TFL3 at byte 4")
        try:
            interpreter = self._interpreter(
                model_content=model, num_threads=threads, experimental_op_resolver_type=self._resolver
            )
            interpreter.allocate_tensors()
            return _LiteRTSession(interpreter)
        except (ValueError, RuntimeError, TypeError, KeyError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if "find op for builtin opcode" in reason:
                raise UpdateRequired(f"this LiteRT is too old for the model: {reason}") from error
            raise FormatError(f"LiteRT cannot load the TFLite model: {reason}") from error


def _info(name: str, details: Mapping[str, Any]) -> TensorInfo:
    # Files without a dynamic dimension may leave the signature of the shape out.
    sides = details["shape_signature"] if len(details["shape_signature"]) else details["shape"]
    return TensorInfo(name, np.dtype(details["dtype"]), tuple(int(side) for side in sides))


def _place(details: Mapping[str, Any]) -> tuple[int, str]:
    return details["index"], details["name"]


class _LiteRTSession:
    def __init__(self, interpreter: Any) -> None:
        ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
        if not 0 < len(ins) <= _TENSOR_LIMIT or not 0 < len(outs) <= _TENSOR_LIMIT:
            raise FormatError(f"TFLite model with {len(ins)} inputs and {len(outs)} outputs")
        # Without a signature a tensor's own name is all there is.
        named_ins = {details["name"]: details for details in ins}
        named_outs = {details["name"]: details for details in outs}
        primary = {_place(details) for details in ins}
        signatures, found = [], False
        for key in interpreter.get_signature_list():
            runner = interpreter.get_signature_runner(key)
            sig_ins, sig_outs = runner.get_input_details(), runner.get_output_details()
            signatures.append(
                Signature(
                    key,
                    tuple(_info(name, details) for name, details in sig_ins.items()),
                    tuple(_info(name, details) for name, details in sig_outs.items()),
                )
            )
            if not found and {_place(details) for details in sig_ins.values()} == primary:
                named_ins, named_outs, found = sig_ins, sig_outs, True
        if len(named_ins) != len(ins):
            raise FormatError("TFLite model without signature whose inputs share a name")
        self.inputs = tuple(_info(name, details) for name, details in named_ins.items())
        self.outputs = tuple(_info(name, details) for name, details in named_outs.items())
        self.signatures = tuple(signatures)
        self._ins = tuple((name, details["index"]) for name, details in named_ins.items())
        self._outs = tuple((name, details["index"]) for name, details in named_outs.items())
        self._shapes = [tuple(map(int, details["shape"])) for details in named_ins.values()]
        self._interpreter = interpreter
        self.run: Callable[[Mapping[str, Array]], dict[str, Array]] = (
            self._one_input() if len(ins) == 1 else self._any_to_any
        )

    def _one_input(self) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
        """``run`` for one input, as nearly every model has it: a closure, as a method costs 0.2 us more."""
        set_tensor = self._interpreter.set_tensor
        invoke = self._interpreter.invoke
        get_tensor = self._interpreter.get_tensor
        ((name, index),), outs = self._ins, self._outs
        (out_name, out_index), several = outs[0], len(outs) > 1
        shape = self._shapes[0]

        def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
            nonlocal shape
            array = inputs[name]
            if array.shape != shape:
                self._resize([array.shape])
                shape = array.shape
            set_tensor(index, array)
            invoke()
            if several:
                return {name: get_tensor(index) for name, index in outs}
            return {out_name: get_tensor(out_index)}

        return run

    def _any_to_any(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        interpreter = self._interpreter
        shapes = [inputs[name].shape for name, _ in self._ins]
        if shapes != self._shapes:
            self._resize(shapes)
        for name, index in self._ins:
            interpreter.set_tensor(index, inputs[name])
        interpreter.invoke()
        return {name: interpreter.get_tensor(index) for name, index in self._outs}

    def _resize(self, shapes: list[tuple[int, ...]]) -> None:
        # About 2 us for a small model, so alternating between one row and many needs no second session.
        for (_, index), old, new in zip(self._ins, self._shapes, shapes, strict=True):
            if old != new:
                self._interpreter.resize_tensor_input(index, new)
        self._interpreter.allocate_tensors()
        self._shapes = shapes

    def reset(self) -> None:
        self._interpreter.reset_all_variables()

    def close(self) -> None:
        # The closure holds the interpreter too.
        self.run = _closed
        self._interpreter = None


def _closed(inputs: Mapping[str, Array]) -> dict[str, Array]:
    raise RuntimeError("this session was closed")
