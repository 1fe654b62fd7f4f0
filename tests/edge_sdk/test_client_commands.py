"""``edge fetch``, ``edge predict`` and ``edge status``."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import click
import pytest

from device_tests.simulator.models import FEATURES, ROW, sealed_model
from device_tests.simulator.repository import SERVER, Network, Repository
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk import commands
from edge_sdk.crypto.options import APP_KEY_VARIABLE
from edge_sdk.crypto.sealing import AppKey
from edge_sdk.errors import EdgeError, InputError, NotAvailable, RetryLater, VerificationError
from edge_sdk.reading_rows import Row, read_rows
from edge_sdk.runtime.engines import engine_named
from edge_sdk.update import updates

KEY = AppKey(bytes(range(32)))


@pytest.fixture(scope="module")
def repository() -> Repository:
    """Release 1, a real TFLite model sealed with an app key."""
    made = Repository()
    litert = engine_named("litert")
    made.publish(sealed_model(dense_tflite((3, 4, 1)), app_key=KEY, engine=litert))
    return made


@pytest.fixture(autouse=True)
def network(repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Network:
    network = Network(repository)
    monkeypatch.setattr(updates, "HttpTransport", lambda limits: network)
    monkeypatch.setenv(APP_KEY_VARIABLE, KEY.to_text())
    monkeypatch.chdir(tmp_path)
    Path("root.json").write_bytes(repository.root)
    Path("app.key").write_text(KEY.to_text(), "ascii")
    return network


def run(command: click.Command, *arguments: str) -> Any:
    return command.main(list(arguments), standalone_mode=False)


def fetch(*more: str) -> Any:
    return run(commands.fetch, "focus", "--server", SERVER, "--root", "root.json", "--cache", "cache", *more)


def predict(given: object, *more: str) -> Any:
    text = given if isinstance(given, str) else json.dumps(given)
    return run(commands.predict, "focus", "--cache", "cache", "--input", text, *more)


@pytest.mark.parametrize("level", ["quick", "sampled", "full"])
def test_status_verifies(level: str) -> None:
    fetch()
    found = run(commands.status, "--cache", "cache", "--verify", level)
    assert found["verified"] == {"level": level, "bundles": 1, "segments": int(level != "quick")}
    bundle = Path("cache/blobs", found["models"]["focus"]["active"]["sha256"])
    bundle.write_bytes(bundle.read_bytes()[:-1])
    with pytest.raises(
        VerificationError, match=r"focus/stable/1/.* \(active\): it has .* 'edge fetch' repairs"
    ):
        run(commands.status, "--cache", "cache", "--verify", level)
    assert fetch()["status"] == "installed"
    assert run(commands.status, "--cache", "cache", "--verify", level)["verified"]["bundles"] == 1


def test_fetch_then_predict_then_status(network: Network) -> None:
    found = fetch()
    assert (found["status"], found["release"], found["target"], found["tier"]) == (
        "installed",
        1,
        "tflite",
        "app-key",
    )
    assert fetch()["status"] == "current"
    network.online = False
    made = predict(ROW)
    assert (made["model"], made["model_version"], made["release"]) == ("focus", "1.0.0", 1)
    (one,) = made["predictions"]
    assert 0 < one["values"]["probability"] < 1
    assert type(one["values"]["probability"]) is float
    assert (one["reason"], one["filled"]) == ("fresh", [])
    status = run(commands.status, "--cache", "cache")
    assert status["models"]["focus"]["active"]["release"] == 1
    for answer in (found, made, status):
        json.dumps(answer, allow_nan=False)


def test_a_cache_serves_when_the_server_does_not(network: Network) -> None:
    network.online = False
    with pytest.raises(RetryLater, match=r"focus was not fetched \(offline\): .*no network"):
        fetch()
    network.online = True
    fetch()
    network.online = False
    assert fetch()["status"] == "offline"
    assert fetch("--policy", "local")["status"] == "local"


def test_background_needs_a_network_known_to_be_unmetered() -> None:
    with pytest.raises(RetryLater, match=r"\(postponed\): an unmetered network is required"):
        fetch("--policy", "background")
    assert fetch("--policy", "background", "--unmetered")["status"] == "installed"


def test_app_key_by_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(APP_KEY_VARIABLE)
    with pytest.raises(InputError, match=r"is sealed with app key .*; pass that key"):
        fetch()
    fetch("--app-key", "app.key")
    predict(ROW, "--app-key", "app.key")
    with pytest.raises(InputError, match="is sealed with app key"):
        predict(ROW)


def test_wrong_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("bad.key").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"bad.key: the app key is not base64"):
        fetch("--app-key", "bad.key")
    monkeypatch.setenv(APP_KEY_VARIABLE, "short")
    with pytest.raises(InputError, match="COACH_EDGE_APP_KEY: the app key is not base64"):
        fetch()
    monkeypatch.setenv(APP_KEY_VARIABLE, AppKey(b"x" * 32).to_text())
    with pytest.raises(InputError, match="this key is app-"):
        fetch()


def test_the_app_key_is_one_option_everywhere() -> None:
    from edge_sdk.crypto.options import app_key_option

    shared = app_key_option(lambda app_key: None).__click_params__[0]  # type: ignore[attr-defined]
    for command in (commands.fetch, commands.predict):
        (option,) = [parameter for parameter in command.params if parameter.name == "app_key"]
        assert option.to_info_dict() == shared.to_info_dict()
    assert not hasattr(commands, "APP_KEY_VARIABLE")


@pytest.mark.parametrize(
    "server",
    [
        "http://[::1", "http://a:99999", "http://a:b", "http://a:-1", "http://a:0", "http://", "http://a b",
        "http://a\nb", "http://a\0b",
    ],
)  # fmt: skip
def test_a_server_that_is_no_url(server: str) -> None:
    rest = ["--server", server, "--root", "root.json", "--cache", "cache"]
    with pytest.raises(InputError, match=r"is not a URL such as") as caught:
        run(commands.fetch, "focus", *rest)
    assert "\n" not in str(caught.value)
    assert not Path("cache").exists()


@pytest.mark.parametrize("server", ["http://[::1]:8080", "http://a:1", "https://a/", "http://127.0.0.1"])
def test_a_server_that_is_one(server: str) -> None:
    assert (
        run(commands.fetch, "focus", "--server", server, "--root", "root.json", "--cache", "cache")["release"]
        == 1
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["nope"], NotAvailable, "no model 'nope' in channel 'stable'; it has focus"),
        (["focus", "--channel", "beta"], NotAvailable, "channel 'beta'; it has none at all"),
        (["Focus!"], InputError, "is not a name"),
        (["focus", "--engine", "onnxruntime"], NotAvailable, "withheld.*needs tflite"),
    ],
)
def test_fetching_what_is_not_there(arguments: list[str], error: type[EdgeError], message: str) -> None:
    rest = ["--server", SERVER, "--root", "root.json", "--cache", "cache"]
    with pytest.raises(error, match=message):
        run(commands.fetch, *arguments, *rest)


def test_a_root_that_is_none() -> None:
    honest = Path("root.json").read_bytes()
    for wrong in (b"", b"{}", b'{"signed": {"_type": "targets"}}', b"<html>"):
        Path("root.json").write_bytes(wrong)
        with pytest.raises(InputError, match="the root given is not TUF root metadata"):
            fetch()
        assert not Path("cache").exists()
    Path("root.json").write_bytes(Repository().root)
    with pytest.raises(
        VerificationError, match=r"metadata: .*signed by 0/1 keys; refused: the server is another publisher's"
    ):
        fetch()
    Path("root.json").write_bytes(honest)
    assert fetch()["status"] == "installed", "a root that nothing was ever trusted by is not pinned for good"


@pytest.mark.parametrize(
    "arguments",
    [
        ["focus", "--server", SERVER, "--root", "nowhere.json", "--cache", "cache"],
        ["focus", "--server", SERVER, "--root", "root.json", "--cache", "cache", "--policy", "sometimes"],
        ["focus", "--root", "root.json", "--cache", "cache"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError):
        run(commands.fetch, *arguments)


def test_predicting_without_a_cache() -> None:
    with pytest.raises(NotAvailable, match="cache holds no models yet; fetch one first"):
        predict(ROW)
    assert not Path("cache").exists()


class TestInput:
    @pytest.fixture(autouse=True)
    def fetched(self, network: Network) -> None:
        fetch()

    def test_all_forms_say_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        header, cells = ",".join(["id", *FEATURES]), ",".join(["a", *map(str, ROW.values())])
        Path("rows.csv").write_text(f"\ufeff{header}\r\n{cells}\r\n\r\n", "utf-8")
        Path("rows.json").write_text(json.dumps([{"id": "a", **ROW}]), "utf-8")
        Path("one.json").write_text(json.dumps({"id": "a", **ROW}), "utf-8")
        monkeypatch.setattr("sys.stdin", io.StringIO(Path("rows.csv").read_text("utf-8")))
        inputs = ["rows.csv", "rows.json", "one.json", json.dumps({"id": "a", **ROW}), "-"]
        answers = [predict(given)["predictions"] for given in inputs]
        values = [(row["id"], row["values"]) for (row,) in answers]
        assert all(value == values[0] for value in values)

    def test_unknown_values_are_filled(self) -> None:
        Path("rows.csv").write_text("effort,rest,luck\n0.5,,0.1\n", "utf-8")
        assert predict("rows.csv")["predictions"][0]["filled"] == ["rest"]
        assert predict({"effort": 0.5, "rest": None})["predictions"][0]["filled"] == ["rest", "luck"]

    def test_a_file_that_is_not_there(self) -> None:
        with pytest.raises(InputError, match=r"cannot read rows.csv: No such file"):
            predict("rows.csv")

    def test_a_name_that_no_file_can_have(self) -> None:
        with pytest.raises(InputError, match=r"cannot read 'rows\\x00.csv': embedded null") as caught:
            predict("rows\0.csv")
        assert str(caught.value).isprintable()

    def test_text_in_another_encoding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("rows.csv").write_bytes(b"effort\n\xff\n")
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"effort\n\xff\n"), "utf-8"))
        for given, source in (("rows.csv", "rows.csv"), ("-", "stdin")):
            with pytest.raises(InputError, match=f"cannot read {source}: it is not UTF-8 text"):
                predict(given)

    def test_an_error_of_the_model_names_the_row(self) -> None:
        with pytest.raises(InputError, match=r"--input: row 2: feature effort is .*too large for float32"):
            predict([ROW, {**ROW, "effort": 1e300}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rows is empty; give"),
        (" \n", "rows is empty; give"),
        ("[]", "rows holds no row"),
        ("effort\n", "rows holds no row"),
        ("[1]", "row 1 is not an object"),
        ('{"effort": 1', "rows is not valid JSON"),
        ('{"effort": 1, "effort": 2}', "rows repeats a name"),
        ('{"effort": NaN}', "rows contains NaN"),
        ('{"effort": 1e999}', "row 1, column effort: inf is not a finite number"),
        ('{"effort": true}', "row 1, column effort: True is not a finite number"),
        ('{"effort": "0.5"}', "row 1, column effort: '0.5' is not a finite number"),
        ('{"effort": [1]}', "row 1, column effort"),
        ('{"effort": 1' + "0" * 400 + "}", "row 1, column effort"),
        ("[" * 100_000, "rows is not valid JSON"),
        (
            '[{"effort": 1}, {"work": 1}]',
            "row 2, column work: no such feature; the model has effort, rest, luck",
        ),
        ("effort,work\n1,2\n", "row 2, column work: no such feature"),
        ("effort,effort\n1,2\n", "the column 'effort' without a name or twice"),
        ("effort,\n1,2\n", "the column '' without a name or twice"),
        ("effort,rest\n1\n", "row 2 has 1 cells, the header has 2"),
        ("effort\n0.5\nabc\n", "row 3, column effort: 'abc' is not a number"),
        ("effort\nnan\n", "row 2, column effort: nan is not a finite number"),
        ("effort\n-inf\n", "row 2, column effort: -inf is not a finite number"),
        ('effort\n"0.5\n', "rows is not valid CSV"),
    ],
)
def test_bad_rows(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_rows(text, "rows", FEATURES)
    assert "\n" not in str(caught.value)


def test_an_id_that_is_a_feature() -> None:
    assert read_rows('{"id": 5}', "rows", ["id"]) == [Row(1, None, {"id": 5.0})]
    assert read_rows("id\n5\n", "rows", ["id"]) == [Row(2, None, {"id": 5.0})]
    assert read_rows('{"id": 5}', "rows", ["effort"]) == [Row(1, "5", {})]


def test_a_table_of_features_compute_can_be_read() -> None:
    assert read_rows("user_id,effort\nada,0.5\n", "rows", ["effort"]) == [Row(2, "ada", {"effort": 0.5})]
