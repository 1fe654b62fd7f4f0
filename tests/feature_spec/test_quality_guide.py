"""The table of checks in the guide is the code's; `python -m tests.feature_spec.test_quality_guide` writes it."""

from __future__ import annotations

import math
import re
from pathlib import Path

from feature_spec.quality.report import RULES, THRESHOLD
from feature_spec.quality.rules import Rule

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "quality.md"
TABLE = re.compile(r"(<!-- checks: [^>]* -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def harm(rule: Rule) -> str:
    return "any" if math.isinf(rule.harm) else f"{rule.harm:g}"


def table() -> str:
    lines = ["| dimension | check | weight | harm | what is bad |", "|---|---|---|---|---|"]
    lines += [
        f"| {rule.dimension} | `{rule.name}` | {rule.weight} | {harm(rule)} | {rule.asks} |" for rule in RULES
    ]
    return "\n".join(lines) + "\n"


def test_the_guide_has_every_check() -> None:
    page = PAGE.read_text("utf-8")
    found = TABLE.search(page)
    assert found is not None
    assert found[2] == table()
    assert f"below {THRESHOLD:g}" in page
    explained = set(re.findall(r"^\* `([a-z_]+)`", page, re.MULTILINE))
    assert explained
    assert explained <= {rule.name for rule in RULES}


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda found: found[1] + table() + found[3], PAGE.read_text("utf-8")), "utf-8")
