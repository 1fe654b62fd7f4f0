"""A seeded population of people with goals, for training where nobody has data yet.

It makes EVENTS, day by day, not features: whatever the features make of them is up to the features. And it
makes outcomes from what drives the people, not from what they left in the log, so no model can be perfect:

* Every person has four traits nobody sees: motivation, skill, spare time (standard normal, the first and the
  last correlated) and a habit of talking (how much of the activity is messages).
* Every day has a mood (an autoregressive walk) and a weekday; both move how much happens. Interest fades, at
  a pace of the person's own. People drop out for good at a random day, more likely with little motivation and
  time. Whoever dropped out leaves at most a stray session.
* Tasks fall due about every fifth day and are done or not by motivation, skill, time and the day; late at
  times, with a score by skill. A done task moves the goal on by an uneven step. Some work leaves no trace
  (one task in ten is done and not logged), some activity means nothing (opening the app by mistake).
* The goal succeeds or not at its end, long after the log stops: a coin whose odds come from the scarcest of
  motivation, skill and time (none of them makes up for another), from how long the person stays, and from luck
  about as large as the traits.

The numbers were set by hand so that base rate, events a person and a good model's AUC look like those of a
coaching product (about half succeed, 40 to 120 events, AUC near 0.8). Nothing was fitted to real people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_spec.population import Dataset, People
from feature_spec.vocabulary import EVENT_TYPES

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_WEEKDAY = np.array([0.15, 0.1, 0.1, 0.05, -0.1, -0.35, -0.15])
"""Log of how much more or less happens from Monday to Sunday."""


@dataclass(frozen=True)
class PopulationSettings:
    """How many people and how long.

    Attributes:
        people: How many.
        observed_days: Days of the log; prediction is at the end of the last one.
        goal_days: Days from the start of the goal to its deadline.
        task_every: Days between due tasks, on average.
    """

    people: int = 2000
    observed_days: int = 60
    goal_days: int = 120
    task_every: int = 5


@dataclass(frozen=True, eq=False)
class Population:
    """What was observed, as columns.

    Attributes:
        user_id: [people] names.
        account_age_days: [people] days since the account was made, at day 0.
        goals_completed_before: [people] goals brought to an end before this one.
        goal_days: Days from day 0 to the deadline.
        success: [people] 0 or 1.
        event_user: [events] row of the person.
        event_day: [events] day, 0 is the first of the goal.
        event_type: [events] names.
        event_count: [events] how many of it that day.
        event_value: [events] value, NaN where it has none.
    """

    user_id: NDArray[np.str_]
    account_age_days: I64
    goals_completed_before: I64
    goal_days: int
    success: I64
    event_user: I64
    event_day: I64
    event_type: NDArray[np.str_]
    event_count: I64
    event_value: F64

    def dataset(self) -> Dataset:
        """The same as a dataset with the label ``goal_success``; every goal starts on day 0."""
        start = np.zeros(len(self.user_id))
        return Dataset.from_columns(
            user=self.user_id[self.event_user].tolist(),
            day=self.event_day,
            event_type=self.event_type.tolist(),
            count=self.event_count,
            value=self.event_value,
            people=People(
                users=tuple(self.user_id.tolist()),
                labels={"goal_success": self.success.astype(np.int8)},
                origin=start,
                observed_from=start,
                account_since=start - self.account_age_days,
                goal_start=start,
                goal_total_days=start + self.goal_days,
                goals_completed_before=self.goals_completed_before.astype(np.float64),
            ),
        )


@dataclass(frozen=True, eq=False)
class _Traits:
    """What drives each person: [people] each."""

    motivation: F64
    skill: F64
    time: F64
    talk: F64
    fade: F64
    last_day: F64


def _sigmoid(x: F64) -> F64:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def synthesise(rng: np.random.Generator, settings: PopulationSettings | None = None) -> Population:
    """Draw a population; the same generator state gives the same one."""
    settings = settings or PopulationSettings()
    people = _draw_people(rng, settings)
    mood = _draw_mood(rng, settings)
    events = _Events()
    _add_activity(events, rng, people, mood)
    _add_tasks(events, rng, people, mood, settings)
    user, day, kind, count, value = events.columns()
    experience = rng.poisson(np.exp(-0.2 + 0.35 * people.skill))
    return Population(
        user_id=np.array([f"person-{number:05d}" for number in range(settings.people)]),
        account_age_days=rng.integers(0, 400, settings.people) + 60 * experience,
        goals_completed_before=experience,
        goal_days=settings.goal_days,
        success=_draw_outcome(rng, people, settings),
        event_user=user,
        event_day=day,
        event_type=kind,
        event_count=count,
        event_value=value,
    )


def _draw_people(rng: np.random.Generator, settings: PopulationSettings) -> _Traits:
    count = settings.people
    motivation, skill, other, talk = rng.standard_normal((4, count))
    time = 0.3 * motivation + np.sqrt(1 - 0.3**2) * other
    hazard = np.exp(-5.6 - 0.7 * motivation - 0.4 * time)
    return _Traits(
        motivation=motivation,
        skill=skill,
        time=time,
        talk=talk,
        fade=rng.gamma(2.0, 0.003, count),
        last_day=rng.exponential(1.0, count) / hazard,
    )


def _draw_mood(rng: np.random.Generator, settings: PopulationSettings) -> F64:
    """[people, days]: a walk that forgets a tenth a day, with spread 0.5 throughout."""
    shocks = rng.standard_normal((settings.observed_days, settings.people)) * 0.5 * np.sqrt(1 - 0.9**2)
    mood = np.empty_like(shocks)
    mood[0] = rng.standard_normal(settings.people) * 0.5
    for day in range(1, settings.observed_days):
        mood[day] = 0.9 * mood[day - 1] + shocks[day]
    return np.asarray(mood.T)


def _add_activity(events: _Events, rng: np.random.Generator, people: _Traits, mood: F64) -> None:
    days = np.arange(mood.shape[1])
    start = rng.integers(0, 7, len(mood))  # the weekday of each person's day 0
    pace = (
        0.4 * people.motivation[:, None]
        + 0.35 * people.time[:, None]
        + mood
        + _WEEKDAY[(start[:, None] + days) % 7]
        - people.fade[:, None] * days
    )
    present = days <= people.last_day[:, None]
    rate = np.exp(pace) * present
    events.add_counts("session", rng.poisson(0.35 * rate + 0.01))
    events.add_counts("content_view", rng.poisson(0.25 * rate))
    events.add_counts("message", rng.poisson(0.2 * rate * np.exp(0.5 * people.talk[:, None])))
    checks = rng.random(mood.shape) < np.minimum(0.1 * np.sqrt(rate), 1)
    events.add_values(
        "check_in", checks, np.round(np.clip(5.5 + 1.5 * mood + rng.normal(0, 1.5, mood.shape), 1, 10))
    )
    ratings = rng.random(mood.shape) < np.minimum(0.02 * rate, 1)
    rating = np.clip(3.6 + 0.4 * people.motivation[:, None] + rng.normal(0, 0.9, mood.shape), 1, 5)
    events.add_values("feedback", ratings, np.round(rating))


def _add_tasks(
    events: _Events, rng: np.random.Generator, people: _Traits, mood: F64, settings: PopulationSettings
) -> None:
    shape = mood.shape
    due = rng.random(shape) < 1.0 / settings.task_every
    events.add_counts("task_due", due.astype(np.int64))
    willing = 0.5 + 0.7 * people.motivation + 0.45 * people.skill + 0.45 * people.time
    done = due & (rng.random(shape) < _sigmoid(willing[:, None] + 0.8 * mood))
    user, day = np.nonzero(done)
    day = day + np.where(rng.random(len(day)) < 0.7, 0, rng.geometric(0.35, len(day)))
    logged = (day < shape[1]) & (day <= people.last_day[user]) & (rng.random(len(day)) < 0.9)
    user, day = user[logged], day[logged]
    score = np.clip(0.68 + 0.13 * people.skill[user] + rng.normal(0, 0.13, len(user)), 0.05, 1)
    events.add("task_done", user, day, np.ones(len(user), np.int64), np.round(score, 2))
    # Somebody who does half of what falls due, and reports it, is on plan.
    whole = 0.5 * settings.goal_days / settings.task_every
    step = rng.gamma(4.0, 0.25, len(user)) * (0.8 + 0.2 * np.tanh(people.skill[user])) / whole
    noticed = rng.random(len(user)) < 0.85
    events.add(
        "progress",
        user[noticed],
        day[noticed],
        np.ones(int(noticed.sum()), np.int64),
        np.round(step[noticed], 4),
    )


def _draw_outcome(rng: np.random.Generator, people: _Traits, settings: PopulationSettings) -> I64:
    stayed = np.minimum(people.last_day / settings.goal_days, 1)
    traits = np.stack([people.motivation, people.skill, people.time])
    # A soft minimum: what is scarce counts more than what is plenty.
    drive = -np.log(np.exp(-1.5 * traits).mean(axis=0)) / 1.5
    luck = rng.normal(0, 0.5, len(drive))
    return (rng.random(len(drive)) < _sigmoid(2.2 * (drive + luck) + 3.6 * (stayed - 0.6))).astype(np.int64)


class _Events:
    """Collects events as columns; order does not matter, the log is sorted at the end."""

    def __init__(self) -> None:
        self._parts: list[tuple[I64, I64, I64, I64, F64]] = []

    def add(self, kind: str, user: I64, day: I64, count: I64, value: F64) -> None:
        kinds = np.full(len(user), EVENT_TYPES.index(kind), np.int64)
        self._parts.append((user, day, kinds, count, value))

    def add_counts(self, kind: str, counts: I64) -> None:
        """One event a cell of [people, days] that is not zero, without a value."""
        user, day = np.nonzero(counts)
        self.add(kind, user, day, counts[user, day], np.full(len(user), np.nan))

    def add_values(self, kind: str, where: NDArray[np.bool_], values: NDArray[np.floating[Any]]) -> None:
        """One event a cell that is set, with its value."""
        user, day = np.nonzero(where)
        self.add(kind, user, day, np.ones(len(user), np.int64), values[user, day].astype(np.float64))

    def columns(self) -> tuple[I64, I64, NDArray[np.str_], I64, F64]:
        user, day, kind, count, value = (
            np.concatenate([part[column] for part in self._parts]) for column in range(5)
        )
        order: Any = np.lexsort((kind, day, user))
        return user[order], day[order], np.array(EVENT_TYPES)[kind[order]], count[order], value[order]
