"""Every feature the product has a name for: computed from the log, or declared as an input that must be reported."""

from feature_spec.registry.entry import COMPUTED, INPUT, STATUSES, TEXT, Definition, Group, Input, status
from feature_spec.registry.registry import REGISTRY, Registry

__all__ = [
    "COMPUTED",
    "INPUT",
    "REGISTRY",
    "STATUSES",
    "TEXT",
    "Definition",
    "Group",
    "Input",
    "Registry",
    "status",
]
