"""From a source to the files of one platform: TFLite, Core ML, ONNX."""

from converters.targets.artifact import PAYLOAD as PAYLOAD
from converters.targets.artifact import Artifact as Artifact
from converters.targets.plan import TARGETS as TARGETS
from converters.targets.plan import Plan as Plan
from converters.targets.plan import Target as Target
from converters.targets.plan import plan as plan
from converters.targets.plan import plans as plans

__all__ = ["PAYLOAD", "TARGETS", "Artifact", "Plan", "Target", "plan", "plans"]
