"""A distribution as an inline SVG: bars, an axis with its ends, the median.

Bars are as high as the square root of their users: most of these values are heaped at zero, and the rest is what one
wants to see.
"""

from __future__ import annotations

import math
from html import escape
from typing import Final

from feature_spec.catalogue.distribution import SMALL, Distribution

_WIDTH: Final = 460
_HEIGHT: Final = 110
_TOP: Final = 14
_BASE: Final = 88
_GAP: Final = 1.0
_WIDEST_BAR: Final = 48
_SELF_EVIDENT: Final = frozenset({"share", "score", "ratio", "flag", "bucket"})
"""Units that say nothing beside a number."""


def histogram(of: Distribution, unit: str) -> str:
    """The drawing; colours come from the page's style, so that it follows light and dark."""
    unit = "" if unit in _SELF_EVIDENT else f" {unit}"
    tallest = _root(max(of.counts))
    across = min(_WIDTH, _WIDEST_BAR * len(of.counts))
    width = across / len(of.counts)
    bars = [
        f'<rect x="{index * width + _GAP / 2:.2f}" y="{_BASE - height:.2f}" width="{width - _GAP:.2f}" '
        f'height="{height:.2f}"><title>{escape(_said(of, index, unit))}</title></rect>'
        for index, count in enumerate(of.counts)
        if count and (height := max(1.5, (_BASE - _TOP) * _root(count) / tallest))
    ]
    first, last = _ends(of)
    return (
        f'<svg class="histogram" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(_summary(of, unit))}">'
        f'<line class="axis" x1="0" y1="{_BASE}" x2="{across}" y2="{_BASE}"/>'
        f'<g class="bars">{"".join(bars)}</g>{_median(of, across)}'
        f'<text x="0" y="{_BASE + 16}">{escape(first)}</text>'
        f'<text x="{across}" y="{_BASE + 16}" text-anchor="end">{escape(last)}{escape(unit)}</text></svg>'
    )


def _root(count: int) -> float:
    """What a bar's height stands for; bars of few people are all alike, or one could count them with a ruler."""
    return math.sqrt(count if count >= SMALL else SMALL / 2)


def _median(of: Distribution, across: int) -> str:
    if of.median is None:
        return ""
    low, high = of.edges[0], of.edges[-1]
    x = across * (min(max(of.median, low), high) - low) / (high - low)
    anchor, shift = ("start", 4) if x < _WIDTH * 0.8 else ("end", -4)
    return (
        f'<line class="median" x1="{x:.2f}" y1="{_TOP - 12}" x2="{x:.2f}" y2="{_BASE}"/>'
        f'<text class="median" x="{x + shift:.2f}" y="{_TOP - 3}" text-anchor="{anchor}">'
        f"median {number(of.median)}</text>"
    )


def _ends(of: Distribution) -> tuple[str, str]:
    low, high = of.edges[0], of.edges[-1]
    if of.edges[0] % 1 == 0.5:  # bars around whole numbers
        low, high = low + 0.5, high - 0.5
    fewer, more = of.beyond
    return ("≤ " if fewer else "") + number(low), ("≥ " if more else "") + number(high)


def _said(of: Distribution, index: int, unit: str) -> str:
    low, high, count = of.edges[index], of.edges[index + 1], of.counts[index]
    if of.whole:
        what = number((low + high) / 2)
    elif low % 1 == 0.5 and high % 1 == 0.5:
        what = f"{number(low + 0.5)} to {number(high - 0.5)}"
    else:
        what = f"{number(low)} to {number(high)}"
    said = f"fewer than {SMALL}" if count < SMALL else f"{count:,}"
    edge = " or less" if index == 0 and of.beyond[0] else ""
    edge = " or more" if index == len(of.counts) - 1 and of.beyond[1] else edge
    return f"{what}{edge}{unit}: {said} users"


def _summary(of: Distribution, unit: str) -> str:
    ends = " to ".join(_ends(of))
    middle = "" if of.median is None else f", median {number(of.median)}"
    return f"Histogram of {of.known:,} users: {ends}{unit}{middle}"


def number(value: float) -> str:
    """A number for people: four digits, thousands apart, no exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 0.001 else f"{value:.1g}"
