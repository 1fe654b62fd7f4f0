"""Decision trees as arrays, valid by construction, and what each tree answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from converters.errors import SourceError
from converters.frozen_arrays import F32, F64, I32, freeze


@dataclass(frozen=True, eq=False)
class Forest:
    """Binary decision trees laid end to end; a row goes left where ``x[feature] <= threshold``.

    Attributes:
        feature: [nodes] column that the node compares; -1 at leaves.
        threshold: [nodes] float64, as trained; ignored at leaves.
        left: [nodes] index of the left child in these same arrays; -1 at leaves.
        right: [nodes] index of the right child; -1 at leaves.
        value: [nodes] probability of the positive class, used at leaves.
        roots: [trees] index of each tree's root.
    """

    feature: I32
    threshold: F64
    left: I32
    right: I32
    value: F64
    roots: I32

    def __post_init__(self) -> None:
        for name in ("feature", "left", "right", "roots"):
            freeze(self, name, np.int32, 1)
        for name in ("threshold", "value"):
            freeze(self, name, np.float64, 1)
        nodes = len(self.feature)
        for name in ("threshold", "left", "right", "value"):
            if len(getattr(self, name)) != nodes:
                raise SourceError(
                    f"forest.{name} has {len(getattr(self, name))} entries, forest.feature has {nodes}"
                )
        if not nodes or not len(self.roots):
            raise SourceError("the forest has no tree; train it first")
        if self.value.min() < 0 or self.value.max() > 1:
            raise SourceError("forest.value holds something outside 0..1; give probabilities, not counts")
        self._check_structure()

    def _check_structure(self) -> None:
        nodes = len(self.feature)
        leaf = self.feature == -1
        if (self.feature < -1).any():
            raise SourceError("forest.feature holds a negative column other than -1")
        for name in ("left", "right"):
            child = getattr(self, name)
            if ((child == -1) != leaf).any():
                raise SourceError(f"forest.{name} must be -1 exactly at the leaves (where feature is -1)")
            if (child < -1).any() or (child >= nodes).any():
                raise SourceError(f"forest.{name} points outside the {nodes} nodes")
        if (self.roots < 0).any() or (self.roots >= nodes).any():
            raise SourceError(f"forest.roots points outside the {nodes} nodes")
        # One parent for every node but the roots, and everything reached from the roots: that is a forest.
        # A cycle has a parent for each of its nodes, so no root leads into it and the count below is short.
        children = np.concatenate([self.left[~leaf], self.right[~leaf]])
        parents = np.bincount(children, minlength=nodes) + np.bincount(self.roots, minlength=nodes)
        if (parents > 1).any():
            raise SourceError(f"forest node {int(np.argmax(parents > 1))} is reached by two ways; not a tree")
        reached, level = 0, self.roots
        while len(level):
            reached += len(level)
            inner = level[~leaf[level]]
            level = np.concatenate([self.left[inner], self.right[inner]])
        if reached != nodes:
            raise SourceError(
                f"{nodes - reached} forest nodes are reached from no root (a cycle or a leftover)"
            )

    @property
    def trees(self) -> int:
        """Number of trees."""
        return len(self.roots)

    @property
    def depth(self) -> int:
        """Number of comparisons on the longest way from a root to a leaf."""
        depth, level = -1, self.roots
        while len(level):
            depth += 1
            inner = level[self.feature[level] != -1]
            level = np.concatenate([self.left[inner], self.right[inner]])
        return depth

    @property
    def threshold32(self) -> F32:
        """Thresholds as float32, rounded DOWN: for a float32 ``x``, ``x <= t`` is then the same question."""
        with np.errstate(over="ignore"):  # beyond float32 lies infinity, and below it the largest float32
            near = self.threshold.astype(np.float32)
            return np.where(near > self.threshold, np.nextafter(near, np.float32(-np.inf)), near)

    def leaf_values(self, x: F32) -> F64:
        """Answer of each tree: float32 [n, features] -> float64 [n, trees]."""
        threshold = self.threshold32
        rows = np.arange(len(x))[:, None]
        at = np.broadcast_to(self.roots, (len(x), self.trees))
        for _ in range(self.depth):
            column = self.feature[at]
            inner = column >= 0
            left = x[rows, np.maximum(column, 0)] <= threshold[at]
            at = np.where(inner, np.where(left, self.left[at], self.right[at]), at)
        return self.value[at]
