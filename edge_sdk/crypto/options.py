"""Where commands get secrets from: app key, device credential, data keys, and passphrases of key files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from edge_sdk.crypto.keyfiles import Passphrase, environment_variable
from edge_sdk.crypto.sealing import AppKey, BundleKey, Sealed
from edge_sdk.errors import InputError

_LONGEST_KEY_FILE: Final = 1_000
APP_KEY_VARIABLE: Final = "COACH_EDGE_APP_KEY"


def read_app_key(path: Path) -> AppKey:
    """The app key in a file that ``edge keys init`` wrote.

    Raises:
        InputError: the file cannot be read, or does not hold an app key.
    """
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            text = file.read(_LONGEST_KEY_FILE)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    try:
        return AppKey.from_text(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def app_key_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--app-key``; it receives ``app_key``, an AppKey or None."""

    @click.option(
        "--app-key",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help=f"File with the app key, for sealed bundles; otherwise {APP_KEY_VARIABLE} (base64).",
    )
    @wraps(command)
    def wrapped(*args: Any, app_key: Path | None, **kwargs: Any) -> Any:
        key = None
        if app_key is not None:
            key = read_app_key(app_key)
        elif text := os.environ.get(APP_KEY_VARIABLE):
            try:
                key = AppKey.from_text(text)
            except InputError as error:
                raise InputError(f"{APP_KEY_VARIABLE}: {error}") from error
        return command(*args, app_key=key, **kwargs)

    return wrapped


def credential_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--app-key`` and ``--device``; it receives ``credential``, a Credential or None."""

    @app_key_option
    @click.option(
        "--device",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder that 'edge device enroll' wrote, for bundles of the tier device-key.",
    )
    @wraps(command)
    def wrapped(*args: Any, app_key: AppKey | None, device: Path | None, **kwargs: Any) -> Any:
        if device is None:
            return command(*args, credential=app_key, **kwargs)
        from click.core import ParameterSource

        from edge_sdk.crypto.credentials import DeviceCredential

        context = click.get_current_context()
        if context.get_parameter_source("app_key") is ParameterSource.COMMANDLINE:
            raise click.UsageError("give --app-key or --device, not both")
        return command(*args, credential=DeviceCredential.from_folder(device), **kwargs)

    return wrapped


def bundle_key(
    bundle: Path, sealed: Sealed, app_key: AppKey | None, passphrase: Passphrase | None = None
) -> BundleKey | None:
    """What opens a bundle on disk: the app key, or for the tier ``device-key`` the locked data key beside it.

    Args:
        bundle: path of the ``.bundle`` file.
        sealed: what was read from it.
        app_key: of the command.
        passphrase: of data keys; by default from the environment, or asked for.

    Raises:
        InputError: that is missing or does not unlock.
    """
    if sealed.entry.tier != "device-key":
        return app_key
    from edge_sdk.crypto.data_key_files import read_data_key

    return read_data_key(bundle, sealed, passphrase or command_line_passphrase())


def command_line_passphrase(
    *, confirm: bool = False, environ: Mapping[str, str] | None = None, interactive: bool | None = None
) -> Passphrase:
    """A source of passphrases for a command: the environment, else a hidden prompt on a terminal.

    Args:
        confirm: ask twice, for new keys.
        environ: the environment; that of the process by default.
        interactive: is there a person to ask? By default, if standard input is a terminal.

    Returns:
        A function of the key's name, which raises InputError where there is neither a variable nor a person.
    """
    variables = os.environ if environ is None else environ
    ask = sys.stdin.isatty() if interactive is None else interactive

    def passphrase(name: str) -> str:
        variable = environment_variable(name)
        if variable in variables:
            return variables[variable]
        if not ask:
            raise InputError(f"key {name}: no passphrase; set {variable}, or run this in a terminal")
        answer: str = click.prompt(
            f"Passphrase of {name}", hide_input=True, confirmation_prompt=confirm, err=True
        )
        return answer

    return passphrase
