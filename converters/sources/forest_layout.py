"""Trees as flat tables that a graph can walk with gathers alone.

Per tree, breadth first: the right child follows the left one, so one number places both. The walk is
``node += step[node] + (x[feature[node]] > point[node])``, the same for every node:

* an inner node holds its threshold in ``point`` and the distance to its left child in ``step``;
* a leaf holds its value in ``point``, steps by 0, and compares the dummy column behind the last feature, which
  is smaller than any value: it points to itself, and after ``depth`` steps every way has ended.

Distances within a level of a tree are small: one byte each where absolute children take four.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.ensemble import Forest

DUMMY: Final = np.float32(-3e38)
"""Content of the dummy column; below any probability, and finite, because 0 times infinity is not a number."""


@dataclass(frozen=True, eq=False)
class ForestTables:
    """The tables; ``roots`` holds the place of each tree's first node, ``depth`` the steps of the longest way."""

    feature: NDArray[Any]
    point: NDArray[np.float32]
    step: NDArray[Any]
    roots: NDArray[np.int32]
    depth: int

    def first_step(self) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
        """(feature, point, place of the left child) of the roots: where everybody starts is known beforehand."""
        after = self.roots + self.step[self.roots].astype(np.int32)
        return self.feature[self.roots].astype(np.int32), self.point[self.roots], after


def forest_tables(forest: Forest, features: int, *, narrow: bool) -> ForestTables:
    """Lay a forest out for rows of ``features`` columns and the dummy column behind them.

    Args:
        forest: the trees; leaf values become float32, thresholds are rounded down to float32.
        features: number of columns of a row.
        narrow: use the smallest integers that hold the tables (a fraction of the size); else int32, for
            targets that know no other.
    """
    threshold = forest.threshold32
    order: list[int] = []
    step: list[int] = []
    roots = []
    for root in forest.roots:
        roots.append(len(order))
        order.append(int(root))
        at = roots[-1]
        while at < len(order):
            node = order[at]
            if forest.feature[node] < 0:
                step.append(0)
            else:
                step.append(len(order) - at)
                order += [int(forest.left[node]), int(forest.right[node])]
            at += 1
    places = np.array(order)
    leaf = forest.feature[places] < 0
    return ForestTables(
        feature=_integers(np.where(leaf, features, forest.feature[places]), narrow),
        point=np.where(leaf, forest.value[places].astype(np.float32), threshold[places]),
        step=_integers(np.array(step), narrow),
        roots=np.array(roots, np.int32),
        depth=forest.depth,
    )


def _integers(values: NDArray[Any], narrow: bool) -> NDArray[Any]:
    for dtype in (np.uint8, np.int16) if narrow else ():
        if values.max() <= np.iinfo(dtype).max:
            return values.astype(dtype)
    return values.astype(np.int32)
