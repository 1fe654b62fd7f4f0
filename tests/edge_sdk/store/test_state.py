"""The pointer: what is written is read, and damage never passes for a state."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_tests.simulator.models import fake_model
from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import FormatError, UpdateRequired
from edge_sdk.store.state import MAX_REMEMBERED, TRUST_FILES, Failure, Slot, State
from edge_sdk.trust.marks import ROLES, Marks, RoleMark
from feature_spec.canonical import canonical_json

INSTALL_ID = "00000000-0000-4000-8000-000000000000"
ONE, TWO = (fake_model(weight, release) for weight, release in ((0.1, 1), (0.2, 2)))


def artifact(sealed: Any) -> Artifact:
    return Artifact(sealed.entry.path, len(sealed.served), sealed.sha256, sealed.entry)


digests = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
releases = st.integers(1, 2**53 - 1)
names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)
moments = st.integers(0, 10**9).map(lambda s: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
role_marks = st.builds(RoleMark, releases, st.lists(digests, max_size=3).map(tuple))
marks = st.builds(
    Marks,
    moments,
    st.fixed_dictionaries(dict.fromkeys(ROLES, role_marks)),
    st.dictionaries(st.tuples(names, names).map("/".join), releases, max_size=3),
)
slots = st.sampled_from(
    [
        Slot(artifact(ONE)),
        Slot(artifact(TWO), artifact(ONE), confirmed=True),
        Slot(artifact(TWO), withdrawn="recalled"),
    ]
)
failures = st.dictionaries(digests, st.builds(Failure, st.integers(1, 9), st.text(max_size=9)), max_size=3)
states = st.builds(
    State,
    st.uuids(version=4).map(str),
    digests,
    st.integers(1, 2**53 - 1),
    st.one_of(st.just({}), st.fixed_dictionaries(dict.fromkeys(TRUST_FILES, digests))),
    st.one_of(st.just(Marks()), marks),
    st.one_of(st.just({}), st.fixed_dictionaries({"focus": slots})),
    failures,
    st.dictionaries(names, digests, max_size=3),
    st.lists(names, max_size=3).map(tuple),
    st.frozensets(digests, max_size=3),
)


@given(states)
def test_round_trip(state: State) -> None:
    assert State.from_bytes(state.to_bytes()) == state
    assert State.from_bytes(state.to_bytes()).to_bytes() == state.to_bytes()


@given(states, st.data())
def test_a_changed_byte_is_seen(state: State, data: st.DataObject) -> None:
    honest = bytearray(state.to_bytes())
    place = data.draw(st.integers(0, len(honest) - 1))
    honest[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises((FormatError, UpdateRequired)):
        State.from_bytes(bytes(honest))


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_a_torn_file_is_seen(cut: int) -> None:
    whole = State(INSTALL_ID, "0" * 64).to_bytes()
    with pytest.raises(FormatError):
        State.from_bytes(whole[:cut])


def test_a_later_format_is_not_guessed_at() -> None:
    top = json.loads(State(INSTALL_ID, "0" * 64).to_bytes())
    top["format"] = "coach-edge/cache/3"
    with pytest.raises(UpdateRequired, match="coach-edge/cache/3"):
        State.from_bytes(json.dumps(top).encode())


@pytest.mark.parametrize(
    "wrong",
    [
        {"install_id": "me"},
        {"pinned_root": "short"},
        {"generation": 0},
        {"trust": {"root.json": "0" * 64}},
        {"models": {"other": Slot(artifact(ONE))}},
        {"failures": {"short": Failure(1, "")}},
        {"wanted": {"focus": "short"}},
    ],
)
def test_valid_by_construction(wrong: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        State(**{"install_id": INSTALL_ID, "pinned_root": "0" * 64, **wrong})


class TestInstalling:
    def test_the_active_one_becomes_the_previous(self) -> None:
        state = State(INSTALL_ID, "0" * 64).installed(artifact(ONE)).installed(artifact(TWO))
        assert state.models["focus"] == Slot(artifact(TWO), artifact(ONE), confirmed=True)
        assert state.marks.release("focus", "stable") == 2
        assert {ONE.sha256, TWO.sha256, "0" * 64} == state.blobs

    def test_the_same_bytes_again_keep_the_previous(self) -> None:
        """Else a release that names the bytes again would push out the only other ones."""
        state = State(INSTALL_ID, "0" * 64).installed(artifact(ONE)).installed(artifact(TWO))
        assert state.installed(artifact(TWO)).models["focus"].previous == artifact(ONE)


class TestFailing:
    FRESH = State(INSTALL_ID, "0" * 64)

    def test_a_second_failure_is_final_and_an_answer_clears_the_first(self) -> None:
        once = self.FRESH.trying(artifact(ONE)).failed(artifact(ONE), "wrong answer")
        assert once.failures[ONE.sha256] == Failure(1, "wrong answer")
        assert not once.is_bad(artifact(ONE))
        assert once.trying(artifact(ONE)).is_bad(artifact(ONE)), "the process may end before it can say why"
        assert once.installed(artifact(ONE)).failures == {}

    def test_the_oldest_failure_is_forgotten_first(self) -> None:
        state = self.FRESH
        for number in range(MAX_REMEMBERED + 1):
            state = state.trying(replace(artifact(ONE), sha256=f"{number:064x}"))
        assert len(state.failures) == MAX_REMEMBERED
        assert f"{0:064x}" not in state.failures
        assert list(State.from_bytes(state.to_bytes()).failures) == list(state.failures)

    def test_the_previous_one_predicts_where_the_active_one_must_not(self) -> None:
        state = self.FRESH.installed(artifact(ONE)).installed(artifact(TWO)).reverted("focus", "recalled")
        assert state.models["focus"] == Slot(artifact(ONE), confirmed=True)
        assert state.marks.release("focus", "stable") == 2, "a mark never goes back"

    @pytest.mark.parametrize("previous_is_bad", [False, True])
    def test_nothing_predicts_where_there_is_no_other(self, previous_is_bad: bool) -> None:
        state = self.FRESH.installed(artifact(ONE))
        if previous_is_bad:
            state = state.installed(artifact(TWO)).trying(artifact(ONE)).trying(artifact(ONE))
        gone = state.reverted("focus", "recalled")
        assert gone.models["focus"].withdrawn == "recalled"
        assert gone.restored("focus").models["focus"] == state.models["focus"]


def test_the_first_format_is_read() -> None:
    top = json.loads(State(INSTALL_ID, "0" * 64).installed(artifact(ONE)).to_bytes())
    body = top["body"]
    del (
        body["failures"],
        body["wanted"],
        body["models"]["focus"]["confirmed"],
        body["models"]["focus"]["withdrawn"],
    )
    digest = hashlib.sha256(canonical_json(body)).hexdigest()
    old = canonical_json({"format": "coach-edge/cache/1", "sha256": digest, "body": body})
    assert State.from_bytes(old) == State(INSTALL_ID, "0" * 64).installed(artifact(ONE))
