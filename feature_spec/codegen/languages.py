"""The languages, and the one file that is generated for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Final

from feature_spec.codegen import dart, kotlin, swift, typescript
from feature_spec.codegen.plan import Plan
from feature_spec.definition import FeatureSpec


@dataclass(frozen=True)
class Language:
    """How a file is made: the lines that depend on the spec, and below them a file that does not.

    Attributes:
        file: name of the generated file where only a folder is given, and of the file in ``runtime/``.
        constants: the lines that depend on the spec.
    """

    file: str
    constants: Callable[[Plan], Iterable[str]]


LANGUAGES: Final[dict[str, Language]] = {
    "dart": Language("features.dart", dart.constants),
    "kotlin": Language("Features.kt", kotlin.constants),
    "swift": Language("Features.swift", swift.constants),
    "typescript": Language("features.ts", typescript.constants),
}
"""By the name that ``--lang`` takes."""


def generate(spec: FeatureSpec, language: str) -> str:
    """The source file for ``language``; the same spec always gives the same text."""
    chosen = LANGUAGES[language]
    runtime = resources.files("feature_spec.codegen").joinpath("runtime", chosen.file).read_text("utf-8")
    return "\n".join([*chosen.constants(Plan(spec)), "", runtime])
