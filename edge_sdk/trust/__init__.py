"""What a device believes: bytes and high-water marks in, verified facts or a refusal out. Pure.

Names are imported when they are asked for: predicting needs the marks, and nothing that reads what a server sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_spec.lazy import exported

if TYPE_CHECKING:
    from edge_sdk.trust.accepting import ClockError as ClockError
    from edge_sdk.trust.accepting import NotTogether as NotTogether
    from edge_sdk.trust.accepting import Trusted as Trusted
    from edge_sdk.trust.accepting import accept as accept
    from edge_sdk.trust.accepting import check_clock as check_clock
    from edge_sdk.trust.marks import Marks as Marks
    from edge_sdk.trust.marks import RoleMark as RoleMark
    from edge_sdk.trust.resolving import Reason as Reason
    from edge_sdk.trust.resolving import Resolution as Resolution
    from edge_sdk.trust.resolving import resolve as resolve

_HOME = {
    "ClockError": "accepting",
    "Marks": "marks",
    "NotTogether": "accepting",
    "Reason": "resolving",
    "Resolution": "resolving",
    "RoleMark": "marks",
    "Trusted": "accepting",
    "accept": "accepting",
    "check_clock": "accepting",
    "resolve": "resolving",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = exported(__name__, _HOME)
