"""What loading through the SDK adds to the bare interpreter, in time and in memory.

Ours opens a real cache, into which a sealed bundle was installed, and predicts: state, key, disk, decryption, every
check, the engine, a typed prediction. Theirs is LiteRT on the model's own file, which it maps into memory: load,
allocate, set, invoke, get. Both take turns; a figure is the median over rounds of what one round says.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from device_tests.simulator.models import ROW, sealed_model
from device_tests.simulator.repository import SERVER, Network, Repository
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.client import EdgeClient
from edge_sdk.crypto.sealing import AppKey
from edge_sdk.errors import InputError
from edge_sdk.runtime.engine import Array, RunFailed
from edge_sdk.runtime.engines import engine_named

WIDTHS: Final = (3, 1120, 1120, 1110, 1)
"""Of a model of 10 MB."""
_SMALL: Final = (3, 16, 1)
_MODEL: Final = "focus"
_KEY: Final = AppKey(bytes(range(32)))
_LEAST_ROUNDS: Final = 5
_CONTROL: Final = "Interpreter(model_path), allocate, set, invoke, get"


class Site(NamedTuple):
    """A cache with a sealed model in it, and the same model as a file."""

    cache: Path
    file: Path
    tier: str
    codec: str
    bundle_bytes: int


def run(rounds: int = 15, seed: int = 0, widths: Sequence[int] = WIDTHS) -> list[dict[str, Any]]:
    """Measure.

    Args:
        rounds: at least 5.
        seed: of the weights.
        widths: of the large model.

    Returns:
        The figures, in the form that ``edge bench`` prints.
    """
    if rounds < _LEAST_ROUNDS:
        raise InputError(f"a bench needs at least {_LEAST_ROUNDS} rounds, not {rounds}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        random = install(folder / "random", dense_tflite(widths, seed))
        alike = install(folder / "alike", dense_tflite(widths, seed, alike=0.5))
        clear = install(folder / "clear", dense_tflite(widths, seed), None)
        small = install(folder / "small", dense_tflite(_SMALL, seed))
        return [
            _extra("extra_ms_10mb", random, rounds),
            _extra("extra_ms_10mb_deflate", alike, rounds),
            _extra("extra_ms_10mb_clear", clear, rounds),
            _extra_in_fresh_memory(random, rounds),
            _peak(random, rounds),
            _import(small, rounds),
        ]


def install(folder: Path, model: bytes, app_key: AppKey | None = _KEY) -> Site:
    """Publish a model, sealed for an app key where there is one, and install it as a device does."""
    folder.mkdir()
    sealed = sealed_model(model, engine=engine_named("litert"), app_key=app_key)
    repository = Repository()
    repository.publish(sealed)
    with EdgeClient.open(
        folder / "cache", SERVER, repository.root, credential=_KEY, transport=Network(repository)
    ) as client:
        client.update(_MODEL)
    (folder / "model.tflite").write_bytes(model)
    entry = sealed.entry
    return Site(folder / "cache", folder / "model.tflite", entry.tier, entry.codec, len(sealed.served))


# -- time ----------------------------------------------------------------------------------------------


def _extra(name: str, site: Site, rounds: int) -> dict[str, Any]:
    def ours() -> object:
        with EdgeClient.open(site.cache, credential=_KEY) as client:
            return client.model(_MODEL).predict(ROW, deadline_ms=60_000)

    ours_ms, theirs_ms = _in_turn(ours, _bare(site.file), rounds)
    note = (
        f"from EdgeClient.open to the first prediction, and closing; modules imported, file in the page cache; "
        f"{_bundle(site)}"
    )
    return _over(name, ours_ms, theirs_ms, note)


def _bare(file: Path) -> Callable[[], object]:
    library: Any = importlib.import_module("ai_edge_litert.interpreter")
    row = np.array([list(ROW.values())], np.float32)

    def theirs() -> object:
        interpreter = library.Interpreter(model_path=str(file), num_threads=1)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], row)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return theirs


def _in_turn(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[Array, Array]:
    """Milliseconds of each, by round; who comes first changes."""
    both, times = (ours, theirs), np.empty((2, rounds))
    for call in both:
        call()
    for at in range(rounds):
        for who in (0, 1) if at % 2 else (1, 0):
            before = time.perf_counter()
            both[who]()
            times[who, at] = (time.perf_counter() - before) * 1e3
    return times[0], times[1]


# -- processes of their own ----------------------------------------------------------------------------

_OURS: Final = """
from edge_sdk import AppKey, EdgeClient
client = EdgeClient.open(CACHE, credential=AppKey(bytes(range(32))))
answer = client.model(NAME).predict(ROW, deadline_ms=60_000)
"""

_THEIRS: Final = """
import numpy
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=FILE, num_threads=1)
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], numpy.array([list(ROW.values())], "f"))
interpreter.invoke()
answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
"""

_TIMED: Final = """
import time
before = time.perf_counter()
{work}
print((time.perf_counter() - before) * 1e3)
"""

_IMPORTED: Final = """
import numpy
from ai_edge_litert.interpreter import Interpreter
from cryptography.hazmat.primitives.ciphers import aead
from edge_sdk import client, loading, serving
from edge_sdk.crypto import opening, sealing
"""

_WEIGHED: Final = (
    _IMPORTED
    + """
