"""What ``edge features check`` does: read, judge, write the page, and fail below the threshold."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feature_spec.errors import DataError, QualityError
from feature_spec.files import write_whole
from feature_spec.ingest import DataFiles
from feature_spec.instants import parse_instant
from feature_spec.quality.page import html
from feature_spec.quality.reading import read_subject
from feature_spec.quality.report import Report, judge


def check(
    data: DataFiles,
    zone: str,
    *,
    threshold: float,
    as_of: str | None = None,
    page: Path | None = None,
    now: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """The report on some files, for a terminal or as JSON.

    Args:
        data: where they are.
        zone: IANA zone of users who have none of their own.
        threshold: 0 to 1.
        as_of: RFC 3339, the instant for which the data is meant to be fresh.
        page: HTML file to write, also where the data is refused.
        now: seconds since 1970.

    Raises:
        DataError: a file is missing or malformed, or the page cannot be written.
        QualityError: the score is below the threshold.
    """
    try:
        instant = None if as_of is None else parse_instant(as_of)
    except DataError as error:
        raise DataError(f"--as-of: {error}") from None
    subject = read_subject(data, zone, now=int(now() * 1000) if instant is None else instant, as_of=instant)
    report = judge(subject)
    if page is not None:
        try:
            write_whole(page, html(report, subject, threshold).encode("utf-8"))
        except OSError as error:
            raise DataError(f"{page}: cannot be written ({error.strerror}); choose another --html") from error
    shown = summary(report, threshold)
    refusal = report.refusal(threshold)
    if refusal is not None:
        raise QualityError(refusal, shown)
    return shown


def summary(report: Report, threshold: float) -> dict[str, Any]:
    """The report in few words: what was measured as a table, and what was found as sentences."""
    return {
        "score": report.score,
        "threshold": threshold,
        "passed": report.score >= threshold,
        "rows": report.rows,
        "users": report.users,
        "dimensions": report.dimensions,
        "checks": [
            {
                "dimension": check.rule.dimension,
                "check": check.rule.name,
                "score": check.score,
                "weight": check.rule.weight,
                "n": check.found.n,
                "bad": check.found.bad,
            }
            for check in report.checks
        ],
        "findings": [
            {"check": check.rule.name, "finding": check.finding} for check in report.checks if check.finding
        ],
    }
