"""``edge parity`` and ``edge vectors``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from device_tests import devices
from device_tests import parity as core
from device_tests.errors import ParityError, VerdictFailed
from device_tests.recording import Recording
from edge_sdk.contract.record import BundleContent
from edge_sdk.crypto.sealed_files import read_sealed
from edge_sdk.crypto.sealing import AppKey, open_served

_bundle_path = click.Path(exists=True, dir_okay=False, path_type=Path)
_app_key = click.option(
    "--app-key",
    envvar="COACH_EDGE_APP_KEY_FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Key file for bundles of tier app-key.",
)


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
    help="Device to use; may be repeated. Default: every device that runs one of the bundles.",
)
@_app_key
def run_command(bundles: tuple[Path, ...], names: tuple[str, ...], app_key: Path | None) -> dict[str, Any]:
    """Run the golden cases of BUNDLES on this machine's devices."""
    contents = [_open(path, app_key)[0] for path in bundles]
    targets = {content.record.target for content in contents}
    chosen = names or tuple(name for name in devices.NAMES if devices.target_of(name) in targets)
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
@_app_key
def compare_command(bundle: Path, recorded: Path, app_key: Path | None) -> dict[str, Any]:
    """Judge outputs that a phone recorded against the golden cases of BUNDLE."""
    content, sha256 = _open(bundle, app_key)
    try:
        recording = Recording.from_bytes(recorded.read_bytes())
    except ParityError as error:
        raise ParityError(f"{recorded}: {error}") from error
    return _judged(core.compare_recording(content, recording, sha256))


@click.command()
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write to."
)
def vectors(out: Path) -> dict[str, Any]:
    """Write the protocol vectors."""
    from device_tests.vectors import generate

    return {"out": str(out), "files": len(generate(out))}


def _open(path: Path, app_key: Path | None) -> tuple[BundleContent, str]:
    sealed = read_sealed(path)
    key = AppKey.from_text(app_key.read_text()) if app_key else None
    return open_served(sealed.served, sealed.sha256, sealed.entry, key), sealed.sha256


def _judged(verdict: core.Verdict) -> dict[str, Any]:
    report = verdict.to_json()
    if verdict.failures:
        more = f" (and {len(verdict.failures) - 1} more)" if len(verdict.failures) > 1 else ""
        raise VerdictFailed(f"parity failed: {verdict.failures[0]}{more}", report)
    return report
