"""``edge inspect FILE``: the right reader for what the file is."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import click

from coach_edge.inspection import graphs
from edge_sdk.contract.record import BundleContent, open_plain
from edge_sdk.crypto.options import app_key_option, bundle_key
from edge_sdk.crypto.sealed_files import BUNDLE, KEY, beside, read_sealed
from edge_sdk.crypto.sealing import AppKey, open_served
from edge_sdk.errors import InputError

MAX_BYTES = 1_000_000_000
"""Larger than any model for a phone."""


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(exists=True, path_type=Path))
@app_key_option
def inspect(path: Path, app_key: AppKey | None) -> dict[str, Any]:
    """Show what FILE is: a .bundle, .tflite, .onnx or .mlpackage; its record, files, tensors and sizes."""
    if path.is_dir():
        if path.suffix != ".mlpackage":
            raise InputError(f"{path} is a folder, but no .mlpackage; name a file or a .mlpackage")
        files = {str(item.relative_to(path)): item.read_bytes() for item in path.rglob("*") if item.is_file()}
        return {
            "kind": "Core ML package",
            "bytes": sum(map(len, files.values())),
            "files": {name: len(data) for name, data in sorted(files.items())},
            **graphs.coreml(files),
        }
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} is not a file of at most {MAX_BYTES} bytes")
    if path.name.endswith(BUNDLE):
        return _bundle(path, app_key)
    data = path.read_bytes()
    about = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if data[4:8] == b"TFL3":
        return {"kind": "TFLite model", **about, **graphs.tflite(data)}
    if data[:2] == b"PK":
        return {"kind": "plain bundle", **about, **_content(open_plain(data))}
    if path.suffix == ".onnx":
        return {"kind": "ONNX model", **about, **graphs.onnx(data)}
    raise InputError(f"{path} is not a .bundle, .tflite, .onnx or .mlpackage that this command knows")


def _bundle(path: Path, app_key: AppKey | None) -> dict[str, Any]:
    sealed = read_sealed(path)
    about: dict[str, Any] = {
        "kind": "sealed bundle",
        "bytes": len(sealed.served),
        "sha256": sealed.sha256,
        "entry": sealed.entry.to_json(),
    }
    if sealed.entry.tier == "app-key" and app_key is None:
        return {**about, "inside": f"sealed with {sealed.entry.key_id}; give --app-key to look inside"}
    if sealed.entry.tier == "device-key" and not beside(path, KEY).exists():
        return {**about, "inside": f"sealed for enrolled devices; {beside(path, KEY).name} is not here"}
    key = bundle_key(path, sealed, app_key)
    return {**about, **_content(open_served(sealed.served, sealed.sha256, sealed.entry, key))}


def _content(content: BundleContent) -> dict[str, Any]:
    record = content.record
    payload = {name: bytes(data) for name, data in content.payload.items()}
    if record.target == "tflite":
        graph = graphs.tflite(payload[record.payload])
    elif record.target == "onnx":
        graph = graphs.onnx(payload[record.payload])
    else:
        prefix = record.payload + "/"
        graph = graphs.coreml({name.removeprefix(prefix): data for name, data in payload.items()})
    return {
        "model": f"{record.model} {record.model_version}",
        "target": f"{record.target}-{record.recipe}",
        "files": {name: len(data) for name, data in content.files.items()},
        "features": [feature.to_json() for feature in record.features],
        "tolerances": {name: tolerance.to_json() for name, tolerance in record.tolerances.items()},
        "budgets": record.budgets.to_json(),
        "fallback": dict(record.fallback),
        "rules": {
            "risk_factors": [rule.key for rule in record.rules.risk_factors],
            "actions": [rule.key for rule in record.rules.actions],
        },
        "about": {key: value for key, value in record.about.items() if key != "metrics"},
        "metrics": record.about.get("metrics", {}),
        "graph": graph,
    }
