"""Numbers that no event carries: what the registry of features says of those that it declares as inputs."""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import Final

from edge_sdk.errors import InputError
from feature_spec.definition import DEFAULT_TTL_S
from feature_spec.errors import DataError
from feature_spec.numbers import is_number, shown
from feature_spec.registry import REGISTRY, Input

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}(\.[a-z][a-z0-9_]{0,62})?")
"""Of a column: a feature, or a category of one behind a dot."""


@cache
def _inputs() -> dict[str, Input]:
    return {definition.name: definition for _, definition in REGISTRY if isinstance(definition, Input)}


def check_name(name: object) -> str:
    """Refuse what is no name of a column.

    Raises:
        InputError: it is none.
    """
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise InputError(f"the name {name!r:.80} is not lower_case_words of at most 63 characters")
    return name


def columns_of(name: object, value: object) -> dict[str, float]:
    """What is kept of a value that is reported: one number, or one for each category of an input that has some.

    A name that the registry does not know takes any finite number.

    Raises:
        InputError: a computed feature, or a value that the input does not take.
    """
    checked = check_name(name)
    declared = _inputs().get(checked)
    if declared is not None:
        if value is None:
            raise InputError(f"{checked} is not known; then report nothing")
        try:
            return dict(zip(declared.columns, declared.encode(value), strict=True))
        except DataError as error:
            raise InputError(str(error)) from error
    if checked in REGISTRY.names:
        raise InputError(f"{checked} is computed from events; record those")
    whole = _inputs().get(checked.partition(".")[0])
    if whole is not None:
        raise InputError(f"{checked} is a part of {whole.name}; report that")
    if not is_number(value, -sys.float_info.max, sys.float_info.max):
        raise InputError(f"{checked} is {shown(value)}; report a finite number")
    return {checked: float(value)}  # type: ignore[arg-type]


def ttl_of(column: str) -> float:
    """Seconds for which a reported number is fresh."""
    declared = _inputs().get(column.partition(".")[0])
    return float(DEFAULT_TTL_S if declared is None else declared.ttl_s)
