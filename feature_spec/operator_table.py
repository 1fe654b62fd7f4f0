"""The tables of docs/protocol/features.md, made from the code; a test compares the page with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from feature_spec import operators
from feature_spec.operators import OPERATORS
from feature_spec.units import ENTRIES, SUMS, UNITS

_LETTERS: Final = {
    operators.CHANNEL: "channel",
    operators.WEIGHTS: "{type: weight, ...}",
    operators.ENTRY: "entry",
    operators.NUMBER: "k",
    operators.HALF_LIFE: "h",
    operators.WINDOW: "n",
    operators.SHARE: "q",
    operators.BOUNDS: "[k, ...]",
}


def tables() -> dict[str, str]:
    """The tables by name, as Markdown."""
    return {
        "core": _operators(core=True),
        "surface": _operators(core=False),
        "units": _rows(
            ("unit", "counts"), [(", ".join(names), f"`{counts}`") for counts, names in _texts().items()]
        ),
        "inputs": _rows(
            ("input", "counts"),
            [
                ("channels `count` and `values` of any event type", "`event/time`"),
                *((f"channel `sum` of `{name}`", f"`{unit}`") for name, unit in SUMS.items()),
                *((f"entry `{name}`", f"`{unit}`") for name, unit in ENTRIES.items()),
            ],
        ),
    }


def _operators(core: bool) -> str:
    rows = []
    for op, row in OPERATORS.items():
        if row.core is core:
            takes = ", ".join(row.arguments) or "–"
            rows.append((f"`{_json(op)}`", takes, row.result, row.meaning))
    return _rows(("JSON", "arguments", "result", "meaning"), rows)


def _json(op: str) -> str:
    if op == "const":
        return "1.5"
    parameters = [_LETTERS[kind] for kind in OPERATORS[op].parameters]
    if op == "clip":
        parameters = ["low", "high"]
    letters = "abc"[: len(OPERATORS[op].arguments)]
    return f"[{', '.join([json.dumps(op), *parameters, *letters])}]"


def _texts() -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for name, unit in UNITS.items():
        texts.setdefault(str(unit), []).append(name)
    return texts


def _rows(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [" | ".join(line) for line in (head, *rows)]
    return "\n".join([f"| {lines[0]} |", "|---" * len(head) + "|", *(f"| {line} |" for line in lines[1:])])
