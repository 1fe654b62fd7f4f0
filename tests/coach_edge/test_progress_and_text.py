"""What a person sees: bars only when there is something to show, and text that fits."""

from __future__ import annotations

import io
import sys

import pytest

from coach_edge.progress import terminal_progress
from coach_edge.render import lines


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_left_alone_until_there_is_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with terminal_progress() as progress:
        assert terminal.getvalue() == ""  # a passphrase may be asked for, or a server run for days
        progress("train", 1, 5)
    assert "train" in terminal.getvalue()
    assert "1/5" in terminal.getvalue()


def test_no_terminal_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with terminal_progress() as progress:
        progress("train", 1, 5)
    assert file.getvalue() == ""


def test_figures_of_the_same_parts_are_one_table() -> None:
    figures = {
        "auc": {"value": 0.91234, "n": 5},
        "f1": {"value": 0.8, "n": 5},
        "rules": {"actions": ["a", "b"]},
    }
    assert lines(figures, "") == [
        "      value  n",
        "auc  0.9123  5",
        "f1      0.8  5",
        "rules:",
        "  actions: a, b",
    ]


def test_long_lists_are_folded_between_their_items() -> None:
    row = {"who": "ada", "why": [f"reason_{number}" for number in range(6)]}
    assert lines([row], "") == [
        "who  why",
        "ada  reason_0, reason_1, reason_2, reason_3,",
        "     reason_4, reason_5",
    ]


def test_rows_that_are_too_wide_become_blocks() -> None:
    wide = {f"column_{number:02}": "x" * 20 for number in range(10)}
    assert lines([wide], "")[:2] == ["1.", "  column_00: " + "x" * 20]


def test_a_tree_is_one_line() -> None:
    assert lines({"tree": ["add", ["day"], 1]}, "") == ["tree:", '  ["add", ["day"], 1]']
