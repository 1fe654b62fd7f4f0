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
from edge_sdk.runtime.tflite_file import Memory, memory_of, signature_graphs

_TENSOR_LIMIT = 4096  # inputs and outputs of one model; a damaged file can claim millions


class LiteRT:
    """The LiteRT interpreter with its optimised CPU kernels.

    Args:
        module: where the interpreter is; an older release of the library has another name.
    """

    name = "litert"

    def __init__(self, module: str = "ai_edge_litert.interpreter") -> None:
        library = importlib.import_module(module)
        self._library = module.partition(".")[0]
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

        def make() -> Any:
            return self._interpreter(
                model_content=model, num_threads=threads, experimental_op_resolver_type=self._resolver
            )

        try:
            return _LiteRTSession(make, signature_graphs(model), renews=memory_of(model) is Memory.RESOURCES)
        except _REFUSALS as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if _TOO_OLD in reason:
                raise UpdateRequired(f"this {self._library} is too old for the model: {reason}") from error
            if any(sign in reason for sign in _NOT_BUILT_IN):
                raise UpdateRequired(
                    f"the model needs operators that are not built into LiteRT: {reason} Convert it to builtin ones"
                ) from error
            raise FormatError(f"LiteRT cannot load the TFLite model: {reason}") from error


# What pybind11 makes of the standard library's exceptions is among them.
_REFUSALS = (ValueError, RuntimeError, TypeError, LookupError, OverflowError)
_TOO_OLD = "find op for builtin opcode"
_NOT_BUILT_IN = ("unresolved custom op", "Select TensorFlow op(s)")


def _sides(details: Mapping[str, Any]) -> tuple[int, ...]:
    # Files without a dynamic dimension may leave the signature of the shape out.
    sides = details["shape_signature"] if len(details["shape_signature"]) else details["shape"]
    return tuple(int(side) for side in sides)


def _info(name: str, details: Mapping[str, Any]) -> TensorInfo:
    # One pair for the whole tensor; (0.0, 0) where there is none, or one for each channel.
    scale, zero_point = details["quantization"]
    return TensorInfo(name, np.dtype(details["dtype"]), _sides(details), float(scale), int(zero_point))


def _named(tensors: list[Mapping[str, Any]], kind: str) -> dict[str, Mapping[str, Any]]:
    """By the tensors' own names, made unique: without a signature they are all there is."""
    named: dict[str, Mapping[str, Any]] = {}
    for place, details in enumerate(tensors):
        own = details["name"] or f"{kind}_{place}"
        name, number = own, 1
        while name in named:
            name, number = f"{own}:{number}", number + 1
        named[name] = details
    return named


Named = dict[str, Mapping[str, Any]]


def _signature(interpreter: Any, key: str) -> tuple[Named, Named] | None:
    """The tensors of a signature by name; None where it cannot be run.

    Converters have written signatures of tensors that a later step removed: those models run by their tensors' names.
    """
    try:
        runner = interpreter.get_signature_runner(key)
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
    except (ValueError, RuntimeError):
        return None
    return (inputs, outputs) if outputs else None


def _places(named: Mapping[str, Mapping[str, Any]]) -> list[int]:
    return sorted(details["index"] for details in named.values())


def _allocate(interpreter: Any) -> bool:
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        # Sizes of 1, which stand for free dimensions until the first run, need not be possible.
        free = any(side < 0 for details in interpreter.get_input_details() for side in _sides(details))
        if not free or any(sign in str(error) for sign in _NOT_BUILT_IN):
            raise
        return False
    return True


class _LiteRTSession:
    """One interpreter, and a second one once a signature of another subgraph is asked for.

    Args:
        make: makes an interpreter of the model.
        graphs: the subgraph of each signature.
        renews: only a new interpreter forgets what this model remembers.
    """

    def __init__(self, make: Callable[[], Any], graphs: Mapping[str, int], *, renews: bool) -> None:
        self._make, self._renews = make, renews
        self._runners: dict[str, Callable[..., dict[str, Array]]] = {}
        interpreter = make()
        allocated = _allocate(interpreter)
        ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
        if len(ins) > _TENSOR_LIMIT or not 0 < len(outs) <= _TENSOR_LIMIT:
            raise FormatError(f"TFLite model with {len(ins)} inputs and {len(outs)} outputs")
        named_ins, named_outs = _named(ins, "input"), _named(outs, "output")
        primary = _places(named_ins)
        signatures, found = [], False
        for key in interpreter.get_signature_list():
            if (known := _signature(interpreter, key)) is None:
                continue
            sig_ins, sig_outs = known
            signatures.append(
                Signature(
                    key,
                    tuple(_info(name, details) for name, details in sig_ins.items()),
                    tuple(_info(name, details) for name, details in sig_outs.items()),
                )
            )
            if not found and graphs.get(key, 0) == 0 and _places(sig_ins) == primary:
                named_ins, named_outs, found = sig_ins, sig_outs, True
        self.inputs = tuple(_info(name, details) for name, details in named_ins.items())
        self.outputs = tuple(_info(name, details) for name, details in named_outs.items())
        self.signatures = tuple(signatures)
        self._ins = tuple((name, details["index"]) for name, details in named_ins.items())
        self._outs = tuple((name, details["index"]) for name, details in named_outs.items())
        self._declared = [tuple(map(int, details["shape"])) for details in named_ins.values()]
        self._start(interpreter, allocated)

    def _start(self, interpreter: Any, allocated: bool) -> None:
        self._interpreter = interpreter
        # A shape that no array has makes the first run allocate.
        self._shapes = self._declared if allocated else [(-1,)] * len(self._ins)
        self.run: Callable[[Mapping[str, Array]], dict[str, Array]] = (
            self._one_input() if len(self._ins) == 1 else self._any_to_any
        )

    def _one_input(self) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
        """``run`` for one input, as nearly every model has it: a closure, as a method costs 0.2 us more."""
        set_tensor = self._interpreter.set_tensor
        invoke = self._interpreter.invoke
        get_tensor = self._interpreter.get_tensor
        ((in_name, in_index),), outs = self._ins, self._outs
        (out_name, out_index), several = outs[0], len(outs) > 1
        shape = self._shapes[0]

        def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
            nonlocal shape
            array = inputs[in_name]
            if array.shape != shape:
                self._resize([array.shape])
                shape = array.shape
            set_tensor(in_index, array)
            invoke()
            if several:
                outputs = {}
                for name, index in outs:  # a comprehension would be one function call more
                    outputs[name] = get_tensor(index)
                return outputs
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

    def run_signature(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if name not in self._runners:
            # Of its own: calls of runners and plain ones on one interpreter raise.
            self._runners[name] = self._make().get_signature_runner(name)
        return dict(self._runners[name](**inputs))

    def reset(self) -> None:
        self._runners.clear()
        if self._renews:
            interpreter = self._make()
            self._start(interpreter, _allocate(interpreter))
        else:
            self._interpreter.reset_all_variables()

    def close(self) -> None:
        # The closure holds the interpreter too.
        self.run = _closed
        self._interpreter = None
        self._runners.clear()


def _closed(inputs: Mapping[str, Array]) -> dict[str, Array]:
    raise RuntimeError("this session was closed")
