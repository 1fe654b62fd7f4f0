"""Bad input to the feature commands: one line that says where and what to do, or the documented result.

Every row is a whole run of a command in a folder of its own. A refusal leaves the folder as it was, and prints nothing
but its one line; what is taken says what became of it.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from coach_edge.cli import run
from feature_spec.prebuilt import PREBUILT
from tests.feature_spec.quality_logs import SPOILT, ZONE, clean

pytestmark = pytest.mark.sampled

DAYS = "user_id,day,event_type,count\n"
TIMES = "user_id,timestamp,event_type,count,value,event_id\n"
COMPUTE = "features compute --events events.csv --out features.csv"
CHECK = "features check --events events.csv"
CODEGEN = "features codegen --lang typescript --spec spec.json --out features.ts"

Files = dict[str, str | bytes]


@dataclass(frozen=True)
class Case:
    """One run: the files it finds, and what it says.

    Attributes:
        name: of the test.
        files: content by name.
        command: what is run.
        status: the exit status.
        says: a pattern in the one line of a refusal.
        result: what must hold of the result of a run that is not refused.
    """

    name: str
    files: Files
    command: str
    status: int = 1
    says: str = ""
    result: Callable[[dict[str, Any]], object] = field(default=lambda found: True)


def spec(expression: object, **changes: object) -> str:
    """The document of a spec whose first feature has another expression, or something else."""
    document = PREBUILT.to_json()
    document["features"][0] |= {"expression": expression, "known": None, **changes}
    return json.dumps(document)


def defined(name: str, expression: object, says: str, **changes: object) -> Case:
    """A definition that does not hold."""
    return Case(name, {"spec.json": spec(expression, **changes)}, CODEGEN, says=says)


def nested(levels: int) -> Any:
    tree: Any = 1
    for _ in range(levels):
        tree = ["log1p", tree]
    return tree


SESSIONS = ["daily", "count", {"session": 1}]
CALM = ["sum_days", SESSIONS]
DEFINITIONS = (
    defined("unknown operator", ["median", CALM], "unknown operator 'median'; the operators are"),
    defined("a class for an operator", ["__import__", "os"], "unknown operator '__import__'"),
    defined("no operator at all", {"op": "add"}, "a finite number or a list that starts with an operator"),
    defined("too few arguments", ["add", 1], "'add' takes 2 arguments|'add' takes two arguments"),
    defined("wrong type of argument", ["sum_days", 3], "'sum_days' takes .*days"),
    defined("a number a day for a feature", SESSIONS, "one number a day; reduce it"),
    defined(
        "days added to events",
        ["add", CALM, ["context", "days_observed"]],
        r"'add' takes operands of one unit, got event .* and time .*divide or multiply",
    ),
    defined(
        "a unit that is another",
        CALM,
        "'share' counts 1, but the expression event .*change the one or the other",
    ),
    defined("an unknown unit", CALM, "unknown unit 'furlongs'; the units are", unit="furlongs"),
    defined("a text for a number", ["add", "one", 1], "a finite number or a list"),
    defined("unknown event type", ["sum_days", ["daily", "count", {"nap": 1}]], "nap"),
    defined("unknown channel", ["sum_days", ["daily", "median", {"session": 1}]], "median"),
    defined("unknown entry of the context", ["context", "mood"], "mood"),
    defined("window longer than the raw input", ["windowed_sum", 91, SESSIONS], "91.*90|90.*91"),
    defined("window of nothing", ["windowed_sum", 0, SESSIONS], "windowed_sum.*0"),
    defined("window of half a day", ["windowed_sum", 1.5, SESSIONS], "windowed_sum.*1.5"),
    defined("quantile above one", ["quantile", 1.5, 30, SESSIONS], "1.5"),
    defined("bounds that fall", ["bucketize", [5, 1], CALM], "bucketize"),
    defined("half-life below nothing", ["ewma", -3, SESSIONS], "-3"),
    defined("a tree without an end", nested(100), "nested deeper than 64"),
    Case(
        "a document without an end",
        {"spec.json": spec(["log1p", 12345]).replace("12345", "[" * 5000 + "]" * 5000)},
        CODEGEN,
        says="nested|deep",
    ),
    defined("a range that is empty", CALM, "low < high", low=1, high=1, missing=1),
    defined("missing outside the range", CALM, "low <= missing <= high", low=0, high=1, missing=7),
    defined("a version of nothing", CALM, "version is 0", version=0),
    Case(
        "NaN in a definition",
        {"spec.json": spec(["add", 12345, CALM]).replace("12345", "NaN")},
        CODEGEN,
        says="spec.json.*NaN",
    ),
    Case(
        "infinity in a definition",
        {"spec.json": spec(["add", 12345, CALM]).replace("12345", "1e999")},
        CODEGEN,
        says="spec.json.*finite number.*inf",
    ),
    Case(
        "a key twice",
        {"spec.json": spec(CALM).replace('"unit":', '"unit": "days", "unit":', 1)},
        CODEGEN,
        says="the name 'unit' comes twice",
    ),
    Case(
        "one feature twice",
        {"spec.json": json.dumps({**PREBUILT.to_json(), "features": PREBUILT.to_json()["features"][:1] * 2})},
        CODEGEN,
        says="is defined twice",
    ),
    Case("too large", {"spec.json": " " * 1_000_001}, CODEGEN, says="spec.json: more than 1,000,000 bytes"),
    Case("not UTF-8", {"spec.json": b"\xff{}"}, CODEGEN, says="spec.json: is no JSON"),
    Case("no file", {}, CODEGEN, says="spec.json: cannot be read"),
    Case("not JSON", {"spec.json": "{"}, CODEGEN, says="spec.json"),
    Case("no spec", {"spec.json": "{}"}, CODEGEN, says="spec.json"),
    Case("unknown feature", {}, "features show mood", status=2, says="mood"),
    Case("unknown language", {}, CODEGEN.replace("typescript", "cobol"), status=2, says="cobol"),
)

DATA = tuple(
    Case(f"{name}, {verb}", files, command + more, says=says)
    for verb, command in (("compute", COMPUTE), ("check", CHECK))
    for name, files, more, says in (
        (
            "NaN",
            {"events.csv": TIMES + "a,2026-03-01T10:00:00Z,session,1,nan,\n"},
            "",
            r"row 2, column value: 'nan'",
        ),
        (
            "infinite",
            {"events.csv": TIMES + "a,2026-03-01T10:00:00Z,session,1,-inf,\n"},
            "",
            r"row 2.*'-inf'",
        ),
        (
            "too large",
            {"events.csv": TIMES + "a,2026-03-01T10:00:00Z,session,1,1e9,\n"},
            "",
            "1e9 is beyond 1,000,000",
        ),
        (
            "negative count",
            {"events.csv": DAYS + "a,1,session,-3\n"},
            "",
            "row 2, column count: the count -3 is neg",
        ),
        (
            "wrong type",
            {"events.csv": DAYS + "a,1,session,often\n"},
            "",
            "row 2, column count: 'often' is not a whole",
        ),
        ("unknown event type", {"events.csv": DAYS + "a,1,nap,1\n"}, "", "unknown event type 'nap'.*mapping"),
        (
            "unknown zone",
            {"events.csv": DAYS + "a,1,session,1\n"},
            " --zone Europe/Atlantis",
            "unknown time zone 'Eur",
        ),
        (
            "unknown zone of a user",
            {"events.csv": DAYS + "a,1,session,1\n", "users.csv": "user_id,zone\na,Mars/Olympus\n"},
            " --users users.csv",
            "users.csv, row 2, column zone: unknown time zone 'Mars/Olympus'",
        ),
        (
            "before 1970",
            {"events.csv": TIMES + "a,1969-12-31T23:00:00Z,session,1,,\n"},
            "",
            "between 1970 and 2199",
        ),
        (
            "no such day",
            {"events.csv": TIMES + "a,2026-02-30T23:00:00Z,session,1,,\n"},
            "",
            "row 2.*2026-02-30",
        ),
        ("a clock in milliseconds", {"events.csv": TIMES + "a,1767225600000,session,1,,\n"}, "", "RFC 3339"),
        ("no file", {}, "", "events.csv: cannot be read"),
        ("nobody", {"events.csv": DAYS + ",1,session,1\n"}, "", "row 2, column user_id: the cell is empty"),
        ("Latin-1", {"events.csv": DAYS.encode() + b"j\xfcrgen,1,session,1\n"}, "", "not UTF-8"),
        (
            "not Parquet",
            {"events.parquet": "PAR1"},
            " --events events.parquet",
            "events.parquet: not readable as Parq",
        ),
        ("unknown mapping", {"events.csv": DAYS + "a,1,session,1\n"}, " --mapping moodle", "mapping moodle"),
    )
)

CLOCK = TIMES + "".join(f"a,2026-03-{day:02}T10:{day:02}:00Z,session,1,,e{day}\n" for day in range(1, 29))
AHEAD = "a,2103-03-01T10:00:00Z,session,1,,x\n"
NAMES = ("jürgen 🦊", "'; DROP TABLE users; --", "מרים", "a,b", "naïve\u0301", "\u202egnirts", "x" * 500)


def computed(users: int) -> Callable[[dict[str, Any]], bool]:
    return lambda found: found["users"] == users and Path("features.csv").exists()


def finds(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda found: name in {row["check"] for row in found["findings"]}


def quoted(names: tuple[str, ...]) -> str:
    return DAYS + "".join(f'"{name}",{day},session,1\n' for name in names for day in range(3))


def same_names(found: dict[str, Any]) -> bool:
    with Path("features.csv").open(newline="", encoding="utf-8") as file:
        rows = [row["user_id"] for row in csv.DictReader(file)]
    return rows == sorted(NAMES) and found["users"] == len(NAMES)


DOCUMENTED = (
    Case(
        "clock in the future, check",
        {"events.csv": CLOCK + AHEAD},
        CHECK,
        says="accuracy, clock: time stamps in the future: 1",
    ),
    Case(
        "clock in the future, tolerated",
        {"events.csv": CLOCK + AHEAD},
        CHECK + " --threshold 0",
        0,
        result=finds("clock"),
    ),
    Case("clock in the future, compute", {"events.csv": CLOCK + AHEAD}, COMPUTE, 0, result=computed(1)),
    Case("ids that are not ASCII, compute", {"events.csv": quoted(NAMES)}, COMPUTE, 0, result=same_names),
    Case("ids that are not ASCII, check", {"events.csv": quoted(NAMES)}, CHECK, 0),
    Case(
        "an id for two events, compute",
        {"events.csv": TIMES + "a,2026-03-01T10:00:00Z,session,1,,x\na,2026-03-02T10:00:00Z,session,1,,x\n"},
        COMPUTE,
        says="row 3, column event_id: the event id 'x' is that of row 2",
    ),
    Case(
        "an id for two events, check",
        {"events.csv": TIMES + "a,2026-03-01T10:00:00Z,session,1,,x\na,2026-03-02T10:00:00Z,session,1,,x\n"},
        CHECK,
        says=r"consistency, event_ids_agree: rows that share an event id with another event: 1 \(row 3\)",
    ),
    Case(
        "an event delivered twice, compute",
        {"events.csv": TIMES + "a,2026-03-01T10:00:00Z,session,1,,x\n" * 2},
        COMPUTE,
        0,
        result=computed(1),
    ),
    # Ten million events of one user in one day are refused however they come, and over ninety days they are counted.
    Case(
        "ten million events in a day, compute",
        {"events.csv": DAYS + "a,1,session,1000000\n" * 17},
        COMPUTE,
        says=r"user 'a' has more than 2\^24 of session \(count\) on one day; check the units",
    ),
    Case(
        "ten million events in a day, check",
        {"events.csv": DAYS + "a,1,session,1000000\n" * 17},
        CHECK,
        says="accuracy, counts: days on which a user has more than 10,000 of one type: 1",
    ),
    Case(
        "ten million events in ninety days, compute",
        {"events.csv": DAYS + "".join(f"a,{day},session,111112\n" for day in range(90))},
        COMPUTE,
        0,
        result=computed(1),
    ),
    Case(
        "an end below",
        {"events.csv": CLOCK},
        CHECK + " --as-of 2026-03-01",
        says="--as-of: '2026-03-01' is not an",
    ),
    Case("a threshold above one", {"events.csv": CLOCK}, CHECK + " --threshold 1.5", 2, says="from 0 to 1"),
    Case(
        "a threshold that is no number",
        {"events.csv": CLOCK},
        CHECK + " --threshold nan",
        2,
        says="from 0 to 1",
    ),
    Case(
        "a page that cannot be",
        {"events.csv": CLOCK},
        CHECK + " --html /proc/x.html",
        says="choose another --html",
    ),
    Case(
        "a cut-off before the log",
        {"events.csv": DAYS + "a,50,session,1\n"},
        COMPUTE + " --cutoff-day 10",
        says="nobody was observed at the cut-off day",
    ),
)

COMPAT = "features compat spec.json"
COMPARED = (
    *(
        replace(case, name=f"{case.name}, compat", command=COMPAT)
        for case in DEFINITIONS
        if case.command == CODEGEN and case.status == 1
    ),
    Case(
        "another formula under one version, compat",
        {"spec.json": spec(CALM, unit="events", high=1000)},
        COMPAT,
        says="completion_rate",
    ),
)

ASK = "features compute --events events.csv --requests requests.csv --out features.csv"
ASKED = "user_id,as_of,zone\n"


def requested(
    name: str, says: str, event: str = "a,2026-03-01T10:00:00Z,session,1,,", request: str = ""
) -> Case:
    """A run of the warehouse on one event and one request, of which one is bad."""
    asked = request or "a,2026-03-02T00:00:00Z,UTC"
    files: Files = {"events.csv": TIMES + event + "\n", "requests.csv": ASKED + asked + "\n"}
    return Case(f"{name}, requests", files, ASK, says=says)


def counted_nothing(found: dict[str, Any]) -> bool:
    with Path("features.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return found is not None and [float(row["streak_length"]) for row in rows] == [0.0]


def many(found: dict[str, Any]) -> bool:
    with Path("features.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return found is not None and float(row["engagement_score"]) > 0.9


# Fifty thousand rows stand for ten million, whose time and memory docs/guides/mapping.md has.
MANY = TIMES + "".join(
    f"a,2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z,session,1,,\n"
    for month in (1, 2, 3)
    for day in range(1, 29)
    for hour in range(10, 20)
    for minute in range(60)
    for second in (0, 30)[: 1 + minute % 2 * (hour % 2)]
)
REQUESTED = (
    Case("ten million rows of one user, compute", {"events.csv": MANY}, COMPUTE, 0, result=many),
    Case(
        "ten million rows of one user, check",
        {"events.csv": MANY},
        CHECK,
        says="without an event of anybody: 3 ",
    ),
    Case(
        "ten million rows of one user, requests",
        {"events.csv": MANY, "requests.csv": ASKED + "a,2026-03-29T00:00:00Z,UTC\n"},
        ASK,
        0,
        result=many,
    ),
    requested("NaN", "value.*'nan'", "a,2026-03-01T10:00:00Z,session,1,nan,"),
    requested("infinite", "value.*'inf'", "a,2026-03-01T10:00:00Z,session,1,inf,"),
    requested("negative count", "count.*'-3'", "a,2026-03-01T10:00:00Z,session,-3,,"),
    requested("wrong type", "count.*'often'", "a,2026-03-01T10:00:00Z,session,often,,"),
    requested("unknown event type", "event_type.*'nap'", "a,2026-03-01T10:00:00Z,nap,1,,"),
    requested("no such day", "timestamp.*'2026-02-30", "a,2026-02-30T10:00:00Z,session,1,,"),
    requested("before 1970", "timestamp.*'1969", "a,1969-12-31T10:00:00Z,session,1,,"),
    requested(
        "unknown zone", "unknown time zone 'Mars/Olympus'", request="a,2026-03-02T00:00:00Z,Mars/Olympus"
    ),
    requested("as-of without a time", "as_of.*'2026-03-02'", request="a,2026-03-02,UTC"),
    requested("nobody", "user_id.*empty", request=",2026-03-02T00:00:00Z,UTC"),
    Case(
        "clock in the future, requests",
        {"events.csv": TIMES + AHEAD, "requests.csv": ASKED + "a,2026-03-02T00:00:00Z,UTC\n"},
        ASK,
        0,
        result=counted_nothing,
    ),
    Case(
        "ids that are not ASCII, requests",
        {
            "events.csv": TIMES + "מרים 🦊,2026-03-01T10:00:00Z,session,1,,é\n",
            "requests.csv": ASKED + "מרים 🦊,2026-03-01T12:00:00Z,Asia/Jerusalem\n",
        },
        ASK,
        0,
        result=lambda found: "מרים 🦊" in Path("features.csv").read_text("utf-8"),
    ),
)

CASES = (*DEFINITIONS, *COMPARED, *DATA, *DOCUMENTED, *REQUESTED)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in case.files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    before = tree(tmp_path)
    command = case.command.split()
    status = run([*command, *(["--json"] if case.status == 0 else [])])
    out, err = capsys.readouterr()
    assert status == case.status, err
    assert "Traceback" not in err + out
    if status == 0:
        assert err == ""
        assert case.result(json.loads(out))
        return
    lines = err.splitlines()
    if status == 1:
        assert len(lines) == 1, err
        assert lines[0].startswith("edge: ")
    assert re.search(case.says, lines[-1]), lines[-1]
    assert len(lines[-1]) < 800
    assert tree(tmp_path) == before, "a refusal leaves nothing behind"


def test_the_table_is_one() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("command", ["train goal-success --out model", "demo --workdir demo"])
def test_training_on_bad_data_is_refused_in_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = clean(120)
    SPOILT["scores in percent"][1](files)
    files.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = tree(tmp_path)
    assert (
        run(f"train goal-success --events events.csv --labels labels.csv --zone {ZONE} --out model".split())
        == 1
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(
        r"edge: data quality 0\.\d+ is below 0\.95; worst is accuracy, units: the values of task_done look like "
        r"percent, .*; convert them, .*\. `edge features check` shows the rest; a lower --quality-threshold .*\n",
        err,
    )
    assert tree(tmp_path) == before
