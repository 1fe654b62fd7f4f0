"""The generated file for Dart: the core libraries; offsets of zones come from the app."""

from __future__ import annotations

from collections.abc import Iterator

from feature_spec.codegen.plan import (
    FEATURE_FIELDS,
    NUMBERS,
    WORDS,
    Plan,
    camel_case,
    camel_names,
    comment,
    feature_values,
    quoted,
)

_RESERVED = (
    "abstract as assert async await base break case catch class const continue covariant default deferred do dynamic "
    "else enum export extends extension external factory false final finally for function get hide if implements "
    "import in interface is late library mixin new null of on operator part required rethrow return sealed set show "
    "static super switch sync this throw true try type typedef var void when while with yield "
    "dtype hashCode high index key low missing name runtimeType toString ttlS unit values version"
)
"""Words that a case cannot be called: the language's, and the members of the generated types."""

_KINDS = {int: "int", str: "String", float: "double"}


def constants(plan: Plan) -> Iterator[str]:
    """The lines above the runtime."""
    yield from plan.header("dart")
    yield "import 'dart:math';"
    yield "import 'dart:typed_data';"
    yield ""
    yield f"const specFingerprint = {_text(plan.fingerprint)};"
    yield from (f"const {camel_case(name)} = {value!r};" for name, value in NUMBERS)
    for _, name, words in WORDS:
        yield ""
        yield f"enum {name} {{"
        cases = camel_names(words, _RESERVED)
        yield from _cases([f"{cases[word]}({_text(word)})" for word in words])
        yield ""
        yield f"  const {name}(this.key);"
        yield ""
        yield "  final String key;"
        yield "}"
    yield from _features(plan)
    yield ""
    yield "// An operator, its parameters, and the indexes of the steps it takes."
    yield "const _program = '''"
    yield from map(str, plan.lines)
    yield "''';"
    yield f"const _outputs = [{', '.join(map(str, plan.outputs))}];"


def _features(plan: Plan) -> Iterator[str]:
    members = [("String", "key"), *((_KINDS[kind], camel_case(name)) for name, kind in FEATURE_FIELDS)]
    yield ""
    yield "/// Every value lies within [low] and [high], and is [missing] where nothing is known."
    yield "/// It is fresh for [ttlS] seconds."
    yield "enum FeatureName {"
    cases = camel_names(plan.spec.names, _RESERVED)
    for number, feature in enumerate(plan.features, 1):
        parts = ", ".join([_text(feature.name), *(value for _, value in feature_values(feature, _text))])
        yield from comment(feature.meaning, "  // ")
        yield f"  {cases[feature.name]}({parts}){',;'[number == len(plan.features)]}"
    yield ""
    yield f"  const FeatureName({', '.join(f'this.{name}' for _, name in members)});"
    yield ""
    yield from (f"  final {kind} {name};" for kind, name in members)
    yield "}"


def _cases(cases: list[str]) -> Iterator[str]:
    yield from (f"  {case}," for case in cases[:-1])
    yield f"  {cases[-1]};"


def _text(text: str) -> str:
    return quoted(text).replace("$", "\\$")
