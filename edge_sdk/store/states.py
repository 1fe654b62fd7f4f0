"""The one pointer: a row of generations, of which the highest whole one counts.

A new state is written under the next number, by a name that only one writer can take: compare-and-swap without
a lock. Who was too slow begins again from the state that won, so no change is lost and no mark goes back, even
where locks do not work. A few old generations stay, so that a damaged newest one costs one step and not all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge_sdk.errors import FormatError, RetryLater, StoreError
from edge_sdk.store.disk import Disk, Stamp
from edge_sdk.store.state import State

KEPT: Final = 3
"""Generations that stay. More than one, so that a reader who lists while others write finds one of them."""
REMEMBERED: Final = 32
"""Commits that a state names: a writer finds its own there if others went on from it."""
_TRIES: Final = 1000
_NAME: Final = re.compile(r"([0-9]{12})\.json")


class States:
    """The states in a folder.

    Args:
        folder: where they lie; it must exist before anything is written.
        disk: how to reach them.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._known: tuple[Stamp | None, State] | None = None

    def exists(self) -> bool:
        """Whether any generation was ever written here."""
        return bool(self._numbers())

    def newest(self) -> State:
        """The state that counts now; read again only when there is a newer one.

        Raises:
            StoreError: there is none that is whole.
        """
        known = self._known
        if known is not None:
            stamp, state = known
            # The stamp, since somebody who is far behind may take the number anew, for a moment.
            if (
                self._disk.stamp(self._path(state.generation + 1)) is None
                and self._disk.stamp(self._path(state.generation)) == stamp
            ):
                return state
        return self._read()[0]

    def change(self, step: Callable[[State], State], *, durable: bool = True) -> State:
        """Make ``step`` of the newest state the newest.

        Args:
            step: pure; called again with a newer state where another writer was quicker. What it raises ends
                the change. A state that it returns unchanged is not written.
            durable: whether a power cut leaves it; otherwise it may bring back the one before, as for a damaged one.

        Raises:
            RetryLater: others are quicker time and again.
        """
        for _ in range(_TRIES):
            before, highest = self._read()
            after = step(before)
            if after == before:
                return before
            commit = self._disk.system.random(8).hex()
            commits = (*before.commits, commit)[-REMEMBERED:]
            # Above the highest name, whole or not: the name of a damaged one is taken too.
            after = replace(after, generation=highest + 1, commits=commits)
            if self.add(after, durable=durable):
                return after
        raise RetryLater(f"others keep changing {self._folder.parent}; try again")

    def add(self, state: State, *, durable: bool = True) -> bool:
        """Write a state under its own number; False where others were quicker."""
        path = self._path(state.generation)
        if not self._disk.write_new(path, state.to_bytes(), durable=durable):
            return False
        stamp = self._disk.stamp(path)
        if self._numbers()[-1:] == [state.generation]:
            self._known = stamp, state
            return True
        newest, _highest = self._read()
        if set(state.commits[-1:]) & set(newest.commits):
            return True  # others went on from this one
        # The number was free because it had been tidied away: others were far ahead already.
        self._disk.remove(path)
        return False

    def tidy(self) -> None:
        """Remove what is older than the generations to keep."""
        for number in self._numbers()[:-KEPT]:
            self._disk.remove(self._path(number))

    def forget(self) -> None:
        """Remove all but the newest: what older ones tell is to be gone."""
        numbers = self._numbers()  # first, so that none newer than what counts is among them
        newest, _highest = self._read()
        for number in numbers:
            if number != newest.generation:
                self._disk.remove(self._path(number))

    def _read(self) -> tuple[State, int]:
        """The newest whole state, and the highest number that is taken."""
        for _ in range(_TRIES):
            numbers = self._numbers()
            for number in reversed(numbers):
                state = self._state(number)
                if state is not None:
                    return state, numbers[-1]
            if numbers == self._numbers():  # else others wrote and tidied up meanwhile
                break
        raise StoreError(
            f"{self._folder} holds no whole state; delete the folder {self._folder.parent} and fetch again, "
            "nothing else is lost"
        )

    def _state(self, number: int) -> State | None:
        """The state of this number; None where it is gone, or torn or rotten: then the one before is one step old."""
        stamp = self._disk.stamp(self._path(number))
        if self._known is not None and stamp is not None:
            known_stamp, known = self._known
            if (known.generation, known_stamp) == (number, stamp):
                return known
        data = self._disk.read(self._path(number))
        if data is None:
            return None
        try:
            state = replace(State.from_bytes(data), generation=number)
        except FormatError:
            return None
        self._known = stamp, state
        return state

    def _numbers(self) -> list[int]:
        matches = (_NAME.fullmatch(name) for name in self._disk.names(self._folder))
        return [int(match[1]) for match in matches if match]

    def _path(self, generation: int) -> Path:
        return self._folder / f"{generation:012d}.json"
