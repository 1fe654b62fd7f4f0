"""Feature specs from files that others wrote: read strictly, or refused in one line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NoReturn

from feature_spec.definition import FeatureSpec
from feature_spec.errors import DataError, DefinitionError

MAX_BYTES: Final = 1_000_000
"""A hundred features take a tenth of this."""


def read_spec(path: Path) -> FeatureSpec:
    """The spec in a file: the ``feature_spec.json`` of a model, or one that ``FeatureSpec.to_json`` describes.

    JSON of the strict kind: no name twice in an object, no NaN, no infinity.

    Raises:
        DataError: the file cannot be read, is too large, or is no such JSON.
        DefinitionError: it is no feature spec, or one that does not hold.
    """
    hint = "name the feature_spec.json of a model"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {hint}") from error
    if len(data) > MAX_BYTES:
        raise DataError(f"{path}: more than {MAX_BYTES:,} bytes are no feature spec; {hint}")
    try:
        document = json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply to be a feature spec; {hint}") from error
    except ValueError as error:
        raise DataError(f"{path}: is no JSON ({str(error)[:120]}); {hint}") from error
    try:
        return FeatureSpec.from_json(document)
    except DefinitionError as error:
        raise DefinitionError(f"{path}: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the name '{key[:40]}' comes twice in one object")
        found[key] = value
    return found


def _refuse(token: str) -> NoReturn:
    raise ValueError(f"{token} is no number of JSON")


def refuse_names(spec: FeatureSpec, columns: Iterable[str]) -> None:
    """Refuse a spec whose features cannot stand beside ``columns`` in one table.

    Raises:
        DataError: a feature is called like one of them.
    """
    for name in columns:
        if name in spec.names:
            raise DataError(f"the feature '{name}' is called like another column of the result; rename it")
