"""Local differential privacy: noise that is added on the device, before anybody else sees a report.

What is protected is everything that was counted for one report: whatever a device did, any report comes out with about
the same probability, up to a factor of exp(epsilon). The noise is far larger than the counts of one device; it has the
mean 0, so that sums over very many devices (a million, say) still tell something.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from itertools import accumulate
from pathlib import Path
from typing import Final, TypeVar

from edge_sdk.contract.telemetry import Privacy, Tally
from edge_sdk.errors import InputError
from edge_sdk.health.noise import Dice, discrete_laplace
from edge_sdk.store.disk import Disk
from edge_sdk.store.system import Clock

K = TypeVar("K")
_SLOT: Final = "spent-"


@dataclass(frozen=True)
class PrivacySettings:
    """How much a device tells.

    Attributes:
        epsilon_milli: thousandths of epsilon for one report.
        daily_epsilon_milli: for all reports of a day (UTC) together; what does not fit waits for another day.
        contribution: at most so many observations of each histogram go into a report.
    """

    epsilon_milli: int = 1000
    daily_epsilon_milli: int = 2000
    contribution: int = 100

    def __post_init__(self) -> None:
        if not 1 <= self.epsilon_milli <= self.daily_epsilon_milli or self.contribution < 1:
            raise InputError(
                "epsilon_milli is from 1 to daily_epsilon_milli, and contribution at least 1; got "
                f"{self.epsilon_milli}, {self.daily_epsilon_milli}, {self.contribution}"
            )


@dataclass(frozen=True)
class Shape:
    """What a report has places for, whatever was counted.

    Attributes:
        counts: their names.
        histograms: how many bins each has, by name.
    """

    counts: tuple[str, ...]
    histograms: Mapping[str, int]

    def sensitivity(self, contribution: int) -> int:
        """How far apart, in the sum of all counts, two bounded tallies can lie: each list may be another one whole."""
        return 2 * contribution * (len(self.histograms) + 1)


def privatise(tally: Tally, shape: Shape, settings: PrivacySettings, dice: Dice) -> tuple[Tally, Privacy]:
    """The tally with noise, and what noise it is."""
    sensitivity = shape.sensitivity(settings.contribution)
    scale = (1000 * sensitivity, settings.epsilon_milli)

    def noisy(counts: Mapping[K, int], places: Iterable[K]) -> Counter[K]:
        kept = bounded(counts, settings.contribution, dice)
        return Counter({place: kept[place] + discrete_laplace(*scale, dice) for place in places})

    known = {name: tally.counts[name] for name in shape.counts}
    histograms = {
        name: noisy(tally.histograms.get(name, {}), range(bins)) for name, bins in shape.histograms.items()
    }
    return Tally(noisy(known, shape.counts), histograms), Privacy(settings.epsilon_milli, sensitivity)


def bounded(counts: Mapping[K, int], most: int, dice: Dice) -> Counter[K]:
    """At most so many of the observations, each equally likely to be kept."""
    keys = list(counts)
    ends = list(accumulate(counts[key] for key in keys))
    total = ends[-1] if ends else 0
    if total <= most:
        return Counter(counts)
    chosen: set[int] = set()
    while len(chosen) < most:
        chosen.add(dice.below(total))
    return Counter(keys[bisect_right(ends, index)] for index in chosen)


class Budget:
    """How much of a day's epsilon is spent: a file for each report, which of several processes one can make.

    Args:
        folder: where the files are.
        disk: how to reach it.
        clock: the wall clock. Setting it back gives nothing back: the newest day that was spent on stays the day.
    """

    def __init__(self, folder: Path, disk: Disk, clock: Clock) -> None:
        self._folder, self._disk, self._clock = folder, disk, clock

    def spend(self, settings: PrivacySettings) -> bool:
        """Spend what one report costs.

        Returns:
            Whether there was as much left.

        Raises:
            StoreError: the disk refuses; nothing may be told then.
        """
        today = self._clock().astimezone(UTC).strftime("%Y%m%d")
        while True:
            slots = [name for name in self._disk.names(self._folder) if name.startswith(_SLOT)]
            day = max([today, *(name.split("-")[1] for name in slots)])
            spent = [name for name in slots if name.startswith(f"{_SLOT}{day}-")]
            already = sum(self._cost(name, settings) for name in spent)
            if already + settings.epsilon_milli > settings.daily_epsilon_milli:
                return False
            slot = self._folder / f"{_SLOT}{day}-{len(spent):06}"
            if self._disk.write_new(slot, str(settings.epsilon_milli).encode()):
                for name in set(slots) - set(spent):
                    self._disk.remove(self._folder / name)
                return True

    def _cost(self, name: str, settings: PrivacySettings) -> int:
        data = self._disk.read(self._folder / name) or b""
        # What cannot be read was spent on something: on all there is.
        return int(data) if data.isdigit() and len(data) < 10 else settings.daily_epsilon_milli
