"""What an artifact must prove before it is sealed."""

from converters.gates.twins import LIMITS as LIMITS
from converters.gates.twins import MIN_AGREEMENT as MIN_AGREEMENT
from converters.gates.twins import Twin as Twin
from converters.gates.twins import TwinsReport as TwinsReport
from converters.gates.twins import check as check
from converters.gates.twins import compare_twins as compare_twins
from converters.gates.twins import run_artifact as run_artifact

__all__ = ["LIMITS", "MIN_AGREEMENT", "Twin", "TwinsReport", "check", "compare_twins", "run_artifact"]
