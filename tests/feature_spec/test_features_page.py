"""The page of the language says what the code does: its tables are the code's, its examples are read."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from feature_spec import Feature
from feature_spec.expression import MAX_DEPTH, MAX_NODES
from feature_spec.operator_table import tables
from feature_spec.operators import CORE, OPERATORS
from feature_spec.parameters import MAX_BOUNDS
from feature_spec.program import MAX_STEPS

PAGE = Path(__file__).parents[2] / "docs/protocol/features.md"
TEXT = PAGE.read_text("utf-8")


@pytest.mark.parametrize("name", sorted(tables()))
def test_a_table_is_that_of_the_code(name: str) -> None:
    """Failed? ``python -m tests.feature_spec.test_features_page`` writes the tables anew."""
    written = re.search(f"<!-- {name} -->\n(.*?)<!-- /{name} -->", TEXT, re.DOTALL)
    assert written is not None
    assert written[1].strip() == tables()[name]


def test_every_operator_and_key_is_on_the_page() -> None:
    assert all(f'["{op}"' in TEXT for op in OPERATORS if op != "const")
    assert all(f"`{item.name}`" in TEXT for item in fields(Feature))
    assert len(CORE) == 19
    assert "nineteen *core* operators" in TEXT


def test_the_limits_are_the_code_s() -> None:
    words = " ".join(TEXT.split())
    assert f"at most {MAX_DEPTH} operators deep" in words
    assert f"at most {MAX_NODES:,} operators when written out" in words
    assert f"at most {MAX_STEPS:,} distinct core steps" in words
    assert f"bounds are 1 to {MAX_BOUNDS} ascending" in words


if __name__ == "__main__":
    for key, table in tables().items():
        TEXT = re.sub(
            f"<!-- {key} -->\n.*?<!-- /{key} -->",
            lambda _, key=key, table=table: f"<!-- {key} -->\n{table}\n<!-- /{key} -->",  # type: ignore[misc]
            TEXT,
            flags=re.DOTALL,
        )
    PAGE.write_text(TEXT, "utf-8")
