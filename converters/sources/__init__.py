"""Trained models as one graph each: what every target converts."""

from converters.sources.days_graph import days_source as days_source
from converters.sources.ensemble_graph import ensemble_source as ensemble_source
from converters.sources.feature_graph import features_source as features_source
from converters.sources.source import INPUT as INPUT
from converters.sources.source import Source as Source

__all__ = ["INPUT", "Source", "days_source", "ensemble_source", "features_source"]
