"""What can go wrong in this package; every message says what to do."""


class ConverterError(Exception):
    """Root of every error of this package."""


class SourceError(ConverterError):
    """The trained source is malformed or is fed with malformed rows. Fix the source or the input."""


class UnsupportedError(ConverterError):
    """The request names something unknown, or a pair of target and recipe that cannot be. Ask for another."""


class DataQualityError(ConverterError):
    """The data is well-formed and not fit to learn from. Mend what the message names, or lower the threshold."""


class ConversionError(ConverterError):
    """A foreign converter failed or made something that phones cannot run. Change the source."""


class GateError(ConverterError):
    """A converted artifact is not good enough to ship. The message gives output, figure and limit."""


class ReleaseError(ConverterError):
    """What is to be published breaks a rule, or does not verify. Nothing was signed; fix what the message names."""


class EvaluationError(ConverterError):
    """A Core ML program cannot be evaluated here. The message names the operator, input or file."""
