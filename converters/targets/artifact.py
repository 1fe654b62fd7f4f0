"""An artifact: one model for one target by one recipe, as files in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from converters.errors import ConversionError
from converters.targets.plan import Plan, Target

PAYLOAD: Final[Mapping[Target, str]] = MappingProxyType(
    {"tflite": "model.tflite", "coreml": "model.mlpackage", "onnx": "model.onnx"}
)
"""What a bundle calls the model of each target; Core ML's is a folder."""


@dataclass(frozen=True, eq=False)
class Artifact:
    """Files of one plan by the names that they have in a bundle, sorted.

    Attributes:
        plan: target and recipe.
        files: ``{"model.tflite": …}``, ``{"model.onnx": …}`` or ``{"model.mlpackage/…": …, …}``.
    """

    plan: Plan
    files: Mapping[str, bytes]

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", MappingProxyType(dict(sorted(self.files.items()))))
        if self.is_folder:
            fits = all(name.startswith(f"{self.payload}/") for name in self.files) and bool(self.files)
        else:
            fits = set(self.files) == {self.payload}
        if not fits:
            raise ConversionError(
                f"an artifact of {self.plan} must consist of {self.payload}, not {list(self.files)}"
            )

    @classmethod
    def of(cls, plan: Plan, payload: bytes | Mapping[str, bytes]) -> Artifact:
        """From what a target's ``convert`` returns: one file, or the files of a folder."""
        name = PAYLOAD[plan.target]
        if isinstance(payload, bytes):
            return cls(plan, {name: payload})
        return cls(plan, {f"{name}/{inner}": content for inner, content in payload.items()})

    @property
    def payload(self) -> str:
        """Name of the file or folder."""
        return PAYLOAD[self.plan.target]

    @property
    def is_folder(self) -> bool:
        """Whether the payload is a folder."""
        return self.plan.target == "coreml"

    @property
    def content(self) -> bytes:
        """The only file.

        Raises:
            ConversionError: the payload is a folder.
        """
        if self.is_folder:
            raise ConversionError(f"{self.plan} is a folder, not one file")
        return self.files[self.payload]

    @property
    def package(self) -> dict[str, bytes]:
        """The folder's files by their path inside it."""
        return {name.removeprefix(f"{self.payload}/"): content for name, content in self.files.items()}

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(len(content) for content in self.files.values())

    @property
    def sha256(self) -> str:
        """Of the only file; of a folder, the hash over name, NUL, hash of each file in order."""
        if not self.is_folder:
            return hashlib.sha256(self.content).hexdigest()
        whole = hashlib.sha256()
        for name, content in self.files.items():
            whole.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
        return whole.hexdigest()
