"""The registry as rows and as one definition after the other, for ``edge features list`` and ``show``."""

from __future__ import annotations

from typing import Any

from feature_spec.definition import Feature
from feature_spec.program import flatten
from feature_spec.program_text import core_form
from feature_spec.registry.entry import Definition, Input, status
from feature_spec.registry.registry import Registry
from feature_spec.units import UNITS


def rows(registry: Registry) -> list[dict[str, Any]]:
    """One row a name; ``formula`` is None for what is not computed."""
    return [
        {
            "name": item.name,
            "group": group.name,
            "status": status(item),
            "version": item.version,
            "unit": item.unit,
            "low": _plain(item.low),
            "high": _plain(item.high),
            "missing": _plain(item.missing),
            "ttl_s": item.ttl_s,
            "formula": item.formula if isinstance(item, Feature) else None,
        }
        for group, item in registry
    ]


def _plain(value: float | str) -> float | int | str:
    """A whole number without a fraction, so that 86400 is not read as 8.64e+04."""
    return int(value) if isinstance(value, float | int) and float(value).is_integer() else value


def shown(registry: Registry, name: str) -> dict[str, Any]:
    """All that is known of one name.

    Raises:
        DefinitionError: there is no such name; the message names the nearest.
    """
    group, item = registry.find(name)
    return {"group": group.name, "status": status(item), **_definition(item)}


def _definition(item: Definition) -> dict[str, Any]:
    document = item.to_json()
    if isinstance(item, Input):
        return document | {"columns": [*item.columns], "takes": item.takes}
    return {
        **{key: value for key, value in document.items() if key not in {"expression", "known"}},
        "counts": str(UNITS[item.unit]),
        "formula": item.formula,
        "known_where": "always" if item.known is None else str(item.known),
        "core": core_form(flatten([item.guarded])),
        "definition": {"expression": document["expression"], "known": document["known"]},
    }
