"""The ``edge`` command: mounts the rooms' commands, prints their results, turns errors into exit codes."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from functools import wraps
from typing import Any, NoReturn

import click

from coach_edge.progress import terminal_progress
from coach_edge.render import render
from converters.errors import ConverterError
from device_tests.errors import ParityError, VerdictFailed
from edge_sdk.errors import EdgeError
from feature_spec.errors import CompatError, FeatureSpecError, QualityError
from model_server.errors import ServerError
from quantization.errors import QuantizationError

FAILURES = (ConverterError, EdgeError, FeatureSpecError, ParityError, QuantizationError, ServerError, OSError)
"""The error roots of the rooms; anything else is a defect of ours and keeps its traceback."""

COMMANDS = {
    "demo": ("coach_edge.demo.command:demo", "Everything once, on this machine, no network needed."),
    "features": ("coach_edge.catalogue:features", "Definitions, batch features, golden vectors, catalogue."),
    "train": ("converters.commands:train", "Fit a model of the zoo; held-out metrics with intervals."),
    "zoo": ("converters.commands:zoo", "The models that come with the product."),
    "convert": ("converters.commands:convert", "A trained model as TFLite, Core ML and ONNX twins."),
    "quantize": ("quantization.commands:quantize", "A smaller artifact by a recipe."),
    "inspect": (
        "coach_edge.inspection.command:inspect",
        "Any artifact or bundle: record, files, tensors, sizes.",
    ),
    "keys": ("converters.release.commands:keys", "Signing keys: one file and one passphrase each."),
    "bundle": ("converters.seal_commands:bundle", "Seal, verify and open bundles."),
    "publish": ("coach_edge.publish:publish", "Sign bundles offline and hand them to a server."),
    "release": ("coach_edge.release:release", "Releases: list, rollout, pause, recall, rollback, promote."),
    "device": ("coach_edge.device:device", "Device keys: tokens, enroll, list, revoke."),
    "serve": ("model_server.commands:serve", "The manifest server."),
    "fetch": ("edge_sdk.commands:fetch", "Bring a model into a cache, verified."),
    "predict": ("edge_sdk.commands:predict", "Predict offline from a cache."),
    "replay": ("coach_edge.replay:replay", "Compute recorded predictions again, bit for bit."),
    "status": ("edge_sdk.commands:status", "What a cache holds."),
    "erase": ("edge_sdk.commands:erase", "Erase the models of a cache; with a receipt."),
    "parity": ("device_tests.commands:parity", "Golden cases on devices; the verdict is the exit status."),
    "selftest": ("device_tests.faults.command:selftest", "The fault suite on this machine."),
    "bench": ("coach_edge.bench.command:bench", "Figures with their controls in the same run."),
}


class LazyGroup(click.Group):
    """Imports a command when it is used, so that ``edge predict`` never pays for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return _mounted(getattr(importlib.import_module(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


def _mounted(command: click.Command) -> click.Command:
    """The command with ``--json``, printing what its callback returns."""
    if isinstance(command, click.Group):
        group = click.Group(command.name, help=command.help, params=command.params, callback=command.callback)
        for child in command.commands.values():
            group.add_command(_mounted(child))
        return group
    callback = command.callback
    assert callback is not None

    @wraps(callback)
    def printing(*args: Any, as_json: bool, **kwargs: Any) -> None:
        try:
            result = callback(*args, **kwargs)
        except (VerdictFailed, QualityError, CompatError) as failed:
            _print(failed.report, as_json)
            raise
        if result is not None:
            _print(result, as_json)

    option = click.Option(
        ["--json", "as_json"], is_flag=True, help="Print one JSON document and nothing else."
    )
    return click.Command(
        command.name,
        callback=printing,
        params=[*command.params, option],
        help=command.help,
        epilog=command.epilog,
        short_help=command.short_help,
    )


def _print(result: object, as_json: bool) -> None:
    if sys.stdout is None:
        raise OSError("standard output is closed; the result is lost")
    if as_json:
        click.echo(json.dumps(result, indent=2, allow_nan=False, ensure_ascii=False))
    else:
        render(result)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="coach-edge", prog_name="edge")
@click.pass_context
def edge(ctx: click.Context) -> None:
    """Convert, sign, distribute and run machine-learned models on phones, with verified parity."""
    ctx.obj = ctx.with_resource(terminal_progress())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 success, 1 failure, 2 wrong usage."""
    try:
        edge.main(args=arguments, prog_name="edge", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        error.show()
        return 2
    except click.ClickException as error:
        return _fail(error.format_message())
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        cause = error.__cause__ if isinstance(error, click.Abort) else error
        return _fail(str(cause or "") or "stopped", status=130)
    except FAILURES as error:
        if isinstance(error, OSError) and error.filename and error.strerror:
            return _fail(f"{error.filename}: {error.strerror}")
        return _fail(str(error))
    return 0


def _fail(message: str, status: int = 1) -> int:
    click.echo("edge: " + " ".join(message.split()), err=True)
    return status


def main() -> NoReturn:
    """Entry point of the ``edge`` script."""
    sys.exit(run())
