"""Formulas for reading: needless parentheses gone, long ones broken over lines."""

from __future__ import annotations

from typing import Final

_LONG: Final = 66
_SUM: Final = (" +", " -")
_PRODUCT: Final = (" *", " /")
_SIGNS: Final = tuple(f" {sign} " for sign in "+-*/<")

Part = tuple[str, str]
"""An argument and what follows it: a comma, a semicolon, a sign, or nothing."""


def broken(formula: str) -> str:
    """``formula`` with a line for each argument of a call, and for each term, where it does not fit on one."""
    simple = _simple(formula)
    outer = _split(simple)
    if outer is None or outer[0] != "(":
        return "\n".join(_broken(simple, "", ""))
    whole = _joined(outer[1])
    return whole if len(whole) <= _LONG else "\n".join(_lines(outer[1], ""))


def _simple(formula: str) -> str:
    """``formula`` without needless parentheses."""
    parts = _split(formula)
    if parts is None:
        return formula
    head, arguments = parts
    chained = _chain(arguments) if head == "(" else arguments
    return head + _joined([(_simple(text), follows) for text, follows in chained]) + ")"


def _broken(formula: str, indent: str, follows: str) -> list[str]:
    whole = f"{indent}{formula}{follows}"
    parts = _split(formula)
    if parts is None or len(whole) <= _LONG:
        return [whole]
    return [f"{indent}{parts[0]}", *_lines(parts[1], indent + "  "), f"{indent}){follows}"]


def _lines(parts: list[Part], indent: str) -> list[str]:
    return [line for text, follows in parts for line in _broken(text, indent, follows)]


def _joined(parts: list[Part]) -> str:
    return " ".join(text + follows for text, follows in parts)


def _chain(parts: list[Part]) -> list[Part]:
    """``(a + b) + c`` as ``a + b + c``: signs of one rank bind from the left, so these parentheses say nothing."""
    signs = [follows for _, follows in parts[:-1]]
    first = _split(parts[0][0])
    if first is None or first[0] != "(":
        return parts
    inner = [follows for _, follows in first[1][:-1]]
    for rank in (_SUM, _PRODUCT):
        if signs and inner and set(signs) <= set(rank) and set(inner) <= set(rank):
            unfolded = _chain(first[1])
            return [*unfolded[:-1], (unfolded[-1][0], signs[0]), *parts[1:]]
    return parts


def _split(formula: str) -> tuple[str, list[Part]] | None:
    """A call or a parenthesis as its head with ``(`` and its parts; None for anything else."""
    opening = formula.find("(")
    if opening < 0 or not formula.endswith(")") or "[" in formula[:opening]:
        return None
    depth, start, parts = 0, opening + 1, []
    for place in range(opening, len(formula)):
        letter = formula[place]
        if letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
            if depth == 0 and place != len(formula) - 1:
                return None  # two parentheses beside each other: not one call
        elif depth == 1 and (letter in ",;" or formula[place - 1 : place + 2] in _SIGNS):
            parts.append((formula[start:place].strip(), letter if letter in ",;" else f" {letter}"))
            start = place + 1
    return formula[: opening + 1], [*parts, (formula[start:-1].strip(), "")]
