"""The catalogue of features: one HTML page with formulas, ranges, distributions on a log, and who takes what."""

from feature_spec.catalogue.content import Content, Model, Use
from feature_spec.catalogue.distribution import Distribution, distributions
from feature_spec.catalogue.page import page

__all__ = ["Content", "Distribution", "Model", "Use", "distributions", "page"]
