"""How the goal-success ensemble is fitted: every number that is a choice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The ensemble of the source document (forest, network and how they are joined), and the cost of fitting.

    Attributes:
        trees: Trees of the forest.
        depth: Comparisons on the longest way through a tree.
        min_samples_split: Rows a node needs before it may be split.
        hidden: Units of the network's relu layers.
        dropout: Share of units dropped after each of those layers while training.
        epochs: Most passes over the rows.
        patience: Passes without a better loss on the stopping rows before training stops.
        batch: Rows a step.
        learning_rate: Adam's.
        stop_folds: One in so many persons decides when to stop.
        inner_folds: Folds of the out-of-fold predictions that the meta-learner is fitted on.
        outer_folds: Folds of the evaluation.
        held_out_people: Persons that take part in nothing, to predict for afterwards.
        min_people: Persons of each outcome below which there is nothing to learn from.
    """

    trees: int = 100
    depth: int = 10
    min_samples_split: int = 5
    hidden: tuple[int, ...] = (256, 128, 64)
    dropout: tuple[float, ...] = (0.3, 0.2, 0.0)
    epochs: int = 60
    patience: int = 6
    batch: int = 64
    learning_rate: float = 3e-4
    stop_folds: int = 7
    inner_folds: int = 5
    outer_folds: int = 5
    held_out_people: int = 10
    min_people: int = 30

    def __post_init__(self) -> None:
        if len(self.hidden) != len(self.dropout):
            raise ValueError("hidden and dropout must name the same layers")
