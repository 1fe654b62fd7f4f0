"""Splitting rows by person, so that nobody is on both sides of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.errors import ConverterError

Index = NDArray[np.intp]


@dataclass(frozen=True)
class Split:
    """Row numbers of one split; no person has rows in both."""

    train: Index
    test: Index


def by_person(
    groups: NDArray[Any], labels: NDArray[Any], folds: int, rng: np.random.Generator
) -> tuple[Split, ...]:
    """Cut rows into ``folds`` parts by person and pair each with the rest.

    Persons are shuffled and dealt out like cards, those with a positive row first, so that every part has
    about the same share of both outcomes.

    Args:
        groups: Who a row belongs to, shape [n].
        labels: 0 or 1, shape [n].
        folds: At least 2.
        rng: Where the shuffle comes from.

    Raises:
        ConverterError: fewer than ``folds`` persons of one outcome.
    """
    persons, index = np.unique(groups, return_inverse=True)
    positive = np.zeros(len(persons), dtype=bool)
    np.logical_or.at(positive, index, np.asarray(labels) == 1)
    shuffled = rng.permutation(len(persons))
    dealt = np.concatenate([shuffled[positive[shuffled]], shuffled[~positive[shuffled]]])
    smaller = min(int(positive.sum()), int((~positive).sum()))
    if smaller < folds:
        raise ConverterError(
            f"{smaller} persons have the rarer outcome, {folds} folds need at least {folds}: give more data"
        )
    fold_of_person = np.empty(len(persons), dtype=np.intp)
    fold_of_person[dealt] = np.arange(len(persons)) % folds
    fold = fold_of_person[index]
    return tuple(Split(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds))


def set_aside(groups: NDArray[Any], count: int, rng: np.random.Generator) -> Split:
    """Keep all rows of ``count`` random persons (``test``) apart from everybody else's (``train``).

    Raises:
        ConverterError: there are not more persons than that.
    """
    persons = np.unique(groups)
    if len(persons) <= count:
        raise ConverterError(
            f"{len(persons)} persons are too few to set {count} of them aside: give more data"
        )
    chosen = rng.choice(persons, size=count, replace=False)
    aside = np.isin(groups, chosen)
    return Split(np.flatnonzero(~aside), np.flatnonzero(aside))
