"""The report as one HTML page: no script, nothing fetched, plots drawn as SVG."""

from __future__ import annotations

import math
from html import escape
from typing import Final

import numpy as np

from feature_spec.quality.completeness import day_name
from feature_spec.quality.log import Subject
from feature_spec.quality.report import DIMENSIONS, Report
from feature_spec.quality.rules import Check

_HOUR_MS: Final = 3_600_000
_MOST_BARS: Final = 180
_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1b2430;background:#fff}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.3rem 0}
.score{font-size:2.4rem;font-weight:600}.good{color:#1a7f4b}.bad{color:#b3261e}.dim{color:#667}
table{border-collapse:collapse;width:100%;table-layout:fixed}th:first-child{width:54%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #e3e6ea;
vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
svg{display:block;width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#667}
.bar{fill:#3b6ea5}.hole{fill:#b3261e}.track{fill:#e9ecef}.fill{fill:#1a7f4b}.fill.mid{fill:#c98a00}.fill.low{fill:#b3261e}
@media(prefers-color-scheme:dark){body{color:#e4e8ee;background:#12161c}th,td{border-color:#2a313b}
.track{fill:#2a313b}.bar{fill:#6aa3dd}.good{color:#58c48c}.bad,.hole{color:#ff8a80;fill:#ff8a80}
svg text,.dim{fill:#9ab;color:#9ab}}
"""


def html(report: Report, subject: Subject, threshold: float) -> str:
    """The page; what comes from the data is escaped."""
    passed = report.score >= threshold
    verdict = "fit to learn from" if passed else "not fit to learn from"
    refusal = report.refusal(threshold)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Data quality {report.score:.3f}</title><style>{_STYLE}</style>",
        "<h1>Data quality</h1>",
        f"<p class='score {'good' if passed else 'bad'}'>{report.score:.3f}</p>",
        f"<p>{report.rows:,} rows of {report.users:,} users are {verdict}; the threshold is {threshold:g}.</p>",
        "" if refusal is None else f"<p class=bad>{escape(refusal)}</p>",
        _volume(subject),
        _hours(subject),
    ]
    for name in DIMENSIONS:
        score = report.dimensions[name]
        told = "nothing to measure" if score is None else f"{score:.3f}"
        rows = [_row(check, threshold) for check in report.checks if check.rule.dimension == name]
        parts.append(
            f"<h2>{name.capitalize()} <span class=dim>{told}</span></h2><table><tr><th>check<th class=n>score<th>"
            f"<th class=n>weight<th class=n>looked at<th class=n>bad</tr>{''.join(rows)}</table>"
        )
    return "".join(parts) + "</html>\n"


def _row(check: Check, threshold: float) -> str:
    said = check.finding or check.rule.asks
    kind = "" if check.finding else " class=dim"
    score, bar = "–", ""
    if check.score is not None:
        score = f"{math.floor(1000 * check.score) / 1000:.3f}"  # what is not 1 does not look like it
        low = "" if check.score == 1 else " mid" if check.score >= threshold else " low"
        bar = (
            "<svg viewBox='0 0 100 10' style='width:100px'><rect class=track width=100 height=10 rx=2 />"
            f"<rect class='fill{low}' width={100 * check.score:.1f} height=10 rx=2 /></svg>"
        )
    return (
        f"<tr><td><b>{check.rule.name}</b><br><span{kind}>{escape(said)}</span><td class=n>{score}<td>{bar}"
        f"<td class=n>{check.rule.weight}<td class=n>{check.found.n:,}<td class=n>{check.found.bad:,.0f}</tr>"
    )


def _volume(subject: Subject) -> str:
    """Rows a day, or a few days where there are many; a red mark where there is none."""
    days = subject.log.day[subject.log.acts]
    if not len(days):
        return ""
    first, last = (int(day) for day in np.quantile(days, [0.001, 0.999], method="nearest"))
    step = -(-(last - first + 1) // _MOST_BARS)
    inside = days[(days >= first) & (days <= last)]
    volume = np.bincount((inside - first) // step, minlength=(last - first) // step + 1)
    labels = {0: day_name(subject, first), len(volume) - 1: day_name(subject, last)}
    every = "a day" if step == 1 else f"in {step} days"
    return f"<h2>Rows {every}</h2>" + _bars([float(x) for x in volume], labels)


def _hours(subject: Subject) -> str:
    """Rows by local hour."""
    if subject.log.local_ms is None or not len(subject.log.acts):
        return ""
    hours = np.bincount(subject.log.local_ms[subject.log.acts] // _HOUR_MS, minlength=24)[:24]
    labels = {hour: f"{hour} h" for hour in (0, 6, 12, 18, 23)}
    return "<h2>Rows by local hour</h2>" + _bars([float(x) for x in hours], labels)


def _bars(heights: list[float], labels: dict[int, str]) -> str:
    top = max(heights) or 1.0
    width = 900 / len(heights)
    drawn = []
    for place, height in enumerate(heights):
        tall = 100 * height / top
        shape = f"x={place * width:.2f} width={max(width - 1, 0.6):.2f}"
        drawn.append(
            f"<rect class=bar {shape} y={110 - tall:.2f} height={tall:.2f} />"
            if height
            else f"<rect class=hole {shape} y=106 height=4 />"
        )
    for place, label in labels.items():
        side = "start" if place == 0 else "end" if place == len(heights) - 1 else "middle"
        x = 0 if place == 0 else 900 if place == len(heights) - 1 else (place + 0.5) * width
        drawn.append(f"<text x={x:.1f} y=126 text-anchor={side}>{escape(label)}</text>")
    drawn.append(f"<text x=900 y=9 text-anchor=end>most: {max(heights):,.0f}</text>")
    return f"<svg viewBox='0 0 900 130' role=img>{''.join(drawn)}</svg>"
