"""The generated Swift: it compiles without a warning and says what the reference says; needs ``make swift``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_spec.codegen.languages import generate
from tests.feature_spec.codegen.golden import example
from tests.feature_spec.codegen.typed import SPEC, Ask, mismatches, program, sayable

pytestmark = pytest.mark.slow  # Swift is too large to be fetched for every run

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def swift() -> Path:
    """The folder that ``make swift`` makes: absent, one clear skip."""
    root = Path(sys.prefix) / "swift"
    if not (root / "usr" / "bin" / "swiftc").exists():
        pytest.skip("Swift is not installed; make swift brings it")
    return root


@pytest.fixture
def ask(swift: Path) -> Callable[[str, str], Ask]:
    """What the generated file says to lines, with one text in it replaced by another."""
    command = [str(HERE.parents[2] / "scripts" / "in-swift"), str(swift)]
    compiler = [*command, "swiftc", "-parse-as-library", "-swift-version", "6", "-warnings-as-errors"]

    def build(old: str, new: str) -> Ask:
        source = generate(SPEC, "swift")
        assert old in source
        (swift / "tmp" / "Features.swift").write_text(source.replace(old, new, 1), encoding="utf-8")
        (swift / "tmp" / "answer.swift").write_bytes((HERE / "answer.swift").read_bytes())
        (swift / "tmp" / "example.swift").write_text(example("swift"), encoding="utf-8")
        files = ["/tmp/example.swift", "/tmp/Features.swift", "/tmp/answer.swift", "-o", "/tmp/answer"]
        found = subprocess.run([*compiler, *files], capture_output=True, text=True, timeout=240, check=False)
        assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
        return program([*command, "/tmp/answer"])

    return build


def test_every_vector_is_answered(ask: Callable[[str, str], Ask]) -> None:
    assert len(sayable()) > 250
    assert mismatches(ask("", "")) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("windowDays = 90", "windowDays = 89"),
        (
            'case session = "session"\n        case message = "message"',
            'case message = "message"\n        case session = "session"',
        ),
        ("daily 0 0 0 1 ", "daily 0 0 0 2 "),
    ],
)
def test_the_vectors_notice(right: str, wrong: str, ask: Callable[[str, str], Ask]) -> None:
    assert mismatches(ask(right, wrong)) != []
