"""What can go wrong in this package; every message says what to do."""


class QuantizationError(Exception):
    """Root of every error of this package."""


class RecipeError(QuantizationError):
    """The recipe is unknown, or cannot be applied to this kind of file. Choose another."""


class ArtifactError(QuantizationError):
    """The file is not a model that can be read, or nothing in it can be made smaller. Pass another file."""


class LossError(QuantizationError):
    """Rows, labels or answers do not fit what is measured. Fix the data."""
