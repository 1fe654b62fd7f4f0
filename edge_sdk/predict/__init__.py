"""Typed predictions: named numbers in, named numbers with a reason out. Nothing here touches a network."""

from edge_sdk.predict.batch import PredictionBatch
from edge_sdk.predict.counters import PredictionCounters, PredictionCounts
from edge_sdk.predict.latency import LatencyHistogram
from edge_sdk.predict.prediction import Prediction, Reason
from edge_sdk.predict.predictor import Predictor
from edge_sdk.predict.results import ResultCache
from edge_sdk.predict.spec import PredictorSpec

__all__ = [
    "LatencyHistogram",
    "Prediction",
    "PredictionBatch",
    "PredictionCounters",
    "PredictionCounts",
    "Predictor",
    "PredictorSpec",
    "Reason",
    "ResultCache",
]
