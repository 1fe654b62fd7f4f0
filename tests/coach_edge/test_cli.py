"""The roof: exit codes, one line of error, and JSON that is JSON."""

from __future__ import annotations

import json

import click
import pytest

from coach_edge import cli
from device_tests.errors import VerdictFailed
from edge_sdk.errors import InputError


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> dict[str, click.Command]:
    """Commands of our own under the roof, by name."""
    commands: dict[str, click.Command] = {}
    monkeypatch.setattr(
        cli, "COMMANDS", {name: (f"{__name__}:{name}", "") for name in ("good", "bad", "judged")}
    )
    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: cli._mounted(commands[name]))

    @click.command()
    @click.option("--color", type=click.Choice(["red"]))
    def good(color: str | None) -> dict[str, object]:
        return {"color": color, "rows": [{"a": 1.5, "b": "x"}, {"a": 2, "b": None}], "empty": []}

    @click.command()
    def bad() -> None:
        raise InputError("row 3 is\nwrong; mend it")

    @click.command()
    def judged() -> None:
        raise VerdictFailed("parity failed", {"verdict": "fail"})

    commands.update(good=good, bad=bad, judged=judged)
    return commands


@pytest.mark.usefixtures("mounted")
class TestMounted:
    def test_json_is_one_document(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["good", "--json", "--color", "red"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["color"] == "red"
        assert err == ""

    def test_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["good"]) == 0
        out = capsys.readouterr().out
        assert out.splitlines() == ["color: -", "rows:", "    a  b", "  1.5  x", "    2  -", "empty: -"]

    def test_failure_is_one_line_and_1(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["bad", "--json"]) == 1
        out, err = capsys.readouterr()
        assert (out, err) == ("", "edge: row 3 is wrong; mend it\n")

    @pytest.mark.parametrize("arguments", [["good", "--color", "blue"], ["good", "--nothing"], ["good", "x"]])
    def test_wrong_usage_is_2(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(arguments) == 2
        assert capsys.readouterr().out == ""

    def test_a_failed_verdict_prints_its_report(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["judged", "--json"]) == 1
        out, err = capsys.readouterr()
        assert json.loads(out) == {"verdict": "fail"}
        assert err == "edge: parity failed\n"


def test_unknown_command_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["nonsense"]) == 2
    assert "No such command" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version(arguments: list[str]) -> None:
    assert cli.run(arguments) == 0


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_documents_every_option(name: str) -> None:
    def check(command: click.Command) -> None:
        assert command.help, command.name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{command.name} {parameter.opts}"
        if isinstance(command, click.Group):
            for child in command.commands.values():
                check(child)

    context = click.Context(cli.edge)
    command = cli.edge.get_command(context, name)
    assert command is not None
    check(command)


def test_closed_streams(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdout", None)
    assert cli.run(["zoo", "list"]) == 1
    assert capsys.readouterr().err == "edge: standard output is closed; the result is lost\n"
    monkeypatch.undo()
    monkeypatch.setattr("sys.stderr", None)
    assert cli.run(["zoo", "list"]) == 0
