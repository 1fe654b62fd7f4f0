"""Is this data fit to learn from? Completeness, consistency, accuracy and timeliness of an event log, as a score.

Malformed files are refused by whoever reads them; what is judged here is well-formed and may still be wrong: a
hole in delivery, percent where shares belong, days written as midnights. Each check is a rule with a weight and a
harm (`rules`), measured on columns (`log`), and together they are a report (`report`).
"""

from __future__ import annotations

from feature_spec.quality.log import Log, Subject
from feature_spec.quality.report import THRESHOLD, Report, judge

__all__ = ["THRESHOLD", "Log", "Report", "Subject", "judge"]
