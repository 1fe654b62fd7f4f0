"""Strict JSON, and the documents made of it: entry, record, manifest, directives."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_tests.vectors import manifest_scene, sample
from edge_sdk.contract import document
from edge_sdk.contract.directives import Arm, Directive, Directives, Variants
from edge_sdk.contract.document import Fields
from edge_sdk.contract.entry import MAX_ENTRY_BYTES, Entry
from edge_sdk.contract.manifest import Artifact, Director, Manifest
from edge_sdk.contract.record import Budgets, FeatureInput, Record, TensorSpec
from edge_sdk.errors import FormatError
from feature_spec.canonical import canonical_json

MOMENT = datetime(2026, 6, 1, tzinfo=UTC)


def parse(data: bytes, limit: int = 10_000) -> dict[str, Any]:
    return document.parse(data, "test", max_bytes=limit)


# --- JSON


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"{} {}", "not valid JSON"),
        (b'{"a":1,"a":1}', "repeats a field name"),
        (b'{"a":{"b":1,"b":2}}', "repeats a field name"),
        (b'{"a":[{"b":1,"\\u0062":2}]}', "repeats a field name"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "-Infinity"),
        (b'{"a":1e999}', "no finite double"),
        (b'{"a":' + b"9" * 400 + b"}", "no finite double"),
        (b'{"a":' + b"9" * 9_000 + b"}", "no finite double"),
        (b'{"a":"\xff"}', "not valid JSON"),
        (b'\xef\xbb\xbf{"a":1}', "not valid JSON"),
        (b'{"a":"\\ud800"}', "not valid JSON"),
        (b'{"\\udfff":1}', "not valid JSON"),
        (b'{"a":1,}', "not valid JSON"),
        (b"{'a':1}", "not valid JSON"),
        (b'{"a":01}', "not valid JSON"),
        (b'{"a":' + b"[" * 4_000 + b"]" * 4_000 + b"}", "more than 32 deep"),
        (b'{"a":"' + b"x" * 10_000 + b'"}', "at most 10000"),
    ],
)
def test_what_is_no_strict_document_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        parse(data)


def test_good_documents_are_read() -> None:
    assert parse(b' {"a": [1, -0.5, true, null, "\\ud83d\\ude00"]}\n') == {
        "a": [1, -0.5, True, None, "\U0001f600"]
    }


def test_a_whole_number_beyond_the_safe_integers_is_a_double_and_no_integer() -> None:
    value = parse(canonical_json({"a": 1e20}))
    assert value == {"a": 1e20}
    assert Fields(value, "test").number("a") == 1e20
    with pytest.raises(FormatError, match="not an integer"):
        Fields(value, "test").integer("a")


@given(st.binary(max_size=80))
def test_noise_gives_one_kind_of_error(noise: bytes) -> None:
    try:
        parse(noise)
    except FormatError:
        return
    assert isinstance(json.loads(noise), dict)


@pytest.mark.parametrize("value", [10**400, float("inf"), float("nan"), True, "1", None])
def test_a_number_is_finite(value: object) -> None:
    with pytest.raises(FormatError, match="not a finite number"):
        Fields({"a": value}, "test").number("a")


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("text", 1),
        ("integer", 1.0),
        ("integer", True),
        ("integer", -1),
        ("flag", 1),
        ("array", {}),
        ("mapping", []),
    ],
)
def test_a_field_of_another_type_is_refused_by_name(method: str, value: object) -> None:
    with pytest.raises(FormatError, match="the thing: 'field' is not"):
        getattr(Fields({"field": value}, "the thing"), method)("field")
    with pytest.raises(FormatError, match="the thing lacks the field 'field'"):
        getattr(Fields({}, "the thing"), method)("field")


@given(st.binary(max_size=50))
def test_base64_has_one_spelling(data: bytes) -> None:
    import base64

    text = base64.b64encode(data).decode()
    assert document.decode_base64(text, "x") == data
    for other in (text + "=", text.rstrip("=") if "=" in text else text + "A", " " + text, text + "\n"):
        with pytest.raises(FormatError):
            document.decode_base64(other, "x")


@pytest.mark.parametrize("text", ["AB==", "AAB=", "A===", "-_8=", "\u00e9AAA"])
def test_other_base64_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="base64"):
        document.decode_base64(text, "x")


# --- entry


def an_entry(**change: Any) -> Entry:
    return replace(sample.sealed().entry, **change)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=8),
        st.text(st.characters(codec="utf-8"), max_size=20) | st.integers(-(2**53) + 1, 2**53 - 1),
        max_size=4,
    )
)
def test_unknown_fields_of_an_entry_survive(extra: dict[str, Any]) -> None:
    value = {**extra, **an_entry().to_json()}
    entry = Entry.from_json(value)
    assert entry.to_json() == value
    assert Entry.from_json(json.loads(canonical_json(entry.to_json()))) == entry


@pytest.mark.parametrize(
    "extra", [{"x": 1.5}, {"x": True}, {"x": None}, {"x": []}, {"x": 2**53}, {"x": "\ud800"}, {"model": "a"}]
)
def test_what_no_entry_may_carry(extra: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        an_entry(extra=extra)


def test_an_entry_counts_utf8_bytes() -> None:
    room = MAX_ENTRY_BYTES - len(canonical_json(an_entry(extra={"n": ""}).to_json()))
    an_entry(extra={"n": "\u00e9" * (room // 2)})
    with pytest.raises(FormatError, match=f"at most {MAX_ENTRY_BYTES}"):
        an_entry(extra={"n": "\u00e9" * (room // 2 + 1)})


def test_an_entry_cannot_be_changed_behind_its_back() -> None:
    extra: dict[str, str | int] = {"hint": "a"}
    entry = an_entry(extra=extra)
    extra["hint"] = "b"
    assert entry.to_json()["hint"] == "a"
    with pytest.raises(TypeError):
        entry.extra["hint"] = "c"  # type: ignore[index]


# --- record


def test_a_record_survives_with_what_nobody_knows() -> None:
    record = replace(
        sample.record(sample.rest()), about={"licence": "MIT", "later": {"deep": [1, 2.5, None]}}
    )
    again = Record.from_bytes(record.to_bytes())
    assert again == record
    assert again.about["later"] == {"deep": [1, 2.5, None]}
    assert again.to_bytes() == record.to_bytes()


def test_a_field_of_a_later_version_lives_on() -> None:
    value = json.loads(sample.record(sample.rest()).to_bytes())
    record = Record.from_bytes(json.dumps({**value, "zone": "x"}).encode())
    assert json.loads(record.to_bytes())["zone"] == "x"


@given(st.data())
def test_a_damaged_record_is_refused_or_read_and_never_crashes(data: st.DataObject) -> None:
    value = json.loads(sample.record(sample.rest()).to_bytes())
    junk = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=3)
        | st.just([])
        | st.just({})
        | st.just([{}])
    )
    key = data.draw(st.sampled_from(sorted(value)))
    if isinstance(value[key], dict) and value[key] and data.draw(st.booleans()):
        value[key][data.draw(st.sampled_from(sorted(value[key])))] = data.draw(junk)
    elif isinstance(value[key], list) and value[key] and data.draw(st.booleans()):
        item = value[key][0]
        item[data.draw(st.sampled_from(sorted(item)))] = data.draw(junk)
    else:
        value[key] = data.draw(junk)
    try:
        record = Record.from_bytes(json.dumps(value).encode())
    except FormatError:
        return
    assert Record.from_bytes(record.to_bytes()) == record


@pytest.mark.parametrize(
    ("low", "default", "high"), [(0, 2, 1), (1, 0, 2), (float("-inf"), 0, 1), (0, float("nan"), 1)]
)
def test_a_feature_has_its_default_in_a_finite_range(low: float, default: float, high: float) -> None:
    with pytest.raises(FormatError, match="finite range"):
        FeatureInput("f", "", low, high, default)


@pytest.mark.parametrize("shape", [(0,), (-2,), (1.0,), (True,)])
def test_a_shape_is_of_positive_sizes_or_free(shape: tuple[Any, ...]) -> None:
    with pytest.raises(FormatError, match="bad name or shape"):
        TensorSpec("t", "float32", shape, "")


# --- manifest and directives


def a_manifest(**change: Any) -> Manifest:
    entries = [an_entry(release=release) for release in (6, 7)]
    artifacts = tuple(Artifact(entry.path, 10, "0" * 64, entry) for entry in entries)
    whole = Manifest(
        3, MOMENT, MOMENT + timedelta(days=90), Director("d", "1" * 64), {"goal-success/stable": 6}, artifacts
    )
    return replace(whole, **change)


def test_a_manifest_survives() -> None:
    manifest = a_manifest()
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert Manifest.from_bytes(manifest.to_bytes()).to_bytes() == manifest.to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"expires": MOMENT},
        {"floors": {"goal-success": 1}},
        {"floors": {"a/b/c": 1}},
        {"floors": {"a/b": "1"}},
        {"artifacts": a_manifest().artifacts[::-1]},
        {"artifacts": a_manifest().artifacts * 2},
    ],
)
def test_what_is_no_manifest(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        a_manifest(**change)


def test_an_artifact_stands_under_the_path_of_its_entry() -> None:
    with pytest.raises(FormatError, match="belongs under"):
        Artifact("goal-success/stable/8/tflite-fp32.bundle", 10, "0" * 64, an_entry(release=7))


DIRECTIVES = st.builds(
    Directive,
    release=st.integers(5, 9),
    ramp_bp=st.integers(0, 10_000),
    base_release=st.integers(0, 4),
    paused=st.booleans(),
    recalled=st.sets(st.integers(1, 9)).map(sorted).map(tuple),
    holdout_bp=st.integers(0, 10_000),
    variants=st.none() | st.just(Variants("tone", (Arm("warm", 2_000, 3), Arm("cool", 3_000, 4)))),
    min_runtime=st.integers(1, 3),
)


@given(DIRECTIVES)
def test_directives_survive(directive: Directive) -> None:
    whole = Directives(
        4, MOMENT, MOMENT + timedelta(days=1), 3, "a" * 64, {"stable": {"goal-success": directive}}
    )
    assert Directives.from_bytes(whole.to_bytes()) == whole
    assert whole.directive("goal-success", "stable") == directive
    assert whole.directive("goal-success", "beta") is None
    assert whole.directive("churn", "stable") is None


@given(DIRECTIVES, st.uuids().map(str))
def test_a_directive_names_a_release_that_it_lists_or_nothing(directive: Directive, install: str) -> None:
    chosen = directive.release_for("goal-success", "stable", install)
    arms = {arm.release for arm in directive.variants.arms} if directive.variants else set()
    assert chosen is None or chosen in {directive.release, directive.base_release} | arms
    assert chosen not in directive.recalled
    assert chosen is None or not directive.paused
    assert chosen != 0


@given(DIRECTIVES, st.uuids().map(str), st.integers(0, 10_000))
def test_a_growing_ramp_takes_the_release_from_nobody(directive: Directive, install: str, ramp: int) -> None:
    small, large = sorted((directive.ramp_bp, ramp))
    before = replace(directive, ramp_bp=small).release_for("m", "stable", install)
    after = replace(directive, ramp_bp=large).release_for("m", "stable", install)
    assert (
        after == before
        or after == directive.release
        or (before is not None and directive.release in directive.recalled)
    )


@pytest.mark.parametrize("read", [Manifest.from_bytes, Directives.from_bytes])
@given(data=st.data())
def test_damaged_payloads_are_refused_or_read_and_never_crash(read: Any, data: st.DataObject) -> None:
    value = manifest_scene.manifest_payload()
    if read == Directives.from_bytes:
        value = manifest_scene.directives_payload("", 5)
    junk = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=3)
        | st.just([None])
        | st.just({"stable": 1})
        | st.just({"stable": {"m": {}}})
    )
    value[data.draw(st.sampled_from(sorted(value)))] = data.draw(junk)
    try:
        read(json.dumps(value).encode())
    except FormatError:
        return  # any other error fails the test


def test_who_publishes_refuses_what_a_device_leaves_out() -> None:
    value = json.loads(a_manifest().to_bytes())
    value["artifacts"][0]["entry"]["codec"] = "zstd"
    payload = json.dumps(value).encode()
    with pytest.raises(FormatError, match="codec 'zstd'"):
        Manifest.from_bytes(payload)
    assert Manifest.from_bytes(payload, lenient=True) == a_manifest(artifacts=a_manifest().artifacts[1:])
    value["artifacts"].reverse()
    with pytest.raises(FormatError, match="not sorted"):
        Manifest.from_bytes(json.dumps(value).encode(), lenient=True)


@pytest.mark.parametrize("nested", ["[", '{"a":'])
def test_documents_have_a_deepest_level(nested: str) -> None:
    end = {"[": "]", '{"a":': "}"}[nested]

    def document_of(levels: int) -> bytes:
        return ('{"a":' + nested * (levels - 1) + "0" + end * (levels - 1) + "}").encode()

    assert parse(document_of(document.MAX_DEPTH))
    for levels in (document.MAX_DEPTH + 1, 400, 1_600):
        with pytest.raises(FormatError):
            parse(document_of(levels))


@pytest.mark.parametrize("name", Budgets.__dataclass_fields__)
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf")])
def test_a_budget_is_a_positive_number(name: str, value: float) -> None:
    with pytest.raises(FormatError, match=name):
        Budgets(**{name: value})  # type: ignore[arg-type]
