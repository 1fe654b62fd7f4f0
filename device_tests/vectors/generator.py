"""All vectors of all pages that this package makes."""

from __future__ import annotations

from pathlib import Path

from device_tests.vectors import (
    bundle_container,
    bundle_contents,
    bundle_opening,
    bundle_records,
    deltas_page,
    device_keys_page,
    encryption_page,
    features_page,
    identifiers_page,
    manifest_decisions,
    manifest_envelopes,
    manifest_updates,
    recorder_page,
    rules_page,
    telemetry_page,
)
from device_tests.vectors.vector import INDEX, Vector, index, write

PARTS = (
    identifiers_page,
    manifest_envelopes,
    manifest_updates,
    manifest_decisions,
    bundle_container,
    bundle_contents,
    bundle_records,
    bundle_opening,
    encryption_page,
    deltas_page,
    device_keys_page,
    rules_page,
    recorder_page,
    telemetry_page,
    features_page,
)


def vectors() -> tuple[Vector, ...]:
    """Every vector, in a fixed order; the same on every machine."""
    return tuple(vector for part in PARTS for vector in part.vectors())


def generate(out_dir: Path) -> None:
    """Replace the vectors of these pages below ``out_dir``, then index everything that lies there."""
    made = vectors()
    for page in {vector.page for vector in made}:
        for path in (out_dir / page).glob("*.json"):
            path.unlink()
    write(made, out_dir)
    (out_dir / INDEX).write_bytes(index(out_dir))
