"""The Python reference SDK: what ships to a device.

Names are imported when they are asked for, so that the contract alone costs nobody the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_spec.lazy import exported

if TYPE_CHECKING:
    from edge_sdk.aio import AsyncEdgeClient as AsyncEdgeClient
    from edge_sdk.client import EdgeClient as EdgeClient
    from edge_sdk.crypto.credentials import DeviceCredential as DeviceCredential
    from edge_sdk.crypto.sealing import AppKey as AppKey
    from edge_sdk.erasing import EraseScope as EraseScope
    from edge_sdk.errors import DeadlineExceeded as DeadlineExceeded
    from edge_sdk.errors import EdgeError as EdgeError
    from edge_sdk.errors import FormatError as FormatError
    from edge_sdk.errors import InputError as InputError
    from edge_sdk.errors import LeaseExpired as LeaseExpired
    from edge_sdk.errors import NotAvailable as NotAvailable
    from edge_sdk.errors import RetryLater as RetryLater
    from edge_sdk.errors import StoreError as StoreError
    from edge_sdk.errors import UpdateRequired as UpdateRequired
    from edge_sdk.errors import VerificationError as VerificationError
    from edge_sdk.features.settings import FeatureSettings as FeatureSettings
    from edge_sdk.features.vector import FeatureValue as FeatureValue
    from edge_sdk.features.vector import FeatureVector as FeatureVector
    from edge_sdk.health.alerts import Alert as Alert
    from edge_sdk.health.alerts import HealthSettings as HealthSettings
    from edge_sdk.health.privacy import PrivacySettings as PrivacySettings
    from edge_sdk.health.telemetry import TelemetrySettings as TelemetrySettings
    from edge_sdk.health.uploading import Uploaded as Uploaded
    from edge_sdk.health.uploading import UploadStatus as UploadStatus
    from edge_sdk.predict.prediction import Prediction as Prediction
    from edge_sdk.predict.prediction import Reason as Reason
    from edge_sdk.predict.replay import ReplayLog as ReplayLog
    from edge_sdk.predict.replay import ReplayRecord as ReplayRecord
    from edge_sdk.predict.replaying import Replayed as Replayed
    from edge_sdk.predict.results import ResultCache as ResultCache
    from edge_sdk.store.verifying import Finding as Finding
    from edge_sdk.store.verifying import VerifyLevel as VerifyLevel
    from edge_sdk.update.control import Cancelled as Cancelled
    from edge_sdk.update.control import Control as Control
    from edge_sdk.update.limits import HttpLimits as HttpLimits
    from edge_sdk.update.policy import Conditions as Conditions
    from edge_sdk.update.policy import Refreshed as Refreshed
    from edge_sdk.update.policy import RefreshStatus as RefreshStatus
    from edge_sdk.update.policy import Updated as Updated
    from edge_sdk.update.policy import UpdatePolicy as UpdatePolicy
    from edge_sdk.update.policy import UpdateStatus as UpdateStatus
    from edge_sdk.update.retrying import RetryPolicy as RetryPolicy

_HOME = {
    "Alert": "health.alerts",
    "AppKey": "crypto.sealing",
    "AsyncEdgeClient": "aio",
    "Cancelled": "update.control",
    "Conditions": "update.policy",
    "Control": "update.control",
    "DeadlineExceeded": "errors",
    "DeviceCredential": "crypto.credentials",
    "EdgeClient": "client",
    "EdgeError": "errors",
    "EraseScope": "erasing",
    "FeatureSettings": "features.settings",
    "FeatureValue": "features.vector",
    "FeatureVector": "features.vector",
    "Finding": "store.verifying",
    "FormatError": "errors",
    "HealthSettings": "health.alerts",
    "HttpLimits": "update.limits",
    "InputError": "errors",
    "LeaseExpired": "errors",
    "NotAvailable": "errors",
    "Prediction": "predict.prediction",
    "PrivacySettings": "health.privacy",
    "Reason": "predict.prediction",
    "ReplayLog": "predict.replay",
    "ReplayRecord": "predict.replay",
    "Replayed": "predict.replaying",
    "ResultCache": "predict.results",
    "RefreshStatus": "update.policy",
    "Refreshed": "update.policy",
    "RetryLater": "errors",
    "RetryPolicy": "update.retrying",
    "StoreError": "errors",
    "TelemetrySettings": "health.telemetry",
    "UpdatePolicy": "update.policy",
    "UpdateRequired": "errors",
    "UpdateStatus": "update.policy",
    "Updated": "update.policy",
    "UploadStatus": "health.uploading",
    "Uploaded": "health.uploading",
    "VerificationError": "errors",
    "VerifyLevel": "store.verifying",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = exported(__name__, _HOME)
