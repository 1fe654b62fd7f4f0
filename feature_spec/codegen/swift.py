"""The generated file for Swift: Foundation, nothing else."""

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
    "as break case catch class continue default defer deinit do else enum extension fallthrough false for func guard "
    "if import in init inout internal is let nil operator private protocol public repeat rethrows return self static "
    "struct subscript super switch throw throws true try typealias var where while "
    "allCases definition hash hashValue index rawValue"
)
"""Words that a case cannot be called: the language's, and the members of the generated types."""

_KINDS = {int: "Int", str: "String", float: "Double"}


def constants(plan: Plan) -> Iterator[str]:
    """The lines above the runtime."""
    yield from plan.header("swift")
    yield "import Foundation"
    yield ""
    yield "/// The day input and the features of one feature spec."
    yield "public enum CoachFeatures {"
    yield f"    public static let specFingerprint = {quoted(plan.fingerprint)}"
    for name, value in NUMBERS:
        yield f"    public static let {camel_case(name)} = {value!r}"
    for _, name, words in WORDS:
        yield from _cases(name, words)
    yield from _features(plan)
    yield ""
    yield "    // An operator, its parameters, and the indexes of the steps it takes."
    yield '    private static let program = """'
    yield from (f"        {line}" for line in plan.lines)
    yield '        """'
    yield f"    private static let outputs = [{', '.join(map(str, plan.outputs))}]"
    yield "}"


def _cases(name: str, words: tuple[str, ...]) -> Iterator[str]:
    yield ""
    yield f"    public enum {name}: String, CaseIterable, Sendable {{"
    cases = camel_names(words, _RESERVED)
    yield from (f"        case {cases[word]} = {quoted(word)}" for word in words)
    yield ""
    yield "        /// Its place in the tensors."
    yield "        var index: Int { Self.allCases.firstIndex(of: self)! }"
    yield "    }"


def _features(plan: Plan) -> Iterator[str]:
    yield from _cases("FeatureName", plan.spec.names)
    yield ""
    yield "    /// Every value lies within `low` and `high`, and is `missing` where nothing is known."
    yield "    /// It is fresh for `ttlS` seconds."
    yield "    public struct Feature: Sendable {"
    yield from (f"        public let {camel_case(name)}: {_KINDS[kind]}" for name, kind in FEATURE_FIELDS)
    yield "    }"
    yield ""
    yield "    public static func definition(_ name: FeatureName) -> Feature {"
    yield "        switch name {"
    cases = camel_names(plan.spec.names, _RESERVED)
    for feature in plan.features:
        yield from comment(feature.meaning, "        // ")
        values = (f"{camel_case(name)}: {value}" for name, value in feature_values(feature, quoted))
        yield f"        case .{cases[feature.name]}:"
        yield f"            return Feature({', '.join(values)})"
    yield "        }"
    yield "    }"
