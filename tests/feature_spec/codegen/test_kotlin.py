"""The generated Kotlin: it compiles without a warning and says what the reference says."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_spec.codegen.languages import generate
from tests.feature_spec.codegen.golden import example
from tests.feature_spec.codegen.typed import SPEC, Ask, mismatches, program, sayable

# Compiled once, not once a worker.
pytestmark = [pytest.mark.xdist_group("codegen"), pytest.mark.sampled]

HERE = Path(__file__).parent
CONTROLS = {
    "right": ("", ""),
    "window": ("WINDOW_DAYS = 90", "WINDOW_DAYS = 89"),
    "order": ('SESSION("session"),\n    MESSAGE("message")', 'MESSAGE("message"),\n    SESSION("session")'),
    "program": ("daily 0 0 0 1 ", "daily 0 0 0 2 "),
    "zone": ("totalSeconds * 1000L", "totalSeconds * 999L"),
}
"""Sources that are compiled together, each in a package of its own: one right, and one mistake each."""


@pytest.fixture(scope="module")
def ask(
    compilers: Path, tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Ask]:
    """What the generated file says to lines, or what it says with a mistake in it."""
    folder = tmp_path_factory.mktemp("kotlin")
    right, program_text = generate(SPEC, "kotlin"), (HERE / "Answer.kt").read_text("utf-8")
    for name, (old, new) in CONTROLS.items():
        assert old in right
        source = right.replace(old, new, 1).replace("package coachedge.features", f"package {name}.features")
        (folder / f"{name}Features.kt").write_text(source, encoding="utf-8")
        source = f"package {name}\n" + program_text.replace("coachedge.features", f"{name}.features")
        (folder / f"{name}Answer.kt").write_text(source, encoding="utf-8")
    source = example("kotlin").replace("coachedge.features", "right.features")
    (folder / "example.kt").write_text(source, encoding="utf-8")
    java, jars = tool("java"), compilers / "kotlin-compiler" / "lib"
    compiler = ["-cp", str(jars / "kotlin-compiler.jar"), "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
    arguments = ["-Werror", "-kotlin-home", str(jars.parent), "-d", str(folder / "answer.jar"), str(folder)]
    compiled = subprocess.run(
        [java, *compiler, *arguments], capture_output=True, text=True, timeout=240, check=False
    )
    assert (compiled.returncode, compiled.stdout, compiled.stderr) == (0, "", "")
    classes = f"{folder / 'answer.jar'}:{jars / 'kotlin-stdlib.jar'}"
    return lambda name: program([java, "-cp", classes, f"{name}.{name.capitalize()}AnswerKt"])


def test_every_vector_is_answered(ask: Callable[[str], Ask]) -> None:
    assert len(sayable()) > 90
    assert mismatches(ask("right")) == []


@pytest.mark.parametrize("control", [name for name in CONTROLS if name != "right"])
def test_the_vectors_notice(control: str, ask: Callable[[str], Ask]) -> None:
    assert mismatches(ask(control)) != []
