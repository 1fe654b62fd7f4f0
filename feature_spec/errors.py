"""What can go wrong with features and event data; every message says where and what to do."""


class FeatureSpecError(Exception):
    """Root of every error of this package."""


class DataError(FeatureSpecError):
    """The data is malformed: the message names file, row and column. Fix the data."""


class DefinitionError(FeatureSpecError):
    """A feature or mapping definition is wrong. Fix the definition."""


class MissingExtraError(FeatureSpecError):
    """A part of the product was used whose optional dependencies are not installed."""
