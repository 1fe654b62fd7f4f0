"""The vectors for typed languages: their inputs as lines, and a spec that has every operator besides."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from typing import Any, Final

from feature_spec.definition import FeatureSpec
from feature_spec.prebuilt import PREBUILT
from tests.feature_spec.codegen import golden
from tests.feature_spec.codegen.lines import NoSuchInput, encoded

_OPERATORS: Final = golden.spec_of_every_operator()
SPEC: Final = FeatureSpec((*PREBUILT.features, *_OPERATORS.features))
"""What the sources under test are generated from."""

Ask = Callable[[str], list[golden.Answer]]
"""What a program says to lines."""


def program(command: Sequence[str]) -> Ask:
    """A compiled program that reads lines and prints one JSON document for each input."""

    def run(lines: str) -> list[golden.Answer]:
        found = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120, check=False)
        assert found.returncode == 0, found.stderr
        return [json.loads(line) for line in found.stdout.splitlines()]

    return run


def sayable() -> list[tuple[dict[str, Any], str]]:
    """The vectors whose input a typed language can say, with their lines: all but some of those to refuse."""
    found = []
    for vector in golden.vectors():
        try:
            found.append((vector, encoded(vector["input"])))
        except NoSuchInput:
            # An unknown key, a text where a number belongs: what the compiler refuses.
            assert vector["reason"].startswith(("bad-", "unknown-"))
    return found


def mismatches(ask: Ask, more: Callable[[Any], str] = lambda _: "") -> list[str]:
    """The names of the vectors that were answered wrongly, be it in one of the operators.

    Args:
        ask: the program.
        more: lines before those of an input.
    """
    pairs = sayable()
    expected = [vector for vector, _ in pairs]
    answers = ask("".join(more(vector["input"]) + lines for vector, lines in pairs))
    own, wrong = len(PREBUILT.features), []
    for vector, answer in zip(expected, answers, strict=True):
        if "features" in answer and "output" in vector:
            right = golden.reference(_OPERATORS, vector["input"])
            if not all(golden.are_close(answer["features"][own:], right)):
                wrong.append(vector["name"])
            answer["features"] = answer["features"][:own]
    return wrong + golden.mismatches(expected, answers)
