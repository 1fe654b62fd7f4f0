"""Where passphrases come from on the command line: the environment, else a hidden prompt on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import click

from edge_sdk.crypto.keyfiles import Passphrase, environment_variable
from edge_sdk.errors import InputError


def command_line_passphrase(
    *, confirm: bool = False, environ: Mapping[str, str] | None = None, interactive: bool | None = None
) -> Passphrase:
    """A source of passphrases for a command.

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
