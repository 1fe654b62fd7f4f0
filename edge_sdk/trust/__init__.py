"""What a device believes: bytes and high-water marks in, verified facts or a refusal out. Pure."""

from __future__ import annotations

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
