"""The generated file for Kotlin: the JVM's and Android's java.time, nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from feature_spec.codegen.plan import (
    FEATURE_FIELDS,
    NUMBERS,
    WORDS,
    Plan,
    camel_case,
    comment,
    constant_case,
    feature_values,
    quoted,
)

_IMPORTS = (
    "java.time.DateTimeException",
    "java.time.Instant",
    "java.time.LocalDate",
    "java.time.ZoneId",
    "java.time.zone.ZoneRules",
    "kotlin.math.abs",
    "kotlin.math.floor",
    "kotlin.math.ln",
    "kotlin.math.ln1p",
    "kotlin.math.pow",
)
_KINDS = {int: "Int", str: "String", float: "Double"}
_CHUNK = 500
"""Lines of the program in one text: a constant of the JVM ends at 65,535 bytes."""


def constants(plan: Plan) -> Iterator[str]:
    """The lines above the runtime."""
    yield from plan.header("kotlin")
    yield "package coachedge.features"
    yield ""
    yield from (f"import {name}" for name in _IMPORTS)
    yield ""
    yield f"const val SPEC_FINGERPRINT = {_text(plan.fingerprint)}"
    for name, value in NUMBERS:
        yield f"const val {name} = {value!r}"
    for _, name, words in WORDS:
        yield ""
        yield f"enum class {name}(val key: String) {{"
        yield from (f"    {constant_case(word)}({_text(word)})," for word in words)
        yield "}"
    yield from _features(plan)
    yield from _program(plan)


def _features(plan: Plan) -> Iterator[str]:
    yield ""
    yield "/** Lies within [low] and [high], is [missing] where nothing is known, and is fresh for [ttlS] seconds. */"
    yield "enum class FeatureName("
    yield "    val key: String,"
    yield from (f"    val {camel_case(name)}: {_KINDS[kind]}," for name, kind in FEATURE_FIELDS)
    yield ") {"
    for feature in plan.features:
        yield from comment(feature.meaning, "    // ")
        parts = ", ".join([_text(feature.name), *(value for _, value in feature_values(feature, _text))])
        yield f"    {constant_case(feature.name)}({parts}),"
    yield "}"


def _program(plan: Plan) -> Iterator[str]:
    yield ""
    yield "// An operator, its parameters, and the indexes of the steps it takes."
    yield "private val PROGRAM = listOf("
    for start in range(0, len(plan.lines), _CHUNK):
        yield '    """'
        yield from map(str, plan.lines[start : start + _CHUNK])
        yield '""",'
    yield ")"
    yield f"private val OUTPUTS = intArrayOf({', '.join(map(str, plan.outputs))})"


def _text(text: str) -> str:
    return quoted(text).replace("$", "\\$")
