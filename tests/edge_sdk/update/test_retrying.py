"""What is tried again, how often, and after how long."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from edge_sdk.errors import DeadlineExceeded, RetryLater
from edge_sdk.update.control import Cancelled, Control
from edge_sdk.update.retrying import RetryPolicy
from edge_sdk.update.transport import Intercepted, Offline

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def policy(random: float = 1.0, tries: int = 20) -> RetryPolicy:
    return RetryPolicy(tries=tries, first_s=0.5, longest_s=30.0, random=lambda: random, now=lambda: NOW)


@pytest.mark.parametrize("random", [0.0, 0.25, 1.0])
def test_waits_double_up_to_the_longest_and_are_spread_from_zero(random: float) -> None:
    retries = policy(random).begin("it", Control(), lambda: 0.0)
    waits = [retries.after(RetryLater("busy")) for _ in range(9)]
    assert waits == [random * most for most in (0.5, 1, 2, 4, 8, 16, 30, 30, 30)]


def test_the_budget_ends() -> None:
    retries, last = policy(tries=3).begin("it", Control(), lambda: 0.0), Offline("the last")
    retries.after(Offline("first"))
    retries.after(Offline("second"))
    with pytest.raises(Offline) as caught:
        retries.after(last)
    assert caught.value is last


@pytest.mark.parametrize("error", [Cancelled("x"), DeadlineExceeded("x"), Intercepted("x")])
def test_what_trying_again_does_not_help(error: RetryLater) -> None:
    with pytest.raises(type(error)):
        policy().begin("it", Control(), lambda: 0.0).after(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("30", 30.0),
        ("Tue, 24 Nov 2026 12:00:09 GMT", 9.0),
        ("Tue, 24 Nov 2026 12:00:09 -0000", 9.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("٣", 0.0),
        ("Tue, 24 Nov 99999999999999999999 12:00:00 GMT", 0.0),
        ("Tue, 24 Nov 2026 12:00:00 +99999999999999999", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_what_the_server_asks_for(header: str | None, seconds: float) -> None:
    assert policy(random=0.0).begin("it", Control(), lambda: 0.0).after(Offline("busy", header)) == seconds


@pytest.mark.parametrize("header", ["31", "9" * 5_000, "Tue, 24 Nov 2026 12:00:31 GMT"])
def test_who_asks_for_more_is_left_alone(header: str) -> None:
    with pytest.raises(Offline):
        policy().begin("it", Control(), lambda: 0.0).after(Offline("busy", header))


def test_a_rest_ends_when_it_is_cancelled() -> None:
    control = Control()
    control.cancel()
    control.rest(3_600.0)
    control.pause()
    with pytest.raises(Cancelled):
        control.check()
