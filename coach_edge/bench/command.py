"""``edge bench``: figures beside their controls."""

from __future__ import annotations

import importlib
from typing import Any

import click

from coach_edge.bench import machine

BENCHES = {
    "faults": "coach_edge.bench.faults",
    "features": "coach_edge.bench.features",
    "load": "coach_edge.bench.load",
    "predict": "coach_edge.bench.predict",
    "update": "coach_edge.bench.update",
    "warehouse": "coach_edge.bench.warehouse",
}
"""Name -> module with ``run(rounds)``, which returns the figures."""

FORMAT_VERSION = 1


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(sorted(BENCHES)))
@click.option(
    "--rounds",
    type=click.IntRange(5, 1000),
    default=15,
    show_default=True,
    help="How often ours and the control are measured in turn; the median counts.",
)
def bench(names: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """Measure NAMES (default: all) beside their controls, interleaved in one run.

    Name what you want to see: all take many minutes, and nothing is printed before the end.
    """
    results = [measure(name, rounds) for name in names or sorted(BENCHES)]
    return results[0] if len(results) == 1 else {"benches": results}


def measure(name: str, rounds: int) -> dict[str, Any]:
    """One bench as its JSON document."""
    figures = importlib.import_module(BENCHES[name]).run(rounds=rounds)
    return {"bench": name, "version": FORMAT_VERSION, "machine": machine.describe(), "figures": figures}
