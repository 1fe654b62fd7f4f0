"""Bad input on the command line: one line that says where and what to do, and nothing half-written."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import pytest_socket

from coach_edge.cli import run
from tests.coach_edge import world
from tests.coach_edge.world import BUNDLE

KEY = "--app-key keys/app.key"
PUBLISH = f"publish {BUNDLE} --keys keys/offline --root keys/root.json --token {'t' * 32}"
SERVE = "serve --root keys/root.json --keys keys/online --bind 127.0.0.1:0"
PREDICT = f"predict focus --cache cache {KEY} --input"
FEATURES = "features compute --out features.csv --events"
HEAD = "user_id,day,event_type,count\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, with sockets; whether a test may have them is its own affair."""
    folder = tmp_path_factory.mktemp("world")
    pytest_socket.enable_socket()
    try:
        world.build(folder)
    finally:
        pytest_socket.disable_socket(allow_unix_socket=True)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the world to spoil; the commands run in it."""
    shutil.copytree(made, tmp_path / "w")
    monkeypatch.chdir(tmp_path / "w")
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    return tmp_path / "w"


def tree(folder: Path) -> dict[str, bytes]:
    """Every file with its content; SQLite's own files and the lock may come and go."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "catalogue.sqlite" not in path.name and path.name != "lock"
    }


