"""The files of a user: damaged anywhere they are refused, and never read by half."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import FormatError
from edge_sdk.features.clocks import Reading
from edge_sdk.features.columns import DTYPE
from edge_sdk.features.profile import Profile, Report
from edge_sdk.features.user_files import Main, Tail
from feature_spec.day_context import Context

pytestmark = pytest.mark.sampled

EVENTS = np.array([(1_700_000_000_000 + n, n / 7, n, 0, 1, n % 8) for n in range(5)], DTYPE)
PROFILE = Profile(
    "Europe/Berlin",
    17,
    {"": Context(goals_active=2), "ab" * 8: Context(progress=0.5, goal_start="2026-01-01")},
    {"mood": Report(0.1, Reading(1.5, -2.5, "boot", 3))},
)
TAIL = Tail("ab" * 8, 7, 1_700_000_000_000, PROFILE, EVENTS)
MAIN = Main("ab" * 8, 7, 1_600_000_000_000, EVENTS)


def test_both_come_back_as_they_were_and_are_the_same_bytes_each_time() -> None:
    tail, main = Tail.from_bytes(TAIL.to_bytes(), "tail"), Main.from_bytes(MAIN.to_bytes(), "main")
    assert (tail.life, tail.start, tail.at, tail.profile) == (TAIL.life, 7, TAIL.at, PROFILE)
    assert (main.life, main.next, main.floor) == (MAIN.life, 7, MAIN.floor)
    assert tail.events.tobytes() == main.events.tobytes() == EVENTS.tobytes()
    assert (tail.to_bytes(), main.to_bytes()) == (TAIL.to_bytes(), MAIN.to_bytes())
    assert list(tail.profile.contexts) == list(PROFILE.contexts)


@pytest.mark.parametrize("kind", [Tail, Main])
def test_damaged_anywhere_they_are_refused(kind: type[Tail | Main]) -> None:
    whole = (TAIL if kind is Tail else MAIN).to_bytes()
    for at in range(len(whole)):
        with pytest.raises(FormatError):
            kind.from_bytes(whole[:at], "cut")
        with pytest.raises(FormatError):
            kind.from_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :], "flipped")
    for other in (whole + b"\0", bytes(len(whole)), (MAIN if kind is Tail else TAIL).to_bytes()):
        with pytest.raises(FormatError):
            kind.from_bytes(other, "another")


def test_a_profile_forgets_the_goal_that_was_told_first() -> None:
    profile = Profile().told("", Context(goals_active=1))
    for number in range(40):
        profile = profile.told(f"g{number}", Context(progress=0.5))
    assert len(profile.contexts) == 32
    assert "" in profile.contexts
    assert "g39" in profile.contexts
    assert "g8" not in profile.contexts
    assert profile.context("g39") == Context(goals_active=1, progress=0.5)
