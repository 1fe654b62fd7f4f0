"""What a feature is: definitions, events, and one evaluator for each place it runs.

Names are imported when they are asked for: whoever needs canonical JSON needs no definition of a feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_spec.lazy import exported

if TYPE_CHECKING:
    from feature_spec.canonical import canonical_json as canonical_json
    from feature_spec.canonical import fingerprint as fingerprint
    from feature_spec.definition import Feature as Feature
    from feature_spec.definition import FeatureSpec as FeatureSpec
    from feature_spec.prebuilt import PREBUILT as PREBUILT

_HOME = {
    "PREBUILT": "prebuilt",
    "Feature": "definition",
    "FeatureSpec": "definition",
    "canonical_json": "canonical",
    "fingerprint": "canonical",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = exported(__name__, _HOME)
