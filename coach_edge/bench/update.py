"""What an update costs: bytes fetched twice, of a refresh without news, of deltas; and beside other clients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from coach_edge.bench import deltas, update_refresh, update_resume, update_rivals
from coach_edge.bench.update_driving import make_world

_WIDTH: Final = 1600  # of two layers: a bundle of 10 MB
_KILLS: Final = 25


def run(
    rounds: int = 15,
    width: int = _WIDTH,
    delta_widths: Sequence[int] = deltas.WIDTHS,
    kills: int = _KILLS,
) -> list[dict[str, Any]]:
    """Measure.

    Args:
        rounds: how often what depends on time or chance is measured.
        width: of the model that is fetched; 4 bytes for each of its square.
        delta_widths: of the models between which deltas lead.
        kills: how often each client is killed.

    Returns:
        The figures, in the form that ``edge bench`` prints.

    Raises:
        MissingExtraError: the extra ``bench`` is not installed.
    """
    world = make_world(width)
    with TemporaryDirectory(prefix="edge-bench-") as base:
        folder = Path(base)
        return [
            *update_refresh.figures(folder / "refresh"),
            *update_resume.figures(world, folder / "resume", rounds),
            *deltas.figures(rounds, widths=delta_widths),
            *update_rivals.figures(world, folder / "rivals", rounds, kills),
        ]