def refused(place: Path, command: str, status: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command fails as it should, says so in one line, and leaves everything as it was."""
    before = tree(place)
    capsys.readouterr()
    assert run(command.split()) == status
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith("INFO: ")]
    assert out == ""
    if status == 1:
        assert len(lines) == 1, err
        assert lines[0].startswith("edge: ")
    assert re.search(message, lines[-1]), lines[-1]
    assert "Traceback" not in err
    assert tree(place) == before


@dataclass(frozen=True)
class Data:
    """A malformed file: its content, what is run, and what is said."""

    name: str
    content: str | bytes
    message: str
    file: str = "events.csv"
    command: str = FEATURES + " events.csv"
    extra: dict[str, str] = field(default_factory=dict)


LABELS = FEATURES + " events.csv --labels labels.csv"
TIMES = "user_id,timestamp,event_type,count\n"
MALFORMED = (
    Data(
        "missing column",
        "user_id,event_type,count\na,session,1\n",
        r"events\.csv: no column 'day' or 'timestamp'",
    ),
    Data(
        "unknown event type",
        HEAD + "a,1,session,1\na,2,nap,1\n",
        r"events\.csv, row 3.*event_type.*nap.*mapping",
    ),
    Data("bad day", HEAD + "a,1.5,session,1\n", r"events\.csv, row 2.*day"),
    Data(
        "bad date", TIMES + "a,2026-02-30T10:00:00Z,session,1\n", r"events\.csv, row 2.*timestamp.*2026-02-30"
    ),
    Data("NaN", HEAD + "a,1,session,nan\n", r"events\.csv, row 2.*count.*nan"),
    Data(
        "infinity",
        "user_id,day,event_type,count,value\na,1,task_done,1,inf\n",
        r"events\.csv, row 2.*value.*inf",
    ),
    Data("negative", HEAD + "a,1,session,-1\n", r"events\.csv, row 2.*count.*-1"),
    Data(
        "an event id with other content",
        "user_id,day,event_type,count,event_id\na,1,session,1,x\na,1,session,2,x\n",
        r"events\.csv, row 3.*event_id.*'x' is that of row 2",
    ),
    Data("empty", "", r"events\.csv.*empty"),
    Data("head only", HEAD, r"events\.csv"),
    Data("ragged", HEAD + "a,1,session\n", r"events\.csv, row 2"),
    Data("not UTF-8", HEAD.encode() + b"\xff,1,session,1\n", r"events\.csv.*UTF-8"),
    Data(
        "labels without events", "user_id,goal_success\nbob,1\n", r"labels\.csv.*none", "labels.csv", LABELS
    ),
    Data(
        "a user twice",
        "user_id,goal_success\nada,1\nada,0\n",
        r"labels\.csv, row 3.*ada",
        "labels.csv",
        LABELS,
    ),
    Data(
        "bad label", "user_id,goal_success\nada,maybe\n", r"labels\.csv, row 2.*maybe", "labels.csv", LABELS
    ),
    Data(
        "unknown key in a mapping",
        "[evnts]\nuser = 'u'\n",
        r"m\.toml.*evnts",
        "m.toml",
        FEATURES + " events.csv --mapping m.toml",
    ),
    Data(
        "no such label to learn",
        "user_id,happy\nada,1\n",
        r"learns the label 'goal_success'.*happy",
        "labels.csv",
        "train goal-success --events events.csv --labels labels.csv --out model",
    ),
    Data(
        "too few people",
        "user_id,goal_success\nada,1\n",
        r"people .*are needed",
        "labels.csv",
        "train goal-success --events events.csv --labels labels.csv --out model",
    ),
    Data("not JSON", "{", r"in\.json", "in.json", PREDICT + " in.json"),
    Data("unknown feature", '{"effrt": 1}', r"effrt.*effort", "in.json", PREDICT + " in.json"),
    Data("not a number", '{"effort": "much"}', r"effort", "in.json", PREDICT + " in.json"),
    Data("NaN feature", '{"effort": NaN}', r"NaN", "in.json", PREDICT + " in.json"),
    Data(
        "digits that are none",
        "effort\n1_0\n",
        r"in\.csv.*row 2.*'1_0' is not a number",
        "in.csv",
        PREDICT + " in.csv",
    ),
    Data(
        "an id for no terminal",
        '{"id": "\\ud800", "effort": 1}',
        r"in\.json",
        "in.json",
        PREDICT + " in.json",
    ),
    Data("NaN in CSV", "effort,rest,luck\n1,nan,0\n", r"in\.csv.*row 2.*rest", "in.csv", PREDICT + " in.csv"),
)


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case.name)
def test_a_malformed_file(case: Data, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = case.content if isinstance(case.content, bytes) else case.content.encode()
    (place / case.file).write_bytes(content)
    refused(place, case.command, 1, case.message, capsys)


UNKNOWN = (
    ("train nothing --out model", 1, "unknown zoo model 'nothing'; the zoo has goal-success"),
    ("convert zoo:nothing --target tflite --out out", 1, "unknown zoo model 'zoo:nothing'"),
    ("convert nowhere --target tflite --out out", 1, "nowhere"),
    ("convert zoo:goal-success --target toaster --out out", 2, "toaster"),
    ("convert zoo:goal-success --target onnx --recipe int3 --out out", 1, "int3"),
    ("convert zoo:goal-success --target onnx --recipe weight-int8 --out out", 1, "weight-int8"),
    (
        f"predict nothing --cache cache {KEY} --input person.json",
        1,
        "'nothing' is not in cache, which has focus",
    ),
    ("predict focus --cache nowhere --input person.json", 1, "nowhere"),
    ("predict focus --cache cache --input person.json", 1, "app key"),
    ("status --cache nowhere", 1, "nowhere"),
    (f"parity run {BUNDLE} {KEY} --device toaster", 2, "toaster"),
    (f"parity run {BUNDLE} {KEY} --device onnxruntime", 1, "runs onnx, and no such bundle was given"),
    ("keys init --out keys", 1, "keys"),
    ("keys list --keys bundles", 1, "no key file"),
    ("inspect events.csv", 1, "events.csv is not a"),
    ("bench nothing", 2, "nothing"),
    ("features compute --events events.csv --out events.csv", 1, "is the file that is read"),
    ("features compute --events events.csv --out /dev/full", 1, "not a regular file|it is not"),
    ("inspect /dev/zero", 1, "/dev/zero is not a file"),
    ("train goal-success --out /proc/model", 1, "/proc/model: cannot be written"),
    ("train goal-success --out model --seed 99999999999999999999", 2, "seed"),
    (f"serve --root keys/root.json --keys keys/online --bind 127.0.0.1:{'9' * 5000}", 1, "write HOST:PORT"),
    ("release list --server http://[::1 --token x", 1, "write an address"),
)


@pytest.mark.parametrize(("command", "status", "message"), UNKNOWN, ids=[case[0][:40] for case in UNKNOWN])
def test_unknown_names(
    command: str, status: int, message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(place, command, status, message, capsys)


def flip(path: Path, at: float = 0.5) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 1
    path.write_bytes(data)


def stored(place: Path, pattern: str) -> Path:
    (path,) = (place / "edge-data" / "objects").glob(pattern)
    return path


def cached(place: Path) -> Path:
    """The bundle in the cache."""
    return place / "cache" / "blobs" / hashlib.sha256((place / BUNDLE).read_bytes()).hexdigest()


Spoil = Callable[[Path], object]
TAMPERED: tuple[tuple[str, Spoil, str, str], ...] = (
    ("bundle, verified", lambda p: flip(p / BUNDLE), f"bundle verify {BUNDLE} {KEY}", "build it again"),
    ("bundle, judged", lambda p: flip(p / BUNDLE), f"parity run {BUNDLE} {KEY}", "build it again"),
    (
        "bundle, published",
        lambda p: flip(p / BUNDLE),
        PUBLISH + " --server http://127.0.0.1:9",
        "build it again",
    ),
    (
        "segments",
        lambda p: flip(p / (BUNDLE + ".segments")),
        f"bundle verify {BUNDLE} {KEY}",
        "build it again",
    ),
    (
        "entry",
        lambda p: flip(p / (BUNDLE + ".entry.json")),
        f"bundle verify {BUNDLE} {KEY}",
        "focus.*build it again",
    ),
    (
        "app key",
        lambda p: (p / "keys/app.key").write_text("AAAA"),
        f"bundle verify {BUNDLE} {KEY}",
        "app key has 32",
    ),
    (
        "root, publishing",
        lambda p: flip(p / "keys/root.json"),
        PUBLISH + " --server http://127.0.0.1:9",
        "root",
    ),
    ("root, serving", lambda p: flip(p / "keys/root.json"), SERVE, "root"),
    (
        "targets key",
        lambda p: flip(p / "keys/offline/targets-1.key", 0.9),
        PUBLISH + " --server http://127.0.0.1:9",
        "targets-1",
    ),
    ("director key", lambda p: flip(p / "keys/online/director.key", 0.2), SERVE, "director"),
    (
        "cached bundle",
        lambda p: flip(cached(p)),
        PREDICT + " person.json",
        "fetch",
    ),
    (
        "cache states",
        lambda p: [flip(x) for x in (p / "cache/states").iterdir()],
        PREDICT + " person.json",
        "state",
    ),
    ("stored snapshot", lambda p: flip(stored(p, "metadata/1.snapshot.json")), SERVE, "snapshot"),
    ("stored timestamp", lambda p: flip(stored(p, "metadata/timestamp.json")), SERVE, "timestamp"),
    ("stored directives", lambda p: flip(stored(p, "directives.json")), SERVE, "directives"),
    (
        "a targets key on the server",
        lambda p: shutil.copy(p / "keys/offline/targets-1.key", p / "keys/online"),
        SERVE,
        "keep it offline",
    ),
)


@pytest.mark.parametrize(
    ("what", "spoil", "command", "message"), TAMPERED, ids=[case[0] for case in TAMPERED]
)
@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_tampered(
    what: str, spoil: Spoil, command: str, message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(place)
    refused(place, command, 1, message, capsys)


@pytest.mark.parametrize(
    ("variable", "command"),
    [
        ("COACH_EDGE_PASSPHRASE_TARGETS_1", PUBLISH + " --server http://127.0.0.1:9"),
        ("COACH_EDGE_PASSPHRASE_TIMESTAMP", SERVE),
    ],
)
@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_passphrases(
    variable: str,
    command: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, "not this one")
    refused(place, command, 1, f"wrong passphrase.*{variable}", capsys)
    monkeypatch.delenv(variable)
    refused(place, command, 1, f"no passphrase; set {variable}", capsys)


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_a_port_in_use(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = SERVE.replace(":0", f":{port}")
        refused(place, command, 1, f"port {port} is in use; choose another with --bind", capsys)


@pytest.mark.sampled
@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_no_server(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(place, PUBLISH + " --server http://127.0.0.1:9", 1, "no answer from http://127.0.0.1:9", capsys)
    fetch = f"fetch focus --server http://127.0.0.1:9 --root keys/root.json --cache cache {KEY}"
    assert run(fetch.split()) == 0  # offline is a status: what is installed stays good
    assert "offline" in capsys.readouterr().out
    fetch = f"fetch focus --server http://127.0.0.1:9 --root keys/root.json --cache empty {KEY}"
    assert run(fetch.split()) == 1
    assert "was not fetched (offline)" in capsys.readouterr().err


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_a_server_repairs_what_it_can_prove(place: Path) -> None:
    path = stored(place, "metadata/1.targets.json")
    good = path.read_bytes()
    flip(path)
    with world.serve(place):
        assert path.read_bytes() == good


class Tampering:
    """A server between the device and the real one that flips a bit in what it passes on."""

    def __init__(self, upstream: str, where: str) -> None:
        import urllib3

        pool = urllib3.PoolManager(retries=False)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = pool.request("GET", upstream + self.path)
                body = bytearray(answer.data)
                if where in self.path and answer.status == 200:
                    body[len(body) // 2] ^= 1
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(bytes(body))

            def log_message(self, format: str, *args: object) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever)

    def __enter__(self) -> Tampering:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.mark.parametrize(
    "where", ["/v1/bundles/", "timestamp.json", "snapshot.json", "targets.json", "/v1/directives"]
)
@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_tampered_on_the_way(where: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with world.serve(place) as server:
        for url, status in ((server.url, 0), ("", 1)):
            cache = place / f"new-{status}"
            with Tampering(server.url, where) as between:
                fetch = (
                    f"fetch focus --server {url or between.url} --root keys/root.json --cache {cache} {KEY}"
                )
                assert run(fetch.split()) == status, capsys.readouterr().err
        err = capsys.readouterr().err
        assert "Traceback" not in err
        assert len([line for line in err.splitlines() if line.startswith("edge: ")]) == 1
        assert run(f"predict focus --cache {cache} {KEY} --input person.json".split()) == 1
