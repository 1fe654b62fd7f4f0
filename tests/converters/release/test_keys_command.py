"""``edge keys``: passphrases from the environment or a prompt, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from converters.release.commands import keys
from edge_sdk.crypto import keyfiles
from edge_sdk.crypto.options import command_line_passphrase
from edge_sdk.errors import InputError

NAMES = ("root-1", "root-2", "root-3", "targets-1", "snapshot", "timestamp", "director")


def call(*arguments: str) -> Any:
    return keys.main(list(arguments), standalone_mode=False)


def test_init_and_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(keyfiles.environment_variable(name), f"only for {name}")
    made = call("init", "--out", str(tmp_path / "keys"))
    assert Path(made["root"]).is_file()
    assert {key["name"] for key in made["keys"]} == set(NAMES)
    assert call("list", "--keys", str(tmp_path / "keys"))["keys"] == made["keys"]
    assert {key["name"] for key in call("list", "--keys", made["online"])["keys"]} == set(NAMES[4:])


def test_without_passphrase_and_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COACH_EDGE_PASSPHRASE_ROOT_1", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(InputError, match="key root-1: no passphrase; set COACH_EDGE_PASSPHRASE_ROOT_1"):
        call("init", "--out", str(tmp_path / "keys"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("confirm", [True, False])
def test_a_person_is_asked(monkeypatch: pytest.MonkeyPatch, confirm: bool) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def prompt(text: str, **options: Any) -> str:
        asked.append((text, options))
        return "typed"

    monkeypatch.setattr(click, "prompt", prompt)
    source = command_line_passphrase(confirm=confirm, environ={}, interactive=True)
    assert source("root-1") == "typed"
    options = {"hide_input": True, "confirmation_prompt": confirm, "err": True}
    assert asked == [("Passphrase of root-1", options)]


def test_the_environment_comes_first() -> None:
    source = command_line_passphrase(environ={"COACH_EDGE_PASSPHRASE_ROOT_1": "set"}, interactive=True)
    assert source("root-1") == "set"


@pytest.mark.parametrize("arguments", [["init"], ["list"], ["init", "--out", "x", "--roots", "0"]])
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError):
        call(*arguments)
