"""Programs as formulas for people."""

from __future__ import annotations

from collections import Counter

from feature_spec.expression_text import call
from feature_spec.program import Program


def core_form(program: Program) -> list[str]:
    """What evaluators compute, one line a step that is used more than once, the results last."""
    uses = Counter(arg for step in program.steps for arg in step.args)
    texts: list[str] = []
    lines: list[str] = []
    for index, step in enumerate(program.steps):
        text = call(step.op, step.value, [texts[arg] for arg in step.args])
        if uses[index] > 1 and step.args:
            lines.append(f"x{len(lines)} = {text}")
            text = lines[-1].partition(" ")[0]
        texts.append(text)
    return [*lines, *(f"= {texts[index]}" for index in program.outputs)]
