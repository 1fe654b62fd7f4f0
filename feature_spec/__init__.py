"""What a feature is: definitions, events, and one evaluator for each place it runs."""

from feature_spec.canonical import canonical_json, fingerprint
from feature_spec.definition import Feature, FeatureSpec
from feature_spec.prebuilt import PREBUILT

__all__ = ["PREBUILT", "Feature", "FeatureSpec", "canonical_json", "fingerprint"]
