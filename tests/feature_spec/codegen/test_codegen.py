"""``edge features codegen``: the same file every time, and a check that it is the right one."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coach_edge.cli import run
from feature_spec.codegen.languages import LANGUAGES, generate
from feature_spec.definition import FeatureSpec
from feature_spec.operators import CORE
from feature_spec.prebuilt import PREBUILT
from tests.feature_spec.codegen.golden import spec_of_every_operator

every_language = pytest.mark.parametrize("language", LANGUAGES)


def codegen(*arguments: object) -> int:
    return run(["features", "codegen", *map(str, arguments)])


@every_language
def test_the_file_names_its_spec_and_its_generator(language: str, tmp_path: Path) -> None:
    assert codegen("--lang", language, "--out", tmp_path) == 0
    (path,) = tmp_path.iterdir()
    assert path.name == LANGUAGES[language].file
    text = path.read_text("utf-8")
    assert text == generate(PREBUILT, language)
    first, second, *_ = text.splitlines()
    assert f"codegen --lang {language}" in first
    assert PREBUILT.fingerprint() in second
    assert text.endswith("\n")


@every_language
def test_the_file_does_not_depend_on_the_order_of_sets(language: str, tmp_path: Path) -> None:
    code = f"from coach_edge.cli import run; run(['features', 'codegen', '--lang', {language!r}, '--out', 'out'])"
    texts = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=120)
        texts.add((tmp_path / "out").read_text("utf-8"))
    assert texts == {generate(PREBUILT, language)}


def test_every_operator_has_its_case() -> None:
    assert {step.op for step in spec_of_every_operator().program.steps} == CORE


@every_language
def test_another_spec_gives_another_file(language: str, tmp_path: Path) -> None:
    spec = FeatureSpec(PREBUILT.features[3:5])
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_json()), encoding="utf-8")
    out = tmp_path / "out.txt"
    assert codegen("--lang", language, "--out", out, "--spec", tmp_path / "spec.json") == 0
    assert out.read_text("utf-8") == generate(spec, language) != generate(PREBUILT, language)


@every_language
def test_the_check(language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "generated"
    arguments = ("--lang", language, "--out", path, "--check")
    assert codegen(*arguments) == 1
    assert codegen(*arguments[:-1]) == 0
    assert codegen(*arguments) == 0
    path.write_text(path.read_text("utf-8").replace("90", "89", 1), encoding="utf-8")
    before = path.read_bytes()
    capsys.readouterr()
    assert codegen(*arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "without --check" in shown.err
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff", b'{"version": 99}', b"[" * 100_000])
def test_a_bad_spec_is_one_clear_line(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "spec.json"
    if content is not None:
        spec.write_bytes(content)
    assert codegen("--lang", "typescript", "--out", tmp_path / "out.ts", "--spec", spec) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"edge: {spec}: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out.ts").exists()


def test_an_unknown_language_is_wrong_usage(tmp_path: Path) -> None:
    assert codegen("--lang", "cobol", "--out", tmp_path) == 2


@every_language
def test_no_text_of_a_spec_leaves_its_comment(language: str) -> None:
    """A spec comes with a model, and what it says of itself never becomes code."""
    hostile = "*/ intrude(); /* ${intrude()} \\(intrude())\n intrude()\u2028intrude()\x00"
    feature = dataclasses.replace(PREBUILT.features[0], meaning=hostile)
    text = generate(FeatureSpec((feature, *PREBUILT.features[1:])), language)
    lines = [line for line in text.split("\n") if "intrude" in line]
    assert lines
    assert all(line.lstrip().startswith("//") for line in lines)
    assert not {"\u2028", "\x00", "\r"} & set(text)
