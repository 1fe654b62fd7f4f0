"""The other process of ``tflite_runtime``: Python 3.11 with NumPy 1, so nothing here may need more."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from edge_sdk.errors import EdgeError, UpdateRequired
from edge_sdk.runtime import array_pipes
from edge_sdk.runtime.engine import Array, RunsSignatures, Session, TensorInfo
from edge_sdk.runtime.litert import LiteRT


def main() -> None:
    """Serve one session until the other side is gone."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native code prints must not get among the answers
    threading.Thread(target=_end_with_the_other_side, daemon=True).start()
    engine = LiteRT("tflite_runtime.interpreter")
    array_pipes.send(answers, {"ready": True}, {})
    session: Session | None = None
    while True:
        try:
            head, arrays = array_pipes.receive(requests)
        except EOFError:
            return
        try:
            if session is None:
                session = engine.load(arrays["model"].tobytes(), head["threads"])
                told, answer = _described(session), {}
            else:
                told, answer = {}, _VERBS[head["verb"]](session, head, arrays)
        except EdgeError as error:
            family = "UpdateRequired" if isinstance(error, UpdateRequired) else "FormatError"
            told, answer = {"error": family, "message": str(error)}, {}
        except (ValueError, RuntimeError) as error:
            told, answer = {"error": "RuntimeError", "message": str(error)}, {}
        array_pipes.send(answers, told, answer)


def _end_with_the_other_side() -> None:
    """End this process when the pipe hangs up, even in the middle of a run that never ends."""
    pipe = select.poll()
    pipe.register(0, 0)  # no event but a hang-up, which always counts
    while not any(event & select.POLLHUP for _, event in pipe.poll()):
        pass
    os._exit(0)


def _run(session: Session, head: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Array]:
    return session.run(arrays)


def _run_signature(
    session: Session, head: Mapping[str, Any], arrays: Mapping[str, Array]
) -> dict[str, Array]:
    assert isinstance(session, RunsSignatures)
    return session.run_signature(head["name"], arrays)


def _reset(session: Session, head: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Array]:
    session.reset()
    return {}


_VERBS: Mapping[str, Callable[[Session, Mapping[str, Any], Mapping[str, Array]], dict[str, Array]]] = {
    "run": _run,
    "run_signature": _run_signature,
    "reset": _reset,
}


def _described(session: Session) -> dict[str, Any]:
    def infos(tensors: tuple[TensorInfo, ...]) -> list[Any]:
        return [(info.name, info.dtype.str, info.shape, info.scale, info.zero_point) for info in tensors]

    return {
        "inputs": infos(session.inputs),
        "outputs": infos(session.outputs),
        "signatures": [(each.name, infos(each.inputs), infos(each.outputs)) for each in session.signatures],
    }
