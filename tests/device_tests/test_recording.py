"""Recordings from phones: strict to read, exact to write."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from device_tests.errors import ParityError
from device_tests.recording import RecordedArtifact, RecordedCase, RecordedDevice, Recording
from device_tests.vectors import recorder_page

DEVICE = RecordedDevice("a phone", "android", "16", "litert", "2.3.0")
ARTIFACT = RecordedArtifact("goal-success", "1.0.0", "tflite", "float32", "0" * 64)
tensors = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=3),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)
latencies = st.lists(st.floats(0, 1e6), min_size=1, max_size=5).map(tuple)


@given(st.dictionaries(st.text("pq", min_size=1), tensors, min_size=1, max_size=3), latencies)
def test_a_recording_survives_to_the_bit(outputs: dict[str, Any], latency: tuple[float, ...]) -> None:
    cases = (RecordedCase("a", outputs, latency), RecordedCase("b", error="out of memory"))
    again = Recording.from_bytes(Recording(DEVICE, ARTIFACT, cases).to_bytes())
    assert (again.device, again.artifact) == (DEVICE, ARTIFACT)
    assert [case.id for case in again.cases] == ["a", "b"]
    assert again.cases[0].latency_ms == latency
    assert again.cases[1].error == "out of memory"
    assert set(again.cases[0].outputs) == set(outputs)
    for name, tensor in outputs.items():
        assert again.cases[0].outputs[name].dtype == np.float32
        np.testing.assert_array_equal(again.cases[0].outputs[name], tensor, strict=True)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_nine_digits_are_enough(value: float) -> None:
    document = json.loads(json.dumps(recorder_page.RECORDING))
    text = json.dumps(document).replace("0.125", f"{value:.9g}")
    recorded = Recording.from_bytes(text.encode()).cases[0].outputs["contributions"]
    assert recorded[0][0] == np.float32(value)


def test_case_ids_are_those_of_the_bundle() -> None:
    recording = Recording(DEVICE, ARTIFACT, (RecordedCase("a", error="x"), RecordedCase("b", error="x")))
    recording.check_cases(["b", "a"])
    for ids in (["a"], ["a", "b", "c"], []):
        with pytest.raises(ParityError, match="disagree on whether there is a case"):
            recording.check_cases(ids)


@pytest.mark.parametrize(
    "change",
    [
        {"outputs": {"p": np.zeros(1)}},
        {"outputs": {"p": np.array([np.nan], np.float32)}},
        {"outputs": {}},
        {"latency_ms": ()},
        {"latency_ms": (-1.0,)},
        {"latency_ms": (float("nan"),)},
        {"latency_ms": (1.0,) * 10_001},
        {"error": "and an error"},
    ],
)
def test_what_is_no_case(change: dict[str, Any]) -> None:
    good: dict[str, Any] = {"outputs": {"p": np.zeros(1, np.float32)}, "latency_ms": (1.0,)}
    RecordedCase("a", **good)
    with pytest.raises(ParityError, match="case 'a'"):
        RecordedCase("a", **{**good, **change})


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"format":"coach-edge/recording/1"}', b"\xff", b" " * 17_000_000]
)
def test_other_files_are_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(ParityError) as caught:
        Recording.from_bytes(data)
    assert "\n" not in str(caught.value)
    assert "recording" in str(caught.value)


@given(st.data())
def test_damaged_recordings_are_refused_or_read_and_never_crash(data: st.DataObject) -> None:
    value = json.loads(json.dumps(recorder_page.RECORDING))
    junk = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=3)
        | st.just([])
        | st.just({})
        | st.just([None])
    )
    place: Any = data.draw(
        st.sampled_from([value, value["device"], value["artifact"], value["cases"][0], value["cases"][1]])
    )
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(junk)
    try:
        recording = Recording.from_bytes(json.dumps(value).encode())
    except ParityError:
        return
    assert Recording.from_bytes(recording.to_bytes()).artifact == recording.artifact
