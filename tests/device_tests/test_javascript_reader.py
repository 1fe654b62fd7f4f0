"""The protocol pages are enough: a client written from them alone, in another language, reads every vector.

And it can fail: each negative control breaks a copy of the vectors in one place, and the reader must notice.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
CLIENTS = ROOT / "device_tests" / "clients"
VECTORS = ROOT / "docs" / "protocol" / "vectors"

LONGEST = {"reader.mjs": 300, "day-input.mjs": 150, "features.mjs": 100}
"""Lines a file may have; no other file of the client may have more than the reader."""

Read = Callable[[Path], subprocess.CompletedProcess[str]]


@pytest.fixture
def read(tool: Callable[[str], str]) -> Read:
    """Run the reader on a folder of vectors."""
    node = tool("node")

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [node, str(CLIENTS / "reader.mjs"), str(folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the vectors, to be broken."""
    return shutil.copytree(VECTORS, tmp_path / "vectors")


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def store(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")


def entries() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = load(VECTORS / "index.json")["vectors"]
    return listed


def how_many() -> int:
    """All vectors: the client passes over no page."""
    return sum(entry.get("vectors", 1) for entry in entries())


def test_every_vector_passes(read: Read) -> None:
    result = read(VECTORS)
    assert result.stdout.splitlines() == [f"{how_many()} passed, 0 failed"]
    assert result.returncode == 0
    assert result.stderr == ""


def test_the_copy_passes_before_it_is_broken(read: Read, copied: Path) -> None:
    assert read(copied).returncode == 0


def first(kind: str, expect: str) -> str:
    file: str = next(
        entry["file"] for entry in entries() if (entry["kind"], entry["expect"]) == (kind, expect)
    )
    return file


def change(folder: Path, file: str, edit: Callable[[dict[str, Any]], object]) -> None:
    document = load(folder / file)
    edit(document)
    store(folder / file, document)


def change_index(folder: Path, file: str, edit: Callable[[dict[str, Any]], object]) -> None:
    index = load(folder / "index.json")
    edit(next(entry for entry in index["vectors"] if entry["file"] == file))
    store(folder / "index.json", index)


def expect_refusal(folder: Path) -> None:
    """An accepted vector, said to be refused, in file and index."""
    file = first("entry", "accept")
    change(folder, file, lambda vector: vector.update(expect="refuse", reason="format"))
    change_index(folder, file, lambda entry: entry.update(expect="refuse"))


def expect_acceptance(folder: Path) -> None:
    """A refused vector, said to be accepted, in file and index."""
    file = first("name", "refuse")
    change(folder, file, lambda vector: vector.update(expect="accept", output=vector["input"]))
    change_index(folder, file, lambda entry: entry.update(expect="accept"))


def expect_otherwise_in_the_index(folder: Path) -> None:
    change_index(folder, first("rules", "accept"), lambda entry: entry.update(expect="refuse"))


def expect_another_reason(folder: Path) -> None:
    change(folder, first("app-key", "refuse"), lambda vector: vector.update(reason="format"))


def change_an_output(folder: Path) -> None:
    def edit(vector: dict[str, Any]) -> None:
        vector["output"]["buckets"][3] += 1

    change(folder, first("bucket", "accept"), edit)


def remove_the_output(folder: Path) -> None:
    change(folder, first("rules", "accept"), lambda vector: vector.pop("output"))


def remove_the_reason(folder: Path) -> None:
    change(folder, first("rules", "refuse"), lambda vector: vector.pop("reason"))


def remove_a_file(folder: Path) -> None:
    (folder / first("golden", "refuse")).unlink()


def add_a_file(folder: Path) -> None:
    shutil.copy(folder / first("golden", "refuse"), folder / "bundle" / "golden-not-listed.json")


def add_a_folder(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "note.txt").write_text("no vector", encoding="utf-8")


def list_a_file_twice(folder: Path) -> None:
    change(folder, "index.json", lambda index: index["vectors"].append(index["vectors"][0]))


def list_nothing(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    store(folder / "index.json", {"format": "coach-edge/vectors/1", "vectors": []})


def drop_a_page(folder: Path) -> None:
    shutil.rmtree(folder / "recorder")
    kept = [entry for entry in entries() if not entry["file"].startswith("recorder/")]
    change(folder, "index.json", lambda index: index.update(vectors=kept))


def invent_a_kind(folder: Path) -> None:
    file = first("zip", "refuse")
    change(folder, file, lambda vector: vector.update(kind="tar"))
    change_index(folder, file, lambda entry: entry.update(kind="tar"))


def invent_a_page(folder: Path) -> None:
    change(folder, first("rules", "refuse"), lambda vector: vector.update(page="laws"))


def break_the_json(folder: Path) -> None:
    path = folder / first("time", "refuse")
    path.write_bytes(path.read_bytes()[:-3])


def flip_a_byte_of_an_envelope(folder: Path) -> None:
    """One bit of what the keys of the targets role signed."""

    def edit(vector: dict[str, Any]) -> None:
        envelope = json.loads(vector["input"]["manifest"])
        payload = bytearray(base64.b64decode(envelope["payload"]))
        payload[payload.index(b'"length":') + len('"length":')] ^= 1
        envelope["payload"] = base64.b64encode(payload).decode()
        vector["input"]["manifest"] = json.dumps(envelope)

    change(folder, first("update", "accept"), edit)


def flip_a_byte_of_a_signature(folder: Path) -> None:
    """One bit of the signature of the director, who is alone."""

    def edit(vector: dict[str, Any]) -> None:
        envelope = json.loads(vector["input"]["directives"])
        signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
        signature[7] ^= 1
        envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
        vector["input"]["directives"] = json.dumps(envelope)

    change(folder, first("update", "accept"), edit)


def flip_a_byte_of_a_bundle(folder: Path) -> None:
    def edit(vector: dict[str, Any]) -> None:
        served = bytearray(base64.b64decode(vector["input"]["served"]))
        served[len(served) // 2] ^= 1
        vector["input"]["served"] = base64.b64encode(served).decode()

    change(folder, first("open", "accept"), edit)


def describe_another_ciphertext(folder: Path) -> None:
    """A refused stream, but not the one that its digest names: refused for a wrong cause."""
    change(
        folder, first("stream", "refuse"), lambda vector: vector["input"].update(ciphertext_sha256="0" * 64)
    )


def hold_another_device_key(folder: Path) -> None:
    """The private key of another device, which says that it is this one."""

    def edit(vector: dict[str, Any]) -> None:
        device = vector["input"]["device"]
        device["private"] = device["private"][:-1] + ("0" if device["private"][-1] != "0" else "1")

    change(folder, "device-keys/key-blob-plain.json", edit)


def outlive_a_lease(folder: Path) -> None:
    change(
        folder,
        "device-keys/key-blob-last-second.json",
        lambda vector: vector["input"].update(now="2026-03-31T12:00:00Z"),
    )


def flip_a_byte_of_a_proof(folder: Path) -> None:
    def edit(vector: dict[str, Any]) -> None:
        signature = bytearray(base64.b64decode(vector["input"]["signature"]))
        signature[-1] ^= 1
        vector["input"]["signature"] = base64.b64encode(signature).decode()

    change(folder, "device-keys/enrolment-plain.json", edit)


def first_day_input(document: dict[str, Any]) -> dict[str, Any]:
    vector: dict[str, Any] = next(v for v in document["vectors"] if v.get("output", {}).get("cells"))
    return vector


def change_a_cell(folder: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        first_day_input(document)["output"]["cells"][0][3] += 1

    change(folder, "day-input/accept.json", edit)


def change_a_feature(folder: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        first_day_input(document)["output"]["features"][2] += 3e-5

    change(folder, "day-input/accept.json", edit)


def drop_a_day_input(folder: Path) -> None:
    change(folder, "day-input/refuse.json", lambda document: document["vectors"].pop())


def change_a_definition(folder: Path) -> None:
    def edit(spec: dict[str, Any]) -> None:
        spec["features"][0]["meaning"] += " Or not."

    change(folder, "day-input/feature_spec.json", edit)


def change_a_formula(folder: Path) -> None:
    def edit(vector: dict[str, Any]) -> None:
        vector["output"]["values"][20][3] += 1e-6

    change(folder, first("formulas", "accept"), edit)


def count_one_latency_more(folder: Path) -> None:
    change(folder, first("latency", "accept"), lambda vector: vector["input"]["durations_ns"].append(5000))


CONTROLS = [
    change_a_formula,
    expect_refusal,
    expect_acceptance,
    expect_otherwise_in_the_index,
    expect_another_reason,
    change_an_output,
    remove_the_output,
    remove_the_reason,
    remove_a_file,
    add_a_file,
    add_a_folder,
    list_a_file_twice,
    list_nothing,
    drop_a_page,
    invent_a_kind,
    invent_a_page,
    break_the_json,
    flip_a_byte_of_an_envelope,
    flip_a_byte_of_a_signature,
    flip_a_byte_of_a_bundle,
    describe_another_ciphertext,
    change_a_cell,
    change_a_feature,
    drop_a_day_input,
    change_a_definition,
    count_one_latency_more,
]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.__name__)
def test_the_reader_notices(control: Callable[[Path], None], read: Read, copied: Path) -> None:
    control(copied)
    result = read(copied)
    assert result.returncode == 1
    assert re.fullmatch(r"[0-9]+ passed, [1-9][0-9]* failed", result.stdout.splitlines()[-1])


def test_the_outcome_is_computed_from_the_input_alone(read: Read, copied: Path) -> None:
    """With the expectation taken away, the reader still says what it computed."""
    file = first("time", "accept")
    unix = load(copied / file)["output"]["unix"]
    change(copied, file, lambda vector: vector.update(expect="unknown", output=None))
    assert f'"unix":{unix}' in read(copied).stdout


def test_without_a_folder_it_fails(read: Read, tmp_path: Path) -> None:
    assert read(tmp_path / "nothing").returncode != 0


@pytest.mark.parametrize("path", sorted(CLIENTS.glob("*")), ids=lambda path: path.name)
def test_the_client_stays_small_and_needs_nothing_but_node(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert path.suffix == ".mjs"
    assert len(lines) <= LONGEST.get(path.name, LONGEST["reader.mjs"])
    assert max(len(line) for line in lines) <= 110
    own = {f"./{other.name}" for other in CLIENTS.glob("*.mjs")}
    imported = re.findall(
        r'^(?:import .*|\} )from "([^"]+)";(?: //.*)?$', "\n".join(lines), flags=re.MULTILINE
    )
    assert [name for name in imported if not name.startswith("node:") and name not in own] == []
    assert len(imported) == sum(line.startswith("import") for line in lines)
    assert not any(re.search(r"\b(?:require|import)\s*\(", line) for line in lines)