def memory(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = memory("VmRSS")
{work}
print(memory("VmHWM") - before)
"""
)


def _peak(site: Site, rounds: int) -> dict[str, Any]:
    grown = _children_in_turn(_WEIGHED, site, rounds)
    ratio = float(np.median(grown[0] / grown[1]))
    ours, theirs = np.median(grown, axis=1) / 1e3
    return {
        "id": "peak_memory_ratio",
        "value": ratio,
        "unit": "ratio",
        "control": _CONTROL,
        "control_value": 1.0,
        "ratio": ratio,
        "n": rounds,
        "note": f"growth of the resident set up to its peak (VmHWM, mapped pages of the model's file included), in "
        f"processes of their own that have imported all that is needed: {ours:.1f} MB, bare {theirs:.1f} MB; "
        f"{_bundle(site)}",
    }


def _extra_in_fresh_memory(site: Site, rounds: int) -> dict[str, Any]:
    times = _children_in_turn(_IMPORTED + _TIMED, site, rounds)
    note = (
        "as extra_ms_10mb, but each in a process of its own that has imported all that is needed and has never "
        f"touched the memory that it loads into; {_bundle(site)}"
    )
    return _over("extra_ms_10mb_fresh", times[0], times[1], note)


def _import(site: Site, rounds: int) -> dict[str, Any]:
    times = _children_in_turn(_TIMED, site, rounds)
    note = (
        "in fresh processes, modules compiled before, from the first line of Python: import edge_sdk, open, first "
        f"prediction, with a bundle of {site.bundle_bytes / 1e3:.1f} kB of tier app-key; theirs: import numpy and "
        "ai_edge_litert, first prediction"
    )
    return _over("import_extra_ms", times[0], times[1], note)


def _children_in_turn(frame: str, site: Site, rounds: int) -> Array:
    """What processes of ours [0] and theirs [1] print, by round; who comes first changes."""
    both, told = (_OURS, _THEIRS), np.empty((2, rounds))
    for work in both:  # compiles what is imported
        _child(frame, work, site)
    for at in range(rounds):
        for who in (0, 1) if at % 2 else (1, 0):
            told[who, at] = _child(frame, both[who], site)
    return told


def _bundle(site: Site) -> str:
    return f"bundle of {site.bundle_bytes / 1e6:.1f} MB, tier {site.tier}, codec {site.codec}"


def _child(frame: str, work: str, site: Site) -> float:
    """The number that a fresh process prints."""
    source = (
        f"CACHE, FILE, NAME, ROW = {str(site.cache)!r}, {str(site.file)!r}, {_MODEL!r}, {ROW!r}\n"
        + frame.format(work=work)
    )
    # Modules are compiled once, as when they are installed, whatever the setting here is.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(site.cache.parent / "compiled")
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, env=environment)
    if done.returncode:
        told = done.stderr.strip().splitlines() or ["no message"]
        raise RunFailed(f"a process that loads a model failed: {told[-1]}")
    return float(done.stdout)


def _over(name: str, ours: Array, theirs: Array, note: str) -> dict[str, Any]:
    value, control = float(np.median(ours - theirs)), float(np.median(theirs))
    return {
        "id": name,
        "value": value,
        "unit": "ms",
        "control": _CONTROL,
        "control_value": control,
        "ratio": value / control,
        "n": len(ours),
        "note": note,
    }
