"""The generated Dart: it says what the reference says, with the offsets of zones that an app gives it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_spec.codegen.languages import generate
from feature_spec.prebuilt import PREBUILT
from tests.feature_spec.codegen.golden import example
from tests.feature_spec.codegen.lines import zone_lines
from tests.feature_spec.codegen.typed import SPEC, Ask, mismatches, program, sayable

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def dart(compilers: Path) -> str:
    """A Dart that runs sources: absent, one clear skip here and a failure in CI."""
    path = shutil.which("dart") or str(compilers / "sass-embedded-linux-ia32" / "dart-sass" / "src" / "dart")
    try:
        subprocess.run([path, "--version"], capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        message = (
            f"no Dart runs here ({error}); make compilers and scripts/install-system bring one for Linux"
        )
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return path


@pytest.fixture
def ask(dart: str, tmp_path: Path) -> Callable[[str, str], Ask]:
    """What the generated file says to lines, with one text in it replaced by another."""

    def build(old: str, new: str) -> Ask:
        source = generate(SPEC, "dart")
        assert old in source
        (tmp_path / "features.dart").write_text(source.replace(old, new, 1), encoding="utf-8")
        shutil.copy(HERE / "answer.dart", tmp_path)
        return program([dart, str(tmp_path / "answer.dart")])

    return build


def test_every_vector_is_answered(ask: Callable[[str, str], Ask]) -> None:
    assert len(sayable()) > 250
    assert mismatches(ask("", ""), zone_lines) == []


def test_the_example_of_the_guide(dart: str, tmp_path: Path) -> None:
    (tmp_path / "features.dart").write_text(generate(PREBUILT, "dart"), encoding="utf-8")
    (tmp_path / "example.dart").write_text(example("dart"), encoding="utf-8")
    call = "completionRate([], '2026-01-01', 'UTC', (name) => (instant) => 0)"
    (tmp_path / "app.dart").write_text(
        f"import 'example.dart';\nvoid main() => print({call});\n", encoding="utf-8"
    )
    command = [dart, str(tmp_path / "app.dart")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "0.5\n", "")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("windowDays = 90", "windowDays = 89"),
        ('session("session"),\n  message("message")', 'message("message"),\n  session("session")'),
        ("daily 0 0 0 1 ", "daily 0 0 0 2 "),
        ("local % _day < 12", "local % _day <= 12"),
    ],
)
def test_the_vectors_notice(right: str, wrong: str, ask: Callable[[str, str], Ask]) -> None:
    assert mismatches(ask(right, wrong), zone_lines) != []
