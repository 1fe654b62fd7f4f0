"""One vector: an input, and what every reader must make of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

REASONS: Final = (
    "format",
    "signature",
    "expired",
    "clock",
    "rollback",
    "mismatch",
    "digest",
    "key",
    "tolerance",
)
"""The closed list of reasons for a refusal (docs/protocol/README.md)."""

INDEX: Final = "index.json"


@dataclass(frozen=True)
class Vector:
    """``kind`` says which algorithm of the page is meant; a vector with a reason is to be refused for it."""

    page: str
    kind: str
    name: str
    description: str
    input: Mapping[str, Any]
    output: Mapping[str, Any] | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.output is None) == (self.reason is None) or self.reason not in (None, *REASONS):
            raise ValueError(f"vector {self.name}: it has either an output or a known reason")

    @property
    def expect(self) -> str:
        """``accept`` or ``refuse``."""
        return "accept" if self.reason is None else "refuse"

    @property
    def file(self) -> str:
        """Path below the folder of vectors."""
        return f"{self.page}/{self.kind}-{self.name}.json"

    def to_bytes(self) -> bytes:
        """The file: ASCII JSON, one field a line."""
        value: dict[str, Any] = {
            "page": self.page,
            "kind": self.kind,
            "name": self.name,
            "description": self.description,
            "expect": self.expect,
        }
        value |= {"reason": self.reason} if self.reason else {}
        value |= {"input": self.input} | ({"output": self.output} if self.output is not None else {})
        return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode("ascii")

    @classmethod
    def from_bytes(cls, data: bytes) -> Vector:
        """The vector in a file; fields that are missing or contradict each other raise."""
        value = json.loads(data)
        vector = cls(
            value["page"],
            value["kind"],
            value["name"],
            value["description"],
            value["input"],
            value.get("output"),
            value.get("reason"),
        )
        if vector.expect != value["expect"]:
            raise ValueError(f"vector {vector.name}: 'expect' contradicts the rest")
        return vector


def write(vectors: Iterable[Vector], folder: Path) -> None:
    """Write each vector to its file; two of the same name are an error."""
    for vector in vectors:
        path = folder / vector.file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            stream.write(vector.to_bytes())


def index(folder: Path) -> bytes:
    """The index of all vectors that lie in a folder: a row a file.

    The day input has a page of its own and keeps many vectors in a file; its rows say how many.
    """
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*/*.json")):
        name = path.relative_to(folder).as_posix()
        if path.parent.name != "day-input":
            vector = Vector.from_bytes(path.read_bytes())
            rows.append({"file": name, "kind": vector.kind, "expect": vector.expect})
        elif path.stem in ("accept", "refuse"):
            many = json.loads(path.read_bytes())["vectors"]
            rows.append({"file": name, "kind": "day-input", "expect": path.stem, "vectors": len(many)})
    lines = ",\n".join(" " + json.dumps(row) for row in rows)
    return f'{{"format": "coach-edge/vectors/1", "vectors": [\n{lines}\n]}}\n'.encode("ascii")
