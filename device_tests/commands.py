"""``edge parity``: the verdict is the exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from device_tests import devices
from device_tests import parity as core
from device_tests.errors import ParityError, VerdictFailed
from device_tests.recording import Recording
from edge_sdk.contract.record import BundleContent
from edge_sdk.crypto.options import app_key_option, bundle_key
from edge_sdk.crypto.sealed_files import read_sealed
from edge_sdk.crypto.sealing import AppKey, open_served

_bundle_path = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def parity() -> None:
    """Golden cases on devices; the verdict is the exit status."""


@parity.command("run")
@click.argument("bundles", nargs=-1, required=True, type=_bundle_path)
@click.option(
    "--device",
    "names",
    multiple=True,
    type=click.Choice(devices.NAMES),
    help="Device to use; may be repeated. Default: every one that runs one of the bundles, but for tflite-runtime, the "
    "old phone (make old-phone).",
)
@app_key_option
def run_command(bundles: tuple[Path, ...], names: tuple[str, ...], app_key: AppKey | None) -> dict[str, Any]:
    """Run the golden cases of BUNDLES on this machine's devices."""
    contents = [_open(path, app_key)[0] for path in bundles]
    targets = {content.record.target for content in contents}
    chosen = names or tuple(name for name in devices.USUAL if devices.target_of(name) in targets)
    progress = click.get_current_context().obj
    options = {"progress": progress} if progress is not None else {}
    return _judged(core.run(contents, chosen, **options))


@parity.command("compare")
@click.argument("bundle", type=_bundle_path)
@click.option(
    "--recorded",
    required=True,
    type=_bundle_path,
    help="JSON that a phone wrote (docs/protocol/recorder.md).",
)
@app_key_option
def compare_command(bundle: Path, recorded: Path, app_key: AppKey | None) -> dict[str, Any]:
    """Judge outputs that a phone recorded against the golden cases of BUNDLE."""
    content, sha256 = _open(bundle, app_key)
    try:
        recording = Recording.from_bytes(recorded.read_bytes())
    except ParityError as error:
        raise ParityError(f"{recorded}: {error}") from error
    return _judged(core.compare_recording(content, recording, sha256))


def _open(path: Path, app_key: AppKey | None) -> tuple[BundleContent, str]:
    sealed = read_sealed(path)
    key = bundle_key(path, sealed, app_key)
    return open_served(sealed.served, sealed.sha256, sealed.entry, key), sealed.sha256


def _judged(verdict: core.Verdict) -> dict[str, Any]:
    report = verdict.to_json()
    if verdict.failures:
        more = f" (and {len(verdict.failures) - 1} more)" if len(verdict.failures) > 1 else ""
        raise VerdictFailed(f"parity failed: {verdict.failures[0]}{more}", report)
    return report
