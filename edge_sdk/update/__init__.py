"""Bringing models to a device: policies here; what needs a network is imported when it is used."""

from __future__ import annotations

from edge_sdk.update.policy import Conditions as Conditions
from edge_sdk.update.policy import Refreshed as Refreshed
from edge_sdk.update.policy import RefreshStatus as RefreshStatus
from edge_sdk.update.policy import Updated as Updated
from edge_sdk.update.policy import UpdatePolicy as UpdatePolicy
from edge_sdk.update.policy import UpdateStatus as UpdateStatus
