"""The phone's part of the demo, in a process of its own: predict offline, and say what that cost.

Run as ``python -m coach_edge.demo.device``, so that the figures are not those of a process with a training
stack in it. Opens no socket.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk import EdgeClient
from edge_sdk.crypto.options import read_app_key
from edge_sdk.crypto.sealed_files import read_sealed
from edge_sdk.crypto.sealing import AppKey, open_served

PATIENCE_MS = 60_000.0
"""A demo waits for the answer; the deadline and the fallback are for apps."""

ROUNDS = 2_000
WARM_UP = 50


def main(arguments: Sequence[str]) -> None:
    """Predict for people; prints one JSON document.

    Args:
        arguments: cache folder, app key file, bundle of the same artifact, JSON list of feature rows.
    """
    cache, key_file, bundle, people = map(Path, arguments)
    key = read_app_key(key_file)
    rows: list[dict[str, float]] = json.loads(people.read_text())
    before = _resident_bytes()
    start = time.perf_counter()
    with EdgeClient.open(cache, credential=key) as client:
        model = client.model("goal-success")
        first = model.predict(rows[0], deadline_ms=PATIENCE_MS)
        load_ms = (time.perf_counter() - start) * 1e3
        loaded = _resident_bytes()
        predictions = [first, *(model.predict(row, deadline_ms=PATIENCE_MS) for row in rows[1:])]
        latency = _latency(model.predict, rows, _bare(bundle, key, rows))
    print(
        json.dumps(
            {
                "predictions": [
                    {
                        "probability": p.values["probability"],
                        "confidence": p.values["confidence"],
                        "risk_factors": list(p.risk_factors),
                        "actions": list(p.actions),
                        "reason": str(p.reason),
                    }
                    for p in predictions
                ],
                "latency": latency,
                "load_to_first_answer_ms": load_ms,
                "memory_mb": None if before is None or loaded is None else (loaded - before) / 1e6,
            }
        )
    )


def _bare(bundle: Path, key: AppKey, rows: Sequence[Mapping[str, float]]) -> Any:
    """The interpreter with nothing around it: set the input, invoke, get the outputs."""
    from ai_edge_litert.interpreter import Interpreter

    sealed = read_sealed(bundle)
    content = open_served(sealed.served, sealed.sha256, sealed.entry, key)
    interpreter = Interpreter(model_content=bytes(content.files["model.tflite"]), num_threads=1)
    interpreter.allocate_tensors()
    index = interpreter.get_input_details()[0]["index"]
    outputs = [detail["index"] for detail in interpreter.get_output_details()]
    order = [feature.name for feature in content.record.features]
    arrays = {id(row): np.array([[row[name] for name in order]], np.float32) for row in rows}

    def run(row: Mapping[str, float]) -> list[Any]:
        interpreter.set_tensor(index, arrays[id(row)])
        interpreter.invoke()
        return [interpreter.get_tensor(output) for output in outputs]

    return run


def _latency(ours: Any, rows: Sequence[Mapping[str, float]], bare: Any) -> list[dict[str, Any]]:
    """Percentiles of both in microseconds, measured in turn so that both meet the same machine."""
    times: dict[str, list[int]] = {"predict": [], "bare interpreter": []}
    for number in range(-WARM_UP, ROUNDS):
        row = rows[number % len(rows)]
        for name, call in (("predict", ours), ("bare interpreter", bare)):
            start = time.perf_counter_ns()
            call(row)
            elapsed = time.perf_counter_ns() - start
            if number >= 0:
                times[name].append(elapsed)
    return [
        {
            "what": name,
            **{f"p{q}_us": float(np.percentile(values, q)) / 1e3 for q in (50, 95, 99)},
            "n": len(values),
        }
        for name, values in times.items()
    ]


def _resident_bytes() -> int | None:
    """Resident memory of this process, where the system says it (Linux)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main(sys.argv[1:])
