"""The generated file for TypeScript: one module without dependencies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from feature_spec.codegen.plan import (
    FEATURE_FIELDS,
    NUMBERS,
    WORDS,
    Plan,
    comment,
    decimal,
    feature_values,
    quoted,
)
from feature_spec.operators import CORE, ELEMENTWISE


def constants(plan: Plan) -> Iterator[str]:
    """The lines above the runtime."""
    yield from plan.header("typescript")
    yield f'export const SPEC_FINGERPRINT = "{plan.fingerprint}";'
    yield from (f"export const {name} = {decimal(value)};" for name, value in NUMBERS)
    for name, kind, words in (*WORDS, ("FEATURE_NAMES", "FeatureName", plan.spec.names)):
        yield ""
        yield f"export const {name} = ["
        yield from (f'  "{word}",' for word in words)
        yield "] as const;"
        yield f"export type {kind} = (typeof {name})[number];"
    yield from _features(plan)
    yield from _program(plan)


def _features(plan: Plan) -> Iterator[str]:
    yield ""
    yield "/** Lies within `low` and `high`, is `missing` where nothing is known, and is fresh for `ttl_s` seconds. */"
    yield "export interface Feature {"
    for name, kind in FEATURE_FIELDS:
        yield f"  readonly {name}: {'string' if kind is str else 'number'};"
    yield "}"
    yield ""
    yield "export const FEATURES: Readonly<Record<FeatureName, Feature>> = {"
    for feature in plan.features:
        yield from comment(feature.meaning, "  // ")
        values = ", ".join(f"{name}: {value}" for name, value in feature_values(feature, quoted))
        yield f"  {feature.name}: {{ {values} }},"
    yield "};"


def _program(plan: Plan) -> Iterator[str]:
    yield ""
    yield f"type Elementwise = {_union(ELEMENTWISE)};"
    yield f"type Operator = Elementwise | {_union(CORE - set(ELEMENTWISE))};"
    yield "/** An operator, its parameters, and the indexes of the steps it takes. */"
    yield "type Step = readonly [op: Operator, ...numbers: number[]];"
    yield ""
    yield "const PROGRAM: readonly Step[] = ["
    for line in plan.lines:
        yield f"  [{', '.join([json.dumps(line.op), *map(decimal, line.numbers)])}],"
    yield "];"
    yield f"const OUTPUTS: readonly number[] = [{', '.join(map(str, plan.outputs))}];"


def _union(words: Iterable[str]) -> str:
    return " | ".join(json.dumps(word) for word in sorted(words))
