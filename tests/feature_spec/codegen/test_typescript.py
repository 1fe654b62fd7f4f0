"""The generated TypeScript: it compiles under the strictest rules and says what the reference says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feature_spec.codegen.languages import generate
from feature_spec.prebuilt import PREBUILT
from tests.feature_spec.codegen.golden import (
    Answer,
    are_close,
    as_vector,
    example,
    mismatches,
    reference,
    spec_of_every_operator,
    vectors,
)
from tests.feature_spec.codegen.random_inputs import random_inputs

pytestmark = pytest.mark.xdist_group("codegen")  # compiled once, not once a worker

HERE = Path(__file__).parent
STRICT = [
    "--strict",
    "--noUncheckedIndexedAccess",
    "--exactOptionalPropertyTypes",
    "--noPropertyAccessFromIndexSignature",
    "--noImplicitOverride",
    "--noImplicitReturns",
    "--noUnusedLocals",
    "--noUnusedParameters",
    *("--target", "es2020", "--lib", "es2020", "--module", "es2020", "--moduleResolution", "bundler"),
]

Compile = Callable[[Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def tsc(compilers: Path, tool: Callable[[str], str]) -> Compile:
    """Compile every TypeScript file of a folder, beside it."""
    command = [tool("node"), str(compilers / "typescript" / "bin" / "tsc"), *STRICT]

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
        files = sorted(map(str, folder.glob("*.ts")))
        return subprocess.run([*command, *files], capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture(scope="module")
def compiled(tsc: Compile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated module for the prebuilt features, compiled with an app that uses it."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "features.ts").write_text(generate(PREBUILT, "typescript"), encoding="utf-8")
    (folder / "example.ts").write_text(example("typescript"), encoding="utf-8")
    shutil.copy(HERE / "usage.ts", folder)
    found = tsc(folder)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    return folder / "features.js"


@pytest.fixture
def answers(tool: Callable[[str], str]) -> Callable[[Path, list[Any]], list[Answer]]:
    """What a compiled module says to inputs."""

    def ask(module: Path, inputs: list[Any]) -> list[Answer]:
        command = [tool("node"), str(HERE / "answer.mjs"), str(module)]
        found = subprocess.run(
            command, input=json.dumps(inputs), capture_output=True, text=True, timeout=120, check=False
        )
        assert found.returncode == 0, found.stderr
        return [json.loads(line) for line in found.stdout.splitlines()]

    return ask


Ask = Callable[[Path, list[Any]], list[Answer]]


def test_every_vector_is_answered(compiled: Path, answers: Ask) -> None:
    expected = vectors()
    assert {"reason" in vector for vector in expected} == {True, False}
    assert mismatches(expected, answers(compiled, [vector["input"] for vector in expected])) == []


def test_days_are_counted_alike_wherever_clocks_were_changed(compiled: Path, answers: Ask) -> None:
    inputs = random_inputs(seed=20260331, count=400)
    assert mismatches([as_vector(document) for document in inputs], answers(compiled, inputs)) == []


def test_every_operator_says_what_the_reference_says(tsc: Compile, answers: Ask, tmp_path: Path) -> None:
    spec = spec_of_every_operator()
    (tmp_path / "features.ts").write_text(generate(spec, "typescript"), encoding="utf-8")
    assert tsc(tmp_path).stdout == ""
    inputs = [vector["input"] for vector in vectors() if "output" in vector]
    for document, answer in zip(inputs, answers(tmp_path / "features.js", inputs), strict=True):
        assert all(are_close(answer["features"], reference(spec, document))), document


CONTROLS = {
    "window": ("WINDOW_DAYS = 90", "WINDOW_DAYS = 89"),
    "order of types": ('"session",\n    "message"', '"message",\n    "session"'),
    "order of entries": (
        '"account_age_days",\n    "goal_age_days"',
        '"goal_age_days",\n    "account_age_days"',
    ),
    "order of channels": ('"values",\n    "sum"', '"sum",\n    "values"'),
    "largest count": ("MAX_COUNT = 1000000", "MAX_COUNT = 10000000"),
    "largest cell": ("MAX_CELL = 16777216", "MAX_CELL = 167772160"),
    "first year": ("FIRST_YEAR = 1970", "FIRST_YEAR = 1969"),
    "last year": ("LAST_YEAR = 2199", "LAST_YEAR = 2200"),
    "unknown": ("UNKNOWN = -1", "UNKNOWN = 0"),
    "a weight of the program": ('["daily", 0, 0, 0, 1,', '["daily", 0, 0, 0, 2,'),
    "zones": ("timeZone: name", 'timeZone: name && "UTC"'),
    "hours for days": ("this.ask(instant)", "offset"),
    "as of": ("instant > now", "instant >= now"),
    "a day ahead": ("day < 0 ||", ""),
    "duplicates": ("if (twin === undefined)", "if (true)"),
    "rounding": ("Float64Array(cellOf", "Float32Array(cellOf"),
    "noon": ("12 * HOUR", "13 * HOUR"),
}
"""One thing each that an implementation gets wrong: what the compiled module says, and what it says then."""


@pytest.mark.parametrize("control", CONTROLS)
def test_the_vectors_notice(control: str, compiled: Path, answers: Ask, tmp_path: Path) -> None:
    right, wrong = CONTROLS[control]
    text = compiled.read_text("utf-8")
    assert right in text
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (tmp_path / "features.js").write_text(text.replace(right, wrong, 1), encoding="utf-8")
    expected = vectors()
    assert mismatches(expected, answers(tmp_path / "features.js", [vector["input"] for vector in expected]))


def test_a_mistake_in_an_app_does_not_compile(tsc: Compile, tmp_path: Path) -> None:
    """The marks in usage.ts stand for errors: without them the compiler says so."""
    (tmp_path / "features.ts").write_text(generate(PREBUILT, "typescript"), encoding="utf-8")
    text, marks = re.subn(r"// @ts-expect-error.*", "", (HERE / "usage.ts").read_text("utf-8"))
    (tmp_path / "usage.ts").write_text(text, encoding="utf-8")
    assert tsc(tmp_path).stdout.count("usage.ts(") == marks == 4
